"""A trained classifier for inference alone: norms folded into their neighbours, weights as they are used."""

from __future__ import annotations

import copy

from torch import nn

from har.learners.classifier import Classifier


def fold(classifier: Classifier) -> tuple[Classifier, list[str]]:
    """Return a copy in inference mode with every norm folded that may be, and why the others may not.

    The copy gives the same logits up to rounding. Without folding, placements could not be compared in speed: a norm
    behind a convolution costs nothing in inference, and one on the input would seem to. What folds into what is the
    learner's to say (`har.learners.base.Features.fold`).

    Args:
        classifier: A trained classifier. It is not changed.

    Returns:
        The copy, and one sentence for each norm that is left in it.
    """
    folded = copy.deepcopy(classifier).eval()
    if not isinstance(folded.head, nn.Linear):  # of trees: they stand behind features without norms
        return folded, []
    folded.head, left = folded.features.fold(folded.head)
    return folded, left
