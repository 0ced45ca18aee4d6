"""`har report`: the pages of a study, made again from its files."""

from __future__ import annotations

from pathlib import Path

from har.commands.parser import CommandParser

_EXAMPLES = """
har report runs/bn-placement/spar
har report runs/bn-placement/spar --policy union
har report runs/bn-placement/spar --figure differences
"""


def main(args: list[str]) -> int:
    """Write report.html, report.md and tables/*.csv of a study and print the answer, or draw one figure of it.

    Args:
        args: The command line after ``har report``.

    Returns:
        0.

    Raises:
        DataError: When the folder is no study.
        UsageError: When an option is wrong, or the report has no such figure.
    """
    parser = CommandParser("report", "report.html, report.md and tables/*.csv of a study, from its files.", _EXAMPLES)
    parser.add_argument("study", type=Path, help="a study's folder")
    parser.add_argument(
        "--policy", default="present", help="how absent activities count: present (default), union, all"
    )
    parser.add_argument("--figure", metavar="NAME", help="draw one figure of the report alone, as figures/NAME.svg")
    options = parser.parse_args(args)

    from har.evaluation.gathering import read_json
    from har.evaluation.report import write_figure, write_report

    if options.figure is not None:
        path = write_figure(options.study, options.figure, options.policy)
        print(f"written: {path}")
        return 0
    page = write_report(options.study, options.policy)
    result = read_json(options.study / "contrasts.json")
    for problem in result["problems"]:
        print(f"problem: {problem}")
    for sentence in result["answer"]:
        print(sentence)
    print(f"\nwritten: {page}, report.md and tables/*.csv beside it")
    return 0
