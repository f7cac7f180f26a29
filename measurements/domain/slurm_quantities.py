"""Slurm's quantities as text: durations, memory, energy, TRES lists. One place for each conversion.

``None`` is *not said*: an empty field, ``Unknown``, or one of Slurm's markers for "no value".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

_NOT_SAID = frozenset({"", "unknown", "none", "n/a", "(null)", "invalid", "partition_limit"})
_DURATION = re.compile(
    r"(?:(?:(?P<days>[0-9]{1,7})-)?(?P<hours>[0-9]{1,7}):)?(?P<minutes>[0-9]{1,7}):(?P<seconds>[0-5]?[0-9](?:\.[0-9]{1,9})?)"
)
_DAYS_MINUTES = re.compile(r"(?P<days>[0-9]{1,7})-(?P<rest>[0-9]{1,2}:[0-5]?[0-9](?:\.[0-9]{1,9})?)")
_NUMBER = r"([0-9]{1,20}(?:\.[0-9]{1,12})?)"
_MEMORY = re.compile(_NUMBER + r"\s*([KMGTPE]?)(?:i?B)?([nc]?)", re.IGNORECASE)
_ENERGY = re.compile(_NUMBER + r"\s*([KMGTP]?)")
_COUNT = re.compile(_NUMBER + r"([KMGTPE]?)")

BINARY = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}
DECIMAL = {unit: 1000**power for power, unit in enumerate(("", "K", "M", "G", "T", "P"))}

MIB = 1024**2
_PER_CPU_BIT = 2**31  # of ReqMem in MiB: "this is for each CPU", left in by old versions
_SENTINELS_32 = frozenset({2**32 - 2, 2**32 - 1})  # NO_VAL, INFINITE
# 64-bit NO_VAL and INFINITE, and sums or rounded prints that contain one.
_NO_VALUE_64 = 1e19 / 2


def parse_duration_s(text: str) -> float | None:
    """Seconds of ``[DD-[HH:]]MM:SS[.mmm]``; None for ``UNLIMITED``, ``Partition_Limit`` and what is not said.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> parse_duration_s("4-00:16:00"), parse_duration_s("00:15.057"), parse_duration_s("UNLIMITED")
    (346560.0, 15.057, None)
    """
    text = text.strip()
    if text.lower() in _NOT_SAID or text.upper() == "UNLIMITED":
        return None
    short = _DAYS_MINUTES.fullmatch(text)
    if short is not None:
        return int(short["days"]) * 86_400 + (parse_duration_s(short["rest"]) or 0.0)
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no duration")
    days, hours, minutes = (int(match[name] or 0) for name in ("days", "hours", "minutes"))
    return float(Decimal(match["seconds"]) + days * 86_400 + hours * 3_600 + minutes * 60)


def parse_memory_bytes(text: str, *, cpus: int | None = None, nodes: int | None = None) -> int | None:
    """Bytes of a job's memory as in ReqMem; a bare number is MiB.

    The old suffixes ``n`` (for each node) and ``c`` (for each CPU) are multiplied out; None where the
    multiplier is not known. ``2147486648Mn`` is 3000 MiB for each CPU: Slurm's per-CPU bit, left in.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> parse_memory_bytes("31000Mn", nodes=2) == 2 * 31000 * 1024**2
    True
    >>> parse_memory_bytes("2147486648Mn", cpus=8, nodes=1) == 24000 * 1024**2
    True
    """
    text = text.strip()
    if text.lower() in _NOT_SAID:
        return None
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no amount of memory")
    amount, unit, per = Decimal(match[1]), match[2].upper() or "M", match[3].lower()
    if unit == "M" and per and amount >= _PER_CPU_BIT:
        amount, per = amount - _PER_CPU_BIT, "c"
    times = {"": 1, "n": nodes, "c": cpus}[per]
    return _bytes(amount * BINARY[unit] * times) if times is not None else None


def _bytes(amount: Decimal) -> int | None:
    return round(amount) if amount < _NO_VALUE_64 else None


def parse_energy_j(text: str) -> float | None:
    """Joules of ConsumedEnergy or ConsumedEnergyRaw: suffixes K, M, G, T, P are powers of 1000.

    Slurm's markers for "no value" (2^32 - 2, 2^64 - 2, …, and sums that hold one) are None.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> sum(parse_energy_j(text) for text in ("4.58M", "101.63K", "950"))
    4682580.0
    """
    text = text.strip()
    if text.lower() in _NOT_SAID or text.startswith("-"):
        return None
    match = _ENERGY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no amount of energy")
    return joules_or_none(float(Decimal(match[1]) * DECIMAL[match[2]]))


def joules_or_none(energy_j: float) -> float | None:
    """The value itself unless it is negative or one of Slurm's markers for "no value"."""
    if energy_j < 0 or energy_j in _SENTINELS_32 or energy_j >= _NO_VALUE_64:
        return None
    return float(energy_j)


