"""What a fit says of itself: criteria, concordance, number of patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.survival import cox


@pytest.fixture
def users() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 500
    frame = pd.DataFrame({"channel": rng.choice(["search", "friend", "ads"], n), "x": rng.normal(size=n)})
    frame["user_id"] = np.arange(n) // 2
    frame["duration"] = np.ceil(60 * rng.exponential(size=n) / np.exp(0.5 * frame["x"])).astype(int)
    frame["churned"] = frame["duration"] <= 100
    frame["duration"] = frame["duration"].clip(upper=100)
    return frame


def test_aic_is_minus_twice_the_log_likelihood_plus_twice_the_coefficients(users: pd.DataFrame) -> None:
    fit = cox("channel + x", users)
    assert fit.aic == -2 * fit.log_likelihood + 2 * 3
    assert fit.aic < cox("channel", users).aic


def test_a_pseudo_likelihood_has_no_aic(users: pd.DataFrame) -> None:
    fit = cox("x", users.assign(w=1.5), weights="w", weights_kind="sampling")
    with pytest.raises(InputError, match="sampling weights make a pseudo-likelihood"):
        _ = fit.aic


@pytest.mark.parametrize("cluster", [None, "user_id"])
@pytest.mark.parametrize("strata", [None, "channel"])
def test_concordance_of_the_fit_is_that_of_its_risk(
    users: pd.DataFrame, strata: str | None, cluster: str | None
) -> None:
    fit = cox("x", users, strata=strata, cluster=cluster)
    mine = fit.concordance()
    other = ch.concordance(users, score=fit.risk(users).values, strata=strata, cluster=cluster)
    assert mine.score == "fitted risk"
    assert (mine.concordant, mine.discordant, mine.tied_both) == (other.concordant, other.discordant, other.tied_both)
    np.testing.assert_allclose([mine.std_error, mine.lower], [other.std_error, other.lower], rtol=1e-12)
    assert 0.55 < mine.lower < mine.estimate < mine.upper < 0.7


def test_concordance_counts_the_offset_and_the_weights(users: pd.DataFrame) -> None:
    frame = users.assign(o=3 * users["x"], w=2.0)
    assert cox("channel", frame, offset="o").concordance().estimate > cox("channel", frame).concordance().estimate
    twice = cox("x", frame, weights="w", weights_kind="frequency").concordance()
    repeated = cox("x", pd.concat([frame, frame])).concordance()
    np.testing.assert_allclose([twice.estimate, twice.std_error], [repeated.estimate, repeated.std_error], rtol=1e-9)
    assert (twice.concordant, twice.n) == (repeated.concordant, repeated.n)


def test_the_number_of_patterns_is_told(users: pd.DataFrame) -> None:
    many = pd.concat([users.drop(columns="x")] * 20, ignore_index=True)
    collapsed, plain = cox("channel", many), cox("x", users)
    assert collapsed.n_patterns < collapsed.n == len(many)
    assert plain.n_patterns == len(users)
    assert collapsed._facts()["n_patterns"] == collapsed.n_patterns


def test_ties_and_penalties_are_checked(users: pd.DataFrame) -> None:
    for options, says in (
        ({"ties": "efon"}, "Did you mean 'efron'"),
        ({"penalty": -1}, "penalty must be a number >= 0 or 'firth'"),
        ({"penalty": "ridge"}, "penalty must be a number >= 0 or 'firth'"),
        ({"penalty": True}, "penalty must be a number >= 0 or 'firth'"),
        ({"penalty": float("nan")}, "penalty must be a number >= 0 or 'firth'"),
        ({"penalty": 0.1, "l1_ratio": 2}, "l1_ratio must lie between 0"),
        ({"l1_ratio": 0.5}, "l1_ratio has a meaning only with penalty > 0"),
        ({"unpenalised": "x"}, "unpenalised has a meaning only with penalty > 0"),
        ({"penalty": 0.1, "unpenalised": "chanel"}, "Did you mean 'channel'"),
        ({"penalty": "firth", "cluster": "user_id"}, "does not go together with cluster="),
        ({"ties": "grouped", "penalty": 0.1}, "takes no penalty"),
    ):
        with pytest.raises(InputError, match=says):
            cox("channel + x", users, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("covariance", [np.ones((3, 3)), np.diag([1.0, 0.0, 1.0])])
def test_a_singular_robust_covariance_has_no_wald_test(users: pd.DataFrame, covariance: np.ndarray) -> None:
    fit = replace(cox("channel + x", users, cluster="user_id"), covariance=covariance)
    with pytest.raises(InputError, match="the robust covariance is singular"):
        _ = fit.wald_test
    assert [test["method"].split(",")[0] for test in fit._facts()["tests"]] == ["likelihood-ratio test", "score test"]
    assert fit.table["statistic"].isna().tolist() == (np.diagonal(covariance) == 0).tolist()


def test_too_few_clusters_are_refused(users: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="cluster 'half' has 2 values, too few for 3 coefficients"):
        cox("channel + x", users.assign(half=users["user_id"] % 2), cluster="half")
