"""Every message is translated, and what is compiled is what is written."""

from __future__ import annotations

import re

import pytest

from tests.portal import catalogue

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_the_catalogue_holds_the_messages_of_the_code_all_translated(language: str) -> None:
    fresh = catalogue.updated(language)
    assert catalogue.untranslated(fresh) == []
    assert catalogue.po_path(language).read_bytes() == catalogue.po_bytes(fresh), "python -m tests.portal.catalogue"


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_the_compiled_catalogue_is_up_to_date(language: str) -> None:
    compiled = catalogue.po_path(language).with_suffix(".mo").read_bytes()
    assert compiled == catalogue.mo_bytes(catalogue.load(language)), "python -m tests.portal.catalogue"


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_translations_have_the_placeholders_of_their_messages(language: str) -> None:
    def texts(value: str | tuple[str, ...] | list[str] | None) -> list[str]:
        return [value] if isinstance(value, str) else list(value or ())

    wrong = [
        text
        for message in catalogue.load(language)
        if message.id
        for text in texts(message.string)
        if not set(PLACEHOLDER.findall(text)) <= set(PLACEHOLDER.findall("".join(texts(message.id))))
    ]
    assert wrong == []


def test_messages_of_python_and_of_templates_are_found() -> None:
    found = catalogue.messages()
    assert ("no measurement", None) in found
    assert ("By meters above the nodes", None) in found, "within an f-string"
    assert "portal/wording.py" in found["no meter", None]
    assert ("l j F", "day in a sentence") in found
    assert (("%(days)s day", "%(days)s days"), None) in found
