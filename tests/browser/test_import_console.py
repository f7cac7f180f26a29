"""Files on their way through the import console in a real browser, beside a site that does its work itself: uploaded,
looked at, tried otherwise, taken, on a desktop and on a phone; nobody reloads a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from measurements.demo.people import OPERATOR, PASSWORD
from tests.browser.hands import follow, main, press, press_away, until
from tests.browser.looking import Reader, View
from tests.browser.test_every_page import check_page
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP, PHONE
from tests.services.demo_site import DemoSite, working_site
from tests.services.fixtures import OpenBrowser, programs

VIEWS = [View("desktop", DESKTOP, dark=False, language="en-gb"), View("phone", PHONE, dark=True, language="en-gb")]
NODES = "node,node_type,cpus\nn1,a,8\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    """One node and one operator."""
    programs(CHROMIUM)
    nodes = tmp_path_factory.mktemp("nodes") / "nodes.csv"
    nodes.write_text(NODES)
    operator = ["createsuperuser", "--noinput", "--username", OPERATOR, "--email", "olga@example.org"]
    load = ["load_nodes", str(nodes), "--cluster", "c"]
    with working_site({"DJANGO_SUPERUSER_PASSWORD": PASSWORD}, operator, load) as served:
        yield served


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: str(view.name))
def test_from_the_upload_to_the_batch(site: DemoSite, chromium: OpenBrowser, tmp_path: Path, view: View) -> None:
    day = 1 + VIEWS.index(view)
    log = tmp_path / f"day{day}.csv"
    rows = "".join(f"2026-03-0{day} 12:{minute:02d}:00,n1,{200 + minute}\n" for minute in range(60))
    log.write_text(f"timestamp,node,watts\n{rows}2026-03-0{day} 12:00:00,n9,70\n")
    reader = Reader.at(site.address, view, chromium)
    reader.become(OPERATOR)
    browser = reader.open("/operations/")
    browser.find_element(By.LINK_TEXT, "Give it a file").click()
    check_page(reader, 200)
    browser.find_element(By.NAME, "files").send_keys(str(log))
    press(browser, "Try it")
    until(browser, "none was said")
    assert "Take it" not in main(browser)
    check_page(reader, 200)
    browser.find_element(By.NAME, "time_zone").send_keys("UTC")
    press(browser, "Try it so")
    until(browser, "because that was said")
    for said in ("Would be stored\n60", "n9", "unknown node", "70", "259"):
        assert said in main(browser), said
    check_page(reader, 200)
    press(browser, "Take it")
    until(browser, "It is taken")
    check_page(reader, 200)
    batch = browser.find_element(By.PARTIAL_LINK_TEXT, "Batch")
    browser.execute_script("arguments[0].click()", batch)
    until(browser, "What was refused, and why")
    assert "unknown node" in main(browser)
    reader.open("/operations/imports/")
    assert "done" in main(browser)
    check_page(reader, 200)
    assert site.ask("SELECT stored, refused FROM measurements_batch ORDER BY id DESC LIMIT 1") == [(60, 1)]


def test_what_is_wrong_is_said_beside_the_form_and_the_chosen_file_stays(
    site: DemoSite, chromium: OpenBrowser, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("timestamp,node,watts\n2026-03-05T12:00:00Z,n1,1\n2026-03-05T12:01:00Z,n1,1\n")
    reader = Reader.at(site.address, VIEWS[0], chromium)
    reader.become(OPERATOR)
    browser = reader.open("/operations/imports/new/")
    press(browser, "Try it")
    until(browser, "Choose a file")
    browser.find_element(By.NAME, "files").send_keys(str(log))
    browser.find_element(By.CSS_SELECTOR, "#give summary").click()
    browser.find_element(By.NAME, "time_zone").send_keys("Nowhere")
    press(browser, "Try it")
    until(browser, "No such time zone")
    browser.find_element(By.NAME, "time_zone").clear()
    press(browser, "Try it")
    until(browser, "Would be stored")
    assert reader.complaints() == []
    press(browser, "Withdraw it")
    until(browser, "its bytes are removed")


def test_without_scripts_the_form_works_too(site: DemoSite, chromium: OpenBrowser, tmp_path: Path) -> None:
    log = tmp_path / "plain.csv"
    log.write_text("timestamp,node,watts\n2026-03-06T12:00:00Z,n1,1\n2026-03-06T12:01:00Z,n1,1\n")
    reader = Reader.at(site.address, VIEWS[0], chromium)
    reader.become(OPERATOR)
    browser = reader.open("/operations/imports/new/")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(f"{site.address}/operations/imports/new/")
    browser.find_element(By.NAME, "files").send_keys(str(log))
    press(browser, "Try it")
    for _ in range(40):
        if not browser.find_elements(By.LINK_TEXT, "Reload this page"):
            break
        browser.find_element(By.LINK_TEXT, "Reload this page").click()
    assert "Would be stored" in main(browser)


def test_refused_lines_go_in_once_their_node_is_given(site: DemoSite, chromium: OpenBrowser, tmp_path: Path) -> None:
    log, nodes = tmp_path / "ghost.csv", tmp_path / "more-nodes.csv"
    log.write_text(
        "timestamp,node,watts\n2026-03-07T12:00:00Z,n1,9\n2026-03-07T12:00:00Z,n8,7\n2026-03-07T12:01:00Z,n8,8\n"
    )
    nodes.write_text("node,node_type,cpus\nn1,a,8\nn8,a,8\n")
    reader = Reader.at(site.address, VIEWS[1], chromium)
    reader.become(OPERATOR)
    given(reader, log, "Would be stored")
    page = reader.browser.current_url
    given(reader, nodes, "Would be stored")
    browser = reader.browser
    browser.get(page)
    until(browser, "It is taken")
    follow(browser, "What was refused, and trying it again")
    until(browser, "unknown node")
    check_page(reader, 200)
    follow(browser, "Try them again …")
    until(browser, "What would be tried")
    press(browser, "See what would go in")
    until(browser, "2 readings or jobs would go in.")
    press_away(browser, "Try them again now")
    until(browser, "2 lines went in so far; 0 stay refused.")
    assert site.ask("SELECT stored, refused FROM measurements_batch ORDER BY id DESC LIMIT 1") == [(3, 0)]


def given(reader: Reader, file: Path, said: str) -> None:
    """A file uploaded, tried and taken."""
    browser = reader.open("/operations/imports/new/")
    browser.find_element(By.NAME, "files").send_keys(str(file))
    press(browser, "Try it")
    until(browser, said)
    press(browser, "Take it")
    until(browser, "It is taken")
