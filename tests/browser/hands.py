"""What a person does in a page: reads it, presses, follows a link, waits for words.

A page may go, or replace a part of itself, between any two questions to the browser; so what is read is read by one.
"""

from __future__ import annotations

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.looking import SECONDS

# As WebDriver writes a text: a line for each block, plain blanks.
READ = """
    const shown = document.querySelector("main")?.innerText ?? "";
    return shown.replace(/[ \\t\\u00a0]+/g, " ").replace(/ ?\\n\\s*/g, "\\n");
"""
NAMED = """
    return [...document.querySelectorAll(`main ${arguments[0]}`)]
        .find((one) => one.innerText.replace(/\\s+/g, " ").trim() === arguments[1] && one.checkVisibility());
"""


def main(browser: Chrome) -> str:
    """The text of the page as it is shown now; nothing while it is on its way."""
    return str(browser.execute_script(READ))


def until(browser: Chrome, words: str) -> None:
    """Wait until the page says so; it may be on its way, or change by itself."""
    WebDriverWait(browser, SECONDS).until(lambda b: words in main(b), f"never said: {words}")


def press(browser: Chrome, words: str) -> None:
    """Press a button; what it does may stay within the page."""
    _named(browser, "button", words).click()


def press_away(browser: Chrome, words: str) -> None:
    """Press a button, and wait for the page to which it leads."""
    _leaving(browser, _named(browser, "button", words))


def follow(browser: Chrome, words: str) -> None:
    """Follow a link, and wait for its page."""
    _leaving(browser, _named(browser, "a", words))


def _named(browser: Chrome, kind: str, words: str) -> WebElement:
    waited = WebDriverWait(browser, SECONDS)
    found: WebElement = waited.until(lambda b: b.execute_script(NAMED, kind, words), f"no {kind} named {words}")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def _leaving(browser: Chrome, element: WebElement) -> None:
    before = browser.find_element(By.TAG_NAME, "html")
    element.click()
    waited = WebDriverWait(browser, SECONDS)
    waited.until(lambda b: b.find_element(By.TAG_NAME, "html") != before, "no page came")
    waited.until(lambda b: b.execute_script("return document.readyState") == "complete", "the page never came whole")
