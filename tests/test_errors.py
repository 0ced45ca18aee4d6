"""Errors say what and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from har.errors import HarError, candidates, disk_failure, unknown


def test_text_is_what_then_hint_then_context() -> None:
    error = HarError("it broke at 3.", "Mend it.")
    error.add_note("fold subject-1")
    assert str(error) == "it broke at 3.\n  Mend it.\n  (fold subject-1)"
    assert str(HarError("it broke.")) == "it broke."


def test_candidates_put_the_nearest_first_and_list_all() -> None:
    assert candidates("evry", ["none", "every"]) == "Did you mean 'every'? Known: every, none."
    assert candidates("zzz", ["none"]) == "Known: none."
    assert candidates("zzz", []) == "There are none."
    assert candidates("G", ["g", "mg"]) == "Did you mean 'g'? Known: g, mg."


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=60), st.text(max_size=8))
def test_candidates_stay_readable_for_any_names(names: list[str], value: str) -> None:
    assert candidates(value, names).count(", ") <= 20 + sum(name.count(", ") for name in names) * 2


def test_unknown_names_value_and_place() -> None:
    error = unknown("norm", "bach", ["batch"], "in x.yaml")
    assert error.what == "norm 'bach' is not known (in x.yaml)."
    assert "'batch'" in error.hint


def test_a_missing_right_is_told_with_whose_the_place_is_and_who_asks(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    told = disk_failure(PermissionError(errno.EACCES, "", str(tmp_path / "data" / "prepared")))
    owner = tmp_path.stat()
    assert told == (
        f"permission was denied at {tmp_path}/data/prepared: {tmp_path} belongs to user {owner.st_uid} "
        f"and group {owner.st_gid} (mode 750), this is user {os.getuid()} and group {os.getgid()}"
    )


def test_other_failures_of_a_disk_are_told_with_their_place_alone(tmp_path: Path) -> None:
    assert disk_failure(OSError(errno.ENOSPC, "", str(tmp_path))) == f"the disk is full at {tmp_path}"
    assert disk_failure(PermissionError(errno.EACCES, "")) == "permission was denied"
    assert disk_failure(OSError(errno.EBADF, "", str(tmp_path))) is None
