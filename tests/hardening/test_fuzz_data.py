"""Raw files of any bytes become recordings, or an error that names them; so do the lines of a stream."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from har.datasets.card import Channel
from har.datasets.fetch import locate
from har.datasets.readers import read
from har.datasets.registry import card_names, load_card
from har.deploy.lines import SampleLines
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.conftest import SEED
from tests.datasets.own import CARD, card_with, lines, write
from tests.fakes.stores import faked
from tests.hardening.fuzz import cases, damaged, fuzz, one_of, rewritten

ROWS = lines(
    *(f"{n * 20},{n % 7},{n % 11}.5,9.81,{'walk' if n // 20 % 2 else 'sit'}" for n in range(60)),
    header="t,ax,ay,az,activity",
)


@cases(25, 700)
def test_own_tables(count, tmp_path):
    """One file of two is damaged, with a clock in it or none."""
    clocks = [{}, {"time": {"column": "t", "unit": "ms"}}]

    def call(case: tuple[dict[str, Any], bytes]) -> None:
        shutil.rmtree(tmp_path / "prepared", ignore_errors=True)
        card = card_with(tmp_path, files=case[0])
        source = write(tmp_path / "raw", {"anna/1.csv": ROWS, "anna/2.csv": case[1]})
        prepare(card, source=source, root=tmp_path)

    fuzz(count, st.tuples(st.sampled_from(clocks), damaged(ROWS.encode())), call)


@cases(25, 500)
def test_cards_of_own_tables(count, tmp_path):
    """A card that is possible and says something else of the files than what is there."""
    source = write(tmp_path / "raw", {"anna/1.csv": ROWS, "bo/1.csv": ROWS})
    plain = yaml.safe_load(CARD)
    clocked = {**plain, "files": {**plain["files"], "time": {"column": "t", "unit": "ms"}}}
    path = tmp_path / "card.yaml"

    def call(value: Any) -> None:
        shutil.rmtree(tmp_path / "prepared", ignore_errors=True)
        path.write_text(yaml.safe_dump(value, allow_unicode=True))
        prepare(load_card(path), source=source, root=tmp_path)

    fuzz(count, one_of(rewritten, [plain, clocked]), call)


@cases(4, 40)
def test_files_of_data_sets(count, tmp_path):
    """So many cases for each of three built-in data sets, or all where there is time, in a fake of its layout."""
    names = card_names() if count > 10 else random.Random(SEED).sample(card_names(), 3)
    for name in names:
        card, made = faked(name, tmp_path / name)
        card = dataclasses.replace(card, facts=None, source=dataclasses.replace(card.source, sha256=None, tree=None))
        place = Path(made["source"])
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())

        def call(case: tuple[int, bytes], card=card, place=place, files=files) -> None:
            path, whole = files[case[0]], files[case[0]].read_bytes()
            path.write_bytes(case[1])
            try:
                for _ in read(card, locate(card, place, root=tmp_path)):
                    pass
            finally:
                path.write_bytes(whole)

        numbers = st.integers(0, len(files) - 1)
        fuzz(count, numbers.flatmap(lambda n, f=files: damaged(f[n].read_bytes()).map(lambda b, n=n: (n, b))), call)


@cases(15, 250)
def test_stores(count, tmp_path):
    """A store is opened and verified with one of its files damaged."""
    card = card_with(tmp_path)
    folder = prepare(card, source=write(tmp_path / "raw", {"anna/1.csv": ROWS}), root=tmp_path)
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}

    def call(case: tuple[Path, bytes]) -> None:
        case[0].write_bytes(case[1])
        try:
            store = Store.open(folder)
            store.verify()
            np.asarray(store.signal_TC).sum()
        finally:
            case[0].write_bytes(files[case[0]])

    manifest = folder / "manifest.json"
    values = rewritten(json.loads(files[manifest])).map(lambda value: (manifest, json.dumps(value).encode()))
    fuzz(count, st.sampled_from(list(files)).flatmap(lambda p: damaged(files[p]).map(lambda b: (p, b))) | values, call)


@cases(60, 900)
def test_lines_of_a_stream(count):
    inputs = tuple(Channel(f"acc_{axis}", "accelerometer", "wrist", axis, "m/s²") for axis in "xyz")
    rows = [(n * 0.02, 0.1 * n, -9.81, 1e-3) for n in range(40)]
    csv = "time_s,acc_x,acc_y,acc_z\n" + "".join(f"{t},{x},{y},{z}\n" for t, x, y, z in rows)
    names = ("time_s", "acc_x", "acc_y", "acc_z")
    objects = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)

    def call(case: tuple[bytes, int]) -> None:
        content, size = case
        reader = SampleLines(inputs)
        for first in range(0, len(content), size):
            signal_TC, time_s = reader.push(content[first : first + size])
            assert signal_TC.shape[1] == 3
            assert time_s is None or time_s.shape == (len(signal_TC),)
        reader.end()

    fuzz(count, st.tuples(one_of(damaged, [csv.encode(), objects.encode()]), st.sampled_from([1, 17, 10**6])), call)
