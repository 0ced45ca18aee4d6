"""Settings of learners: what is refused, and how many samples kernels and pooling need."""

from __future__ import annotations

from collections.abc import Sequence

from har.errors import UsageError


def require_widths(learner: str, name: str, widths: Sequence[int], one_per: str, example: str) -> None:
    """Refuse widths of layers that are none.

    Args:
        learner: The learner's name, for messages.
        name: The setting's name.
        widths: One number per layer.
        one_per: What each number stands for.
        example: A good value.

    Raises:
        UsageError: When there is none, or one is not positive.
    """
    if not widths or min(widths) < 1:
        hint = f"Try {example}."
        raise UsageError(f"{learner} {name} {list(widths)} are not one positive number per {one_per}.", hint)


def require_for_each(learner: str, name: str, values: Sequence[int], count: int, of: str) -> None:
    """Refuse a list that does not give a positive number of samples for each of `count` layers.

    Raises:
        UsageError: When its length is another, or a number is not positive.
    """
    if len(values) != count or min(values, default=1) < 1:
        raise UsageError(
            f"{learner} {name} {list(values)} does not give a positive number for each of {count} {of}.",
            f"Give {count} of them; 1 means no pooling, no dilation, or a kernel of one sample.",
        )


def require_convolutions(
    learner: str, filters: Sequence[int], kernels: Sequence[int], pool: Sequence[int], example: str
) -> None:
    """Refuse convolutions whose kernels and pooling are not given for each of them.

    Args:
        learner: The learner's name, for messages.
        filters: Filters of each convolution.
        kernels: Samples of each kernel.
        pool: Max-pooling after each, in samples.
        example: Good filters.

    Raises:
        UsageError: When there is none, a number is missing, or one is not positive.
    """
    require_widths(learner, "filters", filters, "convolution", example)
    require_for_each(learner, "kernels", kernels, len(filters), "convolutions")
    require_for_each(learner, "pool", pool, len(filters), "convolutions")


def require_positive(learner: str, name: str, value: int, example: int) -> None:
    """Refuse a number of samples or units below 1.

    Raises:
        UsageError: When it is.
    """
    if value < 1:
        raise UsageError(f"{learner} {name} {value} is not a positive number.", f"Try {example}.")


def require_share(learner: str, dropout: float) -> None:
    """Refuse a dropout that is no share.

    Raises:
        UsageError: When it is not in [0, 1).
    """
    if not 0 <= dropout < 1:
        raise UsageError(f"{learner} dropout {dropout} is not in [0, 1).", "0 drops nothing.")


def reach(extents: Sequence[int], pools: Sequence[int], outputs: int = 1) -> int:
    """Return the samples that neighbouring outputs behind valid convolutions with pooling depend on.

    For one output that is also the shortest window. Pooling leaves out what is over at the end of a window.

    Args:
        extents: Samples from the first to the last that each convolution sees, (kernel − 1)·dilation + 1.
        pools: Max-pooling behind each; 1 is none.
        outputs: Neighbouring outputs.
    """
    samples = outputs
    for extent, pool in zip(reversed(extents), reversed(pools), strict=True):
        samples = samples * pool + extent - 1
    return samples


def require_samples(learner: str, samples: int, needed: int, settings: str) -> None:
    """Refuse a window that is too short.

    Args:
        learner: The learner's name.
        samples: Samples of the window.
        needed: Samples that it needs.
        settings: The settings that make it so, for the message.

    Raises:
        UsageError: When there are fewer samples than needed.
    """
    if samples < needed:
        raise UsageError(
            f"a window of {samples} sample{'s' * (samples > 1)} is too short for a {learner} that needs at least "
            f"{needed} ({settings}).",
            "Use a longer window, a shorter kernel, less pooling or fewer convolutions; nothing was changed.",
        )
