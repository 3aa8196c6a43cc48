"""meshproxy: the HTTP data plane of Linkerd 1.x on gevent.

docs/architecture.md shows the rooms. State lives in objects that own it; what stands at module
level instead, because every connection shares it, is in this table (a test compares them):

| name | bound | what it is |
| --- | --- | --- |
| `config.kinds` (`cache`) | categories | tables of kinds, with those of plugins |
| `config.watched.watched_files` | files in use | what is made of files: TLS contexts and secrets |
| `discovery.dns.log_once` | 100 | faults of DNS that were logged of late |
| `discovery.dns_name.log_once` | 100 | unresolved names that were logged of late |
| `discovery.k8s.cluster._clusters` | clusters in use | watches of an API server by its address |
| `discovery.k8s.watch.log_once` | 100 | faults of watches of Kubernetes that were logged of late |
| `discovery.watching.watch.log_once` | 100 | faults of other watches that were logged of late |
| `discovery.zookeeper.ensemble._ensembles` | ensembles in use | ZooKeeper sessions by servers |
| `discovery.zookeeper.session.log_once` | 100 | faults of ZooKeeper that were logged of late |
| `egress.addresses` (`lru_cache`) | 4,096 | classes of addresses |
| `filters.access_log_lines._addresses` | 1,024 | hosts of clients by address |
| `filters.access_log_lines._agents` | 1,024 | quoted values by line of User-Agent |
| `filters.access_log_lines._hosts` | 1,024 | values by line of Host |
| `filters.access_log_lines._methods` | 64 | quoted methods |
| `filters.access_log_lines._referers` | 1,024 | quoted values by line of Referer |
| `filters.access_log_lines._second` | 1 | the time of this second, as logs write it |
| `filters.access_log_lines._statuses` | 512 | versions and statuses, as logs write them |
| `filters.access_log_lines.places` | 512 | where logged headers are, by all names |
| `filters.client_cert` (`lru_cache`) | 1,024 | headers by certificate |
| `filters.spans._facts` | 512 | what recurs in spans |
| `filters.spans._lengths` | 512 | values by line of Content-Length |
| `h2.decoder._once` | 4,096 | hashes of field blocks that have come |
| `h2.heads._authorities` | 4,096 | `:authority` by the line of Host |
| `h2.heads._methods` | 64 | fields of methods |
| `h2.heads._sent_back` | 1,024 | names of heads that are responses, by those of their headers |
| `h2.heads._sent_on` | 1,024 | names of heads that are requests, by those of their headers |
| `h2.heads._statuses` | 1,000 | fields of statuses |
| `h2.huffman` (`lru_cache`) | 1 | steps of the slow decoder |
| `h2.literals._heads` | 3 of 2,048 | beginnings of literals by pattern and name |
| `h2.names.requests` | 1,024 | names of requests' heads that were sound |
| `h2.names.responses` | 1,024 | names of responses' heads that were sound |
| `h2.representations._names` | 2,048 | field names by their Huffman code |
| `h2.split._names` | 2,048 | field names that are sound |
| `http.authority` (`lru_cache`) | 4,096 | spellings of authorities |
| `http.framing._lengths` | 4,096 | values of Content-Length by line |
| `http.head._status_lines` | 256 | status lines taken apart |
| `http.headers._known` | 4,096 | lower-case names by name |
| `http.headers._lines` | 4,096 | names by line |
| `http.hop._options` | 256 | options of Connection by value |
| `http.target._checked` | 4,096 | lines of Host that are sound |
| `identifiers.ingress` (`lru_cache`) | 10,000 | path matchers of Ingress rules |
| `naming.path` (`lru_cache`) | 1,024 | texts of names |
| `net.descriptors.spares` | holders in use | what holds spare descriptors |
| `net.framings._buffers` | 16 of 256 KiB | buffers that no body uses |
| `net.h2.memory.memory` | 256 MiB | what waits of bodies of HTTP/2 |
| `net.pipe._spare` | 16 | pipes that no body uses |
| `net.traffic.traffic` | connections | what connections have sent and received |
| `net.turn.turn` | connections | streams with data queued for this turn |
| `net.wheel.wheel` | waits | deadlines of waits |
| `router.client._log_once` | 100 | faults of endpoints that were logged of late |
| `router.stacks.attempt_span` | 2 of 128 | new traces for the next requests |
| `runtime.process_log._log_once` | 100 | faults of greenlets that were logged of late |
| `server.date._date` | 1 | the Date field of this second |
| `server.h1.response` (`lru_cache`) | 256 | status lines |
| `server.h2.workers._idle` | 256 | greenlets that wait for a stream |
| `telemeters.otlp` (`lru_cache`) | 1,024 | texts of addresses |
| `telemeters.otlp._texts` | 1,024 | texts of what recurs in spans |
| `telemeters.spans._log` | 100 | refusals of spans that were logged of late |
| `telemeters.statsd.log_once` | 100 | faults of statsd that were logged of late |
| `telemeters.zipkin` (`lru_cache`) | 1,024 | texts of addresses |
| `telemeters.zipkin._texts` | 1,024 | texts of what recurs in spans |
| `timeline.timeline` | 200 of each kind | the latest events of this process |
| `var.log_once` | 100 | faults of observers that were logged of late |
"""

__version__ = "0.1.0"
