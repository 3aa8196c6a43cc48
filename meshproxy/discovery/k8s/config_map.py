"""One text in a ConfigMap of Kubernetes, followed as it changes.

linkerd: k8s/src/main/scala/io/buoyant/k8s/v1 and interpreter/k8s.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from meshproxy.discovery.k8s.api import KubernetesApi
from meshproxy.discovery.k8s.events import read_event
from meshproxy.discovery.watching.decoding import Malformed, load, member
from meshproxy.discovery.watching.failure import ApiFailure
from meshproxy.discovery.watching.line import Line

_LATE_S: Final = 30.0
"""How much later than asked for the API may end a watch."""


@dataclass(frozen=True, slots=True)
class ConfigMapKey:
    """A key in the data of a ConfigMap; the names are ones that Kubernetes can have."""

    namespace: str
    name: str
    key: str

    def follow(self, api: KubernetesApi, line: Line) -> Generator[str | None, None, None]:
        """Yields the text after each change; None while there is no such ConfigMap or key.

        Raises ApiFailure or Malformed.
        """
        try:
            yield from self._follow(api, line)
        except ApiFailure as failure:
            if failure.status == 401:
                api.forget_credentials()
            raise

    def _follow(self, api: KubernetesApi, line: Line) -> Generator[str | None, None, None]:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        found = line.ask(f"{path}/{self.name}", also=(404,))
        present = None if found.status == 404 else load(found.body)
        yield self._text(present)
        seconds = api.timing.watch_s
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={self.name}",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        version = member(present, "metadata", "resourceVersion")
        if version is not None:
            query["resourceVersion"] = str(version)
        with closing(line.lines(f"{path}?{urlencode(query)}", seconds + _LATE_S)) as lines:
            for each in lines:
                event = read_event(each)
                if event.type != "BOOKMARK":
                    yield self._text(None if event.type == "DELETED" else event.object)

    def _text(self, config_map: Any) -> str | None:
        """Returns the text. Raises Malformed if *config_map* is neither None nor one."""
        if config_map is None:
            return None
        if not isinstance(config_map, dict) or "metadata" not in config_map:
            raise Malformed("the answer is not a ConfigMap")
        text = member(config_map, "data", self.key)
        return text if isinstance(text, str) else None
