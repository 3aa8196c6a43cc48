"""How a host may be spelled: an address literal, a name to look up, or neither.

A spelling that inet_aton(3) would expand (decimal, octal, hex, too few parts) never becomes a
DNS query, so no address can be reached by a disguised spelling.
"""

import ipaddress
import re
from typing import Final

_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?")
_SHORT_FORM: Final = re.compile(r"(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){1,2}")


def literal(host: str) -> str | None:
    """Returns the address that *host* is, IPv6 also in brackets; None if it is not a literal.

    An IPv6 address that only carries an IPv4 address (`::ffff:10.0.0.1`) is that address.
    """
    bracketed = host.startswith("[") and host.endswith("]")
    text = host[1:-1] if bracketed else host
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if "%" in text or (bracketed and address.version == 4):
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def why_refused(host: str) -> str | None:
    """Returns why *host*, which is not a literal, must not be looked up; None if it may be."""
    labels = host.removesuffix(".").split(".")
    if all(map(_NUMBER.fullmatch, labels)):
        return f"{host} is not an IPv4 address in dotted form"
    if len(host) > 253 or not all(map(_is_label, labels)):
        return f"{host} is not a host name"
    return None


def can_stand_in_host(text: str) -> bool:
    """Returns True if *text*, which comes from outside, can be the Host of a request."""
    return _HOST.fullmatch(text) is not None


def _is_label(label: str) -> bool:
    return len(label) <= 63 and _LABEL.fullmatch(label) is not None


def full_form(host: str) -> str:
    """Returns *host* with the zero parts that the short form of an IPv4 address leaves out.

    `127.1` is `127.0.0.1`, as Linkerd's users write it in `/$/inet/127.1/8080`. Each part is a
    plain decimal below 256; any other text comes back as it is. For names that an operator wrote.
    """
    if _SHORT_FORM.fullmatch(host) is None:
        return host
    *first, last = host.split(".")
    full = ".".join([*first, *["0"] * (3 - len(first)), last])
    return full if literal(full) else host
