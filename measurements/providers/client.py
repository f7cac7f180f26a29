"""What the providers share: one bounded HTTP request for JSON.

Every wait has an end, every answer a largest size; a redirection is not followed, for it would carry the token to
another host. Nothing here or in an error's text names a token or a password.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import urllib3

from measurements.peers import USER_AGENT, in_words, wait_s
from measurements.providers.answers import LONGEST_TEXT, Fields, ProviderError

LARGEST_BYTES = 8 * 1024 * 1024  # a year of quarter hours takes a quarter of that
LONGEST_S = 45.0  # of a whole answer, however slowly it drips
CONNECT_S, READ_S = 5.0, 15.0  # without a byte
TRIES_AGAIN, BACKOFF_S = 2, 0.5  # 0 s, 1 s; whoever still fails is asked again by the next turn
TRIED_AGAIN = (500, 502, 504)  # 429 and 503 say themselves when to come again, which may be in an hour
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Access:
    """Where a provider is reached, with what, and how patiently."""

    url: str
    token: str = field(default="", repr=False)
    connect_s: float = CONNECT_S
    read_s: float = READ_S
    longest_s: float = LONGEST_S
    largest_bytes: int = LARGEST_BYTES
    backoff_s: float = BACKOFF_S


def get_json(
    name: str, access: Access, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Fields:
    """What a provider answers; else, and for all that is wrong in it, an error with its name, address and reason."""
    address = access.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    where = f"{name}: {shown(address)}"
    said = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
    try:
        with _pool(address) as pool, closing(_answer(pool, address, said, access)) as answer:
            _judge(where, answer, access)
            body = _read(where, answer, access)
    except urllib3.exceptions.HTTPError as fault:
        raise ProviderError(f"{where}: {in_words(fault)}") from None  # its own text repeats the address as it was
    try:
        return Fields(where, json.loads(body))
    except (ValueError, RecursionError):
        raise ProviderError(f"{where}: the answer is no JSON, it begins with {_start(body, access)}") from None


def shown(address: str) -> str:
    """An address as an operator may see it: without user and password."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _pool(address: str) -> urllib3.PoolManager:
    """Directly, or through the proxy that HTTPS_PROXY and NO_PROXY name."""
    parts = urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _answer(
    pool: urllib3.PoolManager, address: str, headers: dict[str, str], access: Access
) -> urllib3.BaseHTTPResponse:
    retries = urllib3.Retry(
        total=TRIES_AGAIN, connect=1, read=0, redirect=0, other=0, status=TRIES_AGAIN, status_forcelist=TRIED_AGAIN,
        backoff_factor=access.backoff_s, raise_on_status=False, respect_retry_after_header=False,
    )  # fmt: skip
    timeout = urllib3.Timeout(connect=access.connect_s, read=access.read_s)
    return pool.request(
        "GET", address, headers=headers, timeout=timeout, retries=retries, redirect=False, preload_content=False
    )


def _read(where: str, answer: urllib3.BaseHTTPResponse, access: Access) -> bytes:
    """The body, unpacked, unless it is too large or too slow."""
    until, parts, size = time.monotonic() + access.longest_s, [], 0
    while part := answer.read1(CHUNK, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > access.largest_bytes:
            raise ProviderError(f"{where}: the answer is larger than {access.largest_bytes} bytes")
        if time.monotonic() > until:
            raise ProviderError(f"{where}: the answer took longer than {access.longest_s:g} s")
    return b"".join(parts)


REASONS = {
    401: "the token is missing or wrong",
    403: "access denied: the token does not give it",
    404: "not found: is the zone spelled as the provider does?",
    429: "asked too often",
}


def _judge(where: str, answer: urllib3.BaseHTTPResponse, access: Access) -> None:
    status = answer.status
    if status == 200:
        return
    reason = REASONS.get(status, "redirected elsewhere, which is not followed" if 300 <= status < 400 else "")
    details = [reason] if reason else []
    if said := answer.read1(CHUNK):
        details.append(f"it says {_start(said, access)}")
    raise ProviderError(
        f"{where}: HTTP {status}{': ' if details else ''}{'; '.join(details)}", status=status, wait_s=wait_s(answer)
    )


def _start(body: bytes, access: Access) -> str:
    """How an answer begins, for an error's text; a token that it repeats is left out."""
    text = body[:CHUNK].decode("utf-8", "replace")
    return repr(" ".join((text.replace(access.token, "…") if access.token else text).split())[:LONGEST_TEXT])
