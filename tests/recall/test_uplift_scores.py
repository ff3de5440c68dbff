"""Uplift scores: what they must not have seen, that they find what there is, learners of others, bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError
from churnsurv.recall.targeting import targeting_curve
from churnsurv.recall.uplift_scores import uplift_scores
from churnsurv.tables import schema

from .campaign import made_rows


def world(n=1200, *, seed=0, arms=("holdout", "push", "sms"), strength=0.8, cluster=None):
    """Everybody is followed to the end; sms brings back those with a high x, push those with a low one."""
    rng = np.random.default_rng(seed)
    x, z = rng.random(n), rng.normal(size=n)
    arm = np.arange(n) % len(arms)
    gain = strength * np.choose(arm, [np.zeros(n), 1 - x, x][: len(arms)])
    returned = rng.random(n) < 0.15 + gain
    return made_rows(
        time=rng.integers(1, 5, n), returned=returned, followed=np.full(n, 9), arm=arm, arms=arms, horizon=5,
        pre={"x": x, "z": z}, cluster=cluster,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return world()


@pytest.fixture(scope="module")
def found(rows):
    return uplift_scores(rows, covariates=["x", "z"], seed=5)


def flipped(rows, which):
    """The same with the outcomes of some users turned round."""
    returned = np.where(which, ~rows.returned, rows.returned)
    return replace(rows, returned=returned, time=np.where(returned, np.minimum(rows.time, 5), 5))


@pytest.mark.parametrize("k", [0, 2, 4])
def test_no_score_has_seen_what_it_must_not_see(rows, found, k):
    other = uplift_scores(flipped(rows, found.fold == k), covariates=["x", "z"], seed=5)
    np.testing.assert_array_equal(other.fold, found.fold)
    own, before = found.fold == k, found.fold <= k
    for arm in found.arms:
        np.testing.assert_allclose(other.scores[arm][own], found.scores[arm][own], atol=1e-12)
        assert not np.allclose(other.scores[arm][~own], found.scores[arm][~own])
        np.testing.assert_allclose(other.sequential[arm][before], found.sequential[arm][before], atol=1e-12)
        if k < 4:
            assert not np.allclose(other.sequential[arm][~before], found.sequential[arm][~before])


def test_effects_are_found_and_the_ranking_is_worth_it(rows, found):
    x = rows.pre["x"]
    assert np.corrcoef(found.scores["sms"], x)[0, 1] > 0.9
    assert np.corrcoef(found.scores["push"], x)[0, 1] < -0.9
    assert found.scores["sms"].mean() == pytest.approx(0.4, abs=0.08)
    rates = targeting_curve(rows, scores=found, covariates=["x"]).rates
    assert (rates["lower"] > 0).all()
    more = found.predict(pd.DataFrame({"x": [0.0, 1.0], "z": [0.0, 0.0]}, index=[7, 8]))
    assert more["sms"].diff().iloc[1] == pytest.approx(0.8, abs=0.2)
    assert more.index.tolist() == [7, 8]


def test_the_table_has_its_layout(rows, found):
    table = found.table
    assert tuple(table.columns) == schema("uplift_scores").names
    assert len(table) == 2 * rows.n
    assert table["sequential_score"].isna().sum() == 2 * (found.fold == 0).sum()
    assert "push" in repr(found)
    assert not found.scores["sms"].flags.writeable
    assert np.nanmax(found.ranks("sms")) < 1


def test_clusters_stay_in_one_fold():
    cluster = np.arange(1200) // 2
    found = uplift_scores(world(cluster=cluster), covariates=["x"])
    assert (found.fold[::2] == found.fold[1::2]).all()


def test_learners_of_scikit_learn(rows):
    tree = pytest.importorskip("sklearn.tree")
    learner = tree.DecisionTreeRegressor(max_depth=3, random_state=1)
    one, two = (uplift_scores(rows, covariates=["x", "z"], learner=learner, folds=3) for _ in range(2))
    np.testing.assert_array_equal(one.scores["sms"], two.scores["sms"])
    assert np.corrcoef(one.scores["sms"], rows.pre["x"])[0, 1] > 0.5
    assert not hasattr(learner, "tree_")  # it was copied


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"folds": 2}, "whole number from 3 on"),
        ({"folds": 100}, "too few to learn from in 100 folds"),
        ({"learner": "ridge"}, "must be a regressor"),
        ({"covariates": ()}, "nothing to learn from"),
        ({"control": "sm"}, "Did you mean 'sms'"),
    ],
)
def test_what_cannot_be_used_is_named(rows, how, said):
    with pytest.raises(InputError, match=said):
        uplift_scores(rows, **{"covariates": ["x", "z"], **how})


def test_other_users_need_the_same_columns(found):
    with pytest.raises(InputError, match="'z' is missing"):
        found.predict(pd.DataFrame({"x": [0.5]}))
