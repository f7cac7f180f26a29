"""``python -m tests.portal.catalogue`` brings portal/locale up to date with the code, and compiles it.

It keeps what is translated, adds what is new with an empty translation, drops what is gone.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("portal", "measurements/models")
LANGUAGES = ("de",)
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
HEADER = "# The site's words. python -m tests.portal.catalogue brings this file up to date and compiles it."
UNUSED_HEADERS = re.compile(
    r'^"(Project-Id|Report-Msgid|POT-|PO-Rev|Last-Trans|Language-Team|Generated-By)[\w-]*: .*\n', re.MULTILINE
)
FORMATTED = re.compile(r"%\(|%d")

Message = tuple[str | tuple[str, ...], str | None]


def po_path(language: str) -> Path:
    """The file that people edit."""
    return ROOT / "portal" / "locale" / language / "LC_MESSAGES" / "django.po"


def sources() -> Iterator[tuple[str, str]]:
    """Path and Python text of whatever holds messages; templates as Django turns them into calls."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), "\n".join([text, *calls_in_f_strings(text)])
    for path in sorted((ROOT / "templates").rglob("*.html")):
        calls = templatize(path.read_text(encoding="utf-8"), origin=str(path))
        yield path.relative_to(ROOT).as_posix(), "\n".join(line.strip() for line in calls.splitlines())


def calls_in_f_strings(text: str) -> list[str]:
    """Messages within f-strings, as calls outside of them: before Python 3.12 these are one token, and hide them."""
    f_strings = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr))
    calls = (node for string in f_strings for node in ast.walk(string) if isinstance(node, ast.Call))
    return [ast.unparse(call) for call in calls if isinstance(call.func, ast.Name) and call.func.id in KEYWORDS]


def messages() -> dict[Message, list[str]]:
    """Every message of the code, with its context, and the files it is in."""
    found: dict[Message, list[str]] = {}
    for path, text in sources():
        for _line, message, _comments, context in extract("python", io.BytesIO(text.encode()), KEYWORDS):
            files = found.setdefault((message, context), [])
            if path not in files:
                files.append(path)
    return found


def load(language: str) -> Catalog:
    """The catalogue as it is in the clone."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> Catalog:
    """The code's messages with the translations there are."""
    old = load(language)
    new = Catalog(locale=language, header_comment=HEADER, project="Joulebook", charset="utf-8", fuzzy=False)
    for (text, context), files in sorted(messages().items(), key=lambda item: (item[1], str(item[0]))):
        known = old.get(text if isinstance(text, str) else text[0], context)
        flags = ["python-format"] if FORMATTED.search(str(text)) else []
        new.add(text, known.string if known else None, [(path, 0) for path in files], flags, context=context)
    return new


def po_bytes(catalogue: Catalog) -> bytes:
    """As it is written for people."""
    out = io.BytesIO()
    write_po(out, catalogue, width=118, omit_header=False, include_lineno=False)
    text = UNUSED_HEADERS.sub("", out.getvalue().decode())
    return text.encode()


def mo_bytes(catalogue: Catalog) -> bytes:
    """As the site reads it; the same bytes whenever it is compiled."""
    out = io.BytesIO()
    dateless = read_po(io.BytesIO(po_bytes(catalogue)), locale=catalogue.locale)
    dateless.creation_date = dateless.revision_date = datetime(1970, 1, 1, tzinfo=UTC)
    write_mo(out, dateless)
    return out.getvalue()


def untranslated(catalogue: Catalog) -> list[str]:
    """Messages with an empty translation."""
    texts = [(m.id, m.string if isinstance(m.string, tuple) else (m.string,)) for m in catalogue if m.id]
    return [str(text) for text, translations in texts if not all(translations)]


def main() -> int:
    """Exit code 1 if something is left to translate."""
    left = 0
    for language in LANGUAGES:
        catalogue, path = updated(language), po_path(language)
        path.write_bytes(po_bytes(catalogue))
        path.with_suffix(".mo").write_bytes(mo_bytes(catalogue))
        for text in untranslated(catalogue):
            left += 1
            sys.stderr.write(f"{language}: not translated: {text}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
