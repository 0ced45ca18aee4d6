"""Exporting a folded classifier for any number of windows: the same logits, for every kind, placement and order."""

from __future__ import annotations

import pytest
import torch

from har.learners.folding import fold
from har.norms.layers import KINDS
from har.norms.plan import ORDERS, NormPlan
from tests.learners.test_cnn import PLANS
from tests.learners.test_folding import classifier, logits

INPUTS, BEHIND = ("input", "input_scalar", "input_every"), ("first", "every", "last", [0, 2])


def covering() -> list[NormPlan]:
    """Every kind in front of the network and behind convolutions, with placements and orders taken in turn."""
    chosen = [NormPlan(placement="none")]
    for number, kind in enumerate(KINDS):
        orders = ORDERS[number % 2], ORDERS[1 - number % 2]
        for places, order in zip((INPUTS, BEHIND), orders, strict=True):
            possible = [plan for plan in PLANS if (plan.kind, plan.order) == (kind, order) and not plan.options]
            here = [plan for plan in possible if plan.placement in places]
            if here:
                chosen.append(here[number % len(here)])
    return chosen


COVERING = covering()
OTHERS = [plan for plan in PLANS if plan not in COVERING]


def named(plan: NormPlan) -> str:
    return f"{plan.label}-{plan.order}"


def require_same_when_exported(plan: NormPlan) -> None:
    """Fold, export with a number of windows that is left open, and hold the program against the unfolded network."""
    network = classifier(plan)
    folded, _ = fold(network)
    windows = torch.export.Dim("windows", min=1)
    program = torch.export.export(folded, (torch.randn(3, 40, 6),), dynamic_shapes=({0: windows},)).module()
    for count in (1, 5):
        x_NTC = torch.randn(count, 40, 6) * 2
        torch.testing.assert_close(program(x_NTC), logits(network, x_NTC), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", COVERING, ids=named)
def test_an_exported_network_gives_the_same_logits(plan: NormPlan) -> None:
    require_same_when_exported(plan)


@pytest.mark.slow
@pytest.mark.parametrize("plan", OTHERS, ids=named)
def test_an_exported_network_gives_the_same_logits_wherever_the_norm_stands(plan: NormPlan) -> None:
    require_same_when_exported(plan)


def test_the_quick_plans_have_every_kind_at_both_places() -> None:
    for places, without in ((INPUTS, {"standardised_weights", "scaled_weights"}), (BEHIND, set())):
        assert {plan.kind for plan in COVERING if plan.placement in places} >= set(KINDS) - without
    assert {plan.order for plan in COVERING} == set(ORDERS)
