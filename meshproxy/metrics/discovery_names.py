"""The metrics of namers, interpreters and the resolver: a part of the list in `names`."""

from typing import Final

from meshproxy.metrics.connection_names import CONNECTING
from meshproxy.metrics.metric import Section, counter, gauge, histogram

KUBERNETES: Final = (
    gauge("lists", "Lists read since the start."),
    gauge("events", "Changes read since the start."),
    gauge("watches", "Resources being listed or watched."),
    gauge("oldest_list_s", "Seconds since the oldest list in use was read."),
    gauge("failures/<reason>", "Lists and watches that failed since the start."),
)

WATCHES: Final = (
    counter("opens", "Watches begun, as a name came into use."),
    counter("closes", "Watches ended, as nobody used the name any more."),
    counter("updates", "Answers."),
    counter("errors", "Questions that got no answer."),
    counter("errors/<reason>", "The same by reason. Added."),
)

DISCOVERY: Final = (
    Section(
        "namer/<prefix>",
        "Namers that watch the Kubernetes API. Added.",
        KUBERNETES,
    ),
    Section("rt/<router>/identifier", "The same API, by `io.l5d.ingress`. Added.", KUBERNETES),
    Section(
        "namer/<prefix>/<prefix>",
        "Consul; the prefix stands there twice, as in Linkerd.",
        (counter("lookups", "Names looked up."),),
    ),
    Section(
        "namer/<prefix>/<prefix>/service",
        "Services of Consul, and names that have SRV records.",
        (*WATCHES, counter("cached", "Look-ups of services that were watched already.")),
    ),
    Section(
        "namer/<prefix>/<prefix>/agent",
        "The agent of Consul, which is asked who it is. Added.",
        WATCHES,
    ),
    Section(
        "namer/<prefix>",
        "The metadata service of Rancher.",
        (counter("metadata_versions", "Versions of its metadata that were read."), *WATCHES),
    ),
    Section("namer/<prefix>/apps", "The list of apps of Marathon. Added.", WATCHES),
    Section("namer/<prefix>/app", "Apps of Marathon. Added.", WATCHES),
    Section(
        "namer/<prefix>/<prefix>",
        "Services by SRV records; the prefix stands there twice, as in Linkerd.",
        (
            counter("lookup_successes_total", "Questions that found records."),
            counter("lookup_failures_total", "Questions that nobody could answer."),
            counter("lookup_zero_results_total", "Questions that found none."),
            counter("unexpected_code_total", "Answers that were neither of these."),
            counter("unknown_srv_hosts_results_total", "Groups of records without an address."),
            histogram("request_duration_ms", "Milliseconds of a question."),
            gauge("lookup_dns/iteration/<name>", "Questions since the name is in use."),
        ),
    ),
    Section(
        "announcer/<prefix>",
        "Announcers. Added.",
        (
            counter("registrations", "Announcements made, anew in each session too."),
            counter("errors", "Tries that failed."),
        ),
    ),
    Section("namer/<prefix>/node", "Nodes of ZooKeeper. Added.", WATCHES),
    Section(
        "rt/<router>/interpreter/<kind>",
        "Interpreters that read their dtab from a ConfigMap or from Consul. Added.",
        (*WATCHES, counter("unreadable", "Texts that did not parse, so that the dtab stayed.")),
    ),
    Section("rt/<router>/interpreter/<kind>/bind", "Names that namerd binds. Added.", WATCHES),
    Section("rt/<router>/interpreter/<kind>/addr", "Bound names of namerd. Added.", WATCHES),
    Section(
        "rt/<router>/interpreter/<kind>/delegate",
        "Names whose steps `io.l5d.mesh` is asked for. Added.",
        WATCHES,
    ),
    Section(
        "rt/<router>/interpreter/<kind>/connection",
        "Connections of `io.l5d.mesh` to namerd. Added.",
        CONNECTING,
    ),
    Section(
        "inet/dns",
        "The resolver of `/$/inet`, `io.buoyant.rinet` and their kin.",
        (
            histogram("lookup_ms", "Milliseconds of a look-up."),
            counter("successes", "Names that have addresses."),
            counter("failures", "Names that have none, or that nobody knew."),
            counter("dns_lookups", "Questions asked of DNS servers."),
            counter("dns_lookup_failures", "Those that failed."),
            gauge("queue_size", "Look-ups waiting for their turn."),
        ),
    ),
)
