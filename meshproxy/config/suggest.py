"""Which known word was meant by an unknown one."""

import difflib
from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about *word*: the closest of the *known* words, or all of them."""
    words = sorted(known)
    folded = {name.lower(): name for name in words}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.7)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return f"known here: {', '.join(words)}" if words else "nothing may be written here"
