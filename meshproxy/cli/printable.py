"""Text of others that is safe to print."""


def printable(text: str) -> str:
    """Returns *text* without what would control a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
