"""Parent proxies (`upstreamProxy`) between a client and what its name is bound to."""

from dataclasses import replace

from meshproxy.client.transport import Connect, Connections, ConnectStats, Transport
from meshproxy.client.upstream_proxy import Resolve, UpstreamProxy, by_name
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.egress.rules import Unknown
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.router.egress import host_and_port
from meshproxy.router.own_listeners import LoopGuard


class Parents:
    """Connects the clients of one router through parents; *resolve* finds their addresses."""

    def __init__(self, connect: Connect, resolve: Resolve, guard: LoopGuard) -> None:
        self._connect = connect
        self._resolve = resolve
        self._guard = guard

    def connect(self, config: UpstreamProxyConfig | None, metrics: Tree) -> Connect:
        """Returns what connects one client, whose scope is *metrics*; directly without *config*."""
        if config is None:
            return self._connect
        proxy = UpstreamProxy(config, self._resolve, self._why_refused, metrics)

        def connect(address: Address, transport: Transport, stats: ConnectStats) -> Connections:
            return self._connect(address, replace(transport, proxy=proxy), stats)

        return connect

    def tell(self, bound: Bound, config: UpstreamProxyConfig | None) -> Bound:
        """Returns *bound* as parents are asked for it: by the host in its id, if there is one."""
        if config is None:
            return bound
        try:
            host, port = host_and_port(bound.id)
        except ValueError:
            return bound
        if not host or isinstance(port, Unknown):
            return bound
        return replace(bound, addr=bound.addr.map(lambda addr: by_name(addr, host, port)))

    def _why_refused(self, address: Address) -> str | None:
        listener = self._guard.refuses(address, ChosenBy.NAMER)
        return None if listener is None else f"a loop, {listener.show()}"
