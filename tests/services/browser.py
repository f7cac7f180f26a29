"""A real Chromium without a window."""

from __future__ import annotations

import os
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

PHONE = (360, 780)
DESKTOP = (1280, 900)


def open_browser(
    program: Path, driver: Path, profile: Path, *, size: tuple[int, int] = DESKTOP, dark: bool = False
) -> Chrome:
    """A browser with its own profile; ``size`` is the page's width and height in CSS px, a phone's if narrow."""
    options = ChromeOptions()
    options.binary_location = str(program)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})  # read with browser.get_log("browser")
    for argument in (
        "--headless=new",
        "--disable-dev-shm-usage",  # /dev/shm is small in containers
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's sandbox refuses root
    ):
        options.add_argument(argument)
    browser = Chrome(options=options, service=ChromeService(executable_path=str(driver)))
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    return browser
