"""Cause-specific fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError
from churnsurv.survival import cox


@pytest.fixture
def users() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 600
    churned = rng.random(n) < 0.8
    reason = rng.choice(np.array(["rigid", "policy", "natural"], dtype=object), n)
    reason[~churned] = None
    return pd.DataFrame(
        {
            "duration": rng.integers(1, 200, n),
            "churned": churned,
            "reason": reason,
            "channel": rng.choice(["search", "friend"], n),
            "amount": rng.lognormal(size=n),
        }
    )


def test_the_fit_is_that_of_one_cause_with_the_others_censored(users: pd.DataFrame) -> None:
    fit = cox("channel + log(amount)", users, cause="reason", cause_of_interest="rigid")
    by_hand = cox("channel + log(amount)", users.assign(churned=users["reason"] == "rigid"))
    pd.testing.assert_frame_equal(fit.table, by_hand.table, check_exact=True)
    assert fit.n_events == int((users["reason"] == "rigid").sum())
    assert fit.notes == by_hand.notes
    assert "churned by reason rigid" in repr(fit)
    assert fit._facts()["cause_of_interest"] == "rigid"


def test_a_categorical_column_of_causes_and_its_residuals(users: pd.DataFrame) -> None:
    frame = users.astype({"reason": "category"})
    fit = cox("channel", frame, cause="reason", cause_of_interest="policy")
    assert fit.n_events == int((users["reason"] == "policy").sum())
    again = fit.residuals("martingale", data=frame)
    np.testing.assert_array_equal(again["residual"], fit.residuals("martingale")["residual"])


def test_churns_of_unknown_cause_are_censored_and_counted(users: pd.DataFrame) -> None:
    frame = users.copy()
    unknown = frame.index[frame["churned"]][:3]
    frame.loc[unknown, "reason"] = None
    fit = cox("channel", frame, cause="reason", cause_of_interest="rigid")
    assert fit.notes[0].startswith(f"3 of {int(frame['churned'].sum())} churns have no known 'reason': censored on")
    frame["n"] = 2.0
    twice = cox("channel", frame, cause="reason", cause_of_interest="rigid", weights="n", weights_kind="frequency")
    assert twice.notes[0].startswith(f"6 of {2 * int(frame['churned'].sum())} churns")


def test_a_reason_of_somebody_who_did_not_churn_is_not_read(users: pd.DataFrame) -> None:
    frame = users.copy()
    frame.loc[~frame["churned"], "reason"] = "rigid"
    pd.testing.assert_frame_equal(
        cox("channel", frame, cause="reason", cause_of_interest="rigid").table,
        cox("channel", users, cause="reason", cause_of_interest="rigid").table,
    )


def test_what_cannot_be_a_cause(users: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="needs cause_of_interest="):
        cox("channel", users, cause="reason")
    with pytest.raises(InputError, match="needs cause="):
        cox("channel", users, cause_of_interest="rigid")
    with pytest.raises(InputError, match=r"no churn has 'reason' equal to 'rigit'. Did you mean 'rigid'"):
        cox("channel", users, cause="reason", cause_of_interest="rigit")
    with pytest.raises(InputError, match="'reason' cannot be a covariate: it is the outcome itself"):
        cox("channel + reason", users, cause="reason", cause_of_interest="rigid")
