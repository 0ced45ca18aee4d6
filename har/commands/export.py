"""`har export`: a run as ONNX and torch.export files, proved against its checkpoint, with a model card."""

from __future__ import annotations

import sys
from pathlib import Path

from har.commands.parser import CommandParser

_EXAMPLES = """
har export runs/spar-cnn/spar/every/subject-1/seed-0
har export runs/spar-cnn/spar/every/subject-1/seed-0 --out wrist-model
"""


def main(args: list[str]) -> int:
    """Write the files, print what they differ by and what they cost."""
    parser = CommandParser(
        "export", "A run as ONNX and torch.export files, proved against its checkpoint, with a model card.", _EXAMPLES
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files go (default: RUN/export)")
    parser.add_root()
    options = parser.parse_args(args)
    from har.deploy.export import export

    exported = export(options.run, options.out, options.root, say=lambda step: print(f"{step} …", file=sys.stderr))
    content = exported.content
    for name, cost in content["cost"].items():
        difference = content["parity"]["largest_difference"].get(name)
        print(
            f"{name:16}{cost['bytes'] / 1000:9.1f} kB  one window {cost['single_ms']:.3f} ms  in batches "
            f"{cost['batch_ms_per_window']:.3f} ms  macro F1 {content['macro_f1'][name]:.3f}"
            + ("" if difference is None else f"  differs by {difference:.1e}")
        )
    if "why" in content["int8"]:
        print(f"no file in 8 bits: {content['int8']['why']}")
    windows = content["parity"]["test_windows"]
    print(f"over {windows} windows of the test subjects; {content['multiply_adds']} multiply-adds a window")
    print(f"written: {', '.join(str(exported.folder / name) for name in exported.files)}")
    return 0
