"""One law under atheris, with libFuzzer's own arguments: `python -m tests.fuzz.target LAW ...`."""

import sys

import atheris

with atheris.instrument_imports(include=["meshproxy"]):
    from tests.fuzz.laws import LAWS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], LAWS[sys.argv[1]])
    atheris.Fuzz()
