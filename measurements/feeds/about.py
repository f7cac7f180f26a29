"""What all feeds share: why nothing came, and which hosts may be asked."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

UNIX = "unix:"


class FeedError(Exception):
    """Why a turn brought nothing: a sentence for an operator, and how long to wait where the other side said so [s]."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


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
    if host not in allowed:
        return f"{host} may not be asked: add it to JOULEBOOK_FEED_HOSTS, which names all hosts that feeds may ask"
    return ""
