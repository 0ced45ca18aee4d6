"""A trained classifier for inference alone: norms folded into their neighbours, weights as they are used."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from har.errors import UsageError
from har.learners.classifier import Classifier
from har.learners.cnn import Block, CNNFeatures
from har.norms.folding import affine_of, into_linear, into_next, into_previous, plain


def fold(classifier: Classifier) -> tuple[Classifier, list[str]]:
    """Return a copy in inference mode with every norm folded that may be, and why the others may not.

    The copy gives the same logits up to rounding. Without folding, placements could not be compared in speed: a norm
    behind a convolution costs nothing in inference, and one on the input would seem to.

    Args:
        classifier: A trained classifier. It is not changed.

    Returns:
        The copy, and one sentence for each norm that is left in it.

    Raises:
        UsageError: When its features are of a learner that has no rule for folding.
    """
    folded = copy.deepcopy(classifier).eval()
    features = folded.features
    if not isinstance(features, CNNFeatures):
        raise UsageError(f"a network of {type(features).__name__} cannot be folded.", "Only a CNN can.")
    blocks = [features.get_submodule(f"block{position}") for position in range(1, features.depth + 1)]
    left: list[str] = []
    for block in blocks:
        block.conv = plain(block.conv)  # type: ignore[arg-type]
    if features.input_norm_present:
        norm, first = features.get_submodule("input.norm"), blocks[0]
        maps = _affine(norm, "input.norm", first.conv.in_channels, None, left)  # type: ignore[union-attr, arg-type]
        if maps is not None:
            first.conv = into_next(first.conv, *maps)  # type: ignore[arg-type]
            features.drop_input_norm()
    for position, block in enumerate(blocks, start=1):
        following = blocks[position] if position < len(blocks) else folded
        assert isinstance(block, Block)  # noqa: S101
        _fold_block(block, f"block{position}.norm", following, left)
    return folded, left


def _fold_block(block: Block, name: str, following: nn.Module, left: list[str]) -> None:
    """Fold a block's norm into its own convolution, or into the next block's or the head, or say why not."""
    if block.norm is None:
        return
    pool = None if block.norm_first else block.pool
    maps = _affine(block.norm, name, block.conv.out_channels, pool, left)
    if maps is None:
        return
    if block.norm_first:
        block.conv = into_previous(block.conv, *maps)
    elif isinstance(following, Block):
        following.conv = into_next(following.conv, *maps)
    else:
        following.head = into_linear(following.head, *maps)  # type: ignore[arg-type]
    block.norm, block.norm_first = None, False


def _affine(
    norm: nn.Module, name: str, channels: int, pool: nn.Module | None, left: list[str]
) -> tuple[Tensor, Tensor] | None:
    """Return the map of a norm that may be folded through what follows it; else add the reason to `left`."""
    maps = affine_of(norm, channels)
    if maps is None:
        left.append(f"{name} stays: {type(norm).__name__} takes its statistics from each window.")
        return None
    falling = int((maps[0] < 0).sum())
    if pool is not None and falling:
        left.append(
            f"{name} stays: {falling} of its {channels} factors are negative, and a negative factor turns the "
            "max-pooling between it and the next layer into a minimum."
        )
        return None
    return maps
