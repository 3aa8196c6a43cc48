"""Parses a text into nodes: YAML, or strict JSON if it begins with `{`.

Follows linkerd: config/.../Parser.scala: duplicate keys are errors, and words such as `yes` or
`0x10` are text. A second document is also an error, except in a Kubernetes manifest, whose first
document is read. The work for a text is bounded by its size: depth, nodes and length have limits,
aliases included.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import yaml

from meshproxy.config.errors import ConfigError, ConfigErrors, Findings
from meshproxy.config.nodes import Mapping, Node, Scalar, Sequence, join
from meshproxy.config.places import Mark, Text, TextRange
from meshproxy.config.scalars import plain

MAX_CHARACTERS: Final = 1 << 20
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 50

_STRING_TAG: Final = "tag:yaml.org,2002:str"


class Unreadable(Exception):
    """The text is not a document; holds the place and the reason."""

    def __init__(self, mark: Mark, what: str) -> None:
        super().__init__(what)
        self.mark = mark


def parse(
    characters: str,
    findings: Findings,
    span: TextRange | None = None,
    otherwise: str = "write at least `routers:`",
) -> Node:
    """Returns the document in *characters*; adds duplicate keys and the like to *findings*.

    Places are those in the file if the document is the value at *span* of a file. The error of an
    empty text says what to do *otherwise*.

    Raises:
        ConfigErrors: it is not YAML or JSON, is empty, or exceeds a limit.
    """
    text = Text(characters.removeprefix("\ufeff"), span, findings.file)
    try:
        _check_length(text)
        if text.characters.lstrip(" \t\r\n").startswith("{"):
            _check_json(text)
            text = Text(text.characters.replace("\t", " "), span, findings.file)
        return _Composer(text, findings).document(otherwise)
    except Unreadable as error:
        raise ConfigErrors([ConfigError(findings.file, error.mark, "", str(error))]) from None


def _check_length(text: Text) -> None:
    if len(text.characters) > MAX_CHARACTERS:
        raise Unreadable(text.at(0), f"longer than {MAX_CHARACTERS} characters, shorten it")


def _check_json(text: Text) -> None:
    try:
        json.loads(text.characters, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg}; a file that begins with {{ is JSON"
        raise Unreadable(text.at(error.pos), what) from None
    except RecursionError:
        what = f"nested deeper than {MAX_DEPTH} levels, flatten it"
        raise Unreadable(text.at(0), what) from None


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not a number", name, 0)


class _Composer:
    """Builds nodes from the events of PyYAML's parser, which neither resolves nor recurses."""

    def __init__(self, text: Text, findings: Findings) -> None:
        self._events: Iterator[Any] = yaml.parse(text.characters, Loader=yaml.SafeLoader)
        self._text = text
        self._findings = findings
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0

    def document(self, otherwise: str) -> Node:
        """Returns the root of the first document; only a manifest may have another one."""
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    root = self._node(next(self._events), 0, "")
                    if not is_kubernetes(root):
                        self._refuse_another()
                    return root
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark or error.context_mark
            mark = self._text.at(0 if at is None else at.index)
            what = ", ".join(filter(None, [error.context, error.problem]))
            raise Unreadable(mark, f"not YAML: {what}") from None
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise Unreadable(self._text.at(0), f"not YAML: {reason}") from None
        raise Unreadable(self._text.at(0), f"empty, {otherwise}")

    def _refuse_another(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                what = "a second document begins here, put it into another file"
                self._findings.add(self._mark(event), "", what)
                return

    def _node(self, event: Any, depth: int, at: str) -> Node:
        mark = self._mark(event)
        if depth > MAX_DEPTH:
            raise Unreadable(mark, f"nested deeper than {MAX_DEPTH} levels, flatten it")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark)
        before = self._nodes
        self._count(1, mark)
        if event.tag not in (None, "!", _STRING_TAG):
            raise Unreadable(mark, f"the tag {event.tag} is not supported, remove it")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.implicit[0] and event.tag is None and event.style is None
            text = _whole_characters(event.value, mark)
            value = plain(text) if is_plain else text
            node = Scalar(mark, text, value, self._span(event, text))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Sequence(mark)
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                node.items.append(self._node(item, depth + 1, f"{at}[{len(node.items)}]"))
        else:
            node = self._mapping(mark, depth, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _mapping(self, mark: Mark, depth: int, at: str) -> Mapping:
        mapping = Mapping(mark)
        while not isinstance(item := next(self._events), yaml.MappingEndEvent):
            name = self._node(item, depth + 1, at)
            if not isinstance(name, Scalar):
                raise Unreadable(name.mark, "a key has to be a single value")
            path = join(at, name.text)
            value = self._node(next(self._events), depth + 1, path)
            if name.text in mapping.items:
                first = mapping.marks[name.text].line
                what = f"duplicate key, it is also on line {first}, remove one of them"
                self._findings.add(name.mark, path, what)
            mapping.items[name.text] = value
            mapping.marks[name.text] = name.mark
        return mapping

    def _alias(self, event: Any, mark: Mark) -> Node:
        if event.anchor not in self._anchors:
            raise Unreadable(mark, f"the alias *{event.anchor} has no anchor before it")
        node, size = self._anchors[event.anchor]
        self._count(size, mark)
        return node

    def _mark(self, event: Any) -> Mark:
        return self._text.at(event.start_mark.index)

    def _span(self, event: Any, value: str) -> TextRange:
        start, end = event.start_mark.index, event.end_mark.index
        return TextRange(self._text, start, end, event.style, value)

    def _count(self, nodes: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Unreadable(mark, f"more than {MAX_NODES} values, aliases included, shorten it")


def is_kubernetes(root: Node) -> bool:
    """Returns True if *root* is a Kubernetes object, several of which make a manifest."""
    return isinstance(root, Mapping) and "apiVersion" in root.items


def _whole_characters(text: str, mark: Mark) -> str:
    """Returns the text with JSON's surrogate pairs joined."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Unreadable(mark, "half of a surrogate pair, write both escapes") from None
