"""Drafts: what is guessed about a folder of tables, and that the draft is a card that reads them."""

import re

import numpy as np
import pytest

from har.__main__ import main
from har.datasets.draft import draft
from har.datasets.registry import load_card
from har.errors import DataError
from tests.datasets.own import all_of, write
from tests.fakes import motionsense


def table(rows=120, rate_hz=50, unit=1000, start=5000, delimiter=",", decimal=".", header=True, g=9.81, seed=0):
    """Return a table with a clock, three axes and two activities."""
    random = np.random.default_rng(seed)
    acc = random.normal((0, 0, g), 0.05 * g, (rows, 3))
    time = [f"{start + i * unit / rate_hz:.10g}" for i in range(rows)]
    lines = [delimiter.join(["time", "acc_x", "acc_y", "acc_z", "activity"])] if header else []
    for i in range(rows):
        values = [time[i], *(f"{value:.4f}" for value in acc[i])]
        lines.append(
            delimiter.join([*(v.replace(".", decimal) for v in values), "walk" if i < rows // 2 else "Sit down"])
        )
    return "\n".join(lines) + "\n"


def drafted(tmp_path, files):
    folder = write(tmp_path / "My walks", files)
    path = tmp_path / "card.yaml"
    path.write_text(draft(folder))
    card = load_card(path)
    return card, all_of(card, folder), path.read_text()


def test_a_draft_is_a_card_that_reads_the_folder(tmp_path):
    files = {f"{who}/day_{day:02}.csv": table() for who in ("anna", "ben") for day in (1, 10)}
    card, found, text = drafted(tmp_path, files)
    assert card.name == "my-walks"
    assert card.rate_hz == 50
    first = card.channels[0]
    assert (first.name, first.unit, first.sensor) == ("acc_x", "m/s²", "accelerometer")
    assert {a.code: a.name for a in card.activities} == {"Sit down": "sit-down", "walk": "walk"}
    assert [(r.subject, r.trial, len(r.label_T)) for r in found] == [
        ("anna", "1", 120),
        ("anna", "10", 120),
        ("ben", "1", 120),
        ("ben", "10", 120),
    ]
    assert found[0].streams[0].time_s[1] - found[0].streams[0].time_s[0] == pytest.approx(0.02)
    assert text.count("CHECK") >= 5


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";", "decimal": ","},
        {"delimiter": "\t"},
        {"header": False},
        {"unit": 1, "start": 0, "rate_hz": 20},
        {"unit": 1e9, "rate_hz": 100},
        {"g": 1.0},
        {"g": 1000.0},
    ],
)
def test_format_rate_and_unit_are_found(options, tmp_path):
    card, found, _ = drafted(tmp_path, {f"s{i}.csv": table(seed=i, **options) for i in (1, 2)})
    assert card.rate_hz == options.get("rate_hz", 50)
    steps_s = np.diff(found[0].streams[0].time_s)
    np.testing.assert_allclose(steps_s, 1 / card.rate_hz, rtol=1e-3)
    assert card.channels[0].unit == {1.0: "g", 1000.0: "mg"}.get(options.get("g", 9.81), "m/s²")
    assert [r.subject for r in found] == ["1", "2"]
    assert np.bincount(found[0].label_T).tolist() == [60, 60]


@pytest.mark.parametrize("rate_hz", [12.5, 25.6, 31.25, 51.2, 62.5, 102.4, 19.86])
def test_a_rate_that_is_no_whole_number_stays_so(rate_hz, tmp_path):
    text = draft(write(tmp_path / "raw", {"s1.csv": table(rate_hz=rate_hz, unit=1e9)}))
    assert f"\nrate_hz: {rate_hz}  #" in text


def test_whole_milliseconds_do_not_bend_the_rate(tmp_path):
    text = re.sub(r"(?m)^(\d+)\.\d+", r"\1", table(rate_hz=30, rows=400))
    assert "\nrate_hz: 30  #" in draft(write(tmp_path / "raw", {"s1.csv": text}))


@pytest.mark.parametrize(
    ("pattern", "unit", "remark"),
    [
        ("acc_{} [mg]", "mg", ""),
        ("Acceleration {} (m/s^2)", "m/s²", ""),
        ("acc_{}_g", "g", ""),
        ("gyro_{}_dps", "°/s", ""),
        ("acc_{} [LSB]", "m/s²", "the header says LSB; "),
    ],
)
def test_units_in_headers_are_taken(pattern, unit, remark, tmp_path):
    text = table()
    for axis in "xyz":
        text = text.replace(f"acc_{axis}", pattern.format(axis), 1)
    card, found, said = drafted(tmp_path, {"s1.csv": text, "s2.csv": text})
    assert [channel.unit for channel in card.channels] == [unit] * 3
    assert len(found) == 2
    assert f"# {remark}median" in said


def test_subjects_in_a_column_are_groups(tmp_path):
    rows = table().splitlines()
    text = "\n".join([f"user,{rows[0]}", *(f"{'ab'[i >= 60]},{row}" for i, row in enumerate(rows[1:]))])
    card, found, _ = drafted(tmp_path, {"all.csv": text})
    assert card.files.tables[0].groups == {"subject": "user"}
    assert [(r.subject, len(r.label_T)) for r in found] == [("a", 60), ("b", 60)]


def test_activities_may_stand_in_the_names(tmp_path):
    motionsense.write(tmp_path / "raw")
    (tmp_path / "card.yaml").write_text(draft(tmp_path / "raw"))
    card = load_card(tmp_path / "card.yaml")
    assert card.files.tables[0].path == "A_DeviceMotion_data/{activity}_{trial:d}/sub_{subject:d}.csv"
    assert [activity.code for activity in card.activities] == ["dws", "jog", "sit", "std", "ups", "wlk"]
    assert len(all_of(card, tmp_path / "raw")) == 360


@pytest.mark.parametrize("files", [{}, {"1/a.csv": ""}, {"1/a.csv": b"\x00\x01"}, {"1/a.csv": "one\ntwo words\n"}])
def test_a_folder_without_tables_is_refused(files, tmp_path):
    folder = write(tmp_path / "raw", files)
    with pytest.raises(DataError) as caught:
        draft(folder)
    assert caught.value.hint


def test_the_command_prints_the_draft(tmp_path, capsys):
    folder = write(tmp_path / "raw", {"s1.csv": table(), "s2.csv": table()})
    assert main(["datasets", "--new", str(folder)]) == 0
    assert capsys.readouterr().out == draft(folder)
    assert main(["datasets", "--new", str(tmp_path / "none")]) == 3
    assert main(["datasets", "spar", "--new", str(folder)]) == 2
