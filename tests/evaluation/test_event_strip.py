"""The recording that a report shows: chosen by its rule, with the categories that events are counted by."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from har.evaluation.comparison import evaluate_study
from har.evaluation.event_strip import RIGHT, choose, stretches
from har.evaluation.events import FRAMES, count_events
from har.evaluation.gathering import gather
from har.evaluation.material import Material
from har.evaluation.sections_timeline import recording
from har.evaluation.timeline import Timeline, lay
from tests.conftest import fresh
from tests.fakes.study import FakeStudy, write_study

NAMES = ["walk", "sit", "stairs"]
OF_FRAME = {"D": "deletion", "F": "fragmenting", "Ua": "underfill", "Uo": "underfill"}
OF_FRAME |= {"I": "insertion", "M": "merge", "Oa": "overfill", "Oo": "overfill", "TP": RIGHT}


def _timeline(activities):
    """A random axis of three recordings; the last code is null."""
    generator, K = fresh(), len(activities)
    truth, decision = [], []
    for _ in range(3):
        truth += [*np.repeat(generator.integers(0, K + 1, 12), 4), -1]
        decision += [*np.repeat(generator.integers(0, K + 1, 24), 2), -1]
    return Timeline(np.ones(len(truth)), np.array(truth), np.array(decision), activities, 3)


def _seconds(found, truth=None, decision=None):
    sums = dict.fromkeys(OF_FRAME.values(), 0.0)
    for one in found:
        if truth in (None, one.truth) and decision in (None, one.decision):
            sums[one.category] += one.end_s - one.start_s
    return sums


def test_what_is_missed_is_counted_as_events_count_it():
    timeline = _timeline(NAMES)
    found, frame_s_XC = stretches(timeline), count_events(timeline).frame_s_XC
    for k, activity in enumerate(NAMES):
        expected = dict.fromkeys(OF_FRAME.values(), 0.0)
        for name, seconds in zip(FRAMES[:5], frame_s_XC[k], strict=False):
            expected[OF_FRAME[name]] += seconds
        assert _seconds(found, truth=activity) == pytest.approx(expected)


def test_what_is_added_to_null_is_counted_as_events_count_it():
    timeline = _timeline(["walk"])
    frame_s_C = count_events(timeline).frame_s_XC[0]
    expected = dict.fromkeys(OF_FRAME.values(), 0.0)
    for name, seconds in zip(FRAMES[5:], frame_s_C[5:], strict=True):
        expected[OF_FRAME[name]] += seconds
    assert _seconds(stretches(timeline), truth="", decision="walk") == pytest.approx(expected)


def test_the_subject_in_the_middle_is_shown_where_no_recording_changes(tmp_path):
    folder = write_study(tmp_path / "fake", FakeStudy(subjects=7, windows=6, wobble=0.2, repeats=2))
    gathered = gather(folder)
    found = choose(folder, gathered, "every", "input")
    shares = {}
    for run in gathered.runs:
        if run.arm != "none" and run.repeat == 0:
            timeline = lay(
                pd.read_parquet(folder / run.folder / "predictions" / "running.parquet"),
                pd.read_parquet(folder / run.folder / "truth.parquet"),
            )
            inside = timeline.truth_M >= 0
            right = inside & (timeline.truth_M == timeline.decision_M)
            shares.setdefault(run.fold, []).append(timeline.length_M[right].sum() / timeline.length_M[inside].sum())
    order = sorted(shares, key=lambda fold: np.mean(shares[fold]))
    assert (found.fold, found.repeat, found.rank, found.of) == (order[3], 0, 4, 7)
    assert found.recordings == tuple(100 * int(found.subject) + number for number in range(3))
    assert found.share == pytest.approx(np.mean(shares[order[3]]))


def _one_recording(folder):
    """Let the recordings of each subject be one, in which the activity changes."""
    for run in folder.glob("v*/*/*"):
        truth = pd.read_parquet(run / "truth.parquet")
        frame = pd.read_parquet(run / "predictions" / "running.parquet")
        length = truth.groupby("recording")["end_s"].max()
        offset = (length.cumsum() - length).to_dict()
        for table in (truth, frame):
            table[["start_s", "end_s"]] = table[["start_s", "end_s"]].add(table["recording"].map(offset), axis=0)
            table["recording"] = (table["recording"] // 100).astype(np.int32)
        truth.to_parquet(run / "truth.parquet", index=False)
        frame.to_parquet(run / "predictions" / "running.parquet", index=False)


def test_a_recording_whose_activity_changes_is_shown_with_truth_above_every_variant(tmp_path):
    folder = write_study(tmp_path / "fake", FakeStudy(subjects=4, windows=6, wobble=0.2))
    _one_recording(folder)
    result = evaluate_study(folder)
    gathered = gather(folder)
    choice = choose(folder, gathered, "every", "input")
    assert (choice.recordings, choice.of, choice.rank) == ((int(choice.subject),), 4, 2)
    section = recording(Material(folder, gathered, result))
    assert section.lead.startswith(
        f"Recording {choice.subject} of subject {choice.subject}: the one in the middle (2 of 4"
    )
    table = section.figures[0].data
    assert {row[0] for row in table.rows} == {"none", "input", "every"}
    by_variant = {name: [row for row in table.rows if row[0] == name] for name in ("input", "every")}
    for rows in by_variant.values():
        assert [row[2] for row in rows[:-1]] == pytest.approx([row[1] for row in rows[1:]])
        assert {row[3] for row in rows} == {*NAMES, "(null)"}
        assert all((row[3].strip("()") == row[4].strip("()") or row[5] != RIGHT) or row[3] == "(null)" for row in rows)
    svg = section.figures[0].svg
    assert all(f">{word}</text>" in svg or word in svg for word in ("truth", "input", "every", "walk", "seconds"))


def test_without_continuous_recordings_or_without_pairs_there_is_nothing_to_show(tmp_path):
    folder = write_study(tmp_path / "fake", FakeStudy(subjects=3, windows=4))
    for run in folder.glob("v*/*/*"):
        path = run / "predictions" / "running.parquet"
        frame = pd.read_parquet(path)
        frame.loc[0, "end_s"] -= 1.0
        frame.to_parquet(path, index=False)
    assert choose(folder, gather(folder), "every", "input") is None
    shutil.rmtree(folder / "v2")
    assert recording(Material(folder, gather(folder), evaluate_study(folder))) is None
