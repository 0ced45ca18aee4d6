"""Whether a run's data and network allow its inferences, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from har.errors import UsageError
from har.norms.inferences import parse
from har.training.at_use import change_of
from har.training.datamodule import HarDataModule
from har.training.module import HarModule
from har.training.personal import require_labels


def require_possible(names: Sequence[str], module: HarModule, data: HarDataModule) -> None:
    """Refuse inferences that a run could not make.

    Args:
        names: The inferences.
        module: The module.
        data: The data module, set up.

    Raises:
        UsageError: When the channels do not allow a change at use, the head cannot be fitted to a subject, or a subject
            has too little that is labelled.
    """
    for inference in map(parse, names):
        change_of(inference.change, data)
        if inference.labelled_s and module.head.at_once:
            raise UsageError(
                f"inference {inference.name} fits a head of cross-entropy, and this one is {module.head.kind}.",
                "Set model.head.kind to softmax, or leave the inference out.",
            )
        if inference.labelled_s:
            require_labels(inference.labelled_s, data)
