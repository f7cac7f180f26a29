"""Typed readers of environment variables: nonsense stops the start with a sentence, never turns into a default."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

from measurements.domain.hostlist import expand

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*")  # a name or an address; with two colons IPv6
DOMAIN = re.compile(r"\*(?:\.[a-z0-9_-]+)+")  # all names of one label more
LARGEST_NETWORK = {4: 8, 6: 32}  # the shortest prefix: more than that is no list of what may be asked


def env_str(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; an empty one counts as not set."""
    return os.environ.get(name, "").strip() or default


def env_secret(name: str) -> str:
    """A secret from ``NAME``, or from the file that ``NAME_FILE`` points to."""
    path = env_str(f"{name}_FILE")
    if not path:
        return env_str(name)
    if env_str(name):
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {fault}") from fault


def env_bool(name: str, *, default: bool) -> bool:
    """1, true, yes, on or 0, false, no, off."""
    text = env_str(name).lower()
    if text in TRUE | FALSE:
        return text in TRUE
    if text:
        raise ImproperlyConfigured(f"{name}={text!r} is neither yes nor no: use 1 or 0")
    return default


def env_choice(name: str, choices: tuple[str, ...], default: str) -> str:
    """One of ``choices``, spelled as listed."""
    text = env_str(name, default)
    if text not in choices:
        raise ImproperlyConfigured(f"{name}={text!r} is none of {', '.join(choices)}")
    return text


def env_number(name: str, default: float, lowest: float, greatest: float) -> float:
    """A number between two bounds."""
    text = env_str(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= greatest:
        raise ImproperlyConfigured(f"{name}={text!r} is no number from {lowest:g} to {greatest:g}")
    return value


def env_accounts(name: str) -> tuple[str, ...]:
    """Names of accounts on the cluster, separated by commas; each once, in order."""
    names = sorted({part.strip() for part in env_str(name).split(",")} - {""})
    odd = [part for part in names if len(part) > 255 or not part.isprintable() or any(map(str.isspace, part))]
    if odd:
        raise ImproperlyConfigured(f"{name} holds {odd[0][:80]!r}, which is no account: separate accounts by commas")
    return tuple(names)


def env_addresses(name: str) -> tuple[str, ...]:
    """Mail addresses separated by commas."""
    found = tuple(part.strip() for part in env_str(name).split(",") if part.strip())
    for address in found:
        if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", address):
            raise ImproperlyConfigured(f"{name}: {address!r} is no mail address; write them as a@b.org,c@b.org")
    return found


def env_hosts(name: str) -> frozenset[str]:
    """Hosts separated by commas, without ports: names, addresses, networks, host lists, all of a domain (``*.bmc``)."""
    parts = [part.strip().lower() for part in re.split(r",(?![^\[\]]*\])", env_str(name))]
    return frozenset(host for part in parts if part for host in _hosts(name, part))


def _hosts(name: str, part: str) -> list[str]:
    """One entry: what it names, a network in its plain form."""
    plain = part[1:-1] if re.fullmatch(r"\[[0-9a-f:.]+\]", part) else part
    try:
        if "/" in plain:
            network = ipaddress.ip_network(plain)
            found = [str(network)] if network.prefixlen >= LARGEST_NETWORK[network.version] else []
        elif DOMAIN.fullmatch(plain) or HOST.fullmatch(plain):
            found = [plain]
        else:
            found = [host for host in expand(plain) if "[" in plain and HOST.fullmatch(host)]
    except ValueError:
        found = []
    if not found:
        raise ImproperlyConfigured(
            f"{name} holds {part[:80]!r}, which is no host: give names without port or scheme, n[001-999]-bmc, "
            "*.bmc.example.org, or a network such as 10.1.0.0/16 (at most a /8)"
        )
    return found


def env_folders(name: str) -> tuple[Path, ...]:
    """Absolute paths of folders, separated by commas; they need not be there yet."""
    folders = [part.strip() for part in env_str(name).split(",") if part.strip()]
    odd = [folder for folder in folders if not Path(folder).is_absolute() or Path(folder) == Path("/")]
    if odd:
        raise ImproperlyConfigured(f"{name} holds {odd[0][:80]!r}: give whole paths of folders, not the root itself")
    return tuple(Path(folder) for folder in folders)


def env_zone(name: str, default: str) -> str:
    """The name of a time zone that this machine knows."""
    text = env_str(name, default)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise ImproperlyConfigured(f"{name}={text!r} is no time zone: use a name such as Europe/Berlin") from fault
    return text


def env_folder(name: str, default: Path) -> Path:
    """A folder, made absolute, and made where it is missing."""
    folder = Path(env_str(name, str(default))).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ImproperlyConfigured(f"{name}={folder} cannot be made: {fault.strerror}; name another folder") from fault
    return folder


def env_url(name: str, default: str, schemes: tuple[str, ...]) -> SplitResult:
    """An address with a host and one of ``schemes``."""
    text = env_str(name, default)
    try:
        url = urlsplit(text)
        usable = bool(url.hostname) and url.scheme in schemes and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ImproperlyConfigured(f"{name}={text!r} is no address such as {schemes[0]}://host")
    return url


def env_address(name: str, default: str) -> str:
    """An http or https address without a password, a query or a slash at its end."""
    url = env_url(name, default, ("https", "http"))
    if url.username is not None or url.password is not None:
        raise ImproperlyConfigured(f"{name} holds a user or a password, which would be shown: leave it out")
    if url.query or url.fragment:
        raise ImproperlyConfigured(f"{name}={url.geturl()!r} ends in a query: give what stands before it")
    return url.geturl().rstrip("/")


def env_mail(name: str) -> dict[str, Any]:
    """Django's settings of a mail server from smtp://, smtp+tls:// (STARTTLS) or smtps://user:password@host:port.

    Empty: the one on this machine. What is wrong is said without the address, which may hold the password.
    """
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    try:
        url = urlsplit(env_secret(name) or "smtp://localhost")
        usable = bool(url.hostname) and url.scheme in ports and url.port != 0
        usable = usable and url.path in ("", "/") and not (url.query or url.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise ImproperlyConfigured(f"{name} is no address such as smtp://host:25, smtp+tls://user:password@host:587")
    return {
        "EMAIL_HOST": url.hostname,
        "EMAIL_PORT": url.port or ports[url.scheme],
        "EMAIL_HOST_USER": unquote(url.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
        "EMAIL_USE_TLS": url.scheme == "smtp+tls",
        "EMAIL_USE_SSL": url.scheme == "smtps",
    }


def key_from_file(path: Path) -> str:
    """The installation's own secret key, drawn at the first start and kept readable for its owner only.

    Two first starts at once agree on one key: whoever links the file first wins.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64), encoding="utf-8")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
