"""The pages in a real browser: nothing leaves, tables sort, figures and tables are saved, all of it can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from har.commands.evaluate import main as evaluate
from har.evaluation.report import write_figure, write_report
from tests.browser import opener
from tests.fakes.study import FakeStudy, write_study

# Chromium lets a page save ten files in a row and then no more for a while.
KEEP_WHAT_IS_SAVED = """
    window.saved = [];
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => { window.saved.push(blob); return make(blob); };
"""
WIDTHS = {"phone": 390, "narrow phone": 320, "screen": 1200, "A4 without its margins": 688}
BEFORE, AFTER = "=cmd|' /C calc'!A0", '<script>alert("a, b")</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with names that mean harm, an activity that nobody has, and numbers of training subjects; its report."""
    plan = FakeStudy(
        hit={BEFORE: 0.6, AFTER: 0.9, "a name that is much longer than its place in a figure": 0.7},
        contrasts=[(AFTER, BEFORE), (BEFORE, "a name that is much longer than its place in a figure")],
        activities=["walk", "sit", 'up "and" down, <b>stairs</b>', "@home"],
        absent={str(number): ["@home"] for number in range(1, 6)},
        subjects=5,
        train_subjects=[1, 2],
    )
    folder = write_study(tmp_path_factory.mktemp("browser") / "runs" / "placement" / "fake", plan)
    write_report(folder)
    return folder


@pytest.fixture
def show(chrome):
    """Open a page with all that folds; nothing may be said on its console or asked of the network."""
    with opener(chrome) as opened:

        def unfolded(path, *, width=1200, scheme="light", **options):
            options |= {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
            page = opened(path.as_uri(), KEEP_WHAT_IS_SAVED, **options)
            page.evaluate("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
            return page

        yield unfolded


def column(page, table, head):
    """The cells of one column as the reader sees them."""
    return page.evaluate(
        """([name, head]) => {
            const table = document.querySelector(`table[data-name="${name}"]`);
            const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === head);
            return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
        }""",
        [table, head],
    )


def header(page, table, head):
    return page.locator(f'table[data-name="{table}"] th').filter(has_text=head).first


def test_nothing_that_is_slipped_into_the_page_reaches_the_network_or_runs(chrome, folder):
    page = chrome.new_page()
    asked = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: asked.append(request.failure))
    page.goto((folder / "report.html").as_uri())
    refused = page.evaluate(
        """async () => {
            const refused = [];
            document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/image.png";
            document.body.append(script, image);
            await fetch("http://127.0.0.1:9/").catch(() => {});
            await new Promise((done) => setTimeout(done, 50));
            return [refused.sort(), window.ran === undefined];
        }"""
    )
    page.close()
    assert refused == [["connect-src", "img-src", "script-src-elem"], True]
    assert asked == [(folder / "report.html").as_uri(), "csp"]


def test_numbers_sort_as_numbers_and_what_is_undefined_stays_last(show, folder):
    page = show(folder / "report.html")
    table, head = "precision-recall", "F1, 95 % from"
    before = column(page, table, head)
    assert "n/a" in before
    button = header(page, table, head).locator("button")
    for state in ("ascending", "descending"):
        button.click()
        assert header(page, table, head).get_attribute("aria-sort") == state
        assert page.locator(f'table[data-name="{table}"] [aria-sort="{state}"]').count() == 1
        cells = column(page, table, head)
        numbers = [float(cell) for cell in cells if cell != "n/a"]
        assert numbers == sorted(numbers, reverse=state == "descending")
        assert cells[len(numbers) :] == ["n/a"] * (len(cells) - len(numbers))
    button.click()
    assert column(page, table, head) == before


def test_signed_numbers_sort_by_their_value(show, folder):
    page = show(folder / "report.html")
    header(page, "training-contrasts", "a - b, F1 points").locator("button").click()
    points = [float(cell.replace("−", "-")) for cell in column(page, "training-contrasts", "a - b, F1 points")]
    assert points == sorted(points)
    assert points[0] < 0 < points[-1]


def test_tables_sort_by_the_keyboard(show, folder):
    page = show(folder / "report.html")
    header(page, "subjects", "subject").locator("button").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == BEFORE
    page.keyboard.press("Enter")
    assert header(page, "subjects", BEFORE).get_attribute("aria-sort") == "ascending"
    scores = [float(cell) for cell in column(page, "subjects", BEFORE)]
    assert scores == sorted(scores)
    page.keyboard.press("Space")
    assert header(page, "subjects", BEFORE).get_attribute("aria-sort") == "descending"


def test_every_table_is_saved_with_the_bytes_of_its_file(show, folder):
    page = show(folder / "report.html")
    for button in page.locator("th:first-child button").all():
        button.click()  # a sorted table is saved as it was
    names = [button.get_attribute("data-csv") for button in page.locator("[data-csv]").all()]
    texts = page.evaluate(
        """() => {
            document.querySelectorAll("[data-csv]").forEach((button) => button.click());
            return Promise.all(saved.map((blob) => blob.text()));
        }"""
    )
    for name, text in zip(names, texts, strict=True):
        assert text == (folder / "tables" / f"{name}.csv").read_text(), name
    assert set(names) == {path.stem for path in (folder / "tables").iterdir()} - {"confusion-subjects"}


def test_a_table_is_saved_under_the_name_of_its_file(show, folder):
    page = show(folder / "report.html")
    with page.expect_download() as saved:
        page.locator('[data-csv="contrasts"]').click()
    assert saved.value.suggested_filename == "contrasts.csv"
    assert Path(saved.value.path()).read_bytes() == (folder / "tables" / "contrasts.csv").read_bytes()


def test_every_figure_is_saved_as_the_file_that_its_command_draws(show, folder):
    page = show(folder / "report.html", scheme="dark")
    texts = page.evaluate(
        """() => {
            document.querySelectorAll("[data-svg]").forEach((button) => button.click());
            return Promise.all(saved.map((blob) => blob.text()));
        }"""
    )
    assert len(texts) == page.locator("figure").count() > 10
    for text in texts:
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 (our own figure)
        assert "var(" not in text
    page.wait_for_timeout(1100)
    with page.expect_download() as saved:
        page.locator('[data-svg="differences"]').click()
    assert saved.value.suggested_filename == "differences.svg"
    ours, theirs = (
        ET.canonicalize(from_file=path) for path in (write_figure(folder, "differences"), saved.value.path())
    )
    assert ours == theirs


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_overflows_and_no_label_leaves_its_figure(show, folder, width):
    page = show(folder / "report.html", width=width)
    if width == WIDTHS["A4 without its margins"]:
        page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll("figure svg")].flatMap((svg) => {
            const room = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("text")].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < room.left - 1 || box.right > room.right + 1
                    || box.top < room.top - 1 || box.bottom > room.bottom + 1;
            }).map((text) => text.textContent);
        })"""
    )
    assert outside == []


@pytest.mark.parametrize(("width", "least"), [(390, 10.5), (320, 9)])
def test_letters_of_figures_are_large_enough_for_a_phone(show, folder, width, least):
    page = show(folder / "report.html", width=width)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("figure svg text")].map((text) => {
            const drawn = text.getScreenCTM();
            return [parseFloat(getComputedStyle(text).fontSize) * Math.hypot(drawn.a, drawn.b), text.textContent];
        })"""
    )
    assert len(sizes) > 100
    assert min(sizes)[0] >= least, min(sizes)


