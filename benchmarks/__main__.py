"""All benchmarks, one after the other: make bench, or python -m benchmarks [NAME ...] [--quick].

Ratios with their spread are printed and written to benchmarks/results.json by their names; what is left out keeps what
it had there. What is compared, and why, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from benchmarks.timing import keep

# Name of the module, arguments of its `measure`, and those for a quick look.
_ALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prepare": ({}, {"repeats": 1}),
    "steps": ({}, {"repeats": 2}),
    "overhead": ({}, {"repeats": 1}),
    "probes": ({}, {"repeats": 1}),
    "events": ({}, {}),
    "report": ({}, {"variants": 2, "subjects": 4, "repeats": 1}),
    "fused": ({}, {"repeats": 1, "replicas": 2, "steps": 50, "alone": 1}),
    "deploy": ({}, {"repeats": 1, "seconds": 6.0}),
    "study": ({}, {"folds": 1, "steps": 50}),
}


def main() -> None:
    """Run the benchmarks that are asked for, all when none is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*_ALL, []], metavar="NAME", help=", ".join(_ALL))
    parser.add_argument("--quick", action="store_true", help="see that all of them work; nothing is written")
    options = parser.parse_args()
    for name in options.names or _ALL:
        found = importlib.import_module(f"benchmarks.{name}").measure(**_ALL[name][options.quick])
        if not options.quick:
            keep(found)


if __name__ == "__main__":
    main()
