"""What the kill tests fork is to behave as a program that is executed."""

from __future__ import annotations

import mmap
import os
import sys

from tests.hardening.forks import _fork, _take


def test_a_fork_lets_go_of_its_descriptors_and_none_is_closed_under_another_file(tmp_path):
    (tmp_path / "map").write_bytes(b"x" * 4096)
    (tmp_path / "file").write_bytes(b"whole")
    inherited_read, inherited_write = os.pipe()
    with (tmp_path / "map").open("rb") as stream:
        inherited = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def become() -> int:
        nonlocal inherited
        _take({0: 0, 1: 2, 2: 2})
        files = [(tmp_path / "file").open("rb") for _ in range(64)]  # as many as take the numbers that were let go
        del inherited  # closes the number that it had when it was opened
        return 0 if all(file.read() == b"whole" for file in files) else 1

    sys.stderr.flush()
    pid = _fork(become)
    os.close(inherited_write)
    assert os.read(inherited_read, 1) == b""  # the child keeps no end of the pipe open
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(inherited_read)
