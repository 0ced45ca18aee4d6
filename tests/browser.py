"""The browser that pages are looked at with: Chromium of the system, driven by playwright, which brings none itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# In a container, root may have neither a sandbox nor shared memory to speak of; the pages are our own.
_ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")

_PATIENCE_MS = 60_000  # ends a wait in vain; a busy machine may be slow


def chromium() -> str | None:
    """Return the path of the system's Chromium, if there is one."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium without a window, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=_ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


def note(page: Page, said: list[str]) -> None:
    """Have what a page says on its console, what goes wrong in it and what it asks for put into a list."""
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))


@contextmanager
def opener(started: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages; in the end, nothing may have been said on a console or asked of any place but the pages' own.

    Yields:
        A function of a page's address, a script that runs before the page's own, and options of a browser's context.
    """
    contexts, said = [], list[str]()

    def opened(url: str, script: str, **options: Any) -> Page:
        contexts.append(started.new_context(**options))
        contexts[-1].set_default_timeout(_PATIENCE_MS)
        page = contexts[-1].new_page()
        note(page, said)
        page.add_init_script(script)
        page.goto(url)
        assert said.pop(0) == url
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
