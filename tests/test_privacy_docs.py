"""The templates can be filled in, say the same in both languages, and name what the software really does."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from portal import privacy
from tests.house import ROOT

FOLDER = ROOT / "docs" / "privacy"
NAMES = ("works-agreement", "notice", "dpia")
LANGUAGES = ("de", "en")
PLACEHOLDER = re.compile(r"\[([^\[\]]*)\](?!\()")
LINK = re.compile(r"\[[^\[\]]+\]\([^()\s]+\)")
DECLARED = {"de": "Vorlage, keine Rechtsberatung.", "en": "A template, no legal advice."}
NO_APPRAISAL = {
    "de": r"nicht der (Überwachung oder )?Bewertung von Leistung",
    "en": r"not for (monitoring or )?appraising",
}
# What nobody checked for this template is not stated as certain.
UNCHECKED = re.compile(r"Art\. \d+|§ \d+|section \d+\(\d\) no")
HEDGES = {
    "de": ("zu prüfen", "gedacht ist sie", "spricht, dass", "etwa "),
    "en": ("to be checked", "it is meant", "in favour", "such as "),
}


def text(language: str, name: str) -> str:
    return (FOLDER / language / f"{name}.md").read_text(encoding="utf-8")


def sections(language: str, name: str) -> list[tuple[str, str]]:
    """Number and body of each, what stands before the first included."""
    parts = re.split(r"^## (\d+)\. .*$", text(language, name), flags=re.MULTILINE)
    return [("0", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_template_says_that_it_is_one(language: str, name: str) -> None:
    assert DECLARED[language] in text(language, name).split("\n## ")[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_brackets_are_closed_not_nested_and_say_what_belongs_there(language: str, name: str) -> None:
    depth = 0
    for sign in text(language, name):
        depth += {"[": 1, "]": -1}.get(sign, 0)
        assert 0 <= depth <= 1
    assert depth == 0
    found = PLACEHOLDER.findall(text(language, name))
    assert len(found) > 10
    for words in found:
        assert words == words.strip()
        assert words
        assert len(words) < 160


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_sections_points_tables_and_gaps(name: str) -> None:
    german, english = (sections(language, name) for language in LANGUAGES)
    assert [number for number, _ in german] == [number for number, _ in english]
    for (number, ours), (_, theirs) in zip(german, english, strict=True):
        for pattern in (r"^\d+\. ", r"^\|", r"^- ", r"`[^`]+`", r"\*\*[^*]+\*\*"):
            counts = [len(re.findall(pattern, part, re.MULTILINE)) for part in (ours, theirs)]
            assert counts[0] == counts[1], (number, pattern)
        gaps = [len(PLACEHOLDER.findall(part)) for part in (ours, theirs)]
        assert gaps[0] == gaps[1], number
        assert len(LINK.findall(ours)) == len(LINK.findall(theirs)), number


@pytest.mark.parametrize("language", LANGUAGES)
def test_agreement_and_notice_exclude_appraisal(language: str) -> None:
    for name in ("works-agreement", "notice"):
        assert re.search(NO_APPRAISAL[language], text(language, name)), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_names_each_cookie_and_the_addresses(language: str) -> None:
    notice = text(language, "notice")
    cookies = next(body for number, body in sections(language, "notice") if number == "9")
    assert set(re.findall(r"`(\w+)`", cookies)) == {cookie.name for cookie in privacy.cookies()}
    for address in ("/privacy/", "/privacy/my-data.zip"):
        assert f"`{address}`" in notice
    assert settings.SESSION_COOKIE_AGE == 14 * 86_400
    assert settings.CSRF_COOKIE_AGE == 52 * 7 * 86_400


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_agreement_has_the_settings_as_they_are_preset(language: str) -> None:
    rows = dict(re.findall(r"^\| `(JOULEBOOK_\w+)`[^|]*\| ([^|]+) \|", text(language, "works-agreement"), re.MULTILINE))
    assert rows == {
        "JOULEBOOK_LEADER_SEES": f"`{settings.LEADER_SEES}`",
        "JOULEBOOK_SMALLEST_GROUP": str(settings.SMALLEST_GROUP),
        "JOULEBOOK_AUDIT_KEEP_DAYS": str(settings.AUDIT_KEEP_DAYS),
        "JOULEBOOK_DIGESTS": f"`{settings.DIGESTS}`",
        "JOULEBOOK_BOARDS_OF_PERSONS": f"`{int(settings.BOARDS_OF_PERSONS)}`",
        "JOULEBOOK_BOARDS_REVIEW_DAYS": str(settings.BOARDS_REVIEW_DAYS),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_provisions_are_named_to_be_checked(language: str, name: str) -> None:
    paragraphs = re.split(r"\n\n|\n(?=\d+\. |- |\|)", text(language, name))
    for paragraph in paragraphs:
        if UNCHECKED.search(paragraph):
            assert any(hedge in paragraph.lower() for hedge in HEDGES[language]), paragraph


def test_the_index_leads_to_all_of_them() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"({language}/{name}.md)" in index for language in LANGUAGES for name in NAMES)
