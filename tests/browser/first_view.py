"""What the first view of a page costs whoever was never there: bytes over the wire, and the time until it shows."""

from __future__ import annotations

from dataclasses import dataclass

from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.looking import SECONDS, Reader

SENT = """
    const every = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return every.map(({ name, transferSize }) => [name, transferSize]);
"""
WAITING = """
    return [...document.querySelectorAll("[data-load]")].some(
        ({ dataset }) => !performance.getEntriesByName(new URL(dataset.load, location)).length);
"""
LARGEST_PAINT = """
    const [done] = arguments;
    new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
        .observe({ type: "largest-contentful-paint", buffered: true });
"""


@dataclass(frozen=True, slots=True)
class FirstView:
    """Every request of a page, headers included, and when its largest part was painted."""

    sent_bytes: dict[str, int]
    largest_paint_ms: float

    @property
    def total_bytes(self) -> int:
        """Of all requests."""
        return sum(self.sent_bytes.values())


def first_view(reader: Reader, path: str) -> FirstView:
    """Open a page with an empty cache; everything it loads comes from the site itself, as its policy demands."""
    browser = reader.browser
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    reader.open(path)
    WebDriverWait(browser, SECONDS).until(lambda b: not b.execute_script(WAITING))
    browser.set_script_timeout(SECONDS)
    painted_ms = float(browser.execute_async_script(LARGEST_PAINT))
    return FirstView({str(name): int(size) for name, size in browser.execute_script(SENT)}, painted_ms)
