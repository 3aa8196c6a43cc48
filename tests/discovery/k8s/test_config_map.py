"""A text in a ConfigMap, over an API on a real socket."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.k8s.config_map import ConfigMapKey
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from tests.kit.k8s import KubeApi, config_map

KEY = ConfigMapKey("default", "dtabs", "web.dtab")


@pytest.fixture
def kube() -> Iterator[KubeApi]:
    with KubeApi() as kube:
        yield kube


def api_of(kube: KubeApi) -> KubernetesApi:
    return KubernetesApi(ApiServer("127.0.0.1", kube.port), Timing())


def test_the_text_is_followed_while_it_changes_and_is_gone(kube: KubeApi) -> None:
    kube.apply(config_map("dtabs", **{"web.dtab": "one", "other": "x"}))
    kube.apply(config_map("other", **{"web.dtab": "not this"}))
    api = api_of(kube)
    with closing(Line(api, lambda: None)) as line, closing(KEY.follow(api, line)) as found:
        assert next(found) == "one"
        kube.apply(config_map("dtabs", **{"web.dtab": "two"}))
        assert next(found) == "two"
        kube.apply(config_map("other", **{"web.dtab": "nor this"}))
        kube.apply(config_map("dtabs", other="x"))
        assert next(found) is None
        kube.delete("configmaps", "dtabs")
        assert next(found) is None
        kube.apply(config_map("dtabs", **{"web.dtab": "three"}))
        assert next(found) == "three"
    first, watch = kube.requests
    assert first == "/api/v1/namespaces/default/configmaps/dtabs"
    assert "watch=1&fieldSelector=metadata.name%3Ddtabs" in watch
    assert "resourceVersion=" in watch


def test_one_that_does_not_exist_yet_is_waited_for(kube: KubeApi) -> None:
    api = api_of(kube)
    with closing(Line(api, lambda: None)) as line, closing(KEY.follow(api, line)) as found:
        assert next(found) is None
        kube.apply(config_map("dtabs", **{"web.dtab": "one"}))
        assert next(found) == "one"


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"{}"])
def test_what_is_no_config_map_is_malformed(kube: KubeApi, body: bytes) -> None:
    kube.answers["configmaps/dtabs"] = body
    api = api_of(kube)
    with closing(Line(api, lambda: None)) as line, pytest.raises(Malformed):
        next(KEY.follow(api, line))


@pytest.mark.parametrize("data", [b"null", b"[]", b'{"web.dtab": 7}', b"{}"])
def test_data_without_the_key_has_no_text(kube: KubeApi, data: bytes) -> None:
    kube.answers["configmaps/dtabs"] = b'{"metadata": {}, "data": ' + data + b"}"
    api = api_of(kube)
    with closing(Line(api, lambda: None)) as line, closing(KEY.follow(api, line)) as found:
        assert next(found) is None


def test_a_version_that_is_too_old_is_a_failure(kube: KubeApi) -> None:
    kube.apply(config_map("dtabs", **{"web.dtab": "one"}))
    api = api_of(kube)
    with closing(Line(api, lambda: None)) as line, closing(KEY.follow(api, line)) as found:
        assert next(found) == "one"
        kube.version += 1
        kube.forget_history()
        with pytest.raises(ApiFailure) as raised:
            next(found)
    assert raised.value.reason is Reason.GONE


def test_credentials_that_are_refused_are_read_again(kube: KubeApi) -> None:
    kube.refusals["/"] = 401
    api = api_of(kube)
    access = api._get_access()
    with closing(Line(api, lambda: None)) as line, pytest.raises(ApiFailure):
        next(KEY.follow(api, line))
    assert api._get_access() is not access
