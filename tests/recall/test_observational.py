"""Contacts that went by what users are like: weights, doubly robust estimates, overlap, and what is refused."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from churnsurv.errors import InputError
from churnsurv.recall.lift_request import Asked
from churnsurv.recall.observational import observational_lift
from tests.recall.campaign import made_rows

HORIZON = 10
OUTCOMES = ("return_probability", "risk_ratio", "days_to_return", "reinvested")
SUMS = {"reinvested": ((1.0, "reinvested"),)}
HAZARD = (0.02, 0.08)  # of a day, by x; twice as high once contacted
MONEY = (10.0, 30.0)  # on the day of the return, by x


def campaign(n, rng, *, censored=True, binary=True):
    x = (rng.random(n) < 0.5).astype(float)
    arm = (rng.random(n) < np.where(x == 1, 0.7, 0.2)).astype(int)
    hazard = np.where(x == 1, HAZARD[1], HAZARD[0]) * (1 + arm)
    time = rng.geometric(hazard)
    followed = rng.integers(4, 2 * HORIZON, n) if censored else np.full(n, HORIZON)
    daily = np.zeros((n, HORIZON))
    back = time <= HORIZON
    daily[back, time[back] - 1] = np.where(x == 1, MONEY[1], MONEY[0])[back]
    return made_rows(
        time=time, returned=np.ones(n, dtype=bool), followed=followed, arm=arm, horizon=HORIZON,
        daily={"reinvested": daily}, pre={"x": x},
    )  # fmt: skip


def truth():
    """Means of control and arm if all were in it."""
    day = np.arange(1, HORIZON + 1)
    share = np.array([[1 - (1 - h * (1 + a)) ** HORIZON for h in HAZARD] for a in (0, 1)])
    days = np.array([[((1 - h * (1 + a)) ** (day - 1)).sum() for h in HAZARD] for a in (0, 1)])
    return share.mean(axis=1), days.mean(axis=1), (share * MONEY).mean(axis=1)


def lift(rows, **settings):
    asked = {"sums": SUMS, "outcomes": OUTCOMES, "covariates": ["x"], "adjust": "holm", "level": 0.95} | settings
    return observational_lift(rows, control="holdout", **asked)


def test_standardised_by_hand():
    """Without censoring and with one binary covariate both estimates are the shares standardised over x."""
    rows = campaign(600, np.random.default_rng(1), censored=False)
    x, arm = rows.pre["x"], rows.arm
    shares = [np.mean([rows.returned[(arm == a) & (x == v)].mean() for v in (0, 1) for _ in range(int((x == v).sum()))])
              for a in (0, 1)]  # fmt: skip
    table = lift(rows).table.set_index(["outcome", "adjusted"])
    for adjusted in (False, True):
        row = table.loc["return_probability", adjusted]
        assert row["arm_value"] == pytest.approx(1000 * shares[1], rel=1e-6)
        assert row["control_value"] == pytest.approx(1000 * shares[0], rel=1e-6)
        assert table.loc["risk_ratio", adjusted]["estimate"] == pytest.approx(shares[1] / shares[0], rel=1e-6)
    curves = lift(rows).curves.set_index(["arm", "day"])["returned"]
    assert curves["sms", HORIZON] == pytest.approx(shares[1], rel=1e-6)
    assert curves["holdout", HORIZON] == pytest.approx(shares[0], rel=1e-6)


def test_intervals_hold_the_truth_under_censoring_and_the_naive_difference_does_not():
    n_worlds, (share, days, money) = 120, truth()
    true = {"return_probability": 1000 * (share[1] - share[0]), "risk_ratio": share[1] / share[0],
            "days_to_return": days[1] - days[0], "reinvested": 1000 * (money[1] - money[0])}  # fmt: skip
    inside, naive = dict.fromkeys([(o, a) for o in OUTCOMES for a in (False, True)], 0), []
    for seed in range(n_worlds):
        rows = campaign(900, np.random.default_rng(seed))
        for row in lift(rows).table.itertuples():
            inside[row.outcome, row.adjusted] += row.lower <= true[row.outcome] <= row.upper
        arm = rows.arm == 1
        naive.append(1000 * (rows.returned[arm].mean() - rows.returned[~arm].mean()))
    for case, number in inside.items():
        assert number >= binom.ppf(1e-5, n_worlds, 0.95), (case, number)
    assert np.mean(naive) > 1.3 * true["return_probability"]


def test_overlap_balance_and_hidden_causes_are_shown():
    found = lift(campaign(2_000, np.random.default_rng(2)))
    assert found.design == "observational"
    assert "nobody drew lots" in found.notes[0]
    row = found.overlap.set_index("variable").loc["x"]
    assert row["difference"] > 0.9
    assert abs(row["weighted_difference"]) < 0.02
    assert found.checks.set_index("check")["verdict"].to_dict() == {
        "overlap": "fine",
        "balance after weighting": "fine",
    }
    told = found.e_values.iloc[0]
    assert 1 < told["lower"] < told["risk_ratio"] < told["upper"]
    assert 1 < told["e_value_limit"] < told["e_value"]
    assert told["e_value"] == pytest.approx(told["risk_ratio"] + np.sqrt(told["risk_ratio"] * (told["risk_ratio"] - 1)))


def test_limits_that_hold_one_need_no_hidden_cause():
    rng = np.random.default_rng(3)
    n = 400
    rows = made_rows(
        time=rng.geometric(0.05, n), returned=np.ones(n, bool), followed=np.full(n, HORIZON), arm=rng.integers(0, 2, n),
        horizon=HORIZON, pre={"x": rng.normal(size=n)},
    )  # fmt: skip
    assert lift(rows, outcomes=("return_probability",)).e_values["e_value_limit"].iloc[0] == 1.0


def test_clusters_widen():
    """Each user three times over, as one cluster: limits are those of the users."""
    rng = np.random.default_rng(4)
    one = campaign(500, rng, censored=False)
    thrice = np.repeat(np.arange(500), 3)
    rows = made_rows(
        time=np.where(one.returned, one.time, HORIZON + 1)[thrice], returned=np.ones(1_500, bool),
        followed=np.full(1_500, HORIZON), arm=one.arm[thrice], horizon=HORIZON, cluster=thrice,
        pre={"x": one.pre["x"][thrice]},
    )  # fmt: skip
    outcomes = ("return_probability", "days_to_return")
    a, b = (lift(each, outcomes=outcomes).table for each in (one, rows))
    np.testing.assert_allclose(b["estimate"], a["estimate"], rtol=1e-9)
    np.testing.assert_allclose(b["std_error"], a["std_error"], rtol=1e-9)
    alone = lift(rows, outcomes=outcomes, clustered=False).table
    np.testing.assert_allclose(alone["std_error"] * np.sqrt(3), a["std_error"], rtol=1e-9)


def test_what_can_be_told_without_lots():
    """Users for a return are the inverse of the difference; a hazard ratio is left out, and refused if asked for."""
    rows = campaign(600, np.random.default_rng(1))
    asked = {"level": 0.95, "adjust": "holm", "seed": 0, "margin": 1.0}
    told = Asked.of(None, **asked).settings(rows, drawn=False).outcomes
    assert "hazard_ratio" not in told
    assert "users_per_return" in told
    with pytest.raises(InputError, match="'hazard_ratio' cannot be told: weighted"):
        Asked.of(["hazard_ratio"], **asked).settings(rows, drawn=False)
    alone = lift(rows, outcomes=("users_per_return",)).table
    risk = lift(rows, outcomes=("return_probability",)).table
    assert alone["outcome"].tolist() == ["users_per_return"] * 2
    assert (risk["lower"] > 0).all()
    for name, of in (("estimate", "estimate"), ("lower", "upper"), ("upper", "lower")):
        np.testing.assert_allclose(alone[name], 1000 / risk[of])


def test_several_arms_are_corrected():
    rng = np.random.default_rng(5)
    n = 900
    rows = made_rows(
        time=rng.geometric(0.05, n), returned=np.ones(n, bool), followed=np.full(n, HORIZON), arm=rng.integers(0, 3, n),
        arms=("holdout", "push", "sms"), horizon=HORIZON, pre={"x": rng.normal(size=n)},
    )  # fmt: skip
    table = lift(rows, outcomes=("return_probability",)).table
    assert set(table["arm"]) == {"push", "sms"}
    for _, both in table.groupby("adjusted"):
        expected = np.minimum(2 * both["p_value"].min(), 1)
        assert both["adjusted_p_value"].min() == pytest.approx(expected)
    # limits hold for both arms together, where p-values do
    for adjust, reach in (("holm", ndtri(1 - 0.05 / 4)), ("none", ndtri(0.975))):
        one = lift(rows, outcomes=("return_probability",), adjust=adjust).table
        np.testing.assert_allclose(one["upper"] - one["estimate"], reach * one["std_error"])
    with pytest.raises(InputError, match="'dunnett' needs the joint law"):
        lift(rows, outcomes=("return_probability",), adjust="dunnett")


def test_missing_covariates_are_a_column_of_their_own():
    rng = np.random.default_rng(6)
    rows = campaign(800, rng)
    x = np.where(rng.random(800) < 0.2, np.nan, rows.pre["x"])
    object.__setattr__(rows, "pre", {"x": x})
    assert set(lift(rows).overlap["variable"]) == {"x", "x missing"}


def rows_of(x, arm):
    n = len(x)
    time = np.random.default_rng(0).geometric(0.1, n)
    return made_rows(time=time, returned=np.ones(n, bool), followed=np.full(n, HORIZON), arm=arm, horizon=HORIZON,
                     pre={"x": x, "y": 2 * x})  # fmt: skip


def test_what_is_refused():
    x = np.arange(200.0)
    with pytest.raises(InputError, match=r"contacted for sure, or never"):
        lift(rows_of(x, (x > 100).astype(int)))
    arm = np.random.default_rng(1).integers(0, 2, 200)
    assert lift(rows_of(x, arm), covariates=["x", "y"], sums={}, outcomes=OUTCOMES[:1]).overlap[
        "variable"
    ].tolist() == ["x"]
    with pytest.raises(InputError, match=r"no covariate varies"):
        lift(rows_of(np.ones(200), arm))
    with pytest.raises(InputError, match=r"10 users are too few"):
        lift(rows_of(x, (x < 10).astype(int)))
    with pytest.raises(InputError, match=r"nobody is in the control arm"):
        observational_lift(
            rows_of(x, arm), control="none", sums={}, outcomes=OUTCOMES, covariates=["x"], adjust="holm", level=0.95
        )
