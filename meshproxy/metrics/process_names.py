"""The metrics of the process, its workers and its reloads: a part of the list in `names`."""

from typing import Final

from meshproxy.metrics.metric import Section, counter, gauge

PROCESS: Final = (
    Section(
        "tap",
        "The readers of the admin server's `/tap`. Added.",
        (
            gauge("readers", "Those at present."),
            counter("dropped", "Requests that a reader was not told of, being too slow."),
        ),
    ),
    Section(
        "reload",
        "Reloads of the configuration, from the first one on. Added.",
        (
            counter("ok", "Configurations that took over."),
            counter("failed", "Configurations with errors, which changed nothing."),
        ),
    ),
    Section(
        "files",
        "The files of certificates and secrets, which are looked at every 5 s. Added.",
        (counter("failed", "Changed files that cannot be used; the last good ones stay in use."),),
    ),
    Section(
        "workers",
        "The workers, if the configuration asks for some. Added.",
        (
            gauge("serving", "Workers that serve, and have said so in the last 3 s."),
            counter("restarts", "Workers started in place of others."),
            counter("failed_starts", "Workers that ended before they served."),
        ),
    ),
    Section(
        "process",
        "The process, in place of Linkerd's `jvm`; with workers, the sum of all processes, but for "
        "the uptime. Added.",
        (
            gauge("up", "1: a proxy that is gone does not look like a quiet one."),
            gauge("uptime", "Milliseconds since the start."),
            gauge("cpu_ms", "Milliseconds of CPU used, user and system."),
            gauge("rss", "Bytes of resident memory."),
            gauge("threads", "Threads that Python knows."),
            gauge("fds", "Open file descriptors, where the system tells."),
        ),
    ),
)
