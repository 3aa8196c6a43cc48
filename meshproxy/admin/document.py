"""What pages in HTML have in common: the head, and links to the others."""

from typing import Final

_PAGES: Final = (
    ("./", "Overview"),
    ("./#requests", "Requests"),
    ("./#events", "Events"),
    ("./#discovery", "Discovery"),
    ("delegator", "Delegator"),
    ("explain", "Explain"),
    ("./#settings", "Settings"),
    ("help", "Help"),
)
"""Links are relative, so that pages work below another path too, as with `kubectl proxy`."""


def document(title: str, body: str) -> str:
    """Returns an HTML page with *title* above *body*; both must be HTML."""
    links = "\n".join(
        f'<a href="{to}"{" aria-current=page" * (name == title)}>{name}</a>' for to, name in _PAGES
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="icon" href="files/icon.svg">'
        '<link rel="stylesheet" href="files/style.css"></head>\n'
        '<body><header class="top"><h1><a href="./">meshproxy</a></h1>'
        f'<nav aria-label="Pages">\n{links}\n</nav></header>\n'
        f"<main><h2>{title}</h2>\n{body}\n</main></body></html>\n"
    )
