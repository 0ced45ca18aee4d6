"""The image's recipe, its entry point and the script that builds it: as far as no engine is needed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

import har
from har.commands.serve import _PORT

ROOT = Path(__file__).parents[1]
ENTRYPOINT = ROOT / "docker" / "entrypoint.sh"
SCRIPT = ROOT / "docker" / "build-without-engine.sh"
DOCS = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions(stage: int) -> list[str]:
    """Return the instructions of a stage of the Dockerfile, each on one line; 0 is what stands before the first."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    lines = [re.sub(r"\s+", " ", line) for line in text.replace("\\\n", " ").splitlines() if line]
    starts = [0, *(number for number, line in enumerate(lines) if line.startswith("FROM ")), len(lines)]
    return lines[starts[stage] : starts[stage + 1]]


def settings(kind: str) -> dict[str, str]:
    """Return the labels or the environment of the image."""
    found = [line.removeprefix(f"{kind} ") for line in instructions(4) if line.startswith(f"{kind} ")]
    return {name: quoted or plain for name, quoted, plain in re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', found[0])}


def run_lines(stage: int, containing: str) -> str:
    """Return the shell command of the RUN that contains a word, with pip replaced by `echo` and its own name."""
    (found,) = [line for line in instructions(stage) if line.startswith("RUN ") and containing in line]
    return found.removeprefix("RUN ").replace("/opt/tools/bin/pip", "echo pip")


def shell(command: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["sh", "-c", command], cwd=place, env=path | environment, capture_output=True, text=True, check=False
    )


def test_dependencies_are_installed_from_their_lists_alone_so_that_no_source_changes_their_layers() -> None:
    names = [instructions(stage)[0].split(" AS ")[-1] for stage in (1, 2, 3)]
    assert names == ["requirements", "dependencies", "project"]
    assert [line for line in instructions(2) if line.startswith("COPY")] == [
        "COPY constraints.txt ./",
        "COPY --from=requirements /build/run.txt ./",
        "COPY --from=requirements /build/test.txt ./",
    ]


def test_everything_that_is_kept_of_the_build_is_copied_out_of_its_stages() -> None:
    copies = [line for line in instructions(4) if line.startswith(("COPY", "ADD"))]
    assert copies == ["COPY --from=dependencies /opt/venv /opt/venv", "COPY --from=project /tree/ /"]


@pytest.mark.parametrize(
    ("environment", "index"),
    [
        ({"DEVICE": "cpu"}, "https://download.pytorch.org/whl/cpu"),
        ({"DEVICE": "gpu"}, None),
        ({"DEVICE": "cpu", "TORCH_INDEX": ""}, None),
        ({"DEVICE": "gpu", "TORCH_INDEX": "https://index.example"}, "https://index.example"),
    ],
)
def test_the_device_decides_where_torch_comes_from(
    environment: dict[str, str], index: str | None, tmp_path: Path
) -> None:
    said = shell(run_lines(2, "DEVICE"), tmp_path, **environment)
    assert (said.returncode, said.stderr) == (0, "")
    assert re.findall(r"--index-url (\S+)", said.stdout) == ([index] if index else [])
    assert said.stdout.endswith(" torch\n")


def test_the_default_device_is_the_processor_and_another_name_is_refused(tmp_path: Path) -> None:
    assert "ARG DEVICE=cpu" in instructions(2)
    refused = shell(run_lines(2, "DEVICE"), tmp_path, DEVICE="tpu")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "DEVICE=tpu is not known: cpu or gpu.\n"


def test_the_lists_are_those_of_the_project_but_a_browsers_driver_and_all_have_a_version(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    done = shell(run_lines(1, "tomllib").replace("python3", sys.executable), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    run, test = ((tmp_path / name).read_text().splitlines() for name in ("run.txt", "test.txt"))
    assert run == PROJECT["project"]["dependencies"]
    assert test == [line for line in PROJECT["dependency-groups"]["test"] if not line.startswith("playwright")]
    constrained = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    wanted = {re.split(r"[\[><=~!]", line)[0].casefold() for line in run + test}
    assert wanted <= {name.casefold().replace("_", "-") for name in constrained}


def test_labels_say_what_the_image_is() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in settings("LABEL").items()}
    assert labels["title"] == PROJECT["project"]["name"]
    assert labels["licenses"] == PROJECT["project"]["license"]
    assert labels["version"] == har.__version__
    assert labels["revision"] == settings("ENV")["HAR_COMMIT"] == "${REVISION}"
    assert labels["base.name"] == "${BASE}"
    assert {"ARG BASE", "ARG REVISION"} <= set(instructions(4))  # a stage sees no argument that it does not name


def test_the_image_runs_as_a_user_who_is_not_root_and_ends_as_by_ctrl_c() -> None:
    last = instructions(4)
    assert "USER 1000:1000" in last
    assert "STOPSIGNAL SIGINT" in last
    assert f"EXPOSE {_PORT}" in last
    assert last.index("USER 1000:1000") > max(number for number, line in enumerate(last) if line.startswith("RUN"))
    assert f'ENTRYPOINT ["/opt/har-lab/{ENTRYPOINT.relative_to(ROOT)}"]' in last


def test_a_checkout_goes_into_the_image_without_what_is_made_in_it() -> None:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert rest[-4:] == ["data/raw", "data/prepared", "**/__pycache__", "**/*.pyc"]  # the last match decides
    let_in = {line.removeprefix("!") for line in rest[:-4]}
    assert not let_in & {".git", ".venv", "runs"}
    if (ROOT / ".git").exists():  # all that a checkout has, since tests read most of it; the image has no history
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        assert let_in == {path.split("/")[0] for path in listed.splitlines()}


def test_every_build_argument_is_documented() -> None:
    declared = {name for stage in range(5) for line in instructions(stage) for name in re.findall(r"^ARG (\w+)", line)}
    assert declared == set(re.findall(r"--build-arg (\w+)=", DOCS))


def stubs(place: Path, **programs: str) -> str:
    """Return a PATH that begins with programs of these shell commands."""
    for name, command in programs.items():
        (place / name).write_text(f"#!/bin/sh\n{command}\n")
        (place / name).chmod(0o755)
    return f"{place}:/usr/bin:/bin"


def entered(words: Sequence[str], place: Path, *, mounted: bool = True) -> tuple[str, str]:
    """Return the command that the entry point makes of some words, and what it says."""
    path = stubs(place, har='echo har "$@"', python3='echo python3 "$@"', mountpoint="true" if mounted else "false")
    done = subprocess.run([ENTRYPOINT, *words], env={"PATH": path}, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n"), done.stderr


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], "har"),
        (["--help"], "har --help"),
        (["study", "a b.yaml", "--short"], "har study a b.yaml --short"),
        (["har", "study", "x.yaml"], "har study x.yaml"),
        (["har", "test", "runs/x"], "har test runs/x"),
    ],
)
def test_words_after_the_image_are_a_command_of_har(words: list[str], command: str, tmp_path: Path) -> None:
    assert entered(words, tmp_path) == (command, "")


