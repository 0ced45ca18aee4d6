"""One thread for every test, and a suite in which no test is skipped without anybody having said that it may be."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.setdefault("OMP_NUM_THREADS", "1")  # results differ with the threads; golden traces have one
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.browser import browser, chromium

for folder in ("HAR_DATA", "HAR_RUNS"):  # a person's own, which no test reads or writes
    os.environ.pop(folder, None)

# Reasons for which a test may be skipped. Anything else fails the session: a suite that skips in silence tests nothing.
EXPECTED_SKIPS = (
    r"could not import 'resource'",  # not on Windows
    r"needs 10 GiB of free disk",
    r"needs Chromium",  # no dependency of Python's; .ci/run installs it
    r"needs mounts in a namespace of its own",  # real full and read-only disks: Linux, as root or with user namespaces
    r"needs \.\./shared/datasets",  # real data, which no copy of the project carries
)

# A busy machine is no reason to fail: hypothesis would give each example 200 ms, and the drawing of inputs a second.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

# Numerical tests take fresh inputs every time; a failure is repeated with HAR_TEST_SEED=<the number in the header>.
SEED = int(os.environ.setdefault("HAR_TEST_SEED", str(secrets.randbelow(2**31))))  # processes of one session share it


def fresh() -> np.random.Generator:
    """Return a generator of this session's random inputs."""
    return np.random.default_rng(SEED)


def pytest_report_header() -> str:
    """Name the seed of this session's random inputs."""
    return f"random inputs: HAR_TEST_SEED={SEED}"


@pytest.fixture(autouse=True)
def fresh_inputs() -> None:
    """Seed torch's inputs, where torch is in use at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the tests of a module: while it is there, no event loop can be run beside its own."""
    if chromium() is None:
        pytest.skip("needs Chromium")
    with browser() as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> object:
    """Fail the session when a test was skipped for an unexpected reason."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    reasons = {str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr) for report in skipped}
    unexpected = [reason for reason in sorted(reasons) if not any(re.search(known, reason) for known in EXPECTED_SKIPS)]
    if unexpected and session.exitstatus == 0:
        reporter.write_line(f"unexpected skips: {unexpected}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result
