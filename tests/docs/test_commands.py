"""README and docs: each command line is parsed by its own command, each link and each setting is there."""

from __future__ import annotations

import contextlib
import importlib
import re

import pytest

from har.errors import HarError
from tests.docs.checks import check, check_key, check_span
from tests.docs.pages import PAGES, ROOT, Command, commands, links, spans

_KEY = re.compile(r"`(?:--)?((?:data|model|trainer|probes)\.[a-z_.]*[a-z])(?:[ =:][^`]*)?`")  # in code, with a value
_NAME = re.compile(r"`((?:har|benchmarks|docs)(?:\.\w+)+)")
_PATH = re.compile(r"`((?:har|tests|docs|configs|benchmarks|docker)/[\w./-]*\w)`")
_FILE = re.compile(r"\.(?:py|npy|parquet|yaml|md|onnx|html|csv|json)$")


def problems(check, found) -> list[str]:
    """Return what is wrong with each, in words."""
    said = []
    for command in found:
        try:
            check(command)
        except (HarError, AssertionError) as error:
            said.append(f"{command}\n    {error}")
    return said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_line_of_a_page_is_one_that_its_command_accepts(page) -> None:
    assert "\n".join(problems(check, commands(page))) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_says_in_passing_is_there(page) -> None:
    wrong = problems(check_span, spans(page))
    text = page.read_text(encoding="utf-8")
    for key in {found for found in _KEY.findall(text) if not _FILE.search(found)}:
        try:
            check_key(key)
        except HarError as error:
            wrong.append(f"{page.name}: {error.what}")
    for line, target in links(page):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists():
            wrong.append(f"{page.name}:{line}: nothing is at {target}")
        elif anchor and anchor not in anchors(there.read_text(encoding="utf-8")):
            wrong.append(f"{page.name}:{line}: {file or page.name} has no heading {anchor}")
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_functions_and_files_that_a_page_names_are_there(page) -> None:
    text = page.read_text(encoding="utf-8")
    lost = [name for name in sorted(set(_NAME.findall(text))) if not (_FILE.search(name) or is_there(name))]
    lost += [path for path in sorted(set(_PATH.findall(text))) if "NAME" not in path and not (ROOT / path).exists()]
    assert lost == []


def is_there(name: str) -> bool:
    """Return whether a dotted name is a module of the project, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            found = importlib.import_module(".".join(parts[:end]))
            return all((found := getattr(found, part, None)) is not None for part in parts[end:])
    return False


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a page have."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "text",
    [
        "har fit --config configs/experiments/spar-cnn.yaml --model.norm.placment every",
        "har fit --config configs/experiments/no-such.yaml",
        "har fit --config configs/experiments/spar-cnn.yaml --model.norm.kind bach",
        "har study configs/studies/bn-placement.yaml --set trainer.max_step=3",
        "har study configs/studies/bn-statistics.yaml --short",
        "har evaluate runs --polcy union",
        "har prepare sparr",
        "har trian",
        "make tset",
        "make study STUDY='configs/studies/bn-placement.yaml --shrt'",
        "python -m benchmarks.sudy",
        "python -m benchmarks.study --round 1",
    ],
)
def test_a_line_that_could_not_run_is_found(text: str) -> None:
    with pytest.raises((HarError, AssertionError, ModuleNotFoundError)):
        check(Command("page.md", 1, text))


def test_lines_are_found_in_blocks_behind_pipes_and_variables_and_without_what_stands_beside_them() -> None:
    found = [str(command) for page in PAGES for command in commands(page)]
    assert len(found) > 80
    assert "README.md:7: make study    # installs" not in "\n".join(found)
    assert any(": har stream wrist-model/model.onnx --rate-hz 50" in text for text in found)
    assert any("OMP_NUM_THREADS=1 python -m benchmarks.prepare" in text for text in found)
