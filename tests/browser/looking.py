"""Looking at a page of the demo in a real browser: as whom, how wide, in which colours and language; what is wrong."""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import urllib3
from django.conf import settings
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from measurements.demo.people import PASSWORD
from tests.services.fixtures import OpenBrowser

SECONDS = 20.0
MOST_HEIGHT = 6_000  # px of a picture
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
LISTEN = """
    window.blocked = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        window.blocked.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
UNDRAWN = """
    return [...document.querySelectorAll(".plot canvas")]
        .filter((canvas) => !window.Chart?.getChart(canvas)).map((canvas) => canvas.id);
"""
BARRIERS = """
    const [tags, contrast, done] = arguments;
    const rules = { "color-contrast": { enabled: contrast } };
    const asked = { runOnly: { type: "tag", values: tags }, rules, resultTypes: ["violations"] };
    axe.run(document, asked).then(({ violations }) =>
        done(violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) =>
            `${id} (${help}) at ${target.join(" ")}: ${failureSummary}`))), (fault) => done([String(fault)]));
"""
STICKING_OUT = """
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
    const over = (element) => element.scrollWidth - element.clientWidth;
    const cards = [...document.querySelectorAll("main section")].filter(
        (card) => getComputedStyle(card).overflowX === "visible" && getComputedStyle(card).display === "block");
    return Math.max(over(document.documentElement), ...cards.map(over));
"""


@dataclass(frozen=True, slots=True)
class View:
    """How a reader sees the site."""

    name: str
    size: tuple[int, int]
    dark: bool
    language: str


@functools.cache
def axe() -> str:
    """The program of axe-core."""
    return (files("selenium_axe_python") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@dataclass(slots=True)
class Reader:
    """One browser, in which a person can be changed for another."""

    browser: Chrome
    address: str
    view: View
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def at(cls, address: str, view: View, chromium: OpenBrowser) -> Reader:
        """A new browser; it notes from a page's beginning on what the page's policy blocks."""
        browser = chromium(size=view.size, dark=view.dark)
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LISTEN})
        return cls(browser, address, view)

    def see(self, view: View) -> None:
        """From now on another width, other colours, another language."""
        if view == self.view:
            return
        self.view = view
        (width, height), scheme = view.size, "dark" if view.dark else "light"
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def become(self, person: str) -> None:
        """Log in as someone, or as nobody: ""."""
        if person and person not in self.sessions:
            self._take(None)
            self.browser.get(f"{self.address}/login/")
            self.browser.find_element(By.ID, "id_username").send_keys(person)
            self.browser.find_element(By.ID, "id_password").send_keys(PASSWORD)
            self.browser.find_element(By.CSS_SELECTOR, "form.login button.primary").click()
            WebDriverWait(self.browser, SECONDS).until(lambda b: b.find_elements(By.CLASS_NAME, "who"))
            self.sessions[person] = self.browser.get_cookie(settings.SESSION_COOKIE_NAME) or {}
        self._take(self.sessions.get(person))

    def _take(self, session: dict[str, Any] | None) -> None:
        if not self.browser.current_url.startswith(self.address):
            self.browser.get(f"{self.address}/login/")  # a cookie is set from a page of its site
        self.browser.delete_all_cookies()
        self.browser.add_cookie({"name": settings.LANGUAGE_COOKIE_NAME, "value": self.view.language})
        if session:
            self.browser.add_cookie(session)

    def open(self, path: str) -> Chrome:
        """Open a page, and wait for its charts."""
        self.browser.execute("getLog", {"type": "browser"})  # what the page before said is not this one's
        self.browser.get(f"{self.address}{path}")
        try:
            WebDriverWait(self.browser, SECONDS).until(lambda b: not b.execute_script(UNDRAWN))
        except TimeoutException:
            undrawn = self.browser.execute_script(UNDRAWN)
            raise AssertionError(f"{path}: never drawn: {undrawn}; {self.complaints()}") from None
        return self.browser

    def ask(self, path: str) -> tuple[int, str]:
        """With which status an address comes to this person, and where it leads, if it does; without the browser."""
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in self.browser.get_cookies())
        answer = urllib3.request("GET", f"{self.address}{path}", headers={"Cookie": cookies}, redirect=False)
        return answer.status, answer.headers.get("Location", "")

    def complaints(self) -> list[str]:
        """What the console says, and what the page's policy blocked."""
        entries = self.browser.execute("getLog", {"type": "browser"})["value"]
        said = [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
        blocked: list[str] = self.browser.execute_script("return window.blocked")
        return [*said, *blocked]

    def barriers(self, *, contrast: bool = True) -> list[str]:
        """What axe-core finds, after a moment for the page to settle; half of its time goes into contrast."""
        self.browser.execute_script(axe())
        found: list[str] = self.browser.execute_async_script(BARRIERS, RULES, contrast)
        return found

    def keep_picture(self, file: Path) -> None:
        """The whole page, but for what is very far down."""
        width, _ = self.view.size
        height = min(int(self.browser.execute_script("return document.documentElement.scrollHeight")), MOST_HEIGHT)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        asked = {"captureBeyondViewport": True, "clip": clip, "optimizeForSpeed": True}
        shot = self.browser.execute_cdp_cmd("Page.captureScreenshot", asked)
        file.write_bytes(base64.b64decode(shot["data"]))

    def sticking_out(self) -> int:
        """By how many pixels the page is wider than its window, or a card than its room, all details open."""
        return int(self.browser.execute_script(STICKING_OUT))
