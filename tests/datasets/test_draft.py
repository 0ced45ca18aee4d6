"""Drafts: what is guessed about a folder of tables, and that the draft is a card that reads them."""

import re

import numpy as np
import pytest
import yaml

import har.datasets.text
from har.__main__ import main
from har.datasets.draft import draft
from har.datasets.registry import card_names, get_card, load_card
from har.errors import DataError
from tests.datasets.drafting import drafted, table, without_labels
from tests.datasets.own import all_of, write
from tests.fakes import motionsense
from tests.fakes.stores import faked


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
    ("folder", "name"),
    [
        ("Läufe", "laufe"),
        ("La\u0308ufe 2", "laufe-2"),
        ("Straße_Łódź", "strasse-lodz"),
        ("Ærø", "aero"),
        ("...", "mine"),
    ],
)
def test_a_folders_name_loses_accents_and_no_letters(tmp_path, folder, name):
    assert f"\nname: {name}\n" in draft(write(tmp_path / folder, {"anna/a.csv": table(rows=30)}))


@pytest.mark.parametrize("folder", ["2024", "no", "1e5", "2024-05-01"])
def test_a_folders_name_that_yaml_takes_for_something_else_is_text(tmp_path, folder):
    path = tmp_path / "card.yaml"
    path.write_text(draft(write(tmp_path / folder, {f"{who}/a.csv": table(rows=1) for who in ("anna", "ben")})))
    assert load_card(path).name == folder


@pytest.mark.parametrize(("folder", "name"), [("測定", "mine"), ("бег week", "week")])
def test_a_name_that_stands_in_for_one_in_another_script_says_so(tmp_path, folder, name):
    text = draft(write(tmp_path / folder, {"anna/a.csv": table(rows=30)}))
    assert f"\nname: {name}  # a stand-in for the folder's: a to z, digits and '-' alone make a name. CHECK\n" in text


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


