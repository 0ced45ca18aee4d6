"""Takes the pictures of the README from a study's report: python -m docs.screenshots runs/bn-placement/spar.

Needs Chromium and the group `test` of the dependencies. The pictures are written into docs/images, or into the folder
that --into names, the same ones for the same report, browser and fonts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from har.evaluation.report import write_report
from tests.browser import browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent / "images"
PICTURES = {  # file: width and height of the window, scheme, the section at its top (empty: the page's beginning)
    "report.png": (1000, 1000, "light", ""),
    "report-dark.png": (1000, 800, "dark", "#activities"),
    "report-phone.png": (390, 800, "light", "#differences"),
    "report-phone-dark.png": (390, 800, "dark", "#timeline"),
}


def take(page: Page, section: str, path: Path) -> None:
    """Save what the window shows of a page, from the top of a section on."""
    if section:
        page.locator(section).evaluate("(found) => scrollTo(0, found.getBoundingClientRect().top + scrollY)")
    page.screenshot(path=path)


def main() -> None:
    """Write the report of a study again and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="a study's folder")
    parser.add_argument("--into", type=Path, default=IMAGES, metavar="FOLDER", help="other than docs/images")
    options = parser.parse_args()
    report = write_report(options.study).resolve()
    options.into.mkdir(parents=True, exist_ok=True)
    with browser() as started:
        for name, (width, height, scheme, section) in PICTURES.items():
            page = started.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(report.as_uri())
            take(page, section, options.into / name)
            page.close()


if __name__ == "__main__":
    main()
