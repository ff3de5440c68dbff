"""What a contact is worth by day: the formula by hand, limits by block, and the best day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data.gap_counts import gap_counts
from churnsurv.errors import InputError
from churnsurv.numerics.block_means import block_mean
from churnsurv.tables import schema
from churnsurv.warning import IdleRisk, Precision, Saving, Value, idle_risk

SAVING = Saving.plateau(top=0.3, middle=20, width=3)
WORTH = Value(saved_value=60, contact_cost=4, saving=SAVING)


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return ch.simulate_app(600, seed=5).log


@pytest.fixture(scope="module")
def risk(log: ch.ActivityLog) -> IdleRisk:
    return idle_risk(log)


def by_hand() -> ch.ActivityLog:
    """Gaps of registration under a rule of 4 days: 6 users never come back, 3 on day 2, 3 on day 3; no other gap."""
    users = pd.DataFrame({"user_id": [f"u{i:02d}" for i in range(12)], "registered_at": "2024-01-01"})
    back = [{"user_id": f"u{i:02d}", "event_at": f"2024-01-0{3 if i < 3 else 4}", "kind": "login"} for i in range(6)]
    return ch.ActivityLog(
        pd.DataFrame(back), users, rule=ch.ChurnRule(4), observed_from="2024-01-01", observed_until="2024-01-08"
    )


def test_ten_gaps_by_hand() -> None:
    worth = Value(saved_value=10, contact_cost=1, saving=Saving.linear(top=0.8, idle_days=4))
    table = idle_risk(by_hand()).value(worth)
    since = table[table["registration_gap"]]
    # silent at the end of days 1, 2, 3: 12, 9, 6 of 12; s = 0.6, 0.4, 0.2; half of them churn
    np.testing.assert_allclose(since["value"], [2000, 1250, 500], rtol=1e-12)
    assert since["idle_day"].tolist() == [1, 2, 3]
    assert since["best"].tolist() == [True, False, False]
    np.testing.assert_allclose(since["churn_probability"], [0.5, 2 / 3, 1.0], rtol=1e-12)
    # each user is a block; day 1: 6 of 12 worth 6 - 1, the others -1
    shares = np.repeat([5.0, -1.0], 6)
    mean = block_mean(1_000 * shares, np.ones(12), level=0.95)
    np.testing.assert_allclose(since[["value_lower", "value_upper"]].iloc[0], [mean.lower, mean.upper], rtol=1e-12)


def test_of_mature_gaps_it_is_the_mean_over_blocks(log: ch.ActivityLog, risk: IdleRisk) -> None:
    table = risk.value(WORTH)
    assert list(table) == list(schema("value_by_day").names)
    counts, days = gap_counts(log), np.arange(1, 30)
    gain = 60 * SAVING.at(days)
    for late in (False, True):
        mine = counts.registration_gap == late
        for place, day in enumerate(days):
            each = gain[place] * (counts.duration > 30) - 4.0 * (counts.duration > day)
            sums, sizes = (
                np.bincount(counts.block[mine], (value * counts.n)[mine], minlength=counts.n_blocks)
                for value in (each, np.ones(counts.n.size))
            )
            mean = block_mean(1_000 * sums, sizes, level=0.95)
            row = table[(table["registration_gap"] == late) & (table["idle_day"] == day)].iloc[0]
            np.testing.assert_allclose(
                row[["value", "value_lower", "value_upper"]].astype(float), [mean.estimate, mean.lower, mean.upper],
                rtol=1e-9,
            )  # fmt: skip


def test_the_best_day_is_the_highest_and_none_where_contacting_nobody_is(risk: IdleRisk) -> None:
    table = risk.value(WORTH, variants=True)
    for _, rows in table.groupby(["registration_gap", "saving"]):
        best = rows[rows["best"]]
        assert len(best) == 1
        assert best["value"].iloc[0] == rows["value"].max() > 0
    assert table["saving"].unique().tolist() == ["as stated", *(name for name, _ in SAVING.variants())]
    stated = table[table["saving"] == "as stated"].reset_index(drop=True)
    pd.testing.assert_frame_equal(stated, risk.value(WORTH))
    dear = risk.value(Value(saved_value=1, contact_cost=50, saving=SAVING))
    assert not dear["best"].any()
    assert (dear["value"] < 0).all()


def test_groups_have_their_columns_and_censored_gaps_their_estimate(log: ch.ActivityLog) -> None:
    by = idle_risk(log, {"balance": (100,)}, min_gaps=20)
    table = by.value(WORTH)
    assert {"group", "balance"} <= set(table)
    assert set(table["group"]) == set(by.groups)
    every = idle_risk(log, starts="all")
    rows = every.table.set_index(["registration_gap", "idle_days"])["churn"]
    later = every.value(WORTH).query("not registration_gap").set_index("idle_day")
    # V s S(30) - c S(d), with S(d) = S(30) / P(churn | d)
    last = rows[False, 0]
    expected = 1_000 * (60 * SAVING.at(later.index) * last - 4 * last / rows[False].loc[later.index])
    np.testing.assert_allclose(later["value"], expected, rtol=1e-9)


def test_limits_widen_with_the_level_and_few_users_have_none(log: ch.ActivityLog, risk: IdleRisk) -> None:
    wide, usual = idle_risk(log, level=0.99).value(WORTH), risk.value(WORTH)
    assert ((wide["value_upper"] - wide["value_lower"]) > (usual["value_upper"] - usual["value_lower"])).all()
    few = ch.ActivityLog(
        pd.DataFrame({"user_id": ["u0"], "event_at": ["2024-01-03"], "kind": "login"}),
        pd.DataFrame({"user_id": ["u0", "u1"], "registered_at": "2024-01-01"}),
        rule=ch.ChurnRule(4), observed_from="2024-01-01", observed_until="2024-01-10",
    )  # fmt: skip
    cheap = Value(saved_value=10, contact_cost=1, saving=Saving.linear(top=0.8, idle_days=4))
    table = idle_risk(few).value(cheap)
    assert table["value"].notna().all()
    assert table[["value_lower", "value_upper"]].isna().all(axis=None)


def test_a_group_in_which_nobody_churns_only_costs() -> None:
    users = pd.DataFrame({"user_id": [f"u{i:02d}" for i in range(24)], "registered_at": "2024-01-01"})
    users["side"] = ["stays"] * 12 + ["leaves"] * 12
    events = [
        {"user_id": f"u{i:02d}", "event_at": f"2024-01-{day:02d}", "kind": "login"}
        for i in range(12)
        for day in (3, 5, 7)
    ]
    log = ch.ActivityLog(
        pd.DataFrame(events), users, rule=ch.ChurnRule(4), observed_from="2024-01-01", observed_until="2024-01-09"
    )
    worth = Value(saved_value=10, contact_cost=1, saving=Saving.linear(top=0.8, idle_days=4))
    table = idle_risk(log, "side", min_gaps=1).value(worth)
    stays = table[(table["side"] == "stays") & table["registration_gap"]]
    assert stays["value"].tolist() == [-1000.0, 0.0, 0.0]
    assert stays["value_lower"].tolist() == [-1000.0, 0.0, 0.0]
    assert not stays["best"].any()


def test_what_is_no_worth_is_refused(risk: IdleRisk) -> None:
    for wrong in (Precision(target=0.5), 60, None):
        with pytest.raises(InputError, match=r"worth is a ch\.Value"):
            risk.value(wrong)  # type: ignore[arg-type]
    short = Saving.from_table({"idle_days": [5, 20], "s": [0.3, 0.1]})
    with pytest.raises(InputError, match="nothing is extrapolated"):
        risk.value(Value(saved_value=1, contact_cost=1, saving=short))
