"""The first view of My energy in a real browser with an empty cache, on a demo of its own."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from measurements.demo.people import STUDENT
from tests.bench.harness import FULL, Row
from tests.bench.world import World
from tests.services.binaries import CHROMIUM, find
from tests.services.browser import DESKTOP, PHONE
from tests.services.demo_site import demo_site

MOST_KB, MOST_MS = 150.0, 1_000.0
DAYS, FEW_DAYS = 35, 2


def rows(world: World) -> Iterator[Row]:
    """A row of bytes and one of time a width; one that says so where there is no browser."""
    if not find(CHROMIUM):
        yield Row("first view in a browser: skipped, chromium is missing", 0, "rows")
        return
    from tests.browser.first_view import first_view  # need Django's settings
    from tests.browser.looking import Reader, View
    from tests.services.fixtures import chromium_here

    days = DAYS if world.scale.nodes >= FULL.nodes else FEW_DAYS
    with demo_site(days) as site, chromium_here() as chromium:
        for name, size in {"desktop": DESKTOP, "phone": PHONE}.items():
            reader = Reader.at(site.address, View(name, size, dark=False, language="en-gb"), chromium)
            reader.become(STUDENT)
            seen = [first_view(reader, "/") for _ in range(world.scale.repeats)]
            sent_kb = max(view.total_bytes for view in seen) / 1e3
            painted_ms = median(view.largest_paint_ms for view in seen)
            yield Row(f"first view of my energy, {name}: bytes sent", sent_kb, "kB", MOST_KB)
            yield Row(f"first view of my energy, {name}: largest contentful paint", painted_ms, "ms", MOST_MS)
