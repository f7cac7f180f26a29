"""Pages on paper: what is printed and what is not, in a real Chromium."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.test_pages import PAGES, Visit, visit
from tests.portal.world import PERIOD

__all__ = ["visit"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

CLICKED = """
    nav.places, .tools, .skip, .period, .filter, .pager, .downloads, .as-picture, .cursor, .chosen, main button,
    figure.chart summary, details:not([open]) > summary
"""
SHOWN = """
    const legend = ({ parentElement }) => parentElement.matches(".legend");
    return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility() && !legend(e))
        .map((e) => e.outerHTML.slice(0, 100));
"""
INK = """
    const { color, textDecorationLine } = getComputedStyle(arguments[0]);
    return [color, textDecorationLine, getComputedStyle(arguments[0], "::after").content];
"""


def on_paper(browser: Chrome) -> Chrome:
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [dark]})
    return browser


@pytest.mark.parametrize("path", [f"/?{PERIOD}", PAGES["job"][0], "/jobs/", "/jobs/?q=train", f"/carbon/?{PERIOD}"])
def test_nothing_to_click_is_printed(visit: Visit, path: str) -> None:
    browser = visit(path)
    browser.execute_script("document.querySelectorAll('.downloads').forEach((d) => { d.open = true; })")
    on_paper(browser)
    assert browser.execute_script(SHOWN, CLICKED) == []
    assert browser.execute_script(SHOWN, "h1")


def test_a_link_is_printed_as_words_black_on_white_also_for_a_reader_in_the_dark(visit: Visit) -> None:
    browser = on_paper(visit("/jobs/", dark=True))
    link = browser.find_element(By.CSS_SELECTOR, "tbody th a")
    assert browser.execute_script(INK, link) == ["rgb(0, 0, 0)", "none", "none"]
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(ground) == "rgb(255, 255, 255)"


def test_the_table_of_a_chart_is_printed_though_it_was_closed_unless_it_is_long(visit: Visit) -> None:
    browser = visit(f"/?{PERIOD}")
    table = "figure.chart details table"
    assert browser.execute_script(SHOWN, table) == []
    on_paper(browser)
    assert browser.execute_script(SHOWN, table)
    lengthen = """
        for (const body of document.querySelectorAll("figure.chart details tbody"))
            for (let rows = 0; rows < 64; rows += 1) body.append(body.rows[0].cloneNode(true));
    """
    browser.execute_script(lengthen)
    assert browser.execute_script(SHOWN, table) == []
    browser.execute_script("document.querySelectorAll('figure.chart details').forEach((d) => { d.open = true; })")
    assert browser.execute_script(SHOWN, table)


def test_the_filter_of_a_list_is_printed_in_words(visit: Visit) -> None:
    browser = visit("/jobs/?q=train&state=COMPLETED")
    assert browser.execute_script(SHOWN, ".on-paper") == []
    said = on_paper(browser).find_element(By.CLASS_NAME, "on-paper").text
    assert said == "Filter: Job id or part of its name: train; State: completed"


@pytest.mark.parametrize("path", [f"/?{PERIOD}", PAGES["job"][0], "/jobs/"])
def test_a_page_is_printed_as_wide_as_its_paper(visit: Visit, path: str) -> None:
    browser = on_paper(visit(path, size=(688, 900)))  # A4 less the margins
    too_wide = """
        return [...document.querySelectorAll("main *")]
            .filter((e) => e.checkVisibility() && !e.matches(".unseen"))
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80));
    """
    assert browser.execute_script(too_wide) == []
    asked: dict[str, Any] = {"preferCSSPageSize": True, "paperWidth": 8.27, "paperHeight": 11.69}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", asked)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) <= 4
