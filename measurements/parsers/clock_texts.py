"""Time stamps as tools print them, written as ISO 8601, which is what `times` reads.

``2023/07/08 19:28:27.236`` (nvidia-smi), ``Wed Feb 14 17:09:10 2024`` (C's ctime: ipmitool, nvidia-smi -x, GEOPM),
``11/03/2023 - 08:36:29``, ``11/03/2023 08:36:29`` and ``11/03/23 08:36:29`` (month first: FreeIPMI, PBS, ipmitool from
1.8.19 on), and UTC or GMT behind any of them or, as ``date`` prints it, before the year. Other letters (CET, EDT) say
an offset only together with the zone whose they are: CST is many. Also what ``date`` prints where the locale is not C:
``Fri Nov 20 10:00:00 PM CET 2026`` (en_US), ``Fr 20. Nov 10:00:00 CET 2026``, ``ven. 20 nov. 2026 10:00:00 CET``,
``vie 20 nov 2026 10:00:00 CET``, ``ven 20 nov 2026, 10:00:00, CET``, and by ``date -R`` ``Fri, 20 Nov 2026 10:00:00
+0100``.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CTIME = r"^(?:\w{3},? )?(\w{3}) (\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?: ([A-Z]{3,5}))? (\d{4})"
_LETTERS = r"^(.*\d) ?([A-Z]{3,5})$"
_YEARS = range(2000, 2038)  # in which the letters of a zone are looked up
_NUMBERS = {  # of months as English, German, French, Spanish and Italian cut their names
    name: number
    for number, names in enumerate(
        (
            *(
                "jan janv ene gen",
                "feb févr fév",
                "mar mär mrz mars",
                "apr abr avr avril",
                "may mai mag",
                "jun juin giu",
            ),
            *("jul juil lug", "aug août ago", "sep sept set", "oct okt ott", "nov", "dec dez déc dic"),
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(f"{name}|{name.capitalize()}" for name in sorted(_NUMBERS, key=len, reverse=True))
_OFFSET = r"[A-Z]{3,5}|[+-]\d\d(?::?\d\d)?"
_DAY_MONTH = rf"(?:[A-Za-zÀ-ÿ]{{2,4}}\.?,? )?(?: ?\d{{1,2}}\.? (?:{_MONTH})\.?|(?:{_MONTH})\.?  ?\d{{1,2}})"
_IN_WORDS = rf"{_DAY_MONTH},?(?: \d{{4}},?)? \d\d:\d\d:\d\d(?: ?[AaPp]\.?[Mm]\.?)?,?(?: (?:{_OFFSET}))?(?: \d{{4}})?"
_WORDS = re.compile(
    rf"(?:\S+ )?(?:(?P<day>\d{{1,2}})\.? (?P<month>{_MONTH})\.?"
    rf"|(?P<month_first>{_MONTH})\.? (?P<day_second>\d{{1,2}})),?"
    r"(?: (?P<year>\d{4}),?)? (?P<hour>\d\d)(?P<rest>:\d\d:\d\d)(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?,?"
    rf"(?: (?P<zone>{_OFFSET}))?(?: (?P<year_last>\d{{4}}))?"
)
# A time alone on a line, as a loop of `date` and a tool writes it between outputs.
ALONE = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: [A-Z]{3,5})? \d{4}"
    rf"|{_IN_WORDS}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?: ?(?:[A-Z]{1,5}|[+-]\d\d:?\d\d))?|\d{10}(?:\.\d+)?)"
)


def as_iso(texts: pa.Array, zone: tzinfo | None = None) -> pa.Array:
    """A column of time stamps; what is in none of these forms is left as it is.

    Letters of ``zone`` become their offset, so that of the hour that comes twice they decide; without a zone they go.
    """
    texts = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r" +", " ")
    texts = pc.replace_substring_regex(texts, r"^(\d{4})/(\d\d)/(\d\d) ", r"\1-\2-\3 ")
    texts = pc.replace_substring_regex(texts, r"^(\d\d)/(\d\d)/(\d{4}) (?:- )?", r"\3-\1-\2 ")
    for century, years in (("20", "[0-6]"), ("19", "[7-9]")):  # of a year of two digits, as C reads it
        texts = pc.replace_substring_regex(texts, rf"^(\d\d)/(\d\d)/({years}\d) ", rf"{century}\3-\1-\2 ")
    texts = pc.replace_substring_regex(texts, r"^((?:\w{3},? )?\w{3}) (\d) ", r"\1 0\2 ")
    texts = pc.replace_substring_regex(texts, _CTIME, r"\5-\1-\2 \3 \4")
    for number, month in enumerate(_MONTHS, start=1):
        texts = pc.replace_substring_regex(texts, rf"^(\d{{4}})-{month}-", rf"\1-{number:02d}-")
    in_words = pc.match_substring_regex(texts, r"^[A-Za-zÀ-ÿ]|^\d{1,2}\.? [A-Za-z]")
    if pc.any(in_words).as_py():
        texts = pa.array([_of_words(text) for text in texts.to_pylist()], pa.string())
    texts = pc.replace_substring_regex(pc.utf8_rtrim_whitespace(texts), r" ?(?:UTC|GMT)$", "Z")
    if not pc.any(pc.match_substring_regex(texts, _LETTERS)).as_py():
        return texts
    if zone is None:
        return pc.replace_substring_regex(texts, _LETTERS, r"\1")
    for letters, offset in _offsets(zone).items():
        texts = pc.replace_substring_regex(texts, rf"^(.*\d) ?{re.escape(letters)}$", rf"\1{offset[:3]}:{offset[3:]}")
    return texts


@lru_cache(maxsize=4096)
def _of_words(text: str | None) -> str | None:
    """A time whose month is a word, of whatever locale; anything else as it is."""
    said = None if text is None else _WORDS.fullmatch(text)
    year = said and (said["year"] or said["year_last"])
    if text is None or said is None or not year:
        return text
    hour = int(said["hour"])
    if said["half"]:
        if not 1 <= hour <= 12:
            return text
        hour = hour % 12 + (12 if said["half"] in "Pp" else 0)
    month = _NUMBERS[(said["month"] or said["month_first"]).casefold()]
    day = int(said["day"] or said["day_second"])
    zone = said["zone"] or ""
    blank = " " if zone.isalpha() else ""
    return f"{year}-{month:02d}-{day:02d} {hour:02d}{said['rest']}{blank}{zone}"


@lru_cache(maxsize=64)
def _offsets(zone: tzinfo) -> dict[str, str]:
    """The letters of a zone and the offset that each says; letters that said two are left out."""
    said: dict[str, set[str]] = {}
    for year in _YEARS:
        for month in (1, 7):
            moment = datetime(year, month, 1, tzinfo=zone)
            said.setdefault(moment.tzname() or "", set()).add(moment.strftime("%z"))
    return {letters: offsets.pop() for letters, offsets in said.items() if letters.isalpha() and len(offsets) == 1}


def iso_of(text: str, zone: tzinfo | None = None) -> str:
    """One time stamp."""
    return str(as_iso(pa.array([text], pa.string()), zone)[0])
