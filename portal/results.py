"""What changed the meaning of figures: the Results sections of CHANGELOG.md, as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

CHANGELOG = "CHANGELOG.md"
_MARKS = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\[(?P<text>[^\]]+)\]\((?P<url>[^)\s]+)\)")
_ITEM = "- "


@dataclass(frozen=True, slots=True)
class VersionResults:
    """The results of one version."""

    version: str
    body: SafeString


@cache
def results() -> tuple[VersionResults, ...]:
    """Of all versions that have any, newest first as in the file; none where the file is not there."""
    path: Path = settings.ROOT / CHANGELOG
    if not path.is_file():
        return ()
    return tuple(parsed(path.read_text(encoding="utf-8")))


def parsed(text: str) -> Iterator[VersionResults]:
    """The Results of each version (`## version`, `### Results`) of a changelog."""
    for version, part in _parts(text, "## "):
        for title, body in _parts(part, "### "):
            if title == "Results" and body.strip():
                yield VersionResults(version, html(body))


def _parts(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """Headings of a level, with what stands below each."""
    for part in re.split(rf"^{mark}", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        yield title.strip(), body


def html(text: str) -> SafeString:
    """Lists, paragraphs, links, `code` and **strong** of a text, everything else as it stands."""
    return format_html_join("\n", "{}", ((_block(lines),) for lines in _blocks(text)))


def _blocks(text: str) -> Iterator[list[str]]:
    """Paragraphs of lines; items of a list that follow each other are one block."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        starts_list = line.startswith(_ITEM) and block and not block[0].startswith(_ITEM)
        if (not line.strip() or starts_list) and block:
            yield block
            block = []
        if line.strip():
            block.append(line)


def _block(lines: list[str]) -> SafeString:
    if not lines[0].startswith(_ITEM):
        return format_html("<p>{}</p>", inline(" ".join(map(str.strip, lines))))
    items: list[str] = []
    for line in lines:
        if line.startswith(_ITEM):
            items.append(line.removeprefix(_ITEM).strip())
        else:
            items[-1] += " " + line.strip()
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((inline(item),) for item in items)))


def inline(text: str) -> SafeString:
    """The marks inside a line. A link to another file of the code is its words: the site does not have that file."""
    shown: list[str] = []
    end = 0
    for found in _MARKS.finditer(text):
        shown += [conditional_escape(text[end : found.start()]), _marked(found)]
        end = found.end()
    return mark_safe("".join([*shown, conditional_escape(text[end:])]))  # noqa: S308 - each part is escaped


def _marked(found: re.Match[str]) -> SafeString:
    if found["code"]:
        return format_html("<code>{}</code>", found["code"])
    if found["strong"]:
        return format_html("<strong>{}</strong>", found["strong"])
    if found["url"].startswith("https://"):
        return format_html('<a href="{}" rel="noopener external">{}</a>', found["url"], inline(found["text"]))
    return inline(found["text"])
