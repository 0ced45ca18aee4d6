"""A page of planted sections: what it shows, what it carries unseen, and that every text stays text."""

from __future__ import annotations

import html.parser
import xml.etree.ElementTree as ET

from har.evaluation.figures import MARKERS, OKABE_ITO, draw_svg, looks_of, standalone
from har.evaluation.material import Material
from har.evaluation.numbers import Column, Table
from har.evaluation.page import Figure, Fold, Page, Section

HOSTILE = "<img src=x onerror=alert(1)> \"a\" & 'b' {{ 1 + 1 }} | *c*"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path style="fill: var(--ink, #1a1a1a)"/></svg>'


def table(name, title="T", rows=((HOSTILE, 0.5),)):
    return Table(name, title, [Column(HOSTILE), Column("F1", "score")], [list(row) for row in rows], HOSTILE)


def page(*sections, **more):
    return Page(
        HOSTILE, HOSTILE, HOSTILE, [HOSTILE], sections, {"Box": {HOSTILE: HOSTILE}}, [(HOSTILE, HOSTILE)], **more
    )


class Tags(html.parser.HTMLParser):
    """The tags of a page, and its attributes that run something."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.running = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.running += [name for name, _ in attributes if name.startswith("on")]


def test_every_text_of_a_page_stays_text():
    figure = Figure("f", SVG, HOSTILE, table("unseen"))
    section = Section("s", HOSTILE, HOSTILE, [figure], [HOSTILE], [table("t", HOSTILE)], [Fold(HOSTILE, [table("u")])])
    made = page(section, problems=[HOSTILE] * 9, notes=[HOSTILE], again=HOSTILE, footer=HOSTILE)
    found = Tags(made.html())
    assert "img" not in found.tags
    assert found.running == []
    assert made.html().count("&lt;img") > 20
    assert "{{ 1 + 1 }}" in made.html()
    assert "<img" not in made.markdown().replace("      <img", "").replace("    <img", "")  # but in blocks of code


def test_a_figure_brings_its_data_where_no_table_shows_them():
    shown, unseen = table("shown"), table("unseen")
    figures = [Figure("a", SVG, "A", shown), Figure("b", SVG, "B", unseen), Figure("c", SVG, "C", unseen)]
    made = page(Section("s", "S", figures=figures, folds=[Fold("F", [shown])], files=[unseen]))
    assert made.unseen == [unseen]
    assert made.html().count("<template data-file=") == 1
    assert "unseen" not in made.markdown()


def test_tables_without_rows_are_written_and_not_shown(tmp_path):
    empty, alone = table("empty", rows=()), table("alone")
    made = page(Section("s", "S", tables=[empty], folds=[Fold("An empty fold", [empty])], files=[alone]))
    made.write_tables(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"empty.csv", "alone.csv"}
    assert "<table" not in made.html()
    assert "An empty fold" not in made.html()


def test_sixteen_names_can_be_told_apart_by_colour_marker_and_line():
    looks = looks_of(map(str, range(16)))
    assert len({(look["color"], look["marker"], look["ls"]) for look in looks.values()}) == 16
    assert [look["color"] for look in looks.values()] == [*OKABE_ITO, *OKABE_ITO]
    assert {look["marker"] for look in looks.values()} == set(MARKERS)


def test_a_crowded_figure_shows_the_arms_of_the_contrasts_first():
    names = [f"v{number}" for number in range(12)]
    contrasts = [{"a": "v11", "b": "v0"}, {"a": "v9@target", "b": "v9"}]
    variants = dict.fromkeys([*names, "v9@target", "v9@population"])
    material = Material(None, None, {"variants": variants, "contrasts": contrasts})
    assert list(material.looks) == [*names, "v9@target"]
    assert set(material.shown) == {"v11", "v0", "v9", "v9@target", "v1", "v2", "v3", "v4"}
    assert material.shown["v11"] == material.looks["v11"]
    assert set(material.trained) == {"v11", "v0", "v9", "v1", "v2", "v3", "v4"}
    assert material.left_out() == " Shown are 8 of 14; the tables have all."


def test_a_figure_of_its_own_has_colours_in_place_of_variables():
    svg = draw_svg("f", (2, 2), lambda figure: figure.subplots().plot([0, 1], color=OKABE_ITO[0]))
    assert f"stroke: var(--c0, {OKABE_ITO[0]})" in svg
    assert f"stroke: {OKABE_ITO[0]}" in standalone(svg)
    assert "var(" not in standalone(svg)


def test_a_name_in_a_figure_that_looks_like_its_code_stays_as_it_is():
    name = ' id="x" d="M 0.12345" url(#y) href="#z" fill: #010101; > <'
    svg = draw_svg("f", (2, 2), lambda figure: figure.text(0, 0.5, name))
    assert [found.text for found in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")] == [name]  # noqa: S314
