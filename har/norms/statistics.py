"""Statistics of a trained network's norms, measured anew under fixed weights and put in the place of the running ones.

A batch norm normalises by the moments of a batch while it trains and by stored ones afterwards. Which stored ones is a
choice, and it can be made on the same weights. With batches b of n_b elements per channel, mean μ_b and variance v_b
(divided by n_b), the exact statistics of a population are pooled (Wu & Johnson 2021, arXiv 2105.07576):

    μ = Σ n_b·μ_b / Σ n_b        σ² = Σ n_b·(v_b + (μ_b − μ)²) / Σ n_b

The second term, the variance between batches, is what an average of batch variances lacks. How batches are merged in
float64 stands in `har.norms.collectors`.

Nothing here changes a weight, a module's mode or a random state, and a network leaves each function with the buffers
that it came with; `replaced` puts other ones in for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from har.errors import DataError
from har.norms.collectors import Averaged, Collector, Pooled, in_equal_shares

# name of a layer in its network → name of its buffer → value
Statistics = dict[str, dict[str, Tensor]]
# (network, batch) to whatever the network returns
Forward = Callable[[nn.Module, Any], object]
# (place of the layer in the forward pass from 0, number of layers, its own statistics, those measured) to what to use
Adapt = Callable[[int, int, dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]]


@runtime_checkable
class BatchStatistics(Protocol):
    """A layer that normalises by stored moments of its input, other than torch's batch norms, which need not say so."""

    def statistics_from(self, mean_C: Tensor, variance_C: Tensor) -> dict[str, Tensor]:
        """Return the layer's buffers, by name, that stand for a population of these moments.

        Args:
            mean_C: float64 (channels,), mean of the layer's input.
            variance_C: float64 (channels,), its variance, divided by the number of elements.
        """


def call(network: nn.Module, batch: Any) -> object:
    """Hand a batch to the network as it is."""
    return network(batch)


