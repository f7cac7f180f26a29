"""A leaderboard in a real browser, from its making to its withdrawal: two admins, somebody who is in it, and a reader
who is not logged in. Whoever is in it does without scripts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from measurements.demo.people import OPERATOR, SECOND_OPERATOR, STUDENT
from tests.browser.hands import follow, main, press_away
from tests.browser.looking import SECONDS, Reader, View
from tests.browser.site_people import days_of_site
from tests.browser.test_every_page import check_page
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP
from tests.services.demo_site import DemoSite, demo_site
from tests.services.fixtures import OpenBrowser, programs

DAYS = 20  # that the board is made of
BOARDS = ("seat", "objection", "nameconsent", "boardevent", "edition", "board")
SLUG = "what-failed"
HERE = f"/leaderboards/{SLUG}/"
VIEW = View("desktop-light", DESKTOP, dark=False, language="en-gb")


@pytest.fixture(scope="module")
def site() -> Iterator[DemoSite]:
    """A demo of its own, without boards: the test makes one."""
    programs(CHROMIUM)
    with demo_site(days_of_site(datetime.now(UTC).date())) as served:
        with closing(sqlite3.connect(served.var / "joulebook.sqlite3")) as database, database:
            for table in BOARDS:  # those of the demo: of the same jobs no other could be made
                database.execute(f"DELETE FROM measurements_{table}")  # noqa: S608 - a name written above
        yield served


@pytest.fixture
def reader(site: DemoSite, chromium: OpenBrowser) -> Reader:
    return Reader.at(site.address, VIEW, chromium)


def test_an_edition_from_its_draft_to_its_withdrawal(site: DemoSite, reader: Reader) -> None:
    make_and_draft(reader)
    submit(reader, "1")
    object_and_answer(reader, site)
    approve(reader, "1")
    read_without_a_login(reader, "1")
    read_by_somebody_in_it(reader)
    correct(reader, site)
    withdraw(reader)


def make_and_draft(reader: Reader) -> None:
    """The first admin makes the board and drafts its first edition."""
    reader.become(OPERATOR)
    browser = reader.open("/leaderboards/new/")
    fill(browser, title="What came to nothing", slug=SLUG)
    for name, value in (("kind", "failed_energy"), ("scope", "user"), ("audience", "group")):
        Select(browser.find_element(By.NAME, name)).select_by_value(value)
    browser.find_element(By.NAME, "names").click()
    press_away(browser, "Make the board")
    assert "needs the project" in main(browser), "a board of a group names the group"
    Select(browser.find_element(By.NAME, "audience")).select_by_value("public")
    press_away(browser, "Make the board")
    assert browser.current_url.endswith(f"{HERE}manage/")
    today = datetime.now(UTC).date()
    set_day(browser, "first", (today - timedelta(days=DAYS - 2)).isoformat())
    set_day(browser, "last", (today - timedelta(days=3)).isoformat())
    press_away(browser, "Make the draft")
    assert browser.current_url.endswith(f"{HERE}1/")
    assert "A preview that only admins see" in main(browser)
    check_page(reader, 200)
    assert "Board" not in anonymous(reader, HERE + "1/")


def submit(reader: Reader, number: str) -> None:
    """It is put up for review; who did so can't approve it."""
    reader.become(OPERATOR)
    browser = reader.open(f"{HERE}{number}/review/")
    follow(browser, "Put up for review")
    press_away(browser, "Put up for review")
    assert "under review" in main(browser)
    check_page(reader, 200)
    follow(browser, "Approve and publish")
    press_away(browser, "Approve and publish")
    assert "another admin than you" in main(browser)
    reader.complaints()


def object_and_answer(reader: Reader, site: DemoSite) -> None:
    """Somebody in it looks at their own figures and objects; the other admin can't publish before he has answered."""
    reader.become(STUDENT)
    browser = reader.open("/leaderboards/")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    follow(browser, "See your own figures, and object")
    assert "Only you see this" in main(browser)
    assert "Your jobs" in main(browser)
    assert "Objections\n" not in main(browser), "those of others are none of hers"
    browser.find_element(By.NAME, "text").send_keys("Two of my jobs failed with the node.")
    press_away(browser, "Send the objection")
    assert "Your objection is noted" in main(browser)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    reader.become(SECOND_OPERATOR)
    assert "It can be approved after that." in refused(reader), "those in it have their days"
    the_review_ends(site)
    assert "Answer them first" in refused(reader)
    browser = reader.browser
    browser.find_element(By.NAME, "answer").send_keys("They are excused already.")
    Select(browser.find_element(By.NAME, "upheld")).select_by_value("0")
    press_away(browser, "Answer")
    assert "They are excused already." in main(browser)
    check_page(reader, 200)


