"""Collects, inserts, checks and tells times: see `docs.findings`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.findings import tables
from docs.findings.collect import collect, key_of, studies_below
from docs.findings.expected import compare, comparison_table
from docs.findings.insert import insert
from har.errors import DataError, HarError
from har.evaluation.gathering import gather
from har.evaluation.numbers import Column, Table

DOCS = Path(__file__).parents[1]
_RESULTS = "results"


def check(roots: list[Path], into: Path) -> int:
    """Print how runs compare with what is expected of them.

    Args:
        roots: Folders of runs.
        into: The folder whose results/ has what is expected.

    Returns:
        0 where all are within their tolerances, else 1.

    Raises:
        DataError: There is nothing to compare.
    """
    expected = tables.read(into / _RESULTS, tables.EXPECTED)
    compared = []
    for folder in studies_below(roots):
        gathered = gather(folder)
        own = [row for row in expected if (row["study"], row["data_set"]) == key_of(gathered)]
        compared += compare(own, gathered.runs)
    if not compared:
        raise DataError(
            "no repeat of any study is there whole and expected too.", "Run one: ./reproduce.sh --only spar"
        )
    print(comparison_table(compared).markdown())
    made = {row["machine"] + ", torch " + row["torch"] for row in tables.read(into / _RESULTS, tables.STUDIES)}
    print(f"Expected scores are of: {'; '.join(sorted(made))}. Hashes are equal on such a machine only.")
    outside = [one for one in compared if not one.is_within]
    print(f"{len(compared) - len(outside)} of {len(compared)} variants are within their tolerances.")
    return 1 if outside else 0


def times(into: Path) -> str:
    """Return how long every study takes on two cores, from the seconds of its runs."""
    columns = [Column("study"), Column("data set"), Column("runs", "count"), Column("minutes on two cores", "mean")]
    rows = [
        [row["study"], row["data_set"], row["runs"], row["runs"] * row["run_seconds"] / 120]
        for row in tables.read(into / _RESULTS, tables.STUDIES)
    ]
    return Table("times", "", columns, rows).markdown()


def main(args: list[str]) -> int:
    """Run one of the commands.

    Args:
        args: The command line.

    Returns:
        Its exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m docs.findings", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=DOCS, metavar="FOLDER", help="other than docs/")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("collect", "finished studies → results/*.csv"), ("check", "runs against results/expected.csv")):
        commands.add_parser(name, help=text).add_argument("runs", type=Path, nargs="+", metavar="RUNS")
    commands.add_parser("insert", help="results/*.csv → findings.md and images/findings-*.svg")
    commands.add_parser("times", help="how long the studies take")
    options = parser.parse_args(args)
    try:
        if options.command == "check":
            return check(options.runs, options.into)
        if options.command == "collect":
            print("\n".join(collect(options.runs, options.into / _RESULTS)))
        elif options.command == "insert":
            print("\n".join(map(str, insert(options.into))))
        else:
            print(times(options.into))
    except HarError as error:
        print(f"{error.what}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
