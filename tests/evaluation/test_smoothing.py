"""Smoothing of decisions: the best sequence of all there are, within a series, on decisions alone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.__main__ import main
from har.errors import DataError, UsageError
from har.evaluation.arms import arm, kind_of, remark, smoothing_of
from har.evaluation.gathering import gather
from har.evaluation.scores import read_run
from har.evaluation.smoothing import Chain, check_smoothing, forward, posterior, read_chain, smoothed, viterbi
from tests.conftest import fresh
from tests.fakes.study import FakeStudy, write_study

NAMES = ["walk", "sit", "lie"]
PATH = Path("predictions/running.parquet")


def table(probability_NK: np.ndarray, recording_N: Any = 0, start_N: Any = None) -> pd.DataFrame:
    count = len(probability_NK)
    start_N = np.arange(count, dtype=float) if start_N is None else np.asarray(start_N, float)
    decision = np.array(NAMES, dtype=object)[probability_NK.argmax(axis=1)]
    frame = {"recording": recording_N, "start_s": start_N, "end_s": start_N + 2, "subject": "1", "truth": "walk"}
    probabilities = {f"probability:{name}": probability_NK[:, k].astype(np.float32) for k, name in enumerate(NAMES)}
    return pd.DataFrame({**frame, "prediction": decision, **probabilities}, index=range(count))


def drawn(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.dirichlet(np.full(shape[-1], 0.7), size=shape[:-1])


def chain_of(prior_K: np.ndarray, transition_KK: np.ndarray) -> Chain:
    return Chain(NAMES, 1.0, prior_K, transition_KK)


def sequences(emission_TK: np.ndarray, prior_K: np.ndarray, transition_KK: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each of the K^T sequences, written out."""
    found = {}
    for states in itertools.product(range(len(prior_K)), repeat=len(emission_TK)):
        value = prior_K[states[0]] * np.prod([emission_TK[t, k] for t, k in enumerate(states)])
        found[states] = value * np.prod([transition_KK[pair] for pair in itertools.pairwise(states)])
    return found


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_states_and_their_probabilities_are_those_of_all_sequences_written_out(length: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    model = (drawn(generator, length, 3), drawn(generator, 3), drawn(generator, 3, 3))
    every = sequences(*model)
    assert tuple(viterbi(*model)) == max(every, key=lambda states: every[states])
    for t in range(length):
        whole = [sum(p for states, p in every.items() if states[t] == k) for k in range(3)]
        np.testing.assert_allclose(posterior(*model)[t], np.array(whole) / sum(whole), rtol=1e-9)
        past = sequences(model[0][: t + 1], *model[1:])
        so_far = [sum(p for states, p in past.items() if states[-1] == k) for k in range(3)]
        np.testing.assert_allclose(forward(*model)[t], np.array(so_far) / sum(so_far), rtol=1e-9)


@pytest.mark.parametrize("smoothing", ["hmm", "hmm-causal"])
@pytest.mark.parametrize("prior", [[1 / 3, 1 / 3, 1 / 3], [0.7, 0.2, 0.1]])
def test_a_model_in_which_nothing_follows_from_anything_changes_nothing(smoothing: str, prior: list[float]) -> None:
    """Each next activity as frequent as ever; with equal shares, these are uniform transitions."""
    frame = table(drawn(fresh(), 50, 3))
    found = smoothed(PATH, frame, smoothing, chain_of(np.array(prior), np.tile(prior, (3, 1))))
    pd.testing.assert_frame_equal(found, frame, check_exact=False, rtol=1e-5)


@pytest.mark.parametrize("smoothing", ["hmm", "hmm-causal", "majority3", "majority5"])
def test_a_series_ends_where_its_recording_does_or_a_window_is_missing(smoothing: str) -> None:
    generator = fresh()
    probability_NK = drawn(generator, 30, 3)
    recording_N = np.repeat([4, 4, 7], 10)
    start_N = np.concatenate([np.arange(10), np.arange(12, 22), np.arange(10)])
    chain = chain_of(drawn(generator, 3), drawn(generator, 3, 3)) if smoothing.startswith("hmm") else None
    frame = table(probability_NK, recording_N, start_N)
    mixed = frame.sample(frac=1, random_state=int(generator.integers(2**31)))
    whole = smoothed(PATH, mixed, smoothing, chain).sort_index()
    alone = [smoothed(PATH, frame[rows : rows + 10], smoothing, chain) for rows in (0, 10, 20)]
    pd.testing.assert_frame_equal(whole, pd.concat(alone))
    fixed = ["recording", "start_s", "end_s", "subject", "truth"]
    assert whole[fixed].equals(frame[fixed])
    assert (whole["prediction"] != frame["prediction"]).any()


def test_the_causal_filter_does_not_know_what_comes() -> None:
    generator = fresh()
    chain = chain_of(drawn(generator, 3), drawn(generator, 3, 3))
    frame = table(drawn(generator, 20, 3))
    whole, begun = (smoothed(PATH, part, "hmm-causal", chain) for part in (frame, frame[:12]))
    pd.testing.assert_frame_equal(whole[:12], begun)


def test_a_majority_is_of_the_neighbours_and_a_tie_is_the_windows_own_or_the_more_probable() -> None:
    decided = [0, 1, 0, 2, 2, 1, 0]
    frame = table(np.eye(3)[decided] * 0.7 + 0.1)
    found = smoothed(PATH, frame, "majority3", None)
    #        0: 0 1 tie, own; 1: 0 1 0; 2: 1 0 2, own; 3: 0 2 2; 4: 2 2 1; 5: 2 1 0, own; 6: 1 0, own
    assert list(found["prediction"]) == [NAMES[k] for k in (0, 0, 0, 2, 2, 1, 0)]
    np.testing.assert_allclose(found["probability:walk"], [1 / 2, 2 / 3, 1 / 3, 1 / 3, 0, 1 / 3, 1 / 2], rtol=1e-6)
    tied = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.0, 0.1, 0.9], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0]])
    assert smoothed(PATH, table(tied), "majority5", None)["prediction"][2] == "sit"  # 2 to 2, and 2.8 to 1.3


