"""Suggests which known word was meant by an unknown one."""

import difflib
from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """Returns advice about *word*: the closest of the *known* words, or all of them."""
    words = sorted(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean {near}?"
    return f"known here: {', '.join(words)}" if words else "nothing may be written here"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the one of the *known* words that is close to *word*, ignoring case."""
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None
