"""Errors of a card: each once, with the line and the key as the person wrote it."""

import re

import pytest
import yaml

from har.datasets.places import in_their_lines
from har.datasets.registry import card_names, get_card, load_card
from har.errors import UsageError
from har.strict_yaml import key_lines
from tests.datasets.own import CARD

GROUP = "  - {name: acc, axes: [x, y, z], sensor: accelerometer, site: wrist, unit: m/s²}"
PULSE = "\n  - {name: pulse, sensor: heart, site: wrist, axis: '-', unit: bpm}"


def errors(tmp_path, old, new, card=CARD):
    """Return the errors of the card in which one piece of text was exchanged, as they are printed."""
    assert old in card
    path = tmp_path / "mine.yaml"
    path.write_text(card.replace(old, new))
    with pytest.raises(UsageError) as caught:
        load_card(path)
    first, *listed = caught.value.what.split("\n  - ")
    assert first == f"card {path} has {len(listed)} error{'s' * (len(listed) > 1)}:"
    return listed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rate_hz: 50", "rate_hz: 0", "line 4: rate_hz: 0.0 is not a rate"),
        ("rate_hz: 50", "rate_hz: 0.02", "line 4: rate_hz: at 0.02 Hz each sample is further from the next than a gap"),
        ("rate_hz: 50", "rate_hertz: 50", "line 4: key 'rate_hertz' is not known"),
        ("kind: folder", "kind: wheel", "line 2: source.kind: 'wheel' is not known"),
        ("kind: folder", "kind: folder, foo: 1", "line 2: source: key 'foo' is not known"),
        ("unit: m/s²", "unit: G", "line 6: channels[0].unit: 'G' is not known. Did you mean 'g'"),
        ("site: wrist", "site: 7", "line 6: channels[0].site: text (in quotes where it looks like a number)"),
        (", site: wrist", "", "line 6: channels[0]: key 'site' is missing"),
        ("name: acc, ", "", "line 6: channels[0]: key 'name' is missing"),
        ("[x, y, z]", "xyz", "line 6: channels[0].axes: a list of names"),
        ("[x, y, z]", "[x, y, x]", "line 5: channels (names): acc_x stands more than once"),
        (GROUP, f"{GROUP}\n{GROUP}", "line 5: channels (names): acc_x, acc_y, acc_z stand more than once"),
        ("sit: sitting", "sit: 5", "line 7: activities.sit: text"),
        ('path: "{subject}', 'path: "{Subject}', "line 9: files.path: {Subject} is no group"),
        ("[ax, ay, az]", "[ax, ay]", "line 10: files.columns.acc: 2 columns for the 3 channels"),
        ("[ax, ay, az]", "[ax, ay, 1.5]", "line 10: files.columns.acc: a whole number or text"),
        ("{acc: [ax", "{accel: [ax", "line 10: files.columns.accel: 'accel' is not a channel. Did you mean 'acc'?"),
        ("column: activity", "column: activity, drop: 3", "line 11: files.label.drop: a list is expected, not 3"),
    ],
)
def test_an_error_is_named_once_with_its_line_and_its_key(old, new, said, tmp_path):
    found = errors(tmp_path, old, new)
    assert found[-1].startswith(said)
    assert [line for line in found[:-1] if "is missing" not in line] == []