def test_transitions_are_counts_that_lean_on_the_shares_of_the_labels(tmp_path: Path) -> None:
    record = {
        "activities": NAMES,
        "step_s": 0.5,
        "windows": [10, 6, 4],
        "transitions": [[8, 1, 0], [1, 4, 1], [0, 0, 0]],
    }
    (tmp_path / "transitions.json").write_text(json.dumps(record))
    chain = read_chain(tmp_path)
    np.testing.assert_allclose(chain.prior_K, [0.5, 0.3, 0.2])
    np.testing.assert_allclose(chain.transition_KK.sum(axis=1), 1)
    np.testing.assert_allclose(chain.transition_KK[2], chain.prior_K)  # never shown
    np.testing.assert_allclose(chain.transition_KK[0], [(8 + 1.5) / 12, (1 + 0.9) / 12, 0.6 / 12])
    for wrong in ({**record, "windows": [0, 6, 4]}, {**record, "transitions": [[1]]}, {}):
        (tmp_path / "transitions.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match="damaged"):
            read_chain(tmp_path)
    with pytest.raises(DataError, match=r"no transitions\.json"):
        read_chain(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["majority4", "majority1", "hmmm", "majority"])
def test_a_wrong_smoothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_smoothing(name)


def test_a_smoothed_arm_is_of_the_kind_of_what_it_smooths_and_says_that_it_is() -> None:
    assert smoothing_of("target+turned-30+hmm-causal") == ("target+turned-30", "hmm-causal")
    assert smoothing_of("target+turned-30") == ("target+turned-30", "")
    kinds = {"running": "inductive", "target": "transductive", "personal-20s": "personal", "turned-30": "changed"}
    for inference, kind in kinds.items():
        name = arm("every", f"{inference}+majority5")
        assert kind_of(name) == kind
        assert "smoothed" in remark(name)
        assert "smoothed" not in remark(arm("every", inference))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose runs have transitions, and whose study.json lists smoothed decisions."""
    plan = FakeStudy(subjects=6, contrasts=[("every", "none"), ("every@running+majority5", "every")])
    folder = write_study(tmp_path / "placement" / "fake", plan)
    value = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(value | {"inferences": ["running", "running+majority5"]}))
    return folder


def test_a_study_scores_smoothed_decisions_beside_the_raw_ones_on_the_same_windows(study: Path) -> None:
    gathered = gather(study)
    assert not gathered.problems
    raw, smooth = gathered.of("every"), gathered.of("every@running+majority5")
    assert [run.windows for run in raw] == [run.windows for run in smooth]
    accuracy = [
        np.mean([np.trace(run.counts.pooled) / run.counts.pooled.sum() for run in runs]) for runs in (raw, smooth)
    ]
    assert accuracy[1] > accuracy[0]  # the fake's decisions are wrong one by one
    assert (study / raw[0].folder / "scores-running+majority5.json").is_file()


def test_a_run_is_scored_smoothed_beside_raw_and_its_files_stay(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = study / gather(study).of("every")[0].folder
    before = {path.name: path.read_bytes() for path in run.rglob("*.parquet")}
    assert main(["evaluate", str(run), "--smooth", "majority5", "majority3"]) == 0
    text = capsys.readouterr().out
    assert text.index("running+majority5") < text.index("running+majority3")
    assert {path.name: path.read_bytes() for path in run.rglob("*.parquet")} == before
    frame, _ = read_run(run, "running+majority5")
    scores = json.loads((run / "scores-running+majority5.json").read_text())
    assert scores["accuracy"] == pytest.approx((frame["truth"] == frame["prediction"]).mean())
    assert main(["evaluate", str(run), "--smooth", "hmm"]) == 3  # a run from before there were transitions
    assert "transitions.json" in capsys.readouterr().err
    assert main(["evaluate", str(study), "--smooth", "majority5"]) == 2
