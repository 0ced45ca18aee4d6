"""Preparing: to a complete store or to nothing, once, whoever asks."""

import dataclasses
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import har.windows.account
import har.windows.prepare
from har.datasets.recipe import Gravity, Recipe
from har.datasets.recording import RawRecording, Stream
from har.errors import DataError, UsageError
from har.windows.account import Preparation
from har.windows.prepare import is_prepared, prepare, store_folder
from har.windows.signal import Plan
from har.windows.store import Store, write_store
from tests.fakes.stores import faked, plain_card


@pytest.fixture
def fake(tmp_path):
    return faked("spar", tmp_path / "raw", rows=(8, 12))


def forbid_writing(monkeypatch):
    def write(*_):
        raise AssertionError("the store was written again")

    monkeypatch.setattr(har.windows.prepare, "write_store", write)


def test_a_store_lies_in_the_data_root(fake, tmp_path, monkeypatch):
    card, written = fake
    assert prepare(card, source=written["source"], root=tmp_path) == tmp_path / "prepared" / "spar"
    monkeypatch.setenv("HAR_DATA", str(tmp_path / "elsewhere"))
    assert store_folder("spar") == tmp_path / "elsewhere" / "prepared" / "spar"


def test_a_complete_store_of_the_same_card_is_not_made_again(fake, tmp_path, monkeypatch):
    card, written = fake
    folder = prepare(card, source=written["source"], root=tmp_path)
    written["source"].unlink()
    forbid_writing(monkeypatch)
    assert prepare(dataclasses.replace(card, title="a better title"), root=tmp_path) == folder


def test_another_card_makes_another_store(fake, tmp_path):
    card, written = fake
    prepare(card, source=written["source"], root=tmp_path)
    faster = dataclasses.replace(card, rate_hz=100.0)
    assert not is_prepared(faster, tmp_path)
    assert Store.open(prepare(faster, source=written["source"], root=tmp_path)).rate_hz == 100


def test_a_damaged_store_is_replaced(fake, tmp_path):
    card, written = fake
    folder = prepare(card, source=written["source"], root=tmp_path)
    whole = Store.open(folder).sha256
    (folder / "signal.npy").write_bytes(b"short")
    (folder / "stray").write_text("of an earlier version")
    assert prepare(card, source=written["source"], root=tmp_path) == folder
    assert Store.open(folder).sha256 == whole
    assert not (folder / "stray").exists()


def test_a_changed_byte_is_mended_when_asked_thoroughly(fake, tmp_path):
    card, written = fake
    folder = prepare(card, source=written["source"], root=tmp_path)
    content = bytearray((folder / "signal.npy").read_bytes())
    content[-1] ^= 1
    (folder / "signal.npy").write_bytes(content)
    assert is_prepared(card, tmp_path)
    assert not is_prepared(card, tmp_path, thorough=True)
    prepare(card, source=written["source"], root=tmp_path, thorough=True)
    Store.open(folder).verify()


def test_a_failure_leaves_the_old_store_and_nothing_half_written(fake, tmp_path):
    card, written = fake
    folder = prepare(card, source=written["source"], root=tmp_path)
    before = Store.open(folder).sha256
    wrong = dataclasses.replace(card, subjects=("1",))
    with pytest.raises(DataError, match="is not what its card says"):
        prepare(wrong, source=written["source"], root=tmp_path)
    assert Store.open(folder).sha256 == before
    assert sorted(path.name for path in folder.parent.iterdir()) == [".locks", "spar"]


def test_what_a_killed_process_left_behind_is_cleared(fake, tmp_path):
    card, written = fake
    left_over = tmp_path / "prepared" / ".spar.part"
    left_over.mkdir(parents=True)
    (left_over / "signal.npy").write_bytes(b"half")
    (left_over / "other").write_bytes(b"half")
    folder = prepare(card, source=written["source"], root=tmp_path)
    assert not left_over.exists()
    assert not (folder / "other").exists()


def test_processes_that_prepare_at_once_make_one_store(fake, tmp_path):
    card, written = fake
    script = (
        "import sys, pathlib; from tests.fakes.stores import faked; from har.windows.prepare import prepare;"
        "card, _ = faked('spar', pathlib.Path(sys.argv[1]), rows=(8, 12));"
        "prepare(card, source=sys.argv[2], root=sys.argv[3])"
    )

    def run(number):
        command = [sys.executable, "-c", script, str(tmp_path / f"raw-{number}"), str(written["source"]), str(tmp_path)]
        return subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor() as pool:
        for done in pool.map(run, range(3)):
            assert done.returncode == 0, done.stderr
    Store.open(store_folder("spar", tmp_path)).verify()
    assert sorted(path.name for path in (tmp_path / "prepared").iterdir()) == [".locks", "spar"]
    assert is_prepared(card, tmp_path, thorough=True)


def test_who_waited_for_another_process_takes_its_store(fake, tmp_path, monkeypatch):
    card, written = fake

    @contextmanager
    def lock_that_another_held(_folder):
        monkeypatch.undo()
        prepare(card, source=written["source"], root=tmp_path)
        forbid_writing(monkeypatch)
        yield

    monkeypatch.setattr(har.windows.prepare, "alone", lock_that_another_held)
    assert prepare(card, source=written["source"], root=tmp_path) == store_folder("spar", tmp_path)


def test_who_waits_for_another_process_is_told(fake, tmp_path, monkeypatch, caplog):
    card, written = fake
    monkeypatch.setattr(har.windows.prepare, "_PATIENCE_S", 0.01)
    folder = store_folder("spar", tmp_path)
    with ThreadPoolExecutor() as pool:
        with har.windows.prepare.alone(folder):
            waiting = pool.submit(prepare, card, source=written["source"], root=tmp_path)
            while not caplog.messages:
                time.sleep(0.01)
            assert not folder.exists()
        assert waiting.result(timeout=60) == folder
    assert caplog.messages == ["another process prepares spar: waiting until it has ended."]