def refused(reader: Reader) -> str:
    """What is said to who approves the first edition too early."""
    browser = reader.open(f"{HERE}1/review/")
    follow(browser, "Approve and publish")
    press_away(browser, "Approve and publish")
    return main(browser)


def the_review_ends(site: DemoSite) -> None:
    """Time passes."""
    with closing(sqlite3.connect(site.var / "joulebook.sqlite3", timeout=SECONDS)) as database, database:
        database.execute("UPDATE measurements_edition SET review_until = '2020-01-01 00:00:00' WHERE state = 'review'")


def approve(reader: Reader, number: str) -> None:
    """The other admin publishes it."""
    reader.become(SECOND_OPERATOR)
    browser = reader.open(f"{HERE}{number}/review/")
    follow(browser, "Approve and publish")
    press_away(browser, "Approve and publish")
    assert "The edition is published." in main(browser)


def read_without_a_login(reader: Reader, number: str) -> None:
    """Its permalink, without a cookie."""
    reader.become("")
    browser = reader.open(f"{HERE}{number}/")
    check_page(reader, 200)
    said = main(browser)
    assert "Not for performance appraisal" in said
    assert "SHA-256" in said
    assert "Only you see this" not in said
    assert STUDENT not in browser.page_source
    assert {cookie["name"] for cookie in browser.get_cookies()} <= {"django_language"}
    assert browser.find_elements(By.CSS_SELECTOR, "#board-table tbody tr")


def read_by_somebody_in_it(reader: Reader) -> None:
    """She sees where she is; and lets herself be named, and takes it back."""
    reader.become(STUDENT)
    browser = reader.open(f"{HERE}1/")
    assert "Only you see this" in main(browser)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#board-table tr.own")) == 1
    follow(browser, "Your name on this board")
    check_page(reader, 200)
    press_away(browser, "Name me on this board")
    assert STUDENT in anonymous(reader, HERE + "1/")
    reader.become(STUDENT)
    press_away(reader.open(f"{HERE}name/"), "Take my name off")
    assert STUDENT not in anonymous(reader, HERE + "1/")


def correct(reader: Reader, site: DemoSite) -> None:
    """A revision with its reason goes the same way; the edition before stays readable."""
    reader.become(OPERATOR)
    browser = reader.open(f"{HERE}1/review/")
    follow(browser, "Correct")
    browser.find_element(By.NAME, "reason").send_keys("A log came late.")
    press_away(browser, "Correct")
    assert browser.current_url.endswith(f"{HERE}1.1/review/")
    submit(reader, "1.1")
    the_review_ends(site)
    approve(reader, "1.1")
    assert "This edition was corrected" in anonymous(reader, HERE + "1/")
    assert "A log came late." in anonymous(reader, HERE + "1/")
    read_without_a_login(reader, "1.1")


def withdraw(reader: Reader) -> None:
    """It is gone, and says why."""
    reader.become(OPERATOR)
    browser = reader.open(f"{HERE}1.1/review/")
    follow(browser, "Withdraw")
    browser.find_element(By.NAME, "reason").send_keys("The meters were mixed up.")
    press_away(browser, "Withdraw")
    reader.become("")
    for number in ("1", "1.1"):
        browser = reader.open(f"{HERE}{number}/")
        check_page(reader, 410)
        assert "The meters were mixed up." in main(browser)
        assert not browser.find_elements(By.ID, "board-table")
    reader.become(OPERATOR)
    history = main(reader.open(f"{HERE}manage/"))
    for word in ("board made", "put up for review", "objection answered", "approved and published", "withdrawn"):
        assert word in history


# --- Hands ----------------------------------------------------------------------------------------


def anonymous(reader: Reader, path: str) -> str:
    """What a reader who is not logged in gets to see."""
    reader.become("")
    return reader.open(path).page_source


def fill(browser: Chrome, **fields: str) -> None:
    for name, text in fields.items():
        browser.find_element(By.NAME, name).send_keys(text)


def set_day(browser: Chrome, name: str, day: str) -> None:
    """How a day is typed depends on the browser's language."""
    browser.execute_script("arguments[0].value = arguments[1]", browser.find_element(By.NAME, name), day)
