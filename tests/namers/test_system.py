"""The names under `/$/`."""

from collections.abc import Callable

import pytest

from meshproxy.errors import BindingFailed
from meshproxy.namers import system
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Source, Var

FOUND = AddrBound(frozenset([Address("10.0.0.1", 80)]))


class Dns:
    """Notes what was asked, and lets a test publish the answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.emit: Callable[[Addr], None] | None = None

    def resolve(self, host: str, port: str) -> Var[Addr]:
        self.asked.append((host, port))
        return Source(self._start, ADDR_PENDING)

    def _start(self, emit: Callable[[Addr], None]) -> Callable[[], None]:
        self.emit = emit
        return self._stop

    def _stop(self) -> None:
        self.emit = None

    def publish(self, addr: Addr) -> None:
        assert self.emit is not None
        self.emit(addr)


def lookup(path: str, dns: Dns | None = None) -> Lookup:
    return SystemNamers((dns or Dns()).resolve).lookup(Path.parse(path).drop(1))


def failure(path: str) -> str:
    answer = lookup(path)
    assert isinstance(answer, Var)
    state = answer.sample()
    assert isinstance(state, Failed)
    assert isinstance(state.error, BindingFailed)
    return str(state.error)


@pytest.mark.parametrize(
    ("path", "name", "residual", "asked"),
    [
        ("/$/inet/h/80/r/s", "/$/inet/h/80", "/r/s", ("h", "80")),
        ("/$/inet/80/81/x", "/$/inet/80/81", "/x", ("80", "81")),
        ("/$/inet/80/x", "/$/inet/80", "/x", ("", "80")),
        ("/$/inet/80", "/$/inet/80", "/", ("", "80")),
        ("/$/inet/h/-1", "/$/inet/h/-1", "/", ("h", "-1")),
        ("/$/inet/h/0080", "/$/inet/h/80", "/", ("h", "80")),
        (r"/$/inet/h/\x2b80", "/$/inet/h/80", "/", ("h", "80")),
        ("/$/inet/080/x", "/$/inet/80", "/x", ("", "80")),
        ("/$/inet/H.Test/80", "/$/inet/h.test/80", "/", ("h.test", "80")),
        ("/$/inet/0:0::1/80", "/$/inet/::1/80", "/", ("::1", "80")),
        ("/$/inet/127.1/80", "/$/inet/127.1/80", "/", ("127.0.0.1", "80")),
        ("/$/fixedinet/h/80/r", "/$/fixedinet/h/80", "/r", None),
        ("/$/io.buoyant.rinet/80/h/r", "/$/io.buoyant.rinet/80/h", "/r", ("h", "80")),
        ("/$/io.buoyant.rinet/https/h", "/$/io.buoyant.rinet/https/h", "/", ("h", "https")),
        (
            r"/$/io.buoyant.rinet/80/\x5b\x3a\x3a\x31\x5d/r",
            "/$/io.buoyant.rinet/80/::1",
            "/r",
            ("::1", "80"),
        ),
        ("/$/io.buoyant.rinet/80/0:0::0001", "/$/io.buoyant.rinet/80/::1", "/", ("::1", "80")),
        ("/$/io.buoyant.rinet/80/::ffff:7f00:1", "/$/io.buoyant.rinet/80/127.0.0.1", "/", None),
        ("/$/io.buoyant.rinet/0443/H.Test", "/$/io.buoyant.rinet/443/h.test", "/", None),
        ("/$/io.buoyant.rinet/80/h.test.", "/$/io.buoyant.rinet/80/h.test.", "/", None),
    ],
)
def test_a_bound_system_name(
    path: str, name: str, residual: str, asked: tuple[str, str] | None
) -> None:
    dns = Dns()
    answer = lookup(path, dns)
    assert isinstance(answer, Leaf)
    assert isinstance(answer.value, Bound)
    assert answer.value.id == Path.parse(name)
    assert answer.value.residual == Path.parse(residual)
    if asked is not None:
        assert dns.asked == [asked]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/$", NEG),
        ("/$/nil", EMPTY),
        ("/$/nil/x", EMPTY),
        ("/$/fail", FAIL),
        ("/$/fail/x", FAIL),
        ("/$/io.buoyant.rinet", NEG),
        ("/$/io.buoyant.rinet/80", NEG),
        ("/$/io.buoyant.porthostPfx", NEG),
        ("/$/io.buoyant.http.anyMethod", NEG),
        ("/$/io.buoyant.http.anyMethod/GET/x", Leaf(Path.of("x"))),
        ("/$/io.buoyant.http.anyMethod/get/x", NEG),
    ],
)
def test_a_fixed_answer(path: str, answer: Lookup) -> None:
    assert lookup(path) == answer


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/$/failover/x", "failover"),
        ("/$/Inet/h/80", "Inet"),
        ("/$/inet", "inet"),
        ("/$/inet/h/http", "inet"),
        ("/$/inet/h/2147483648", "inet"),
        ("/$/inet/h/99999999999999", "inet"),
        ("/$/fixedinet/h", "fixedinet"),
        ("/$/io.buoyant.portHostPfx/ph/h:80", "io.buoyant.portHostPfx"),
    ],
)
def test_an_unknown_namer_is_a_failure(path: str, name: str) -> None:
    assert failure(path) == f"Unknown namer: {name} for path: {path}"


@pytest.mark.parametrize(
    "path",
    [
        r"/$/io.buoyant.rinet/80/a\x2fb",
        r"/$/io.buoyant.rinet/8\x20/h",
        r"/$/io.buoyant.rinet/80/\x5bx\x5d",
        r"/$/io.buoyant.rinet/80/\x5b\x3a\x3a1\x5d\x3a443",
    ],
)
def test_rinet_refuses_what_no_path_can_spell(path: str) -> None:
    assert failure(path).startswith("Invalid host or port in path: /$/io.buoyant.rinet/")


def test_a_rewrite_to_an_empty_segment_is_a_failure() -> None:
    path = "/$/io.buoyant.porthostPfx/p/:80"
    assert failure(path) == f"a path segment must not be empty: {path}"


def fixed_addr(namers: SystemNamers, host: str = "h") -> Var[Addr]:
    answer = namers.lookup(Path.of("fixedinet", host, "80"))
    assert isinstance(answer, Leaf)
    assert isinstance(answer.value, Bound)
    return answer.value.addr


def test_a_fixed_address_is_resolved_until_it_succeeds_and_never_again() -> None:
    dns = Dns()
    namers = SystemNamers(dns.resolve)
    seen: list[Addr] = []
    close = fixed_addr(namers).observe(seen.append)
    dns.publish(ADDR_NEG)
    dns.publish(FOUND)
    assert dns.emit is None
    close()
    assert seen == [ADDR_PENDING, ADDR_NEG, FOUND]
    assert fixed_addr(namers).sample() == FOUND
    assert dns.asked == [("h", "80")]


def test_a_fixed_address_known_at_once_is_let_go_at_once() -> None:
    stops: list[bool] = []

    def start(emit: Callable[[Addr], None]) -> Callable[[], None]:
        emit(FOUND)
        return lambda: stops.append(True)

    namers = SystemNamers(lambda _host, _port: Source(start, ADDR_PENDING))
    close = fixed_addr(namers).observe(lambda _addr: None)
    assert stops == [True]
    close()
    assert stops == [True]


def test_a_failure_to_resolve_is_not_kept() -> None:
    dns = Dns()
    namers = SystemNamers(dns.resolve)
    fixed_addr(namers).sample()
    fixed_addr(namers).sample()
    assert len(dns.asked) == 2


def test_the_oldest_fixed_address_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_MAX_FIXED", 1)
    asked: list[str] = []

    def resolve(host: str, _port: str) -> Var[Addr]:
        asked.append(host)
        return Var(FOUND)

    namers = SystemNamers(resolve)
    for host in ("a", "b", "b", "a"):
        fixed_addr(namers, host).sample()
    assert asked == ["a", "b", "a"]
