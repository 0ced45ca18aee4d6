"""`kill -9` at any instant, then the same command again: nothing that was finished is lost, and all comes out the same.

A place is started again and again, and killed, until a start is quicker than its kill; then its results are held
against those of a place that nobody disturbed, and the next place begins. Where a kill fell, and the seed, is printed.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from har.windows.prepare import prepare
from tests.conftest import SEED
from tests.datasets.own import card_with, lines, write
from tests.fakes.study import FakeStudy
from tests.fakes.study import write_study as write_fake_study
from tests.hardening.forks import Forks, forks
from tests.kills import kill_when, results, start, words
from tests.study.small import fold, write_root, write_study
from tests.study.test_trials import CONTRASTS, TUNE

Files = dict[str, bytes]
# What commands import where they first need it.
MODULES = (
    *("windows.prepare", "datasets.readers.files", "evaluation.report"),
    *("study.conduct", "study.rehearsal", "study.worker", "training.run"),
)
DRAWING = ["matplotlib.figure", "matplotlib.backends.backend_svg", "jinja2", "scipy.stats"]


@pytest.fixture(scope="module")
def server() -> Iterator[Forks]:
    with forks([f"har.{module}" for module in MODULES] + DRAWING) as process:
        yield process


class Struck:
    """Places of one kind of work, killed as often as is asked for.

    Args:
        server: What forks the commands.
        folder: Where the places are made.
        make: Sets a new place up and returns the words of its command.
        kept: Returns what is finished in a place, by name; raises where something is there that is not whole.
        result: Returns all that a place holds when its command has ended.
    """

    def __init__(
        self,
        server: Forks,
        folder: Path,
        make: Callable[[Path], list[str]],
        kept: Callable[[Path], Files],
        result: Callable[[Path], Any],
    ) -> None:
        self._server, self._folder, self._make, self._kept, self._result = server, folder, make, kept, result
        self._numbers = itertools.count()
        self._open()
        began = time.monotonic()
        self._end()
        self._expected, self._whole_s = result(self._place), time.monotonic() - began

    def _open(self) -> None:
        self._place = self._folder / "place"  # pages name it, so it is the same each time
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        self._words = self._make(self._place)
        self._log = self._folder / f"{next(self._numbers)}.log"

    def _end(self) -> None:
        code = self._server.run(self._words, self._log)
        assert code == 0, self._log.read_text()

    def endure(self, kills: int, what: str) -> None:
        """Kill as many commands at work, each at an instant of its own, and compare every place in the end."""
        chance = random.Random(f"{what} {SEED}")
        struck = lost = places = 0
        self._open()
        while struck < kills:
            before = self._kept(self._place)
            command = self._server.start(self._words, self._log)
            delay_s = chance.uniform(0, self._whole_s)
            time.sleep(delay_s)
            code = command.kill(group=struck % 2 == 0)  # every other time workers are left to notice by themselves
            after = self._kept(self._place)
            story = f"HAR_TEST_SEED={SEED}, {what}, kill {struck}, {self._place}, {delay_s:.3f} s"
            assert {name: after.get(name) for name in before} == before, story
            if code == -signal.SIGKILL:
                struck += 1
                lost += after != before
            else:  # it came to its end before
                assert code == 0, (story, self._log.read_text())
                self._compare(story)
                places += 1
                self._whole_s = min(self._whole_s, delay_s)  # the first start found nothing in the file cache
                self._open()
        self._end()
        self._compare(f"HAR_TEST_SEED={SEED}, {what}, in the end, {self._place}")
        sys.stdout.write(
            f"{what}: {kills} kills, {lost} of them after something new was finished, in {places + 1} places; "
            f"undisturbed {self._whole_s:.2f} s; HAR_TEST_SEED={SEED}\n"
        )

    def _compare(self, story: str) -> None:
        assert self._result(self._place) == self._expected, story


def files_below(folder: Path, *patterns: str) -> Files:
    """Return the visible files below a folder."""
    found = [path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.is_file()}


def finished_runs(place: Path) -> Files:
    """Return record, scores and predictions of every run that says it is done: they may not change any more."""
    found: Files = {}
    for path in place.rglob("run.json"):
        if json.loads(path.read_text())["status"] == "done":
            files = files_below(path.parent, "run.json", "scores.json", "truth.parquet", "predictions/*.parquet")
            assert len(files) == 4, path.parent
            found.update({f"{path.parent.relative_to(place)}/{name}": content for name, content in files.items()})
    for page in place.rglob("report.html"):
        assert page.read_text().rstrip().endswith("</html>")
    return found


def studies(server: Forks, folder: Path, **changes: Any) -> Struck:
    root, study = write_root(folder / "data"), write_study(folder, **changes)

    def result(place: Path) -> dict[str, Any]:
        pages = files_below(next(place.glob("*/*")), "tables/*.csv", "report.*")
        return {**results(place), "pages": {name: bool(content) for name, content in pages.items()}}

    return Struck(server, folder, lambda place: words(study, root, place, jobs=2), finished_runs, result)


def stores(server: Forks, folder: Path) -> Struck:
    """Stores that replace those of another rate."""
    rows = lines(*(f"{n % 7},{n % 11}.5,9.81,{'walk' if n // 500 % 2 else 'sit'}" for n in range(3000)))
    source = write(folder / "raw", {f"{subject}/{n}.csv": rows for subject in ("anna", "bo", "cy") for n in "123"})
    first = prepare(card_with(folder, rate_hz=100), source=source, root=folder / "first")
    card_with(folder)
    whole: list[Files] = [files_below(first, "*")]

    def make(place: Path) -> list[str]:
        shutil.copytree(folder / "first", place, dirs_exist_ok=True)
        return ["prepare", str(folder / "mine.yaml"), "--source", str(source), "--root", str(place)]

    def kept(place: Path) -> Files:
        prepared = place / "prepared"
        store = prepared / "mine" if (prepared / "mine").exists() else prepared / ".mine.old"
        found = files_below(store, "*")
        assert found in whole, store
        return {} if found == whole[0] else found  # a new store may not fall back to the old one

    def result(place: Path) -> Files:
        assert sorted(path.name for path in (place / "prepared").iterdir()) == [".locks", "mine"]
        found = files_below(place / "prepared" / "mine", "*")
        whole[1:] = whole[1:] or [found]
        return found

    return Struck(server, folder, make, kept, result)


def reports(server: Forks, folder: Path) -> Struck:
    study = write_fake_study(folder / "study", FakeStudy(subjects=3, windows=4))
    whole: Files = {}

    def make(place: Path) -> list[str]:
        shutil.copytree(study, place, dirs_exist_ok=True)
        return ["report", str(place)]

    def result(place: Path) -> Files:
        found = files_below(place, "report.*", "contrasts.json", "tables/*.csv")
        assert found["report.html"].rstrip().endswith(b"</html>")
        whole.update({} if whole else found)
        return found

    def kept(place: Path) -> Files:
        found = files_below(place, "report.*", "contrasts.json", "tables/*.csv")
        assert {name: whole[name] for name in found} == found  # each of them is there as it will be, or not at all
        return found

    return Struck(server, folder, make, kept, result)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Everything of these tests lies in a folder whose name has blanks, umlauts and characters of other scripts."""
    place = tmp_path / "Größe 测试 dir"
    place.mkdir()
    return place


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_preparing_survives_random_kills(kills, server, folder):
    stores(server, folder).endure(kills, "prepare")


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_reporting_survives_random_kills(kills, server, folder):
    reports(server, folder).endure(kills, "report")