def test_test_is_the_projects_tests_as_make_runs_them(tmp_path: Path) -> None:
    command, said = entered(["test", "tests/windows", "-k", "a b"], tmp_path)
    (made,) = re.findall(r"^\t\$\(BIN\)/pytest (-n .*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert command == f"python3 -m pytest -p no:cacheprovider {made} tests/windows -k a b"
    assert "'har test RUN'" in said


@pytest.mark.parametrize(("word", "warned"), [("study", True), ("fit", True), ("prepare", True), ("doctor", False)])
def test_results_that_would_end_with_the_container_are_warned_of(word: str, warned: bool, tmp_path: Path) -> None:
    command, said = entered([word], tmp_path, mounted=False)
    assert command == f"har {word}"
    assert ("no folder is mounted at /results" in said) == warned


@pytest.mark.parametrize("script", sorted((ROOT / "docker").iterdir()), ids=lambda path: path.name)
def test_scripts_can_be_read_by_their_shells_and_executed(script: Path) -> None:
    interpreter = script.read_text(encoding="utf-8").splitlines()[0].split("/")[-1].removeprefix("env ")
    subprocess.run([interpreter, "-n", script], check=True, capture_output=True)
    assert script.stat().st_mode & 0o111


def built(
    words: Sequence[str], place: Path, *, overlaid: bool = False
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script where a base exists and nothing is really built; return its end and what buildah was asked for."""
    log = place / "log"
    path = stubs(
        place,
        buildah=f"""echo "$@" >> {log}; shift 6; case "$*" in
            from*) echo box ;; mount*) echo {place} ;; *Entrypoint*) echo /enter ;; *Cmd*) echo study ;;
        esac""",
        mount="true" if overlaid else "false",
        umount="true",
        unshare=f'echo "$@" >> {log}; exit 7',
    )
    done = subprocess.run([SCRIPT, *words], env={"PATH": path}, capture_output=True, text=True, check=False)
    return done, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("words", [["--nonsense", "1"], ["--results"], ["--results", "r", "more"]])
def test_the_script_refuses_what_it_does_not_know(words: list[str], tmp_path: Path) -> None:
    done, asked = built(words, tmp_path)
    assert (done.returncode, asked) == (2, [])
    assert "is no option" in done.stderr or "is not an option" in done.stderr


def test_the_script_builds_with_read_only_mounts_and_forgets_them(tmp_path: Path) -> None:
    left = tmp_path / "etc" / "pip.conf"
    left.parent.mkdir()
    left.touch()
    done, asked = built(["--mount", "/a:/etc/pip.conf", "--build-arg", "DEVICE=gpu"], tmp_path)
    assert done.returncode == 0, done.stderr
    (build,) = [line for line in asked if " bud " in line]
    assert "--isolation chroot --pull-never" in build
    assert "--volume /a:/etc/pip.conf:ro" in build
    assert "--build-arg DEVICE=gpu" in build
    assert not left.exists()
    assert not any("--net" in line for line in asked)  # built, not run


def test_the_script_runs_without_a_network_and_ends_with_the_exit_code_of_what_ran(tmp_path: Path) -> None:
    place = tmp_path / "with a space"
    place.mkdir()
    (place / "kept").touch()
    done, asked = built(["--scratch", str(tmp_path / "s"), "--results", str(place), "--", "test", "-q"], tmp_path)
    assert done.returncode == 7
    (ran,) = [line for line in asked if line.startswith("--net")]
    assert ran.endswith(f"--isolation chroot --user 4711:4711 --volume {place}:/results box -- /enter test -q")
    assert "with exit code 7" in done.stdout
    assert (place / "kept").exists()


@pytest.mark.parametrize(("overlaid", "driver", "layers"), [(True, "overlay", "true"), (False, "vfs", "false")])
def test_layers_are_kept_where_they_are_no_copies(overlaid: bool, driver: str, layers: str, tmp_path: Path) -> None:
    _, asked = built([], tmp_path, overlaid=overlaid)
    assert all(line.startswith(f"--storage-driver {driver} ") for line in asked)
    assert [f"--layers={layers}" in line for line in asked if " bud " in line] == [True]