def test_a_wide_figure_moves_sideways_on_a_phone_and_is_whole_on_paper(show, tmp_path):
    activities = [f"activity number {number}" for number in range(1, 19)]
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=2, activities=activities, windows=2))
    write_report(folder)
    page = show(folder / "report.html", width=390)
    rooms = """() => [...document.querySelectorAll("[id^=figure-confusion-] > div")].map(
        (found) => found.scrollWidth - found.clientWidth)"""
    assert min(page.evaluate(rooms)[1:]) > 50
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(media="print")
    assert max(page.evaluate(rooms)) <= 1


CONTRAST = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const behind = (found) => {
        for (; found; found = found.parentElement) {
            const colour = getComputedStyle(found).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return colour;
        }
    };
    const probe = document.body.appendChild(document.createElement("i"));
    const named = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
    const page = named("page"), faint = [];
    for (const found of document.body.querySelectorAll("*")) {
        const own = [...found.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !found.getClientRects().length) continue;
        const style = getComputedStyle(found);
        const ratio = contrast(found.tagName === "text" ? style.fill : style.color, behind(found));
        if (ratio < 4.5) faint.push([found.textContent.slice(0, 40), ratio]);
    }
    for (const number of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const ratio = contrast(named(`c${number}`), page);
        if (ratio < 3) faint.push([`c${number}`, ratio]);
    }
    if (contrast(named("ink"), named("cell")) < 4.5) faint.push(["digits of a confusion"]);
    return [page, faint];
}"""


def test_letters_and_marks_stand_out_in_light_and_dark_and_the_reader_may_choose(show, folder):
    pages = {}
    for scheme in ("light", "dark"):
        page = show(folder / "report.html", scheme=scheme)
        pages[scheme], faint = page.evaluate(CONTRAST)
        assert faint == []
        other = {"light": "Dark", "dark": "Light"}[scheme]
        page.get_by_role("button", name=other, exact=True).click()
        chosen, faint = page.evaluate(CONTRAST)
        assert faint == []
        assert chosen != pages[scheme]
    assert pages["light"] != pages["dark"]


def test_without_script_the_page_is_whole_and_offers_nothing_that_needs_it(show, folder):
    page = show(folder / "report.html", java_script_enabled=False)
    assert page.locator("button:visible").count() == 0
    assert page.locator("table").count() > 10
    assert page.locator('table[data-name="contrasts"]').is_visible()
    assert page.locator("figure svg").first.is_visible()


def test_the_page_of_a_run_opens_quietly_and_fits_a_phone(show, folder, capsys):
    run = next(path.parent for path in folder.glob("v1/*/*/run.json"))
    assert evaluate([str(run), "--html"]) == 0
    page = show(run / "scores.html", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    header(page, "activities", "F1").locator("button").click()
    assert header(page, "activities", "F1").get_attribute("aria-sort") == "ascending"
    with page.expect_download() as saved:
        page.locator('[data-svg="confusion"]').click()
    assert saved.value.suggested_filename == "confusion.svg"


def test_what_is_wrong_with_a_study_stands_on_the_first_screen_of_a_phone(show, tmp_path):
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=3))
    (folder / "v1" / "subject-2" / "repeat-0" / "run.json").unlink()
    write_report(folder)
    first = show(folder / "report.html", width=390).locator(".problems li").first
    assert "subject-2/repeat-0 does not count" in first.text_content()
    box = first.bounding_box()
    assert box["y"] + box["height"] < 800  # the height of the window