def test_each_recording_is_written_before_the_next_is_read(tmp_path, monkeypatch):
    card, written = faked("spar", tmp_path / "raw")
    convert = har.windows.account.prepare_recording
    rows = [0]

    def watched(plan, raw):
        size = (tmp_path / "prepared" / ".spar.part" / "signal.npy").stat().st_size
        assert size >= rows[0] * 6 * 4 - 2**17  # a file object's buffer
        rows[0] += len(raw.label_T)
        return convert(plan, raw)

    monkeypatch.setattr(har.windows.account, "prepare_recording", watched)
    prepare(card, source=written["source"], root=tmp_path)
    assert rows[0] == written["rows"]


def test_another_recipe_makes_a_store_of_another_name(fake, tmp_path):
    card, written = fake
    recipe = Recipe(rate_hz=25.0, sensors=("accelerometer",), gravity=Gravity(causal=True))
    folder = prepare(card, source=written["source"], root=tmp_path, recipe=recipe, name="spar-live")
    store = Store.open(folder)
    assert folder == tmp_path / "prepared" / "spar-live"
    assert (store.name, store.rate_hz, len(store.channels)) == ("spar-live", 25, 9)
    assert store.manifest["card"] == "spar"
    assert store.manifest["source_counts"]["rows"] == written["rows"]
    assert store.manifest["preparation"]["recipe"]["gravity"]["causal"]
    assert is_prepared(card, tmp_path, recipe=recipe, name="spar-live", thorough=True)
    assert not is_prepared(card, tmp_path, name="spar-live")
    assert not is_prepared(card, tmp_path, recipe=recipe)


def test_a_name_stands_for_one_recipe(fake, tmp_path):
    card, written = fake
    slow = Recipe(rate_hz=25.0)

    def make(name, recipe, card=card):
        return prepare(card, source=written["source"], root=tmp_path, recipe=recipe, name=name)

    with pytest.raises(UsageError, match="the store spar is what the recipe of its card makes"):
        make("spar", slow)
    with pytest.raises(UsageError, match="'hapt' is another data set"):
        make("hapt", slow)
    with pytest.raises(UsageError, match="'Spar/25' is no name of a store"):
        make("Spar/25", slow)
    assert not (tmp_path / "prepared").exists()
    before = Store.open(make("slow", slow)).sha256
    with pytest.raises(UsageError, match=r"slow was made from spar by another recipe"):
        make("slow", Recipe(rate_hz=10.0))
    with pytest.raises(UsageError, match=r"slow was made from spar "):
        make(None, None, dataclasses.replace(card, name="slow"))
    assert Store.open(store_folder("slow", tmp_path)).sha256 == before


def test_a_damaged_store_of_another_recipe_is_mended(fake, tmp_path):
    card, written = fake
    asked = {"source": written["source"], "root": tmp_path, "recipe": Recipe(rate_hz=25.0), "name": "slow"}
    folder = prepare(card, **asked)
    (folder / "label.npy").unlink()
    prepare(card, **asked)
    Store.open(folder).verify()


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(rate_hz=33.3, gravity=Gravity())])
def test_the_number_of_jobs_changes_no_byte(fake, tmp_path, recipe):
    card, written = fake
    card = dataclasses.replace(card, preparation=recipe)
    made = [prepare(card, source=written["source"], root=tmp_path / str(jobs), jobs=jobs) for jobs in (1, 2, 5)]
    for name in ("signal.npy", "label.npy", "recordings.parquet", "manifest.json"):
        assert len({(folder / name).read_bytes() for folder in made}) == 1


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_cannot_be_prepared_leaves_nothing_whatever_the_jobs(fake, tmp_path, monkeypatch, jobs):
    card, written = fake
    convert = har.windows.account.prepare_recording

    def fails(plan, raw):
        if raw.subject == "4":
            raise DataError("subject 4 cannot be prepared.")
        return convert(plan, raw)

    monkeypatch.setattr(har.windows.account, "prepare_recording", fails)
    with pytest.raises(DataError, match="subject 4 cannot be prepared"):
        prepare(card, source=written["source"], root=tmp_path, jobs=jobs)
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == [".locks"]


def test_counts_from_documents_are_reported_and_counted_ones_refused(fake, tmp_path):
    card, written = fake
    wrong = dataclasses.replace(card.facts, rows=7)
    with pytest.raises(DataError, match=f"{written['rows']} rows instead of 7"):
        prepare(dataclasses.replace(card, facts=wrong), source=written["source"], root=tmp_path)
    doubted = dataclasses.replace(card, facts=dataclasses.replace(wrong, verified=False))
    store = Store.open(prepare(doubted, source=written["source"], root=tmp_path))
    assert store.manifest["facts_that_differ"] == [f"{written['rows']} rows instead of 7"]


def test_memory_does_not_grow_with_the_number_of_recordings(tmp_path):
    card, rows = plain_card(), 20_000

    def raws(count):
        for i in range(count):
            signal_TC = np.full((rows, 2), float(i))
            yield RawRecording(str(i), "a", (Stream(("acc_x", "gyro_x"), signal_TC),), np.zeros(rows, np.int16))

    def peak(count):
        preparation = Preparation(Plan.of(card))
        tracemalloc.start()
        write_store(tmp_path / str(count), card, preparation.recordings(raws(count)), preparation)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)  # what is imported and cached on the way
    assert peak(30) < peak(3) + rows * 2 * 8
