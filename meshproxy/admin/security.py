"""Which admin pages are open: by category, with lists of exceptions.

linkerd: admin/src/main/scala/io/buoyant/admin/SecurityFilter.scala; a closed page is 404.
"""

import re
from collections.abc import Iterable

_UI = re.compile(
    r"/|/(admin/)?files/.*|/favicon\.ico|/config\.json|/metrics\.json|/admin/metrics\.json|/admin/metrics"
    r"|/delegator|/delegator\.json|/logging|/help|/overview\.json|/endpoints\.json"
    r"|/discovery\.json|/events\.json"
)
_CONTROL = frozenset(
    {"/admin/shutdown", "/admin/reload", "/admin/drain", "/admin/endpoint", "/logging.json"}
)


class Security:
    """Decides for a path: the blacklist first, then its category, then the whitelist.

    The patterns are regular expressions that must match the whole path.
    """

    def __init__(
        self,
        *,
        ui: bool = True,
        control: bool = True,
        diagnostics: bool = True,
        whitelist: Iterable[str] = (),
        blacklist: Iterable[str] = (),
    ) -> None:
        self._ui = ui
        self._control = control
        self._diagnostics = diagnostics
        self._whitelist = [re.compile(pattern) for pattern in whitelist]
        self._blacklist = [re.compile(pattern) for pattern in blacklist]

    def allows(self, path: str) -> bool:
        """Returns True if *path* is served."""
        if any(pattern.fullmatch(path) for pattern in self._blacklist):
            return False
        return self._is_open(path) or any(one.fullmatch(path) for one in self._whitelist)

    def _is_open(self, path: str) -> bool:
        if path in _CONTROL:
            return self._control
        return self._ui if _UI.fullmatch(path) else self._diagnostics
