"""A real browser without a screen, for pages; skipped where the machine has no Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, sync_playwright

_QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@dataclass(slots=True)
class Visit:
    """A page in a browser, and all that it complained of so far."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@contextmanager
def visiting(url: str, width: int = 1200, height: int = 900) -> Iterator[Visit]:
    """Open a page in headless Chromium of this size in CSS pixels."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_QUIET)
        page = browser.new_page(viewport={"width": width, "height": height})
        visit = Visit(page)
        page.on("console", lambda message: visit.complaints.append(message.text))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("requestfailed", lambda request: visit.complaints.append(request.url))
        try:
            page.goto(url)
            yield visit
        finally:
            browser.close()
