"""Targeting curves of campaigns: by hand, against the lift, uplift scores, clusters, bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import churnsurv as ch
from churnsurv.data.assigned import campaign_rows
from churnsurv.errors import InputError
from churnsurv.recall.lift import campaign_lift
from churnsurv.recall.row_values import targets
from churnsurv.recall.targeting import targeting_curve
from churnsurv.recall.uplift_scores import uplift_scores
from churnsurv.tables import schema

from . import small
from .campaign import drawn_rows, made_rows


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(800, seed=3)


@pytest.fixture(scope="module")
def censored():
    return drawn_rows(1, n=(300, 600), horizon=8, base=0.1, effect=0.6)


@pytest.fixture(scope="module")
def by_hand():
    """Eight users followed to the end, two with the score 4. Returned: of sms 1, 1, 0, 1; of holdout 1, 0, 0, 0."""
    return made_rows(
        time=[1, 2, 9, 2, 1, 9, 9, 9],
        returned=[1, 1, 0, 1, 1, 0, 0, 0],
        followed=[5] * 8,
        arm=[1, 1, 1, 1, 0, 0, 0, 0],
        horizon=3,
        pre={"score": [8, 6, 4, 2, 4, 7, 5, 1]},
    )


def at(curve, measure, share):
    table = curve.table
    row = table[(table["measure"] == measure) & np.isclose(table["share"], share)]
    assert len(row) == 1
    return row.iloc[0]


def test_eight_users_by_hand(by_hand):
    """Values by falling score: sms 3/4 - 1/4 + 2 (y - 3/4), holdout the same less 2 (y - 1/4)."""
    curve = targeting_curve(by_hand, scores="score", covariates=(), shares=[0.25, 0.625, 1.0])
    # 8: 1, 7: 1, 6: 1, 5: 1, 4: -1 and -1, 2: 1, 1: 1; users are targeted half at 0.625
    gain = {0.25: 2 / 8, 0.625: (4 - 1) / 8, 1.0: 4 / 8}
    for share, expected in gain.items():
        assert at(curve, "gain", share)["estimate"] == pytest.approx(1000 * expected)
        assert at(curve, "effect", share)["estimate"] == pytest.approx(1000 * expected / share)
        assert at(curve, "toc", share)["estimate"] == pytest.approx(1000 * (expected / share - 0.5))
        assert at(curve, "qini", share)["estimate"] == pytest.approx(1000 * (expected - share * 0.5))
    assert at(curve, "effect", 1.0)["estimate"] == pytest.approx(1000 * (3 / 4 - 1 / 4))
    assert [at(curve, "gain", share)["threshold"] for share in gain] == [7, 4, 1]
    assert at(curve, "effect", 1.0)["unit"] == "users per 1,000 targeted"
    assert at(curve, "qini", 1.0)["unit"] == "users per 1,000 of the population"
    assert curve.table["lower"].isna().all()  # eight users are too few for limits
    assert "limits at no share" in curve.notes[-1]


def test_where_all_are_targeted_the_effect_is_the_lift(app):
    how = {"control": "none", "covariates": ()}
    outcomes = ["active_days", "reinvested", "net_value"]
    lift = campaign_lift(app.campaigns, app.log, outcomes=outcomes, campaign="recall", horizon=21, **how).table
    lift = lift[lift["arm"] == "sms"].set_index("outcome")
    rows = campaign_rows(app.log, app.campaigns, horizon=21, campaign="recall")
    for outcome in outcomes:
        curve = targeting_curve(rows, scores="tenure", arms="sms", outcome=outcome, shares=[1], **how)
        found = at(curve, "effect", 1.0)
        assert found["estimate"] == pytest.approx(lift.loc[outcome, "estimate"], abs=1e-7)
        assert found["std_error"] == pytest.approx(lift.loc[outcome, "std_error"], rel=1e-9)
        assert at(curve, "toc", 1.0)[["estimate", "std_error"]].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_complete_outcomes_of_returns_have_the_share_returned_among_those_followed(censored):
    found = targets(
        censored, None, control="holdout", campaign=None, outcome="return_probability", horizon=None, covariates=()
    )
    for code, arm in enumerate(("holdout", "sms")):
        own = censored.arm == censored.arms.index(arm)
        G = np.array([(censored.followed[own] >= u).mean() for u in range(1, 9)])
        by_day = [np.sum(censored.returned[own] & (censored.time[own] == u)) / own.sum() for u in range(1, 9)]
        assert found.outcome_value[found.arm == code].mean() == pytest.approx(np.sum(by_day / G), abs=1e-12)


def test_tables_have_their_layouts_and_limits_hold_together_what_they_say(censored):
    curve = targeting_curve(censored, scores=["x", "noise"], covariates=["noise"])
    for name, table in (("targeting_curve", curve.table), ("targeting_rates", curve.rates)):
        assert tuple(table.columns) == schema(name).names
    assert tuple(curve.compared.columns) == schema("targeting_compared").names
    known = curve.table.dropna(subset=["lower"])
    assert len(known) > 100
    inside = known[known["measure"].isin(["effect", "gain"]) | (known["share"] < 1)]
    assert (inside["band_lower"] < inside["lower"]).all()
    assert (inside["lower"] < inside["estimate"]).all()
    assert curve.covariates == ("noise",)
    difference = curve.compared.set_index("measure")["estimate"]
    rates = curve.rates.set_index(["score", "measure"])["estimate"]
    assert difference["autoc"] == pytest.approx(rates["x", "autoc"] - rates["noise", "autoc"])
    assert '"targeting_curve"' in curve.to_json()
    axes = Figure().add_subplot()
    assert curve.plot(axes, quantity="gain") is axes
    assert len(axes.lines) >= 2
    few = targeting_curve(censored, scores="x", covariates=(), shares=[0.01, 0.5]).table
    assert few.loc[few["share"] == 0.01, "band_lower"].isna().all()


def test_rows_of_a_cluster_count_together(censored):
    twice = np.repeat(np.arange(450), 2)
    alone = targeting_curve(censored, scores="x", covariates=()).rates["std_error"]
    joined = targeting_curve(replace(censored, cluster=twice), scores="x", covariates=())
    none = targeting_curve(replace(censored, cluster=twice), scores="x", covariates=(), cluster=None)
    np.testing.assert_allclose(none.rates["std_error"], alone)
    assert not np.allclose(joined.rates["std_error"], alone, rtol=1e-3)
    assert np.allclose(joined.rates["estimate"], none.rates["estimate"])


def test_learnt_scores_are_judged_on_users_that_they_have_not_seen_beside_others(censored):
    found = uplift_scores(censored, covariates=["x", "noise"], folds=4)
    curve = targeting_curve(censored, scores={"learnt": found, "x": "x"}, covariates=["x"])
    assert curve.n_users == (found.fold > 0).sum() < censored.n
    assert curve.scores == ("learnt", "x")
    assert len(curve.compared) == 2
    assert targeting_curve(censored, scores=found, covariates=["x"]).rates["score"].tolist() == ["uplift"] * 2
    with pytest.raises(InputError, match="Score those rows"):
        targeting_curve(drawn_rows(2, n=(200, 200), horizon=8), scores=found, covariates=())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"scores": "y"}, "there is no column 'y'"),
        ({"scores": {"mine": np.zeros(3)}}, r"score 'mine' has the shape \(3,\)"),
        ({"scores": {"mine": np.full(900, np.nan)}}, "900 values missing or infinite"),
        ({"scores": []}, "scores is empty"),
        ({"scores": "x", "shares": [0.5, 0.5]}, "none twice"),
        ({"scores": "x", "shares": [0.0]}, r"lie in \(0, 1\]"),
        ({"scores": "x", "arms": "smss"}, "Did you mean 'sms'"),
        ({"scores": "x", "control": "none"}, "nobody is in the control arm 'none'"),
        ({"scores": "x", "outcome": "days_to_return"}, "of which more is better"),
        ({"scores": "x", "outcome": "reinvested"}, "needs the amounts"),
        ({"scores": "x", "outcome": "days_live"}, "at least 60 days"),
        ({"scores": "x", "horizon": 30}, "a horizon of 8 days"),
        ({"scores": "x", "cluster": "house"}, "settled where rows are read"),
        ({"scores": "x", "covariates": ["z"]}, "there is no covariate 'z'"),
    ],
)
def test_what_cannot_be_used_is_named(censored, how, said):
    with pytest.raises(InputError, match=said):
        targeting_curve(replace(censored, given=frozenset()), **{"covariates": (), **how})


def test_tables_need_a_log_one_campaign_and_scores_by_name(app):
    with pytest.raises(InputError, match="needs the log"):
        targeting_curve(app.campaigns, scores="tenure", control="none")
    with pytest.raises(InputError, match=r"2 campaigns .*Choose with campaign="):
        targeting_curve(app.campaigns, app.log, scores="tenure", control="none")
    with pytest.raises(InputError, match="known order"):
        targeting_curve(app.campaigns, app.log, scores={"a": np.zeros(5)}, control="none", campaign="recall")


def test_own_columns_of_the_assignments_are_scores(app):
    sent = app.campaigns.assign(score=np.arange(len(app.campaigns)) % 7)
    how = {"control": "none", "campaign": "recall", "arms": "sms", "covariates": (), "shares": [0.3]}
    one = targeting_curve(sent, app.log, scores="score", **how)
    two = targeting_curve(sent.sample(frac=1, random_state=1), app.log, scores={"score": "score"}, **how)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_where_nobody_returned_nothing_is_known_of_the_error():
    rows = made_rows(
        time=[9] * 90, returned=[0] * 90, followed=[9] * 90, arm=[0, 1] * 45, horizon=3, pre={"x": np.arange(90)}
    )
    curve = targeting_curve(rows, scores="x", covariates=())
    assert curve.table[["lower", "upper", "band_lower"]].isna().all(axis=None)
    assert curve.rates[["lower", "p_value"]].isna().all(axis=None)
    assert "too few users for limits" in repr(curve)


def test_net_value_takes_rewards_promises_and_costs_off():
    rows = campaign_rows(small.log(), small.assignments(), horizon=small.HORIZON, rewards=small.rewards())
    found = targets(
        rows, None, control="none", campaign=None, outcome="net_value", horizon=None, covariates=(), margin=0.5
    )
    W = {name: np.array(small.W[name]) for name in ("reinvested", "rewards", "liability", "cost")}
    net = 0.5 * W["reinvested"] - W["rewards"] - W["liability"] - W["cost"]
    sms = np.arange(6) < 3
    assert found.outcome_value[found.arm == 1].mean() == pytest.approx(net[sms].mean(), abs=1e-12)
    assert found.outcome_value[found.arm == 0].mean() == pytest.approx(net[~sms].mean(), abs=1e-12)
