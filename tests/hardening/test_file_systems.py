"""Disks that are full or read-only: one clear sentence, nothing finished is lost, and the next start goes on.

The disks are real: mounts in a namespace of the command's own, which no permission of a superuser gets around.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from har.windows.prepare import prepare
from tests.datasets.own import card_with, lines, write
from tests.fakes.study import FakeStudy
from tests.fakes.study import write_study as write_fake_study
from tests.hardening.test_kills import files_below
from tests.kills import results, words
from tests.study.small import fold, write_root, write_study

ROOT = Path(__file__).parents[2]
HAR = 'har() { "$PYTHON" -m har "$@" 2>&1; echo "exit code $?"; }\n'
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 9; shift\nhar "$@"'
# A disk of $2 bytes with what stands in $1; the command, more room, the command again, and all is copied back.
FULL = """disk=$(mktemp -d); mount -t tmpfs -o size="$2" none "$disk" && cp -r "$1/." "$disk" || exit 9
place=$1; shift 2; mount --bind "$disk" "$place"
har "$@"; cp -r "$place/." "$place-half"
mount -o remount,size=256m "$disk"; har "$@"; cp -r "$place/." "$place-whole"
"""


def shell(script: str, *arguments: object) -> list[str]:
    """Run a script in a namespace of its own; return the lines that it printed."""
    flags = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *flags, "sh", "-c", HAR + script, "sh", *map(str, arguments)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout.splitlines()


@pytest.fixture(autouse=True, scope="module")
def mounts(tmp_path_factory) -> None:
    flags = [] if os.geteuid() == 0 else ["--map-root-user"]
    place = str(tmp_path_factory.mktemp("mount"))
    command = ["unshare", "--mount", *flags, "mount", "-t", "tmpfs", "none", place]
    try:
        can = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        can = False
    if not can:
        pytest.skip("needs mounts in a namespace of its own")


def rows(count: int) -> str:
    return lines(*(f"{n % 7},{n % 11}.5,9.81,{'walk' if n // 500 % 2 else 'sit'}" for n in range(count)))


def pages_of(folder: Path) -> int:
    """Return the bytes that the files below a folder take on a disk in memory."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("shares", [(0.9,), pytest.param([n / 20 for n in range(19)], marks=pytest.mark.slow)])
def test_a_disk_that_is_full_while_preparing_keeps_the_old_store(shares, tmp_path):
    source = write(tmp_path / "raw", {f"{subject}/1.csv": rows(4000) for subject in ("anna", "bo")})
    first = prepare(card_with(tmp_path, rate_hz=100), source=source, root=tmp_path / "first")
    card_with(tmp_path)
    old = files_below(first, "*")
    for share in shares:
        place = write(tmp_path / f"{share}", {f"prepared/mine/{name}": content for name, content in old.items()})
        command = ["prepare", tmp_path / "mine.yaml", "--source", source, "--root", place]
        said = shell(FULL, place, int(pages_of(place) * (1 + share)), *command)
        end = said.index("exit code 3")
        assert any("the disk is full" in line for line in said[:end]), said
        assert said[-1] == "exit code 0", said
        assert files_below(Path(f"{place}-half/prepared/mine"), "*") == old
        new = files_below(Path(f"{place}-whole/prepared/mine"), "*")
        assert new == files_below(prepare(card_with(tmp_path), source=source, root=tmp_path / "undisturbed"), "*")


@pytest.mark.parametrize("shares", [(0.6,), pytest.param([n / 10 for n in range(10)], marks=pytest.mark.slow)])
def test_a_disk_that_is_full_while_reporting_leaves_no_half_page(shares, tmp_path):
    study = write_fake_study(tmp_path / "study", FakeStudy(subjects=3, windows=4))
    patterns = ("report.*", "contrasts.json", "tables/*.csv")
    for share in shares:
        place = tmp_path / f"{share}"
        write(place, files_below(study, "**/*"))
        said = shell(FULL, place, pages_of(study) + int(share * (300 << 10)), "report", place)
        assert any("the disk is full" in line for line in said[: said.index("exit code 1")]), said
        assert said[-1] == "exit code 0", said
        whole = files_below(Path(f"{place}-whole"), *patterns)
        half = files_below(Path(f"{place}-half"), *patterns)
        assert {name: whole[name] for name in half} == half
        assert whole["report.html"].rstrip().endswith(b"</html>")


@pytest.mark.slow
@pytest.mark.parametrize("room_kib", [150, 400])
def test_a_study_on_a_disk_that_is_full_goes_on_when_there_is_room(room_kib, tmp_path):
    root, study = write_root(tmp_path / "data"), write_study(tmp_path, [fold("1"), fold("2")])
    (tmp_path / "runs").mkdir()
    said = shell(FULL, tmp_path / "runs", room_kib << 10, *words(study, root, tmp_path / "runs", jobs=1))
    assert any("No space left on device" in line or "the disk is full" in line for line in said), said
    assert "exit code 1" in said[: len(said) // 2 + 5], said
    assert said[-1] == "exit code 0", said
    shell('har "$@"', *words(study, root, tmp_path / "undisturbed", jobs=1))
    assert results(tmp_path / "runs-whole") == results(tmp_path / "undisturbed")


def test_a_read_only_data_root_is_named(tmp_path):
    card_with(tmp_path)
    source, root = write(tmp_path / "raw", {"anna/1.csv": rows(100)}), tmp_path / "data"
    root.mkdir()
    command = ["prepare", tmp_path / "mine.yaml", "--source", source, "--root", root]
    *said, code = shell(READ_ONLY, root, *command)
    assert code == "exit code 3"
    assert "the file system is read-only" in said[0]
    assert str(root) in said[0]
    assert said[1].startswith("  Make room, or choose another folder")


def test_a_store_and_a_finished_study_are_read_from_a_read_only_disk(tmp_path):
    """Prepared data and old results on a medium that nobody writes to are there to be used."""
    card_with(tmp_path)
    source = write(tmp_path / "raw", {"anna/1.csv": rows(100)})
    prepare(card_with(tmp_path), source=source, root=tmp_path / "data")
    *said, code = shell(READ_ONLY, tmp_path / "data", "prepare", tmp_path / "mine.yaml", "--root", tmp_path / "data")
    assert code == "exit code 0", said
    assert "already prepared" in said[0]


def test_a_report_into_a_read_only_folder_is_refused_and_the_old_one_stays(tmp_path):
    study = write_fake_study(tmp_path / "study", FakeStudy(subjects=2, windows=2))
    (study / "report.html").write_text("old")
    *said, code = shell(READ_ONLY, study, "report", study)
    assert code == "exit code 1"
    assert "the file system is read-only" in said[0], said
    assert len(said) == 2
    assert (study / "report.html").read_text() == "old"


def test_a_study_below_read_only_runs_is_refused_before_anything_runs(tmp_path):
    root, study = write_root(tmp_path / "data"), write_study(tmp_path, [fold("1"), fold("2")])
    (tmp_path / "runs").mkdir()
    *said, code = shell(READ_ONLY, tmp_path / "runs", *words(study, root, tmp_path / "runs", jobs=1))
    assert code == "exit code 1", said
    assert "cannot be written: Read-only file system" in said[0]
    assert said[1].strip().startswith("Choose another place with --runs")