def test_a_single_channel_is_numbered_as_it_was_written(tmp_path):
    card = CARD.replace(GROUP, GROUP + PULSE).replace("az]", "az], pulse: p")
    assert errors(tmp_path, "bpm", "beats", card)[0].startswith("line 7: channels[1].unit: 'beats' is not known")
    assert errors(tmp_path, "sensor: heart", "sensor: [1]", card)[0].startswith("line 7: channels[1].sensor: text")
    assert errors(tmp_path, "axis: '-', ", "", card) == ["line 7: channels[1]: key 'axis' is missing"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unit: g", "unit: G", "line 8: channels[0].sensors[0].unit: 'G' is not known"),
        ("{l: left, r: right}", "{l: left, r: 7}", "line 6: channels[0].sites.r: text"),
        ("{l: left, r: right}", "[left, right]", "line 6: channels[0].sites: names with sites such as"),
        ("sensors:\n", "sensors: 3\n", "line 7: channels[0].sensors: a list such as"),
        ("unit: g", "unit: g, site: wrist", "line 8: channels[0].sensors[0]: key 'site' is not known"),
        ("sites: {", "foo: 1, sites: {", None),
        ("unit: g", "unite: g", "line 8: channels[0].sensors[0]: key 'unite' is not known. Did you mean 'unit'"),
        ("name: acc, ", "", "line 8: channels[0].sensors[0]: key 'name' is missing"),
        ("r: 4-6", "r: 4-7", "line 12: files.columns.r: 4 columns for the 3 channels r_acc_x, r_acc_y, r_acc_z"),
    ],
)
def test_errors_of_sensors_at_sites_are_named_once(old, new, said, tmp_path):
    sites = """\
  - sites: {l: left, r: right}
    sensors:
      - {name: acc, axes: [x, y, z], sensor: accelerometer, unit: g}"""
    card = CARD.replace(GROUP, sites).replace("{acc: [ax, ay, az]}", "{l: 1-3, r: 4-6}")
    if said is None:
        found = errors(tmp_path, "    sensors:", "    foo: 1\n    sensors:", card)
        said = "line 7: channels[0]: key 'foo' is not known"
    elif "sensors: 3" in new:
        found = errors(tmp_path, card[card.index("    sensors") : card.index("activities")], "    sensors: 3\n", card)
    else:
        found = errors(tmp_path, old, new, card)
    assert [line for line in found if "is missing" not in line or line.startswith(said)][-1].startswith(said)
    assert len(found) == 1 + ("unite" in new)


def test_tables_are_named_as_they_were_written(tmp_path):
    tables = (
        "format: {delimiter: ';;'}\n  tables:\n"
        '    - {path: "a_{subject}.csv", columns: {acc_x: ax, acc_y: ay}}\n'
        '    - {path: "b_{subject}.csv", columns: {acc_z: az}}\n'
    )
    card = re.sub(r"path: .*\n  columns:.*\n", tables, CARD)
    assert errors(tmp_path, "b_{subject}", "{", card)[0].startswith("line 12: files.tables[1].path:")
    (shared,) = errors(tmp_path, "name: mine", "name: mine ", card)  # not once for each table
    assert shared.startswith("line 9: files.format.delimiter: one character")
    (_, own) = errors(tmp_path, "{acc_z: az}", "{acc_z: az}, format: {skip_rows: -1}", card)
    assert own.startswith("line 12: files.tables[1].format.skip_rows: -1")


def test_errors_stand_in_the_order_of_their_lines(tmp_path):
    found = errors(tmp_path, "rate_hz: 50", "rate_hz: 0", CARD.replace("wrist, unit: m/s²", "wrist, unit: G"))
    assert [line.split(":")[0] for line in found] == ["line 4", "line 6"]
    (missing,) = errors(tmp_path, "reader: files\n", "")
    assert missing == "key 'reader' is missing"


def test_a_key_is_no_begin_of_another_one():
    assert in_their_lines(["rate_hz: no", "rate: no"], {"rate": 3}) == ["rate_hz: no", "line 3: rate: no"]


@pytest.mark.parametrize("name", card_names())
def test_every_key_of_a_built_in_card_has_its_line(name):
    from har.datasets.registry import _CARDS

    path = _CARDS / f"{name}.yaml"
    text, lines = path.read_text(encoding="utf-8").splitlines(), key_lines(path)
    assert get_card(name)
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= set(lines)
    for key, line in lines.items():
        last = re.search(r"([^.\[\]]*)(\[\d+\])?$", key)
        assert last[2] or last[1] in text[line - 1], (key, line)


def test_a_card_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    for text in ("", "- a\n", "just text\n", "1,2,3\n" * 1000):
        path.write_text(text)
        with pytest.raises(UsageError, match="keys with values are expected") as caught:
            load_card(path)
        assert len(str(caught.value)) < 300