def test_a_column_that_only_seems_to_rise_is_no_clock(tmp_path):
    text = re.sub(r"(?m)^(\d+)(?=,)", lambda found: str(int(found[1]) // 40 * 40), table()).replace("time,", "steps,")
    assert "no timestamps were found" in draft(write(tmp_path, {"s1.csv": text}))


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


def test_activities_are_sought_in_names_only_where_no_column_says_them(tmp_path):
    files = {f"{who}/{when}/imu.csv": table(rows=60) for who in ("anna", "ben") for when in ("morning", "evening")}
    card, found, _ = drafted(tmp_path, files)
    assert card.files.tables[0].path == "{subject}/{trial}/imu.csv"
    assert [(r.subject, r.trial) for r in found][:2] == [("anna", "evening"), ("anna", "morning")]


def test_files_that_are_passed_over_are_listed_with_the_reason(tmp_path):
    files = {
        **{f"P{i:02}_{what}.csv": table(rows=30) for i in (1, 2) for what in ("walk", "sit")},
        "people.csv": "person,age\n1,30\n2,40\n",
        "deep/er/P09_walk.csv": table(rows=30),
        "README.md": "read me",
        "notes.txt": "",
        "P99_empty.csv": "time,acc_x,acc_y,acc_z,activity\n",
        "strange.csv": b"a,b\n\xff,2\n",
        ".hidden.csv": "x",
        **{f"video{i}.mp4": b"\x00" for i in range(12)},
    }
    text = draft(write(tmp_path, files))
    assert 'path: "P{subject:d}_{trial}.csv"' in text
    passed = [line for line in text.splitlines() if line.startswith("# Passed over: ")]
    for said in (
        "people.csv: other columns: person, age.",
        "deep/er/P09_walk.csv: the same columns, but at another depth or under another kind of name.",
        "notes.txt: is empty (0 bytes).",
        "P99_empty.csv: nothing follows its first line; but the path matches it, so move it away.",
        "strange.csv: line 2: byte 0xff is not UTF-8.",
    ):
        assert f"# Passed over: {said}" in passed
    (many,) = [line for line in passed if "README.md" in line]
    assert many.endswith("video6.mp4 and 5 more: does not end as a table (.csv, .tsv, .txt, .dat, .log).")
    assert "hidden" not in text
    assert len(passed) == 6


def test_one_file_of_other_columns_does_not_spoil_the_pattern(tmp_path):
    files = {f"P{i:02}_{what}.csv": table(rows=30) for i in (1, 2) for what in ("walk", "sit")}
    plain = {name: re.sub(r"(?m),[^,]*$", "", text) for name, text in files.items()}
    card, found, _ = drafted(tmp_path, {**plain, "people.csv": "person,age\n1,30\n"})
    assert card.files.tables[0].path == "P{subject:d}_{activity}.csv"
    assert [activity.code for activity in card.activities] == ["sit", "walk"]
    assert len(found) == 4


def test_files_of_several_sensors_are_joined(tmp_path):
    acc = table().replace("acc_", "")
    gyro = re.sub(r"(?m),[^,]*$", "", table(g=1.0, rate_hz=100, rows=240, start=5003)).replace("acc_", "")
    files = {f"subject{i}/{name}.csv": text for i in (1, 2) for name, text in (("gyro", gyro), ("acc", acc))}
    card, found, text = drafted(tmp_path, files)
    assert card.files.join == "time"
    assert [t.path for t in card.files.tables] == ["subject{subject:d}/acc.csv", "subject{subject:d}/gyro.csv"]
    assert [c.name for c in card.channels] == [f"{s}_{axis}" for s in ("acc", "gyro") for axis in "xyz"]
    assert [len(stream.signal_TC) for stream in found[0].streams] == [120, 240]
    assert "100.00 Hz in subject1/gyro.csv" in text
    assert "# 2 files of each: 2 values of subject." in text


def test_files_of_several_sensors_without_a_clock_are_joined_by_row(tmp_path):
    rows = "".join(f"{i % 7} {i % 5 + 0.5} 9.8\n" for i in range(100))
    names = [f"{s}_exp{e:02}_user{e % 2}.txt" for s in ("acc", "gyro") for e in range(1, 5)]
    text = draft(write(tmp_path, dict.fromkeys(names, rows)))
    assert "  join: row\n" in text
    assert 'path: "acc_exp{trial:d}_user{subject:d}.txt", columns: {acc: [1, 2, 3]}' in text
    assert "{name: gyro, axes: [x, y, z], sensor: gyroscope" in text


def test_files_that_cannot_be_joined_are_passed_over(tmp_path):
    rows = [f"{i % 7} {i % 5 + 0.5} 9.8\n" for i in range(100)]
    names = [(f"acc_user{i}.txt", f"gyro_user{i}.txt") for i in (1, 2)]
    files = {acc: "".join(rows) for acc, _ in names} | {gyro: "".join(rows[:-1]) for _, gyro in names}
    text = draft(write(tmp_path, files))
    assert 'path: "acc_user{subject:d}.txt"' in text
    assert "# Passed over: gyro_user1.txt, gyro_user2.txt: the same columns, but at another depth or under" in text


def test_the_table_with_the_activities_is_the_first_and_names_of_channels_differ(tmp_path):
    left, right = without_labels(), table()
    files = {f"s{i}_{side}.csv": text for i in (1, 2) for side, text in (("left", left), ("right", right))}
    card, found, _ = drafted(tmp_path, files)
    assert [own.path for own in card.files.tables] == ["s{subject:d}_right.csv", "s{subject:d}_left.csv"]
    assert [channel.name for channel in card.channels] == [f"{s}_{axis}" for s in ("acc", "acc_2") for axis in "xyz"]
    assert set(found[0].label_T.tolist()) == {0, 1}


def test_a_fault_beyond_the_first_lines_is_named(tmp_path):
    rows = table().splitlines()
    rows[100] = rows[100].replace(",", ",x", 1)
    with pytest.raises(DataError, match=r"s1\.csv, line 101, column 2 \(acc_x\): .* is not a number"):
        draft(write(tmp_path, {"s1.csv": "\n".join(rows)}))


def test_people_who_are_called_as_sensors_are_people(tmp_path):
    card, found, _ = drafted(tmp_path, {f"{who}/a.csv": table(rows=30) for who in ("Magda", "Gyrid", "Protocol")})
    assert [r.subject for r in found] == ["Gyrid", "Magda", "Protocol"]
    assert len(card.files.tables) == 1


def test_a_piece_of_the_name_that_stands_twice_is_one_group(tmp_path):
    files = {f"{day}/user{i}_{day}.csv": table(rows=30) for day in ("mon", "tue") for i in (1, 2)}
    card, found, _ = drafted(tmp_path, files)
    assert card.files.tables[0].path == "{trial}/user{subject:d}_{trial}.csv"
    assert len(found) == 4


def test_a_column_of_subjects_is_preferred_to_a_piece_of_the_name_that_nothing_calls_so(tmp_path):
    rows = table().splitlines()
    text = "\n".join([f"user,{rows[0]}", *(f"{'ab'[i >= 60]},{row}" for i, row in enumerate(rows[1:]))])
    card, found, _ = drafted(tmp_path, {"mon.csv": text, "tue.csv": text})
    assert card.files.tables[0].path == "{trial}.csv"
    assert [(r.subject, r.trial) for r in found] == [("a", "mon"), ("b", "mon"), ("a", "tue"), ("b", "tue")]


def test_rows_that_take_turns_are_seen(tmp_path):
    rows = table().splitlines()
    text = "\n".join([f"user,{rows[0]}", *(f"{'ab'[i % 2]},{rows[1 + i // 2]}" for i in range(120))])
    card, found, said = drafted(tmp_path, {"all.csv": text})  # sorted by time
    assert card.rate_hz == 50
    assert [(r.subject, len(r.label_T)) for r in found] == [("a", 60), ("b", 60)]
    assert "take turns" not in said
    clockless = re.sub(r"(?m)^(\w+),[^,]*", r"\1", text)
    assert "# Rows of several user take turns: without `time`" in draft(
        write(tmp_path / "other", {"all.csv": clockless})
    )
    header, *rows = clockless.splitlines()
    text = "\n".join([header, *sorted(rows)])
    assert "take turns" not in draft(write(tmp_path / "sorted", {"all.csv": text}))


def test_names_that_no_subject_can_have_are_said(tmp_path):
    files = {f"{who}/a.csv": table(rows=30) for who in ("Dora K", "Chloé", "ben")}
    _, _, text = drafted(tmp_path, files)
    assert "# No names of subjects (letters, digits, '-', '_' and '.' alone): 'Dora K'. Rename them." in text


def test_remarks_before_the_header_are_comments_and_a_header_may_begin_as_one(tmp_path):
    text = table()
    files = {"s1.csv": f"# device 7\n# firmware, 2, of May\n{text}", "s2.csv": f"# device 8\n{text}"}
    card, found, _ = drafted(tmp_path, files)
    assert (card.files.tables[0].format.comment, card.files.tables[0].format.skip_rows) == ("#", 0)
    assert [len(r.label_T) for r in found] == [120, 120]
    card, found, _ = drafted(tmp_path / "other", {f"s{i}.csv": f"#{text}" for i in (1, 2)})
    assert card.files.tables[0].format.comment is None
    assert card.files.tables[0].time.column == "#time"
    assert len(found[0].label_T) == 120


def test_lines_of_another_width_before_the_header_are_skipped(tmp_path):
    card, found, _ = drafted(tmp_path, {f"s{i}.csv": f"made by a logger\nof 2024\n{table()}" for i in (1, 2)})
    assert card.files.tables[0].format.skip_rows == 2
    assert len(found[0].label_T) == 120


def test_axes_that_do_not_move_are_axes(tmp_path):
    still = re.sub(r"(?m)^(\d+),[^,]*,[^,]*,[^,]*,", r"\1,0,0,1,", table())
    card, _, text = drafted(tmp_path, {"s1.csv": still, "s2.csv": still})
    assert [channel.name for channel in card.channels] == ["acc_x", "acc_y", "acc_z"]
    assert 'label: {column: "activity"}  # CHECK' in text


def test_a_table_without_numbers_leaves_the_channels_to_the_person(tmp_path):
    text = draft(write(tmp_path, {f"s{i}.csv": "who,what\n" + "anna,walk\n" * 30 for i in (1, 2)}))
    assert "channels: []  # no column of numbers is left" in text


def test_ends_of_lines_are_stripped(tmp_path):
    text = "\n".join(line + ";" for line in table(header=False).splitlines())
    card, found, _ = drafted(tmp_path, {"s1.csv": text, "s2.csv": text})
    assert card.files.tables[0].format.strip == ";"
    assert len(found[0].label_T) == 120


def test_a_large_table_is_looked_at_in_its_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr(har.datasets.text, "BLOCK_BYTES", 2000)
    late = table(rows=1000).replace("Sit down", "jump")  # which the first block does not have
    card, found, _ = drafted(tmp_path, {"s1.csv": late, "s2.csv": late})
    assert [activity.code for activity in card.activities] == ["jump", "walk"]
    assert len(found[0].label_T) == 1000


@pytest.mark.parametrize("name", [name for name in card_names() if get_card(name).reader == "files"])
def test_the_folder_of_every_public_set_can_be_drafted(name, tmp_path):
    faked(name, tmp_path / "raw")
    if name == "usc-had":  # MATLAB alone
        with pytest.raises(DataError):
            draft(tmp_path / "raw")
        return
    value = yaml.safe_load(draft(tmp_path / "raw"))
    tables = value["files"].get("tables", [value["files"]])
    assert all("{subject" in own["path"] for own in tables)
    assert len(tables) == {"hapt": 2, "wisdm-phone": 2, "wisdm-watch": 2}.get(name, 1)


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
    assert main(["datasets", "--new", str(folder / "s1.csv")]) == 3
    assert "s1.csv is a file, not a folder" in capsys.readouterr().err
    assert main(["datasets", "spar", "--new", str(folder)]) == 2
