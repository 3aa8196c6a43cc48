"""The normalised form of hosts, so that one destination is compared in one spelling.

RFC 3986 section 3.2.2, RFC 4291 section 2.2.
"""

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+").fullmatch


def normalised(host: str) -> str:
    """Returns *host* in lower case, without one final dot and without brackets.

    An address is in its shortest form, and an IPv4 address if it only carries one. Raises
    ValueError for an IPv6 address with a zone, and for numbers that some read as an IPv4 address.
    """
    text = host.lower().removesuffix(".")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "%" in text and ":" in text:
        raise ValueError(f"{host} has a zone, write the address alone")
    try:
        address = ip_address(text)
    except ValueError:
        if text and all(map(_NUMBER, text.split("."))):
            raise ValueError(f"{host} is not an IPv4 address in dotted form") from None
        return text
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def host_of(authority: str) -> str:
    """Returns the normalised host of *authority*, which may have a port. Raises ValueError."""
    host, colon, _ = authority.rpartition(":")
    return normalised(host if colon and not authority.endswith("]") else authority)
