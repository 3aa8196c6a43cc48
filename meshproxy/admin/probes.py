"""`/live` and `/ready`, for the probes of Kubernetes and load balancers."""

from collections.abc import Callable, Mapping

from meshproxy.admin.pages import (
    TEXT,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    shown,
    text,
)


def probes(why_not_ready: Callable[[], str | None]) -> Mapping[str, AdminHandler]:
    """Returns both pages; *why_not_ready* returns why the process is not ready, or None."""

    def ready(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        why = why_not_ready()
        return text("ready\n") if why is None else text(f"{why}\n", 503)

    return {"/live": shown(lambda: (TEXT, b"live\n")), "/ready": ready}