def statistics_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that normalise by stored statistics of batches, by name.

    A batch norm that keeps none (``track_running_stats=False``) is not among them.
    """
    found: dict[str, nn.Module] = {}
    for name, layer in network.named_modules():
        within = any(name.startswith(f"{outer}.") for outer in found)  # a layer that answers for its parts
        if not within and (isinstance(layer, BatchStatistics) or _keeps_running(layer)):
            found[name] = layer
    return found


def snapshot(network: nn.Module) -> Statistics:
    """Return a copy of every buffer of the statistics layers."""
    return {
        name: {buffer: value.clone() for buffer, value in layer.named_buffers()}
        for name, layer in statistics_layers(network).items()
    }


def write(network: nn.Module, statistics: Statistics) -> None:
    """Put statistics into a network's buffers, in the precision and on the device that these have.

    Raises:
        DataError: When a value is not finite. Nothing is written then.
    """
    _put(network, _require_finite(statistics))


@contextmanager
def replaced(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """Let a network have other statistics for the time of a ``with`` block.

    Raises:
        DataError: When a value is not finite.
    """
    with _kept(network):
        write(network, statistics)
        yield


def measure(
    network: nn.Module,
    batches: Iterable[Any],
    *,
    collect: Collector = Pooled,
    forward: Forward = call,
) -> Statistics:
    """Measure the statistics of every norm in one pass, each norm normalising by its batches meanwhile.

    Statistics of the first norm do not depend on the batches (with `Pooled`); those of a deeper one do a little, since
    the norms in front of it see a batch at a time, as they did in training. `measure_by_layer` is without that, and the
    one to take behind batch renormalisation, whose corrections follow the pass.

    Args:
        network: The network; dropout is off and its weights stay as they are.
        batches: What to measure on, such as all training windows.
        collect: How batches are put together: `Pooled` or `Averaged`.
        forward: How the network is given a batch.

    Returns:
        Statistics of each layer that the batches reached.

    Raises:
        DataError: When there is no batch, or a value is not finite.
    """
    layers = statistics_layers(network)
    collectors = {name: collect() for name in layers}
    with _kept(network), torch.no_grad():
        network.eval()
        for layer in layers.values():
            layer.train()
        order = _pass(network, layers, batches, forward, collectors)
    return _require_finite({name: buffers_of(layers[name], *collectors[name].moments()) for name in order})


def measure_by_layer(
    network: nn.Module,
    batches: Iterable[Any],
    *,
    adapt: Adapt | None = None,
    forward: Forward = call,
) -> Statistics:
    """Measure pooled statistics norm by norm, with those in front already in the state of inference.

    The result is that of one batch that holds everything, whatever the batches. It costs a pass for each norm.

    Args:
        network: The network; dropout is off and its weights stay as they are.
        batches: What to measure on; it must give the same batches each time it is iterated.
        adapt: How a norm's own statistics and the measured ones are mixed; the measured ones alone when None.
        forward: How the network is given a batch.

    Returns:
        Statistics of each layer that the batches reached.

    Raises:
        DataError: When there is no batch, they cannot be iterated again, or a value is not finite.
    """
    return _by_layer(network, [batches], adapt, forward)


def measure_in_equal_shares(
    network: nn.Module, groups: Sequence[Iterable[Any]], *, forward: Forward = call
) -> Statistics:
    """Measure norm by norm, as `measure_by_layer`, the statistics of a population in which groups have equal shares.

    A group with twice the windows weighs no more than another; see `har.norms.collectors.in_equal_shares`.

    Args:
        network: The network; dropout is off and its weights stay as they are.
        groups: Batches of each group, such as the training windows of each subject.
        forward: How the network is given a batch.

    Returns:
        Statistics of each layer that the batches reached.

    Raises:
        DataError: When a group has no batch, cannot be iterated again, or a value is not finite.
    """
    return _by_layer(network, groups, None, forward)


def _by_layer(network: nn.Module, groups: Sequence[Iterable[Any]], adapt: Adapt | None, forward: Forward) -> Statistics:
    """Measure norm by norm; see `measure_by_layer` and `measure_in_equal_shares`."""
    if any(iter(batches) is batches for batches in groups):
        raise DataError(
            "these batches can be iterated only once.", "Give a list of them, or a loader that begins anew."
        )
    layers = statistics_layers(network)
    found: Statistics = {}
    with _kept(network), torch.no_grad():
        network.eval()
        own = snapshot(network)
        order = _pass(network, layers, _first(groups[0]), forward, {name: Pooled() for name in layers})
        for place, name in enumerate(order):
            collectors = [Pooled() for _ in groups]
            for batches, collector in zip(groups, collectors, strict=True):
                _pass(network, {name: layers[name]}, batches, forward, {name: collector})
            moments = in_equal_shares([collector.moments() for collector in collectors])
            measured = buffers_of(layers[name], *moments)
            found[name] = measured if adapt is None else adapt(place, len(order), own[name], measured)
            write(network, {name: found[name]})
    return found


def adapted(network: nn.Module, batch: Any, adapt: Adapt | None = None, *, forward: Forward = call) -> Any:
    """Return what a network says of a batch under the batch's own statistics, mixed with the network's as `adapt` says.

    This is how a stream is met: each norm takes the moments of what reaches it, then passes it on in the state of
    inference. Afterwards the network has its own statistics again.

    Args:
        network: The network; dropout is off.
        batch: The batch.
        adapt: How a norm's own statistics and the batch's are mixed; the batch's alone when None.
        forward: How the network is given a batch.

    Raises:
        DataError: When a value is not finite.
    """
    layers = statistics_layers(network)
    own = snapshot(network)
    places: dict[str, int] = {}

    def take(name: str, x: Tensor) -> None:
        collector = Pooled()
        collector.add(x)
        measured = buffers_of(layers[name], *collector.moments())
        place = places.setdefault(name, len(places))
        write(network, {name: measured if adapt is None else adapt(place, len(layers), own[name], measured)})

    with _kept(network), torch.no_grad(), ExitStack() as stack:
        network.eval()
        for name, layer in layers.items():
            stack.enter_context(layer.register_forward_pre_hook(_watching(name, take)))
        return forward(network, batch)


def weighted(weight: float) -> Adapt:
    """Return the mix (1 − weight)·own + weight·measured of every norm: 0 keeps the own, 1 is AdaBN (Li et al. 2016)."""

    def adapt(place: int, layers: int, own: dict[str, Tensor], measured: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: (1 - weight) * own[name].double() + weight * value for name, value in measured.items()}

    return adapt


def by_depth(first: float = 0.1, last: float = 0.99) -> Adapt:
    """Return OFTTA's mix: the weight of the own statistics grows geometrically with depth (arXiv 2310.18562).

    Early norms follow the measured data and late ones stay with the training's. As its authors do, deviations are
    mixed, not variances.

    Args:
        first: Weight of the own statistics at the first norm; also at the only one.
        last: Weight at the last.
    """

    def adapt(place: int, layers: int, own: dict[str, Tensor], measured: dict[str, Tensor]) -> dict[str, Tensor]:
        share = first * (last / first) ** (place / max(layers - 1, 1))
        mixed = {}
        for name, value in measured.items():
            if name.endswith("var"):
                mixed[name] = (share * own[name].double().sqrt() + (1 - share) * value.sqrt()) ** 2
            else:
                mixed[name] = share * own[name].double() + (1 - share) * value
        return mixed

    return adapt


def _keeps_running(layer: nn.Module) -> bool:
    """Tell whether a layer is one of torch's batch norms with running statistics."""
    return isinstance(layer, _BatchNorm) and layer.running_mean is not None


