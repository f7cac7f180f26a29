"""Zooming a job's power curve in a real Chromium: links, keys, dragging, wheel, Back, and without any script."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import url_to_be
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.test_pages import SECONDS, Visit, complaints, drawn, visit
from tests.portal.world import DAY_S, HOUR

__all__ = ["visit"]
pytestmark = pytest.mark.django_db(transaction=True)

JOB = "/jobs/alpha/123/"
FIRST, LAST = 1000 * (DAY_S + HOUR), 1000 * (DAY_S + 2 * HOUR)
WHOLE = (FIRST, LAST)
MIDDLE = (FIRST + 900_000, LAST - 900_000)
QUARTER = (FIRST + 1_350_000, LAST - 1_350_000)


def shown(browser: Chrome) -> tuple[int, int]:
    """The time on the chart's axis."""
    start, end = browser.execute_script("const { x } = Chart.getChart('power-chart').scales; return [x.min, x.max]")
    return start, end


def until(browser: Chrome, part: tuple[int, int]) -> None:
    """Wait for a part to be shown, in the chart, the address and the table alike."""
    WebDriverWait(browser, SECONDS).until(lambda b: shown(b) == part, f"{part}, not {shown(browser)}")
    named = f"from={part[0]}&to={part[1]}"
    assert (named in browser.current_url) is (part != WHOLE)
    points = browser.execute_script("return Chart.getChart('power-chart').data.datasets[0].data.length")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#power-table tbody tr")) == points


def link(browser: Chrome, name: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, f"[data-move={name}]")


def test_links_zoom_move_and_go_back_and_say_what_is_shown(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    assert link(browser, "out").get_attribute("aria-disabled") == "true"
    browser.execute_script("window.stayed = true")
    link(browser, "in").click()
    until(browser, MIDDLE)
    said = browser.find_element(By.ID, "power-shown")
    assert said.get_attribute("aria-live") == "polite"
    assert said.text.startswith("Shown is 10 Mar 2025, 01:15:00 to 01:45:00")
    assert link(browser, "out").get_attribute("aria-disabled") is None
    assert f"from={MIDDLE[0]}" in (browser.find_element(By.ID, "power-csv").get_attribute("href") or "")
    link(browser, "left").click()
    until(browser, (FIRST, LAST - 1_800_000))
    link(browser, "whole").click()
    until(browser, WHOLE)
    for part in ((FIRST, LAST - 1_800_000), MIDDLE, WHOLE):
        browser.back()
        until(browser, part)
    browser.forward()
    until(browser, MIDDLE)
    assert browser.execute_script("return window.stayed"), "the page was loaded again"
    browser.refresh()
    drawn(browser, "power-chart")
    until(browser, MIDDLE)
    assert complaints(browser) == []


def test_a_link_leads_without_a_script_where_it_leads_with_one(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    for name in ("in", "right", "in", "left", "out"):
        href = (link(browser, name).get_attribute("href") or "").removesuffix("#power")
        link(browser, name).click()
        WebDriverWait(browser, SECONDS).until(url_to_be(href))


def test_keys_on_the_chart_zoom_and_move_and_keep_the_point(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    slider = browser.find_element(By.CSS_SELECTOR, "#power .cursor")
    browser.execute_script("arguments[0].focus()", slider)
    slider.send_keys("+")
    until(browser, MIDDLE)
    slider.send_keys("+")
    until(browser, QUARTER)
    slider.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    until(browser, (QUARTER[0] + 450_000, QUARTER[1] + 450_000))
    slider.send_keys(Keys.SHIFT, Keys.ARROW_LEFT)
    until(browser, QUARTER)
    assert browser.switch_to.active_element == slider
    slider.send_keys(Keys.HOME)
    assert (slider.get_attribute("aria-valuetext") or "").startswith("10 March 2025, 01:22:52") or (
        slider.get_attribute("aria-valuetext") or ""
    ).startswith("10 Mar 2025, 01:2")
    slider.send_keys("-")
    until(browser, MIDDLE)
    slider.send_keys("0")
    until(browser, WHOLE)


def test_keys_on_the_links_do_the_same_with_bare_arrows(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    link(browser, "in").send_keys("+")
    until(browser, MIDDLE)
    link(browser, "in").send_keys(Keys.ARROW_LEFT)
    until(browser, (FIRST, LAST - 1_800_000))
    link(browser, "in").send_keys(Keys.ARROW_RIGHT)
    until(browser, MIDDLE)


def test_quick_steps_are_asked_for_once(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    browser.execute_script("performance.clearResourceTimings()")
    link(browser, "in").send_keys("++")
    until(browser, QUARTER)
    asked = "return performance.getEntriesByType('resource').filter((r) => r.name.includes('curve.json')).length"
    assert browser.execute_script(asked) == 1
    browser.back()
    until(browser, WHOLE)


def test_dragging_and_the_wheel_choose_a_part(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    canvas = browser.find_element(By.ID, "power-chart")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    ActionChains(browser).move_to_element(canvas).click_and_hold().move_by_offset(120, 0).release().perform()
    WebDriverWait(browser, SECONDS).until(lambda b: shown(b) != WHOLE)
    dragged = shown(browser)
    assert FIRST < dragged[0] < dragged[1] < LAST
    link(browser, "whole").click()
    until(browser, WHOLE)
    turn = "arguments[0].dispatchEvent(new WheelEvent('wheel', { ctrlKey: arguments[1], deltaY: -1, cancelable: true, "
    turn += "clientX: arguments[0].getBoundingClientRect().left + 300 }))"
    assert browser.execute_script(f"return {turn}", canvas, False), "without Ctrl the page scrolls"  # noqa: FBT003
    assert not browser.execute_script(f"return {turn}", canvas, True)  # noqa: FBT003
    WebDriverWait(browser, SECONDS).until(lambda b: shown(b)[1] - shown(b)[0] == (LAST - FIRST) * 4 // 5)


def test_a_part_that_cannot_be_fetched_leaves_what_is_there(visit: Visit) -> None:
    browser = visit(JOB)
    drawn(browser, "power-chart")
    browser.delete_all_cookies()  # the session is over
    link(browser, "in").click()
    failed = browser.find_element(By.ID, "power-failed")
    WebDriverWait(browser, SECONDS).until(lambda _: failed.is_displayed())
    assert failed.text == "The finer curve could not be fetched. Shown is what was there before."
    assert shown(browser) == WHOLE
    assert "from=" not in browser.current_url
    assert browser.find_element(By.ID, "power").get_attribute("aria-busy") is None


def test_without_a_script_the_links_lead_to_the_part_and_its_table(visit: Visit) -> None:
    browser = visit(JOB)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.refresh()
    assert not browser.find_element(By.ID, "power-keys").is_displayed()
    link(browser, "in").click()
    assert f"from={MIDDLE[0]}&to={MIDDLE[1]}" in browser.current_url
    browser.find_element(By.CSS_SELECTOR, "#power summary").click()
    rows = browser.find_elements(By.CSS_SELECTOR, "#power-table tbody th")
    assert rows[0].text == "10 Mar 2025, 01:15:00"
    link(browser, "whole").click()
    assert "from=" not in browser.current_url
