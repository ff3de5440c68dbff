"""With the default settings the figures of the case come out, whatever the seed; seed 11 is in `tests/test_case.py`."""

from __future__ import annotations

import pytest

from churnsurv.simulation import simulate_app

from . import facts
from .facts import Estimate, Fact


def test_a_figure_outside_its_range_does_not_hold() -> None:
    fact = Fact(
        2, "churned users who are new", "48 %", "`log.lifecycle()`", Estimate(0.44, 0.43, 0.46), 0.45, 0.51, "%"
    )
    assert not fact.holds
    assert fact.cells[3:5] == ("44.0 % (43.0 to 46.0)", "45.0 to 51.0 %")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 30))
def test_the_facts_hold_for_other_seeds(seed: int) -> None:
    found = facts.facts(simulate_app(facts.N_USERS, seed=seed))
    assert all(fact.holds for fact in found), facts.table([fact for fact in found if not fact.holds])
