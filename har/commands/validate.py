"""`har validate`: the score that chose a run's weights, computed again from its checkpoint."""

from __future__ import annotations

from har.commands.settings import FOLDS, MACHINE, WINDOWS, open_trained, split, trained_parser

_EXAMPLES = """\
har validate runs/spar-cnn/spar/every/subject-1/seed-0
har validate --config configs/experiments/spar-cnn.yaml --ckpt best.ckpt --data.fold subject-2"""
_SETTINGS = (*WINDOWS, *FOLDS, *MACHINE)


def main(args: list[str]) -> int:
    """Print loss and macro F1 of the weights on the validation subjects."""
    parser = trained_parser("validate", "Macro F1 of trained weights on the validation subjects.", _EXAMPLES, _SETTINGS)
    options, settings = split(parser, args)
    trained = open_trained(options, settings)
    scores = trained.validate()
    data = trained.data
    print(f"{data.data_set}, fold {data.fold.name}, validation subjects {', '.join(data.fold.validation)}:")
    print(f"  windows {len(data.validation)}")
    print(f"  loss {scores['validation_loss']:.4f}")
    print(f"  macro F1 {scores['validation_macro_f1']:.4f} (activities present, all windows together)")
    return 0
