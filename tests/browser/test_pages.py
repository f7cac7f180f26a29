"""The pages in a real Chromium: charts are drawn, nothing is blocked, a phone is wide enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.portal import world
from tests.portal.world import PERIOD
from tests.services.fixtures import OpenBrowser

pytestmark = pytest.mark.django_db(transaction=True)

NARROWEST = (320, 640)
TWO_DAYS = "/?first=2025-03-10&last=2025-03-11&bars=day"
PAGES = {"energy": (f"/?{PERIOD}", "usage-chart"), "job": ("/jobs/alpha/123/", "power-chart")}
CASES = json.loads((Path(world.__file__).with_name("quantity_cases.json")).read_text(encoding="utf-8"))
SECONDS = 20.0

Visit = Callable[..., Chrome]


@pytest.fixture
def visit(live_server: LiveServer, own_var: Path, tmp_path: Path, chromium: OpenBrowser) -> Visit:
    """``visit("/", size=…, dark=…, language=…)`` opens a page as alice, in a cluster that is booked."""
    world.build(tmp_path)
    User.objects.create_user("alice", password="secret of alice")

    def open_page(path: str, *, language: str = "en-gb", **how: Any) -> Chrome:
        browser = chromium(**how)
        browser.get(f"{live_server.url}/login/")
        browser.add_cookie({"name": settings.LANGUAGE_COOKIE_NAME, "value": language})
        browser.refresh()
        browser.find_element(By.ID, "id_username").send_keys("alice")
        browser.find_element(By.ID, "id_password").send_keys("secret of alice")
        browser.find_element(By.CSS_SELECTOR, "button.primary").click()
        WebDriverWait(browser, SECONDS).until(lambda b: b.find_elements(By.CLASS_NAME, "who"))
        browser.get(f"{live_server.url}{path}")
        return browser

    return open_page


def drawn(browser: Chrome, canvas: str) -> dict[str, Any]:
    """The chart on a canvas, as it is in the browser: labels, values, ticks, and how much of it has colour."""
    script = """
        const chart = window.Chart?.getChart(arguments[0]);
        if (!chart) return null;
        const { width, height } = chart.canvas;
        const pixels = chart.canvas.getContext("2d").getImageData(0, 0, width, height).data;
        return {
            labels: chart.data.labels,
            datasets: chart.data.datasets.map(({ label, role, data, spanGaps }) => ({ label, role, data, spanGaps })),
            ticks: chart.scales.x.ticks.map((t) => t.label),
            coloured: pixels.filter((value, i) => i % 4 === 3 && value > 0).length / (width * height),
        };
    """
    found: dict[str, Any] = WebDriverWait(browser, SECONDS).until(lambda b: b.execute_script(script, canvas))
    return found


def complaints(browser: Chrome) -> list[str]:
    """What the console says: faults of scripts, and whatever the content security policy blocked."""
    entries = browser.execute("getLog", {"type": "browser"})["value"]
    return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("size", "dark", "language"), [((1280, 900), False, "en-gb"), (NARROWEST, True, "de")], ids=["desktop", "phone"]
)
def test_a_page_is_drawn_without_complaints_and_fits(
    visit: Visit, page: str, size: tuple[int, int], *, dark: bool, language: str
) -> None:
    path, canvas = PAGES[page]
    browser = visit(path, size=size, dark=dark, language=language)
    chart = drawn(browser, canvas)
    assert chart["datasets"]
    assert chart["coloured"] > 0.05
    assert complaints(browser) == []
    browser.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    brightness = browser.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(brightness) < 64) is dark


def test_the_energy_chart_has_the_table_s_numbers(visit: Visit) -> None:
    browser = visit(TWO_DAYS)
    chart = drawn(browser, "usage-chart")
    browser.find_element(By.ID, "usage-table-name").click()
    cells = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#usage-table tbody td")]
    assert {d["label"]: d["data"] for d in chart["datasets"]} == {
        "dark": [None, None],  # not measured, or no job: no bar either way
        "mixed": [275, None],
        "thin": [pytest.approx(268.333), None],
    }
    assert cells[:5] == ["543", "–", "275", "268", "600"]


def test_the_power_curve_leaves_the_gap_open(visit: Visit) -> None:
    browser = visit(PAGES["job"][0])
    chart = drawn(browser, "power-chart")
    means = {d["label"]: [p["y"] for p in d["data"]] for d in chart["datasets"] if d["role"] == "mean"}
    assert {name: values.count(None) for name, values in means.items()} == {"all nodes": 18, "thin1": 18, "thin2": 0}
    assert not any(d["spanGaps"] for d in chart["datasets"] if d["role"] != "assumed")
    assert "01:30" in chart["ticks"]
    browser.find_element(By.CSS_SELECTOR, "figure summary").click()
    shown = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#power-table tbody tr")]
    assert len(shown) == len(means["all nodes"])
    assert sum("gap: not measured" in row for row in shown) == 18
    assert "300 300 300 100" in shown[0]


def test_a_line_is_switched_off_and_on_by_keyboard(visit: Visit) -> None:
    browser = visit(PAGES["job"][0])
    drawn(browser, "power-chart")
    button = browser.find_element(By.XPATH, "//div[@data-legend]/button[contains(., 'thin2')]")
    visible = "return Chart.getChart('power-chart').isDatasetVisible(4)"
    assert (button.get_attribute("aria-pressed"), browser.execute_script(visible)) == ("true", True)
    button.send_keys(" ")
    assert (button.get_attribute("aria-pressed"), browser.execute_script(visible)) == ("false", False)


def test_a_chart_takes_new_colours_when_the_reader_does(visit: Visit) -> None:
    browser = visit(PAGES["job"][0])
    drawn(browser, "power-chart")
    colour = "return Chart.getChart('power-chart').data.datasets[0].borderColor"
    light = browser.execute_script(colour)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [dark]})
    WebDriverWait(browser, SECONDS).until(lambda b: b.execute_script(colour) != light)


def test_without_scripts_the_table_is_there(visit: Visit) -> None:
    browser = visit(PAGES["energy"][0])
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.refresh()
    assert browser.find_element(By.ID, "usage-table")
    assert "543" in browser.find_element(By.CLASS_NAME, "figure").text


@pytest.mark.parametrize("language", ["en-gb", "de"])
def test_the_browser_writes_quantities_as_the_server_does(visit: Visit, language: str) -> None:
    browser = visit(PAGES["energy"][0])
    drawn(browser, "usage-chart")
    script = """
        const [cases, language, done] = arguments;
        const table = JSON.parse(document.getElementById("usage-chart-data").textContent).table;
        import("/static/js/quantities.js").then(({ formatQuantity }) =>
            done(cases.map(({ value, quantity }) => formatQuantity(value, table[quantity], language))));
    """
    assert browser.execute_async_script(script, CASES, language) == [case[language] for case in CASES]


def test_the_keyboard_moves_through_a_chart_and_hears_each_point(visit: Visit) -> None:
    browser = visit(TWO_DAYS)
    drawn(browser, "usage-chart")
    slider = browser.find_element(By.CSS_SELECTOR, ".plot input[type=range]")
    assert slider.accessible_name.startswith("Energy by node type, day by day")
    slider.send_keys(Keys.HOME)
    said = (slider.get_attribute("aria-valuetext") or "").replace("\u00a0", " ")
    assert said == "Monday, 10 March 2025; mixed: 275 Wh; thin: 268 Wh; Total: 543 Wh; 67.0 % measured"
    shown = "return Chart.getChart('usage-chart').tooltip.opacity"
    assert browser.execute_script(shown) == 1
    slider.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("aria-valuetext") == "Tuesday, 11 March 2025; –"
    assert browser.execute_script(shown) == 0
    slider.send_keys(Keys.HOME)
    assert browser.execute_script(shown) == 1
    slider.send_keys(Keys.ESCAPE)
    assert browser.execute_script(shown) == 0


def test_on_paper_a_chart_has_the_colours_of_paper(visit: Visit) -> None:
    browser = visit(PAGES["job"][0], dark=True)
    drawn(browser, "power-chart")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [dark]})
    colour = "return Chart.getChart('power-chart').data.datasets[0].borderColor"
    WebDriverWait(browser, SECONDS).until(lambda b: b.execute_script(colour) == "#0072b2")
    hidden = "return getComputedStyle(document.querySelector(arguments[0])).display"
    assert [browser.execute_script(hidden, part) for part in (".tools", ".places", ".cursor")] == ["none"] * 3
