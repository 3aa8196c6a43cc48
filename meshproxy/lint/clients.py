"""Settings of clients whose prefix is that of no bound name."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from meshproxy.config.bases import TransformerConfig
from meshproxy.config.client import StaticClientConfig
from meshproxy.config.errors import Problem, Severity
from meshproxy.config.schema import LinkerConfig
from meshproxy.lint.kinds import bound_by_system
from meshproxy.namers.rewrite import RewriteNamerConfig
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.path import Path
from meshproxy.transformers.replace import ConstConfig, ReplaceConfig


class Ids(NamedTuple):
    """Ids of bound names, and what they would be without transformers."""

    ids: NameSet
    plain: NameSet

    def behind(self, prefix: Path, *, replaced: bool) -> "Ids":
        """Returns the ids after a transformer has put *prefix* in front of them, or of others."""
        return self._replace(ids=NameSet(prefix) if replaced else self.ids.behind(prefix))


def check_clients(
    config: LinkerConfig, number: int, environ: Mapping[str, str]
) -> Iterator[Problem]:
    """Yields what is wrong with the prefixes of router *number*; keys are paths from the top."""
    client = config.routers[number].client
    if not isinstance(client, StaticClientConfig):
        return
    known = ids_of(config, number, environ)
    encrypted = [prefix for prefix, settings in client.rules if settings.tls is not None]
    for index, (prefix, settings) in enumerate(client.rules):
        lost = [one for one in known if prefix.meets(one.plain) and not prefix.meets(one.ids)]
        if any(prefix.meets(one.ids) for one in known):
            if settings.tls is None:
                continue
            lost = [one for one in lost if not any(other.meets(one.ids) for other in encrypted)]
            what = _why_lost(prefix, lost[0]) if lost else None
        elif lost:
            what = _why_lost(prefix, lost[0])
        else:
            shown = ", ".join(dict.fromkeys(one.ids.show() for one in known))
            what = f"no bound name begins so, they are: {shown}"
        if what is not None:
            path = f"routers[{number}].client.configs[{index}].prefix"
            in_clear = "" if settings.tls is None else ", so requests for them go out in clear"
            yield Problem(f"{what}{in_clear}", path, Severity.WARNING)


def ids_of(config: LinkerConfig, number: int, environ: Mapping[str, str]) -> list[Ids]:
    """Returns what the ids of the clients of router *number* may be."""
    transformers = config.routers[number].interpreter_or_default().transformers
    found = [Ids(one, one) for one in bound_by_system()]
    for namer in config.namers:
        if not isinstance(namer, RewriteNamerConfig):
            plain = NameSet(namer.full_prefix())
            found.append(_transformed(Ids(plain, plain), namer.transformers, environ))
    return [_transformed(one, transformers, environ) for one in found]


def _transformed(
    found: Ids, transformers: tuple[TransformerConfig, ...], environ: Mapping[str, str]
) -> Ids:
    for one in transformers:
        try:
            prefix = one.full_prefix(environ)
        except ValueError:  # told as missing
            return found.behind(Path.of("%"), replaced=True)
        found = found.behind(prefix, replaced=isinstance(one, ReplaceConfig | ConstConfig))
    return found


def _why_lost(prefix: PathMatcher, lost: Ids) -> str:
    return (
        f"{prefix.text} is the prefix of none of {lost.plain.show()}: a transformer makes them "
        f"{lost.ids.show()}"
    )
