"""What pdsh, clush and FreeIPMI gather from many hosts: the host before each line, or above each output.

``n001: Pwr Consumption | 308 Watts | ok`` (pdsh, clush, FreeIPMI), where the lines of hosts may be mixed; and, of
``clush -b`` and dshbak, a line of dashes, the host, a line of dashes. The latter becomes ``==> n001 <==``, which is
what names a file's node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

HOST = r"^(?P<host>[A-Za-z0-9][\w.-]*):(?: +(?P<rest>.*))?$"
_DASHES = re.compile("-{8,}")
_MOST = 0.9  # of the lines that say something: a tool's own errors stand without a host


@dataclass(slots=True)
class Banners:
    """Lines of dashes come in pairs, and what stands between two of one pair is a host."""

    _above: bool = False  # the line before began a pair
    _open: bool = False

    def line(self, text: str) -> str:
        """The line, or what it says of its file."""
        if _DASHES.fullmatch(text):
            self._open = self._above = not self._open
            return ""
        host, self._above = self._above, False
        return f"==> {text} <==" if host and text else text

    def lines(self, texts: pa.Array) -> pa.Array:
        """The lines of a block."""
        if not self._above and not pc.any(pc.match_substring_regex(texts, f"^{_DASHES.pattern}$")).as_py():
            return texts
        return pa.array([self.line(text) for text in texts.to_pylist()], pa.string())


def begins_with_hosts(texts: pa.Array, of_tool: str) -> bool:
    """Whether the lines that a tool printed (as a pattern knows them) stand behind the names of hosts."""
    printed = texts.filter(pc.match_substring_regex(texts, of_tool))
    named = pc.sum(pc.match_substring_regex(printed, HOST)).as_py() or 0
    return len(printed) > 0 and named >= _MOST * len(printed)


def split_hosts(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The lines without their hosts, and the hosts: an empty text where a line has none."""
    fields = pc.extract_regex(texts, HOST)
    host, rest = (pc.struct_field(fields, name) for name in ("host", "rest"))
    has = pc.is_valid(fields)
    return pc.if_else(has, pc.fill_null(rest, ""), texts), pc.if_else(has, pc.fill_null(host, ""), "")
