"""Damaged input, and what may come of it: a result, or an error that a person can act on. Never anything else.

Cases are real files, changed at a few places (hypothesis draws where and how, from the seed of the session), so that
they come past the first check and into what stands behind it.
"""

from __future__ import annotations

import copy
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from har.errors import HarError, disk_failure
from tests.conftest import SEED

LIMIT_S = 20  # of a processor, or six times that by the clock; a case that ends takes a tenth of a second
_ROOM = 4 << 30  # bytes that a case may ask for beyond what the process has
# What stands in files that programs, people and accidents make.
WORDS = [
    *(
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0",
        "1e308",
        "1" * 400,
        "0x_",
        "1_0",
        "٣",
        "null",
        "~",
        "-",
    ),
    *(
        "\x00",
        "\r",
        "\n",
        "\t",
        ",",
        ";",
        ":",
        "'",
        '"',
        "{",
        "[",
        "[" * 3000,
        "}",
        "]",
        "&a ",
        "*a",
        "%",
        "#",
        "=",
        "<<",
    ),
    *("!!int x", "!!timestamp x", "!!bool x", "2024-13-45", "2024-02-30T25:61:00", "? ", "\ufeff", "\u2028", "\\"),
    *("/", "../..", "a/b", "x" * 300, "{subject}", "{subject", "{subject:d}", "{}", "*", "**", "{trial}{trial}", "("),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 2**63, 10**30, 10**400, -(10**400), 0.5, -0.0, 1e308, 5e-324),
    *(float("nan"), float("inf"), [], {}, [[]]),
    *("", "x", "every", "loso", {"a": 1}, [1, 2, 3], ["a", "a"], [{"a": 1}], {"": None}, "1e999", "a\nb", "\x00"),
    *("{subject}", "../x", "/", "1-3", "3-1", "1-999999999", "running", "har.learners.cnn.CNN", "os.system", "ä" * 300),
]


class Hang(BaseException):
    """Not caught by what handles errors."""


def answer(call: Callable[[], Any]) -> str:
    """Return the kind of the error that a call ends with, "result" where it has one.

    Raises:
        Exception: Whatever else it ends with, which no call may.
        Hang: It takes too long.
    """
    try:
        with _limits():
            call()
    except HarError as error:
        _require_sentence(error)
        return type(error).__name__
    except OSError as error:  # as the command line does
        if disk_failure(error) is None:
            raise
        return "disk"
    return "result"


def _require_sentence(error: HarError) -> None:
    assert len(error.what.strip()) > 10, error
    assert "Traceback" not in str(error)


@contextmanager
def _limits() -> Iterator[None]:
    """Bound the block's time and memory."""

    def too_long(*_: Any) -> None:
        raise Hang(f"it takes more than {LIMIT_S} s")

    old = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handlers = {number: signal.signal(number, too_long) for number in (signal.SIGPROF, signal.SIGALRM)}
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, old[1]))
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    signal.alarm(6 * LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, old)


def fuzz(count: int, cases: st.SearchStrategy[Any], call: Callable[[Any], Any]) -> None:
    """Hold so many cases against `answer`; the first that does not keep to it is made small and raised."""

    @seed(SEED)
    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(cases)
    def each(case: Any) -> None:
        answer(lambda: call(case))

    each()


def cases(quick: int, slow: int) -> pytest.MarkDecorator:
    """Give a test a few cases in every session, and many of them in the slow suite."""
    return pytest.mark.parametrize("count", [quick, pytest.param(slow, marks=pytest.mark.slow)])


def one_of(change: Callable[[Any], st.SearchStrategy[Any]], wholes: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Draw one of the wholes, changed. (Drawn by number: wholes are long, and hypothesis prints what it draws from.)"""
    return st.integers(0, len(wholes) - 1).flatmap(lambda number: change(wholes[number]))


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw the bytes of a file with a few of them changed, lost, doubled, moved or put in."""
    content = whole
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(content)))
        last = min(first + draw(st.sampled_from([0, 1, 2, 8, 100, len(content)])), len(content))
        before, part, behind = content[:first], content[first:last], content[last:]
        ways = [
            *(before, part, before + behind, before + part + part + behind, behind + part + before),
            before + bytes(byte ^ 0x80 for byte in part) + behind,
            before + bytes(len(part)) + behind,
            content.replace(b"\n", b"\r\n"),
        ]
        inserted = [
            before + some + behind for some in (draw(st.sampled_from(WORDS)).encode(), draw(st.binary(max_size=8)))
        ]
        content = draw(st.sampled_from(ways + inserted * 3))
    return content


@st.composite
def rewritten(draw: st.DrawFn, whole: Any) -> Any:
    """Draw a value of mappings, lists and scalars, with a few of its parts replaced, removed, doubled or renamed."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return value
        holder, key = draw(st.sampled_from(places))
        what = draw(st.sampled_from(["value", "value", "text", "other", "remove", "rename"]))
        if what == "remove":
            del holder[key]
        elif what == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from([f"{key}s", "", 1, None, "name", "kind", "columns"]))] = holder.pop(key)
        elif what == "other":
            other, there = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[there]) if there in _keys(other) else None
        elif what == "text" and isinstance(holder[key], str):
            at, word = draw(st.integers(0, len(holder[key]))), draw(st.sampled_from(WORDS))
            holder[key] = holder[key][:at] + word + holder[key][at:]
        else:
            holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return value


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every mapping or list inside with each of its keys."""
    if isinstance(value, (dict, list)):
        for key in list(_keys(value)):
            yield value, key
            yield from _places(value[key])
