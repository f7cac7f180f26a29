"""By keyboard alone, with real keys: from the first Tab on My energy to a job, and through the calendar.

What has the focus is seen: it has an outline, and no part of it lies outside the window.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from measurements.demo.people import STUDENT
from tests.browser.looking import SECONDS, Reader, View
from tests.services.browser import DESKTOP, PHONE

MOST_STEPS = 120
VIEWS = (
    View("desktop", DESKTOP, dark=False, language="en-gb"),
    View("phone", PHONE, dark=True, language="en-gb"),
)
FOCUS = """
    const it = document.activeElement;
    if (!it || it === document.body) return null;
    const style = getComputedStyle(it);
    const { left, right, top, bottom } = it.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2];
    const middle = document.elementFromPoint(x, y);
    const outline = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
    const whole = top >= -1 && bottom <= innerHeight + 1;
    return {
        tag: it.tagName.toLowerCase(), id: it.id, text: it.textContent.trim().slice(0, 60), type: it.type ?? "",
        href: it.getAttribute("href") ?? "", within: [...document.querySelectorAll(arguments[0])].includes(it),
        ring: outline || (style.boxShadow === "none" ? 0 : 2),
        across: left >= -1 && right <= innerWidth + 1,
        down: bottom > 0 && top < innerHeight && (bottom - top > innerHeight || whole),
        bare: style.pointerEvents === "none" || it.contains(middle) || middle?.contains(it),
    };
"""


def press(browser: Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def focus(browser: Chrome, wanted: str = "nothing") -> dict[str, Any]:
    """What has the focus, which has to be seen."""
    found: dict[str, Any] | None = browser.execute_script(FOCUS, wanted)
    assert found is not None, "the focus is nowhere"
    assert found["ring"] >= 2, f"no ring around {found}"
    assert found["across"], f"outside the window: {found}"
    assert found["down"], f"outside the window: {found}"
    assert found["bare"], f"something covers {found}"
    return found


def tab_to(browser: Chrome, wanted: str) -> dict[str, Any]:
    """Tab until what a selector names has the focus; each stop on the way is seen."""
    for _ in range(MOST_STEPS):
        press(browser, Keys.TAB)
        if (found := focus(browser, wanted))["within"]:
            return found
    raise AssertionError(f"{wanted} is not reached in {MOST_STEPS} steps")


def arrives(browser: Chrome, arrived: Callable[[Chrome], bool]) -> None:
    WebDriverWait(browser, SECONDS).until(arrived)


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_from_my_energy_to_a_job(reader: Reader, view: View) -> None:
    reader.see(view)
    reader.become(STUDENT)
    browser = reader.open("/")
    assert tab_to(browser, "*")["href"] == "#content"
    press(browser, Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "content"

    tab_to(browser, "nav.period .segments a")
    tab_to(browser, "nav.period summary")
    tab_to(browser, "figure.usage .choices a")
    tab_to(browser, "figure.usage .legend button")
    slider = tab_to(browser, "figure.usage input[type=range]")
    assert slider["type"] == "range"
    said = "return document.activeElement.getAttribute('aria-valuetext')"
    press(browser, Keys.HOME)
    first = browser.execute_script(said)
    press(browser, Keys.ARROW_RIGHT)
    assert browser.execute_script(said) != first
    press(browser, Keys.END)
    assert browser.execute_script("return Chart.getChart('usage-chart').tooltip.opacity") == 1
    press(browser, Keys.ESCAPE)
    assert browser.execute_script("return Chart.getChart('usage-chart').tooltip.opacity") == 0

    tab_to(browser, "figure.usage summary#usage-table-name")
    press(browser, Keys.ENTER)
    assert browser.find_element(By.ID, "usage-table").is_displayed()
    tab_to(browser, "#usage-table tbody th a")
    press(browser, Keys.ENTER)
    arrives(browser, lambda b: "/energy/jobs/" in b.current_url)

    job = tab_to(browser, "main tbody th a, main tbody td a")
    press(browser, Keys.ENTER)
    arrives(browser, lambda b: "/jobs/demo/" in b.current_url)
    assert job["text"] in browser.find_element(By.TAG_NAME, "h1").text


def test_the_job_list_is_filtered_and_left_by_keyboard(reader: Reader) -> None:
    reader.see(VIEWS[0])
    reader.become(STUDENT)
    browser = reader.open("/jobs/")
    tab_to(browser, "main form.filter [name=q]")
    press(browser, "train", Keys.ENTER)
    arrives(browser, lambda b: "q=train" in b.current_url)
    tab_to(browser, "main tbody th a")
    press(browser, Keys.ENTER)
    arrives(browser, lambda b: "/jobs/demo/" in b.current_url)


def test_the_calendar_is_one_stop_and_arrows_move_in_it(reader: Reader) -> None:
    reader.see(VIEWS[0])
    reader.become(STUDENT)
    year = (datetime.now(UTC) - timedelta(days=31)).year  # in January there is no month of this one above
    browser = reader.open(f"/calendar/?year={year}")
    day = "table.calendar td a"
    tab_to(browser, day)
    here = focus(browser)["href"]
    press(browser, Keys.ARROW_LEFT)
    before = focus(browser, day)
    assert before["within"]
    assert before["href"] != here
    press(browser, Keys.ARROW_RIGHT)
    assert focus(browser)["href"] == here
    press(browser, Keys.HOME)
    first = focus(browser)["href"]
    press(browser, Keys.ARROW_UP)
    assert focus(browser, day)["within"]
    assert focus(browser)["href"] != first
    press(browser, Keys.TAB)
    assert not focus(browser, day)["within"]
