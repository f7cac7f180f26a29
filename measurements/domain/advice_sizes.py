"""What is asked of Slurm, rounded up to what a person would write."""

from __future__ import annotations

from math import ceil

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_TIME_STEPS = ((2 * _HOUR_S, 5 * _MINUTE_S), (12 * _HOUR_S, 30 * _MINUTE_S))  # up to, in steps of [s]
_MIB, _GIB = 1024**2, 1024**3
_MEMORY_STEPS = ((_GIB, 128 * _MIB), (16 * _GIB, _GIB), (64 * _GIB, 4 * _GIB))  # up to, in steps of [bytes]


def round_time_s(seconds: float) -> int:
    """
    Up to steps of 5 min; from 2 h on of 30 min, from 12 h on of an hour.

    >>> [round_time_s(s) // 60 for s in (1, 301, 7_200, 7_201, 43_201)]
    [5, 10, 120, 150, 780]
    """
    step = next((step for most, step in _TIME_STEPS if seconds <= most), _HOUR_S)
    return max(ceil(seconds / step), 1) * step


def round_memory(amount: float) -> int:
    """
    Up to steps of 128 MiB; from 1 GiB on of 1, from 16 GiB on of 4, from 64 GiB on of 16 GiB.

    >>> [round_memory(g * 1024**3) / 1024**3 for g in (0.1, 1.2, 17, 65)]
    [0.125, 2.0, 20.0, 80.0]
    """
    step = next((step for most, step in _MEMORY_STEPS if amount <= most), 16 * _GIB)
    return max(ceil(amount / step), 1) * step


def slurm_time(seconds: int) -> str:
    """
    As ``--time`` takes it.

    >>> slurm_time(5_400), slurm_time(93_600)
    ('01:30:00', '1-02:00:00')
    """
    days, rest = divmod(seconds, _DAY_S)
    clock = f"{rest // _HOUR_S:02d}:{rest % _HOUR_S // _MINUTE_S:02d}:{rest % _MINUTE_S:02d}"
    return f"{days}-{clock}" if days else clock


def slurm_memory(amount: int) -> str:
    """
    As ``--mem`` takes it: of a node.

    >>> slurm_memory(12 * 1024**3), slurm_memory(640 * 1024**2)
    ('12G', '640M')
    """
    return f"{amount // _GIB}G" if amount % _GIB == 0 else f"{ceil(amount / _MIB)}M"