def buffers_of(layer: nn.Module, mean_C: Tensor, variance_C: Tensor) -> dict[str, Tensor]:
    """Return the buffers, by name, in which a statistics layer stores a population of these moments, float64."""
    if isinstance(layer, BatchStatistics):
        return layer.statistics_from(mean_C, variance_C)
    return {"running_mean": mean_C, "running_var": variance_C}


def _watching(name: str, see: Callable[[str, Tensor], None]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that shows a layer's input, without changing it."""

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        see(name, inputs[0])

    return hook


def _pass(
    network: nn.Module,
    layers: dict[str, nn.Module],
    batches: Iterable[Any],
    forward: Forward,
    collectors: Mapping[str, Pooled | Averaged],
) -> list[str]:
    """Send every batch through the network, collect the inputs of the layers, return these in the order of the pass."""
    order: dict[str, None] = {}

    def seen(name: str, x: Tensor) -> None:
        order.setdefault(name)
        collectors[name].add(x)

    passed = False
    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(layer.register_forward_pre_hook(_watching(name, seen)))
        for batch in batches:
            forward(network, batch)
            passed = True
    if not passed:
        raise DataError(
            "there is not one batch to measure the norms' statistics on.",
            "A loader that can be iterated only once is empty the second time; give one that begins anew.",
        )
    return list(order)


def _first(batches: Iterable[Any]) -> list[Any]:
    """Return the first batch alone, if there is one."""
    for batch in batches:
        return [batch]
    return []


def _require_finite(statistics: Statistics) -> Statistics:
    """Return statistics, or raise where a value is not finite."""
    for name, values in statistics.items():
        for buffer, value in values.items():
            if not torch.isfinite(value).all():
                raise DataError(
                    f"the statistics {buffer} of the norm {name} are not finite.",
                    "The weights or the data that were measured hold NaN or infinity.",
                )
    return statistics


def _put(network: nn.Module, statistics: Statistics) -> None:
    """Copy values into a network's buffers."""
    layers = statistics_layers(network)
    with torch.no_grad():
        for name, values in statistics.items():
            buffers = dict(layers[name].named_buffers())
            for buffer, value in values.items():
                buffers[buffer].copy_(value)


@contextmanager
def _kept(network: nn.Module) -> Iterator[None]:
    """Give every module its mode and every statistics layer its buffers back at the end, whatever happens."""
    modes = {module: module.training for module in network.modules()}
    own = snapshot(network)
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        _put(network, own)
