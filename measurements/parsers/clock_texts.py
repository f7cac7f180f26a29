"""Time stamps as tools print them, written as ISO 8601, which is what `times` reads.

``2023/07/08 19:28:27.236`` (nvidia-smi), ``Wed Feb 14 17:09:10 2024`` (C's ctime: ipmitool, nvidia-smi -x, GEOPM),
``11/03/2023 - 08:36:29``, ``11/03/2023 08:36:29`` and ``11/03/23 08:36:29`` (month first: FreeIPMI, PBS, ipmitool from
1.8.19 on), and UTC or GMT behind any of them.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CTIME = r"^(?:\w{3},? )?(\w{3}) (\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (\d{4})"


def as_iso(texts: pa.Array) -> pa.Array:
    """A column of time stamps; what is in none of these forms is left as it is."""
    texts = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r" +", " ")
    texts = pc.replace_substring_regex(texts, r"^(\d{4})/(\d\d)/(\d\d) ", r"\1-\2-\3 ")
    texts = pc.replace_substring_regex(texts, r"^(\d\d)/(\d\d)/(\d{4}) (?:- )?", r"\3-\1-\2 ")
    for century, years in (("20", "[0-6]"), ("19", "[7-9]")):  # of a year of two digits, as C reads it
        texts = pc.replace_substring_regex(texts, rf"^(\d\d)/(\d\d)/({years}\d) ", rf"{century}\3-\1-\2 ")
    texts = pc.replace_substring_regex(texts, r"^((?:\w{3},? )?\w{3}) (\d) ", r"\1 0\2 ")
    texts = pc.replace_substring_regex(texts, _CTIME, r"\4-\1-\2 \3")
    for number, month in enumerate(_MONTHS, start=1):
        texts = pc.replace_substring_regex(texts, rf"^(\d{{4}})-{month}-", rf"\1-{number:02d}-")
    return pc.replace_substring_regex(texts, r" ?(?:UTC|GMT)$", "Z")


def iso_of(text: str) -> str:
    """One time stamp."""
    return str(as_iso(pa.array([text], pa.string()))[0])