@dataclass(frozen=True, slots=True)
class Tres:
    """What a TRES list says that the portal uses; None where it says nothing."""

    cpus: int | None = None
    gpus: int | None = None  # 0 in a list without GPUs, None if there is no list
    nodes: int | None = None
    memory_bytes: int | None = None
    energy_j: float | None = None
    typed_gpus: Mapping[str, int] | None = None


def parse_tres(text: str) -> Tres:
    """A TRES string such as ``billing=12,cpu=12,gres/gpu:p100=2,gres/gpu=2,mem=31000M,node=1``.

    Raises
    ------
    ValueError
    """
    text = text.strip()
    if text.lower() in _NOT_SAID:
        return Tres()
    values: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise ValueError(f"{part[:80]!r} is no part of a TRES list")
        values[name.lower()] = value.strip()
    counts = {name: _count(value) for name, value in values.items() if name in {"cpu", "node"} or _is_gpu(name)}
    memory, energy = values.get("mem", ""), values.get("energy", "")
    memory_bytes = None if memory.startswith("-") else parse_memory_bytes(memory)
    return _tres(counts, memory_bytes, parse_energy_j(energy))


def tres_of_counts(counts: Mapping[str, int], memory_mib: int | None, energy_j: float | None) -> Tres:
    """A TRES list that came as numbers, named as in TRES strings; negative counts are *not said*."""
    known = {name: count if _is_count(count) else None for name, count in counts.items()}
    memory = memory_mib * MIB if memory_mib is not None and _is_count(memory_mib) else None
    return _tres(known, memory, None if energy_j is None else joules_or_none(energy_j))


def _tres(counts: Mapping[str, int | None], memory_bytes: int | None, energy_j: float | None) -> Tres:
    typed = {name.partition(":")[2]: count for name, count in counts.items() if name.startswith("gres/gpu:") and count}
    # The untyped count holds the typed ones already: take it alone, else their sum.
    untyped = counts.get("gres/gpu")
    gpus = sum(typed.values()) if untyped is None else untyped
    return Tres(counts.get("cpu"), gpus, counts.get("node"), memory_bytes, energy_j, typed)


def _is_gpu(name: str) -> bool:
    return name == "gres/gpu" or name.startswith("gres/gpu:")


def _is_count(count: int) -> bool:
    return 0 <= count < 2**32 - 2


def _count(text: str) -> int | None:
    """A count; Slurm may shorten exact multiples (``1K`` is 1024)."""
    if text.startswith("-"):
        return None
    match = _COUNT.fullmatch(text.upper())
    if match is None:
        raise ValueError(f"{text[:80]!r} is no count")
    count = round(Decimal(match[1]) * BINARY[match[2]])
    return count if _is_count(count) else None


def parse_gpu_indices(text: str) -> tuple[int, ...]:
    """Device indices of ``0-1``, ``0,2-3`` or ``0;2``: ascending, each once; at most 64.

    Raises
    ------
    ValueError
    """
    indices: set[int] = set()
    for part in re.split(r"[,;]", text.strip()):
        match = re.fullmatch(r"\s*([0-9]{1,2})(?:-([0-9]{1,2}))?\s*", part)
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise ValueError(f"{text[:80]!r} is no list of GPU indices")
        indices.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    if max(indices) > 63:
        raise ValueError(f"GPU index {max(indices)} is above 63")
    return tuple(sorted(indices))


_GRES_GPU = re.compile(
    r"(?:gres[/:])?gpu(?::(?P<model>[^:(),=]+?))??(?:[:=](?P<count>[0-9]{1,5}))?(?:\((?P<notes>[^)]*)\))?"
)


_GRES_PARTS = re.compile(r"(?:[^,(]|\([^)]*\)?)+")  # what stands between commas that are in no brackets


@dataclass(frozen=True, slots=True)
class GresGpus:
    """GPUs of one node in a GRES list."""

    count: int = 0
    models: tuple[str, ...] = ()
    indices: tuple[int, ...] | None = None  # None where the list does not say which


def parse_gres_gpus(text: str) -> GresGpus:
    """The GPUs of ``gpu:a100:4(S:0-1),gpu:1g.5gb:2`` or, with indices, ``gpu:h100:4(IDX:0-3)``."""
    count, all_indexed = 0, True
    models: list[str] = []
    indices: set[int] = set()
    for part in _GRES_PARTS.findall(text.strip()):
        match = _GRES_GPU.fullmatch(part.strip())
        if match is None:
            continue
        count += int(match["count"] or 1)
        models += [match["model"]] if match["model"] else []
        listed = re.search(r"IDX:([0-9,;-]+)", match["notes"] or "")
        try:
            indices.update(parse_gpu_indices(listed[1] if listed else ""))
        except ValueError:  # not said, or not so that it could be read
            all_indexed = False
    known = tuple(sorted(indices)) if indices and all_indexed and len(indices) == count else None
    return GresGpus(count, tuple(dict.fromkeys(models)), known)
