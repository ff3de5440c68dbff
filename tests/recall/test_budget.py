"""Budget curves: against targeting curves, learnt scores by fold, costs, bad input."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from churnsurv.errors import InputError
from churnsurv.recall.budget import budget_curve
from churnsurv.recall.row_values import targets
from churnsurv.recall.targeting import targeting_curve
from churnsurv.recall.uplift_scores import uplift_scores
from churnsurv.tables import schema

from .test_uplift_scores import world

COSTS = {"push": 1.0, "sms": 2.0}


@pytest.fixture(scope="module")
def rows():
    return world(900, seed=2)


def test_one_arm_of_one_price_is_the_gain_of_its_targeting_curve(rows):
    shares = np.array([0.2, 0.5, 0.9])
    targeted = targeting_curve(rows, scores={"score": rows.pre["x"]}, arms="sms", covariates=(), shares=shares).table
    targeted = targeted[targeted["measure"] == "gain"]
    found = budget_curve(rows, scores={"sms": rows.pre["x"]}, costs={"sms": 2.0}, budgets=2000 * shares, covariates=())
    assert found.policies == ("all arms", "sms, in any order")
    mine = found.table[found.table["policy"] == "all arms"]
    np.testing.assert_allclose(mine["gain"], targeted["estimate"], atol=1e-9)
    np.testing.assert_allclose(mine["std_error"], targeted["std_error"], rtol=1e-9)
    np.testing.assert_allclose(mine["contacted"], shares)
    # in any order each unit of budget brings the same
    alike = found.table[found.table["policy"] != "all arms"]
    np.testing.assert_allclose(alike["gain"] / alike["spent"], alike["gain"].iloc[0] / 400, rtol=1e-9)


def test_choosing_among_arms_beats_each_of_them_where_they_suit_different_users(rows):
    expected = {"push": 0.8 * (1 - rows.pre["x"]), "sms": 0.8 * rows.pre["x"]}
    found = budget_curve(rows, scores=expected, costs={"push": 1.0, "sms": 1.0}, budgets=[500, 1000], covariates=["x"])
    assert found.policies == ("all arms", "push", "push, in any order", "sms", "sms, in any order")
    for name, table in (
        ("budget_curve", found.table),
        ("budget_shares", found.shares),
        ("budget_compared", found.compared),
    ):
        assert tuple(table.columns) == schema(name).names
    assert (found.compared["lower"] > 0).sum() >= 4
    table = found.table.set_index(["policy", "budget"])["gain"]
    compared = found.compared.set_index(["policy", "budget"])["estimate"]
    assert compared["sms", 500] == pytest.approx(table["all arms", 500] - table["sms", 500])
    # at the full budget everybody has the arm that suits, which brings 0.8 * 3/4 on average
    assert table["all arms", 1000] == pytest.approx(600, abs=100)
    both = found.shares[(found.shares["policy"] == "all arms") & (found.shares["budget"] == 1000)]
    assert both["share"].sum() == pytest.approx(1.0)
    assert '"budget_curve"' in found.to_json()
    axes = Figure().add_subplot()
    assert found.plot(axes) is axes
    assert len(axes.lines) >= len(found.policies)


def test_learnt_scores_are_spent_fold_by_fold_on_users_they_have_not_seen(rows):
    learnt = uplift_scores(rows, covariates=["x", "z"], folds=3)
    found = budget_curve(rows, scores=learnt, costs=COSTS, covariates=["x"])
    assert found.n_users == (learnt.fold > 0).sum()
    mine = found.table[found.table["policy"] == "all arms"]
    assert len(mine) == 40
    assert (mine["spent"] <= mine["budget"] + 1e-9).all()
    assert mine["gain"].iloc[-1] > 200
    assert (mine["band_lower"] <= mine["lower"]).all()
    # the folds by themselves
    parts = []
    for k in (1, 2):
        own = np.flatnonzero(learnt.fold == k)
        scores = {arm: np.where(learnt.fold == k, learnt.sequential[arm], -1.0) for arm in learnt.arms}
        alone = budget_curve(rows, scores=scores, costs=COSTS, covariates=["x"], budgets=[400 * own.size / rows.n])
        parts.append(alone.table["gain"].iloc[0] * rows.n)
    whole = budget_curve(rows, scores=learnt, costs=COSTS, covariates=["x"], budgets=[400]).table["gain"].iloc[0]
    assert whole == pytest.approx(sum(parts) / found.n_users, rel=1e-9)


def test_errors_of_folds_add_up_as_those_of_strata(rows):
    learnt = uplift_scores(rows, covariates=["x", "z"], folds=3)
    found = budget_curve(rows, scores=learnt, costs=COSTS, covariates=(), budgets=[5000]).table
    error = found.loc[found["policy"] == "sms, in any order", "std_error"].iloc[0]
    how = {"control": "holdout", "campaign": None, "outcome": "return_probability", "horizon": None, "covariates": ()}
    effect = targets(rows, None, **how).effects()[:, 1]
    folds = [effect[learnt.fold == k] for k in (1, 2)]
    squares = sum(((each - each.mean()) ** 2).sum() for each in folds)
    assert error == pytest.approx(1000 * np.sqrt(squares) / sum(each.size for each in folds), rel=1e-9)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"costs": {"push": -1.0, "sms": 1.0}}, "900 are negative"),
        ({"costs": {"push": 1.0}}, "lacks the arm 'sms'"),
        ({"costs": {"smss": 1.0}}, "Did you mean 'sms'"),
        ({"costs": None}, "no column cost"),
        ({"costs": {"push": 0.0, "sms": 0.0}}, "cost nothing"),
        ({"scores": {"mail": np.ones(900)}}, "there is no arm 'mail'"),
        ({"scores": {}}, "scores is empty"),
        ({"scores": {"sms": -np.ones(900)}}, "no score is above 0"),
        ({"budgets": [3, 2]}, "ascending"),
    ],
)
def test_what_cannot_be_used_is_named(rows, how, said):
    given = {"scores": {"push": np.ones(900), "sms": np.ones(900)}, "costs": COSTS, "covariates": ()}
    with pytest.raises(InputError, match=said):
        budget_curve(rows, **{**given, **how})


@pytest.mark.parametrize("values", [np.ones(3), [1.0, 1.0, 1.0], (1.0, 1.0, 1.0), pd.Series([1.0, 1.0, 1.0])])
@pytest.mark.parametrize("argument", ["scores", "costs"])
def test_numbers_by_row_need_rows_in_a_known_order(values, argument):
    """A table is read by the engine, in any order: whatever has a place for each row would be of other users."""
    table = pd.DataFrame({"user_id": [1, 2, 3], "campaign": "a", "arm": ["sms", "holdout", "sms"], "score": 1.0})
    given = {"scores": {"sms": "score"}, "costs": {"sms": 1.0}, argument: {"sms": values}}
    with pytest.raises(InputError, match="scores and costs as arrays need rows in a known order"):
        budget_curve(table, **given)
