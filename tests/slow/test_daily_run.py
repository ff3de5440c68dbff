"""Days of an app with contacts, hold-outs and answers: 90 of them are marked slow, a few run always."""

import numpy as np
import pytest

from .daily_run import Run, daily_run, table


def _sound(found: Run) -> None:
    assert not any(found.broken.values()), {what: n for what, n in found.broken.items() if n}
    assert sum(found.reasons.values()) == found.alerts
    assert found.holdout_p > 0.001
    assert found.balance_p > 0.001


@pytest.mark.slow
def test_the_lift_of_the_ledger_is_what_contacts_brought():
    found = [daily_run(3_000, seed) for seed in range(1, 11)]
    for each in found:
        _sound(each)
        assert each.estimate == pytest.approx(each.counted)
    off = np.array([(each.estimate - each.truth) / each.std_error for each in found])
    assert np.abs(off).max() < 3, table(found).to_string()
    assert abs(off.mean()) * np.sqrt(off.size) < 2.5, table(found).to_string()
    assert all(each.lower > 0 for each in found), table(found).to_string()  # it is there, and it is found


def test_a_few_days_of_a_small_app():
    found = daily_run(300, 1, days=6)
    _sound(found)
    assert found.contacts > found.enrolled > found.held_out > 0
    assert found.estimate == pytest.approx(found.counted)
    assert 0 < found.truth < 500
    assert {action for action, _ in found.reasons} >= {"contact", "wait", "hold out", "close"}
