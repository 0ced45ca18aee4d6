"""Names of inferences: one spelling each, and mistakes answered with the nearest."""

from __future__ import annotations

import pytest

from har.errors import UsageError
from har.norms.inferences import NAMES, Inference, check, parse


@pytest.mark.parametrize("name", NAMES)
def test_every_plain_name_is_itself(name: str) -> None:
    assert parse(name) == Inference(name, name, 1.0)


@pytest.mark.parametrize(
    ("name", "statistics", "weight"),
    [
        ("target-0.5", "target", 0.5),
        ("target-oftta", "target", None),
        ("target-stream-0.25", "target-stream", 0.25),
        ("target-shuffled-oftta", "target-shuffled", None),
    ],
)
def test_a_target_can_carry_a_weight(name: str, statistics: str, weight: float | None) -> None:
    assert parse(name) == Inference(name, statistics, weight)


@pytest.mark.parametrize(
    ("name", "statistics"), [("target-prior16", "target"), ("target-stream-prior1", "target-stream")]
)
def test_a_target_can_be_weighed_against_a_prior_of_so_many_windows(name: str, statistics: str) -> None:
    assert parse(name) == Inference(name, statistics, 1.0, int(name.rpartition("prior")[2]))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("poplation", "'population'"),
        ("last-batch", "'last_batch'"),
        ("population-0.5", "'population'"),  # only targets are mixed
        ("target-1.5", "'target'"),
        ("target-0.50", "'target'"),  # a second spelling would be a second file
        ("target-0.0", "'target'"),
        ("target-prior0", "'target'"),
        ("target-prior016", "'target'"),
        ("population-prior16", "'population'"),
        ("target-steam", "'target-stream'"),
        ("../running", "'running'"),
        ("", "Known"),
    ],
)
def test_an_unknown_name_is_one_error_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(name)
    assert repr(name) in error.value.what
    assert near in error.value.hint


def test_a_run_names_each_once_and_running_among_them() -> None:
    assert [inference.name for inference in check(["running", "target"])] == ["running", "target"]
    for names, what in ((["running", "running"], "twice"), (["population"], "lack 'running'"), ([], "lack")):
        with pytest.raises(UsageError, match=what):
            check(names)
