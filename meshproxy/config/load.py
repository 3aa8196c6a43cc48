"""Loads a configuration: text, nodes, dataclasses, and checks between them.

Follows linkerd: linkerd/core/.../Linker.scala, and unwraps the Kubernetes ConfigMap in which such a
file is often stored.
"""

import logging
from dataclasses import dataclass

from meshproxy.config.decode import decode
from meshproxy.config.document import is_kubernetes, parse
from meshproxy.config.errors import ConfigError, ConfigErrors, Findings, Problem, Severity
from meshproxy.config.nodes import Mapping, Node, Scalar, locate
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.validate import foreign, validate

_log = logging.getLogger(__name__)

_WRAPPED = "config.yaml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without errors, and what an operator should know about it."""

    config: LinkerConfig
    missing: tuple[ConfigError, ...]
    """Files and directories that do not exist here, so that serving must be refused."""
    warnings: tuple[ConfigError, ...]
    file: str
    """Its name in messages."""
    root: Node
    """Its root node."""

    def placed(self, problem: Problem) -> ConfigError:
        """Returns *problem*, whose key is a path from the root of the file, with its place."""
        path = problem.key or ""
        mark = locate(self.root, path)
        return ConfigError(self.file, mark, path, problem.what, problem.severity)


def load(text: str, name: str) -> LinkerConfig:
    """Returns the configuration in *text*; logs warnings. *name* is used in messages.

    Raises:
        ConfigErrors: everything that is wrong, files that do not exist here included.
    """
    loaded = read(text, name)
    if loaded.missing:
        raise ConfigErrors(loaded.missing)
    for warning in loaded.warnings:
        _log.warning("%s", warning)
    return loaded.config


def read(text: str, name: str) -> Loaded:
    """Returns the configuration in *text*; files that do not exist here are only reported.

    Raises:
        ConfigErrors: everything that is wrong.
    """
    findings = Findings(name)
    root = _unwrap(parse(text, findings), findings)
    what = foreign(root)
    if what is not None:
        raise ConfigErrors([ConfigError(name, root.mark, "", what)])
    config = decode(LinkerConfig, root, findings)
    if config is not None:
        validate(config, root, findings)
    errors = findings.of(Severity.ERROR)
    if errors or config is None:
        raise ConfigErrors([*errors, *findings.of(Severity.MISSING)])
    missing, warnings = findings.of(Severity.MISSING), findings.of(Severity.WARNING)
    return Loaded(config, missing, warnings, name, root)


def _unwrap(root: Node, findings: Findings) -> Node:
    """Returns the document inside a Kubernetes ConfigMap, with its places in the outer file."""
    if not isinstance(root, Mapping) or not is_kubernetes(root):
        return root
    kind = root.items.get("kind")
    data = root.items.get("data")
    inner = data.items.get(_WRAPPED) if isinstance(data, Mapping) else None
    if not isinstance(kind, Scalar) or kind.text != "ConfigMap" or not isinstance(inner, Scalar):
        what = f"a Kubernetes object, of which only a ConfigMap with {_WRAPPED} in data is read"
        raise ConfigErrors([ConfigError(findings.file, root.mark, "", what)])
    return parse(inner.text, findings, inner.span)
