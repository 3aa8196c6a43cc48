"""What the timeline of this process says of one thing."""

from meshproxy.timeline import Kind, timeline


def events_of(subject: str, kind: Kind | None = None) -> list[str]:
    """Return the texts of the events of *subject*, the first to happen first."""
    of_subject = [one for one in reversed(timeline.events()) if one.subject == subject]
    return [one.text for one in of_subject if kind in (None, one.kind)]
