"""The page of a trial in a real Chromium, from a file: no complaints, no request, wide enough on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.test_pages import complaints
from tests.pipeline.test_trial import trial
from tests.pipeline.trial_input import export
from tests.services.fixtures import OpenBrowser

SIZES = [((1280, 900), False), ((360, 780), True), ((320, 640), False)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trial")
    files = export(folder / "export")
    done = trial(folder, "--jobs", files.jobs, files.more_jobs, "--power", files.power, "--time-zone", "UTC")
    assert done.code == 0, done.err
    return Path(done.folder / "trial.html").as_uri()


@pytest.mark.parametrize(("size", "dark"), SIZES, ids=["desktop", "phone", "narrowest"])
def test_the_page_of_a_trial(page: str, chromium: OpenBrowser, size: tuple[int, int], *, dark: bool) -> None:
    browser = chromium(size=size, dark=dark)
    browser.get(page)
    assert complaints(browser) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    brightness = browser.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(brightness) < 64) is dark
    heights = browser.execute_script(
        "return [...document.querySelectorAll('svg.days .jobs')].map((bar) => bar.getBoundingClientRect().height)"
    )
    assert sum(height > 5 for height in heights) == 2  # days with energy of jobs
