"""`make screenshots`: the README's pictures. A demo of its own is made, photographed by Chromium, and taken down."""

from __future__ import annotations

import argparse
import base64
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import django

from measurements.demo.people import OPERATOR, STUDENT
from measurements.demo.stories import Stories
from tests.services.binaries import CHROMIUM, find
from tests.services.demo_site import DemoSite, demo_site

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "docs" / "pictures"
DAYS = 62  # a month, and the one before to compare it with
WIDTH = 1100
SHARPNESS = 1.2  # pixels of the picture to one of the page
MOST_BYTES = 300_000
HIDE_BARS = "document.documentElement.style.overflow = 'hidden'"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is photographed, and as whom."""

    name: str
    person: str
    path: str
    height: int


def pictures(stories: Stories) -> list[Picture]:
    """The three of the README."""
    if stories.held_gpus is None:
        raise SystemExit("the demo's days hold no job that held GPUs")
    return [
        Picture("my-energy", STUDENT, "/", 1120),
        Picture("job", OPERATOR, f"/jobs/demo/{stories.held_gpus.job.job_id}/", 1500),
        Picture("cluster", OPERATOR, "/clusters/demo/", 1000),
    ]


def photograph(site: DemoSite, folder: Path) -> None:
    """Write the pictures into a folder, each whole or not at all."""
    from tests.browser.looking import Reader, View  # need Django's settings
    from tests.services.fixtures import chromium_here

    folder.mkdir(parents=True, exist_ok=True)
    with chromium_here() as chromium:
        reader = Reader.at(site.address, View("pictures", (WIDTH, 900), dark=False, language="en-gb"), chromium)
        metrics = {"width": WIDTH, "height": 900, "deviceScaleFactor": SHARPNESS, "mobile": False}
        reader.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for picture in pictures(site.stories()):
            reader.become(picture.person)
            browser = reader.open(picture.path)
            browser.execute_script(HIDE_BARS)
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": picture.height, "scale": 1}
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
            content = base64.b64decode(shot["data"])
            if len(content) > MOST_BYTES:
                raise SystemExit(f"{picture.name}: {len(content)} bytes are more than {MOST_BYTES}")
            draft = folder / f".{picture.name}.png"
            draft.write_bytes(content)
            draft.replace(folder / f"{picture.name}.png")
            sys.stderr.write(f"{picture.name}.png: {len(content):,} bytes\n")


def main() -> None:
    """Entry of `make screenshots`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures")
    parser.add_argument("--days", type=int, default=DAYS, help="days that the demo covers")
    options = parser.parse_args()
    if not find(CHROMIUM):
        raise SystemExit(f"chromium is missing: apt-get install {' '.join(CHROMIUM.packages)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    with demo_site(options.days) as site:
        photograph(site, options.out)


if __name__ == "__main__":
    main()
