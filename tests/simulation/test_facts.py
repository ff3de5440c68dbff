"""With the default settings the figures of the case come out, as results of the toolkit."""

from __future__ import annotations

import pytest

from churnsurv.simulation import SimulatedApp, simulate_app

from . import facts


def test_the_facts_of_the_case_hold(app: SimulatedApp) -> None:
    found = facts.facts(app)
    assert len(found) >= 20
    assert all(fact.holds for fact in found), facts.table([fact for fact in found if not fact.holds]).to_string()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 30))
def test_the_facts_hold_for_other_seeds(seed: int) -> None:
    found = facts.facts(simulate_app(20_000, seed=seed))
    assert all(fact.holds for fact in found), facts.table([fact for fact in found if not fact.holds]).to_string()
