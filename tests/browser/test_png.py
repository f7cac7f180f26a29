"""Charts as pictures: what is on the page is in the file, in a real Chromium."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.test_pages import NARROWEST, PAGES, Visit, complaints, drawn, visit

__all__ = ["visit"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 20.0
PAGE, CHART = PAGES["job"]
SAVE = (By.CSS_SELECTOR, "figure.chart > .as-picture")
# Keeps what a picture is written with: each text that is drawn, and each copied canvas with its width.
LISTEN = """
    window.words = [];
    window.widest = 0;
    window.copies = [];
    const { fillText, drawImage } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
        if (!this.canvas.isConnected) {
            window.words.push(text);
            window.widest = Math.max(window.widest, this.measureText(text).width);
        }
        return fillText.call(this, text, ...at);
    };
    CanvasRenderingContext2D.prototype.drawImage = function (image, ...at) {
        window.copies.push([image.id, image.width]);
        return drawImage.call(this, image, ...at);
    };
"""
LOOK = """
    const [address, done] = arguments;
    const image = new Image();
    image.onload = () => {
        const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
        const pen = canvas.getContext("2d");
        pen.drawImage(image, 0, 0);
        const pixels = pen.getImageData(0, 0, image.width, image.height).data;
        const first = [...pixels.slice(0, 4)];
        let other = 0;
        for (let i = 0; i < pixels.length; i += 4)
            if (first.some((value, channel) => Math.abs(pixels[i + channel] - value) > 8)) other += 1;
        done({ width: image.width, height: image.height, ground: first, drawn: other / (image.width * image.height) });
    };
    image.onerror = () => done(null);
    image.src = address;
"""
Saved = Callable[..., tuple[Chrome, Path]]


@pytest.fixture
def saved(visit: Visit, tmp_path: Path) -> Saved:
    """Open a page, save its chart, and wait for the file."""
    folder = tmp_path / "pictures"

    def save(before: Callable[[Chrome], None] | None = None, **how: Any) -> tuple[Chrome, Path]:
        browser = visit(PAGE, **how)
        drawn(browser, CHART)
        if before:
            before(browser)
        allowed = {"behavior": "allow", "downloadPath": str(folder)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        browser.execute_script(LISTEN)
        browser.find_element(*SAVE).click()
        return browser, arrived(folder)

    return save


def arrived(folder: Path) -> Path:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := list(folder.glob("*.png")):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"nothing was saved: {list(folder.glob('*'))}")


def look(browser: Chrome, file: Path) -> dict[str, Any]:
    """The picture's size, its ground, and how much of it is something else."""
    address = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    browser.get("about:blank")
    found: dict[str, Any] = browser.execute_async_script(LOOK, address)
    return found


@pytest.mark.parametrize(
    ("dark", "ground"), [(False, [255, 255, 255, 255]), (True, [23, 28, 34, 255])], ids=["light", "dark"]
)
def test_a_chart_is_saved_as_it_is_shown_twice_as_fine(saved: Saved, *, dark: bool, ground: list[int]) -> None:
    browser, file = saved(dark=dark)
    assert file.name == "job-123-wide-power-of-the-job-s-nodes.png"
    size = "const { clientWidth: w, clientHeight: h } = document.getElementById(arguments[0]); return [w, h]"
    width, height = browser.execute_script(size, CHART)
    assert complaints(browser) == []
    found = look(browser, file)
    assert found["width"] == 2 * (width + 40)
    assert found["height"] > 2 * (height + 40 + 60)
    assert found["ground"] == ground
    assert found["drawn"] > 0.05


def test_the_picture_names_title_unit_series_page_time_and_site(saved: Saved, live_server: Any) -> None:
    browser, _file = saved()
    words = browser.execute_script("return window.words")
    caption = browser.find_element(By.ID, "power-caption").text
    assert words[0] == caption
    legend = [entry.text for entry in browser.find_elements(By.CSS_SELECTOR, ".legend button")]
    assert words[1 : 1 + len(legend)] == legend
    last = " ".join(words[1 + len(legend) :])
    assert browser.find_element(By.TAG_NAME, "h1").text.split()[0] in last
    assert "10 Mar 2025" in last
    assert live_server.url.removeprefix("http://") in last


def test_the_chart_is_drawn_twice_as_fine_and_then_as_before(saved: Saved) -> None:
    browser, _file = saved()
    width = browser.execute_script("return document.getElementById(arguments[0]).clientWidth", CHART)
    assert [CHART, 2 * width] in browser.execute_script("return window.copies")
    assert browser.execute_script("return document.getElementById(arguments[0]).width", CHART) == width
    assert drawn(browser, CHART)["coloured"] > 0.05


def test_a_series_that_is_switched_off_is_not_in_the_picture(saved: Saved) -> None:
    def switch_off(browser: Chrome) -> None:
        browser.find_element(By.XPATH, "//div[@data-legend]/button[contains(., 'thin2')]").click()

    browser, _file = saved(before=switch_off)
    words = browser.execute_script("return window.words")
    assert "thin1" in " ".join(words)
    assert not any("thin2" in word for word in words)


def test_on_a_phone_words_are_broken_and_the_button_stands_beside_the_title(saved: Saved) -> None:
    browser, file = saved(size=NARROWEST)
    title, button = browser.find_element(By.ID, "power-caption"), browser.find_element(*SAVE)
    text = (
        "const r = document.createRange(); r.selectNodeContents(arguments[0]); return r.getBoundingClientRect().right"
    )
    assert browser.execute_script(text, title) <= button.rect["x"]
    room = browser.execute_script("return document.getElementById(arguments[0]).clientWidth", CHART)
    assert len(browser.execute_script("return window.words")) == 8  # the line on page and period in two
    assert browser.execute_script("return window.widest") <= room
    assert look(browser, file)["width"] <= 2 * 320


def test_the_button_is_named_after_its_chart_and_there_once(visit: Visit) -> None:
    browser = visit(PAGE)
    drawn(browser, CHART)
    button = browser.find_element(*SAVE)
    assert button.accessible_name == f"PNG: {browser.find_element(By.ID, 'power-caption').text}"
    charts = browser.find_elements(By.CSS_SELECTOR, "figure.chart:has(.plot canvas)")
    assert len(browser.find_elements(*SAVE)) == len(charts)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.refresh()
    assert browser.find_elements(*SAVE) == []
