"""The kinds of naming cases: conversion between a case's YAML and meshproxy's values.

Each function returns what the case expects and what meshproxy says, both as plain values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING, Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import (
    EMPTY,
    FAIL,
    NEG,
    Alt,
    Empty,
    Fail,
    Leaf,
    NameTree,
    Neg,
    Union,
)
from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var
from tests.kit.names import parse_tree
from tests.kit.trees import evaluate, simplify

Case = Mapping[str, Any]
Outcome = tuple[object, object]

_WORDS: dict[str, NameTree[Path | Bound]] = {"neg": NEG, "fail": FAIL, "empty": EMPTY}


def _text(scalar: object) -> str:
    """Undo what YAML makes of an unquoted `~` or a number."""
    return "~" if scalar is None else str(scalar)


def _segments(case: Case) -> list[bytes]:
    if "segments_hex" in case:
        return [bytes.fromhex(segment) for segment in case["segments_hex"]]
    return [_text(segment).encode() for segment in case["segments"]]


def _plain(tree: NameTree[Any], leaf: Callable[[Any], dict[str, Any]]) -> object:
    """Write a tree as the cases do."""
    match tree:
        case Leaf(value):
            return leaf(value)
        case Alt(trees):
            return {"alt": [_plain(member, leaf) for member in trees]}
        case Union(weighted):
            return {
                "union": [
                    {"weight": weight, "tree": _plain(member, leaf)} for weight, member in weighted
                ]
            }
        case Neg():
            return "neg"
        case Fail():
            return "fail"
        case Empty():
            return "empty"


def _with_float_weights(tree: Any) -> Any:
    """Let a case write a weight as an integer."""
    if not isinstance(tree, dict):
        return tree
    if "alt" in tree:
        return {"alt": [_with_float_weights(member) for member in tree["alt"]]}
    if "union" in tree:
        return {
            "union": [
                {"weight": float(member["weight"]), "tree": _with_float_weights(member["tree"])}
                for member in tree["union"]
            ]
        }
    return tree


def _leaf_of_path(path: Path) -> dict[str, Any]:
    return {"leaf": path.show()}


def _leaf_of_bound(bound: Bound) -> dict[str, Any]:
    return {"leaf": bound.id.show(), "residual": bound.residual.show()}


def _error(parse: Callable[[str], object], case: Case) -> Outcome:
    try:
        parsed = parse(_text(case["in"]))
    except ParseError as error:
        return case["error"], str(error)
    return case["error"], f"no error: {parsed}"


def path_parse(case: Case) -> Outcome:
    path = Path.parse(_text(case["in"]))
    return (_segments(case), case["show"]), (list(path), path.show())


def path_show(case: Case) -> Outcome:
    return case["show"], Path(_segments(case)).show()


def path_error(case: Case) -> Outcome:
    return _error(Path.parse, case)


def dtab_parse(case: Case) -> Outcome:
    dtab = Dtab.parse(_text(case["in"]))
    entries = [{"prefix": entry.prefix.show(), "dst": entry.dst.show()} for entry in dtab]
    return (case["entries"], case["show"]), (entries, dtab.show())


def dtab_error(case: Case) -> Outcome:
    return _error(Dtab.parse, case)


def nametree_parse(case: Case) -> Outcome:
    tree = parse_tree(_text(case["in"]))
    expected = _with_float_weights(case["tree"])
    return (expected, case["show"]), (_plain(tree, _leaf_of_path), tree.show())


def nametree_error(case: Case) -> Outcome:
    return _error(parse_tree, case)


def nametree_eval(case: Case) -> Outcome:
    tree = parse_tree(_text(case["in"]))
    found = evaluate(tree)
    got: dict[str, object] = {
        "status": _plain(found, _leaf_of_path) if isinstance(found, Neg | Fail) else "ok"
    }
    if isinstance(found, frozenset):
        got["leaves"] = sorted(path.show() for path in found)
    got["simplified"] = simplify(tree).show()
    expected = {key: case[key] for key in ("status", "simplified")}
    if case["status"] == "ok":
        expected["leaves"] = sorted(set(case["leaves"]))
    return expected, got


def dtab_lookup(case: Case) -> Outcome:
    return _text(case["tree"]), Dtab.parse(case["dtab"]).lookup(Path.parse(case["path"])).show()


def client_prefix(case: Case) -> Outcome:
    matcher = PathMatcher.parse(case["pattern"])
    captures = matcher.match(Path.parse(case["bound_id"]))
    wanted = case.get("substitute") or {}
    got = {template: matcher.substitute(template, captures or {}) for template in wanted}
    expected = case["captures"]
    if expected is not None:
        expected = {name: _text(value) for name, value in expected.items()}
    return (expected, {key: _text(value) for key, value in wanted.items()}), (captures, got)


def _unknown_address(_host: str, _port: str) -> Var[Addr]:
    return Var(ADDR_PENDING)


def rewrite(case: Case) -> Outcome:
    answer = SystemNamers(_unknown_address).lookup(Path.parse(_text(case["in"])).drop(1))
    expected: dict[str, object] = (
        {"bound": case["bound"]} if "bound" in case else {"out": _text(case["out"])}
    )
    state: State[Any] = answer.sample() if isinstance(answer, Var) else Ok(answer)
    match state:
        case Ok(Leaf(Bound() as bound)):
            return expected, {"bound": {"id": bound.id.show(), "residual": bound.residual.show()}}
        case Ok(Leaf(Path() as path)):
            return expected, {"out": path.show()}
        case Ok(tree):
            return expected, {"out": _plain(tree, _leaf_of_path)}
        case Failed():
            return expected, {"out": "error"}
        case other:
            return expected, {"out": str(other)}


@dataclass(frozen=True)
class StubNamer:
    """A configured namer that knows the names written in the case."""

    prefix: Path
    consume: int
    names: Mapping[str, str]
    otherwise: str
    id_prefix: Path

    @classmethod
    def read(cls, entry: Case) -> "StubNamer":
        return cls(
            Path.parse(entry["prefix"]),
            entry.get("consume", 1),
            entry.get("names") or {},
            entry.get("otherwise", "neg"),
            Path.parse(entry.get("id_prefix", "/")),
        )

    def lookup(self, path: Path) -> Lookup:
        suffix = Path([segment.lower() for segment in path.take(self.consume)])
        answer = self.names.get(suffix.show(), self.otherwise)
        match answer:
            case "bound":
                name = self.id_prefix + self.prefix + suffix
                return Leaf(Bound(name, Var(ADDR_PENDING), path.drop(self.consume)))
            case "pending":
                return Var(PENDING)
            case "error":
                return Var(Failed(ValueError("the case says so")))
        tree: NameTree[Path | Bound] = _WORDS.get(answer) or parse_tree(answer)
        return Var(Ok(tree))


def delegate(case: Case) -> Outcome:
    namers = [StubNamer.read(entry) for entry in case.get("namers") or ()]
    interpreter = DefaultInterpreter(namers, SystemNamers(_unknown_address))
    dtab = Dtab.parse(case["dtab"]) + Dtab.parse(case.get("local_dtab") or "")
    expect = case["expect"]
    expected: dict[str, object] = {"state": expect["state"]}
    match interpreter.bind(dtab, Path.parse(case["path"])).sample():
        case Ok(tree):
            got: dict[str, object] = {"state": "ok", "tree": _plain(tree, _leaf_of_bound)}
        case Failed(error):
            got = {"state": "failed", "error": str(error)}
        case _:
            got = {"state": "pending"}
    if "tree" in expect:
        expected["tree"] = _with_float_weights(expect["tree"])
    if "error" in expect:
        expected["error"] = _matched(expect["error"], str(got.get("error")))
    elif expect["state"] == "failed":
        got.pop("error", None)
    return expected, got


def _matched(part: str, whole: str) -> str:
    """Let a part of an error's text stand for the whole."""
    return whole if part in whole else f"... {part} ..."


KINDS = {
    "path_parse": path_parse,
    "path_show": path_show,
    "path_error": path_error,
    "dtab_parse": dtab_parse,
    "dtab_error": dtab_error,
    "nametree_parse": nametree_parse,
    "nametree_error": nametree_error,
    "nametree_eval": nametree_eval,
    "dtab_lookup": dtab_lookup,
    "client_prefix": client_prefix,
    "rewrite": rewrite,
    "delegate": delegate,
}