def test_a_study_survives_random_kills(server, folder):
    studies(server, folder, folds=[fold("1"), fold("2")]).endure(2, "study")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "changes"), [(40, {}), (10, {"tune": TUNE, "contrasts": CONTRASTS})], ids=["plain", "tuned"]
)
def test_a_study_survives_many_random_kills(kills, changes, server, folder):
    studies(server, folder, **changes).endure(kills, "study, tuned" if changes else "study")


@pytest.mark.slow
def test_a_study_killed_as_a_program_has_the_results_of_one_that_was_forked(server, folder):
    """The forks of these tests are no other programs: the command line itself, killed at work, comes to the same."""
    root, study = write_root(folder / "data"), write_study(folder, [fold("1"), fold("2")])
    assert server.run(words(study, root, folder / "forked", 2), folder / "log") == 0
    runs = folder / "killed"
    kill_when(lambda: bool(list(runs.rglob("last.ckpt"))), start(study, root, runs, jobs=1))
    kill_when(lambda: bool(finished_runs(runs)), start(study, root, runs, jobs=1))
    process = start(study, root, runs)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert results(runs) == results(folder / "forked")


def test_of_two_starts_at_once_one_works_and_nothing_is_made_twice(server, folder):
    root, study = write_root(folder / "data"), write_study(folder, [fold("1"), fold("2")])
    command = words(study, root, folder / "runs", jobs=1)
    both = [server.start(command, folder / f"{number}.log") for number in range(2)]
    codes = [one.wait() for one in both]
    said = [one.log.read_text() for one in both]
    assert sorted(codes) in ([0, 0], [0, 1]), said  # the second waits five seconds for the folder
    for code, text in zip(codes, said, strict=True):
        assert code == 0 or "another study is at work in" in text
    made = sum(text.count("repeat-0  macro F1") for text in said)
    assert made == 4, said
    assert len(finished_runs(folder / "runs")) == 16
    again = [server.start(["report", str(folder / "runs/small/spar")], folder / f"{n}.log") for n in range(2)]
    assert [one.wait() for one in again] == [0, 0]
    assert len(finished_runs(folder / "runs")) == 16
