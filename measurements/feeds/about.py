"""What all feeds share: why nothing came, and which hosts may be asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

UNIX = "unix:"


class FeedError(Exception):
    """Why a turn brought nothing: a sentence for an operator, and how long to wait where the other side said so [s].

    ``at_most_s``: what cannot be had later is asked for again after this time, however often it failed.
    """

    def __init__(self, reason: str, wait_s: float | None = None, at_most_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.at_most_s = at_most_s


def is_allowed(host: str, allowed: Collection[str]) -> bool:
    """Whether a host is named, or its domain is (``*.bmc.example.org``, one label), or its address's network is.

    A network allows addresses that are written as such; what a name leads to is not asked.
    """
    host = host.lower().strip("[]")
    if host in allowed or f"*.{host.partition('.')[2]}" in allowed:
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return any(address in ipaddress.ip_network(one) for one in allowed if "/" in one)
    return False


def fault_of_address(address: str, allowed: Collection[str]) -> str:
    """Why an address may not be asked, or nothing: only http(s) on the hosts that the site allows, or a socket."""
    if address.startswith(UNIX):
        return "" if address.removeprefix(UNIX).startswith("/") else f"{address}: give unix:/path/of/the/socket"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{address!r} is no address"
    if parts.scheme not in ("http", "https") or not host:
        return f"{address!r} is no address: give http://host:port, https://host:port or unix:/path"
    if parts.username or parts.password:
        return f"{host}: no name or password in an address: they belong into a file, see the feed's options"
    return fault_of_host(host, allowed)


def fault_of_host(host: str, allowed: Collection[str]) -> str:
    """Why a host may not be asked, or nothing."""
    if is_allowed(host, allowed):
        return ""
    return f"{host} may not be asked: add it to JOULEBOOK_FEED_HOSTS, which names all hosts that feeds may ask"
