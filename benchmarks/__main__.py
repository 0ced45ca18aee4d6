"""All benchmarks, one after the other: make bench, or python -m benchmarks [NAME ...] [--quick].

Ratios with their spread are printed and written to benchmarks/results.json; a benchmark that is left out keeps what it
had there. What is compared, and why, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
from pathlib import Path
from typing import Any

from har.files import write_json
from har.training import provenance

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
_RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Run the benchmarks that are asked for, all when none is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*_ALL, []], metavar="NAME", help=", ".join(_ALL))
    parser.add_argument("--quick", action="store_true", help="see that all of them work; nothing is written")
    options = parser.parse_args()
    made_with = {
        "machine": provenance.machine(),
        "cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
    }
    for name in options.names or _ALL:
        found = importlib.import_module(f"benchmarks.{name}").measure(**_ALL[name][options.quick])
        if options.quick:
            continue
        results = json.loads(_RESULTS.read_text(encoding="utf-8")) if _RESULTS.is_file() else {}
        results[name] = {"made_with": made_with, **{key: value.record() for key, value in found.items()}}
        write_json(_RESULTS, results)


if __name__ == "__main__":
    main()
