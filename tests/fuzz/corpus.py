"""Inputs worth keeping: a text file for each law, an input on each line, escaped as in Python."""

from pathlib import Path

import yaml

CORPUS = Path(__file__).parent.parent / "corpus"


def kept(law: str) -> list[bytes]:
    """Return the inputs kept for *law*."""
    lines = (CORPUS / "fuzz" / f"{law}.txt").read_text("ascii").splitlines()
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def escaped(data: bytes) -> str:
    """Return *data* as one line of a file."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def seeds(law: str) -> list[bytes]:
    """Return what a search for *law* starts with: kept inputs, and the corpus of messages."""
    if law == "request":
        return kept(law) + _messages("requests.yaml", "")
    if law == "response":
        return kept(law) + _messages("responses.yaml", "E")
    return kept(law)


def _messages(file: str, prefix: str) -> list[bytes]:
    groups = yaml.safe_load((CORPUS / file).read_text()).values()
    return [(prefix + case["raw"]).encode("latin-1") for group in groups for case in group]
