"""Cox fits against R's coxph: estimates, both kinds of standard error, likelihood, tests, baseline."""

import numpy as np
import pytest
from scipy.stats import chi2

import churnsurv as ch

from . import stored

RTOL = 1e-8
CASES = stored.case_names("cox")
# Centred at 1e6 the covariate keeps 9 to 10 digits of its spread, on R's side too.
FAR = "continuous far from zero"


def rtol(which: str) -> float:
    return 1e-7 if which == FAR else RTOL


def fit(which: str, data=None, **changes):
    of = stored.case("cox", which)
    data = stored.frame(of) if data is None else data
    reference = dict([of["reference"].split("=")]) if of["reference"] else None
    arguments = {
        "strata": stored.columns(of["strata"]),
        "reference": reference,
        "ties": of["ties"],
        "level": float(of["level"]),
        **stored.keywords(of),
        **changes,
    }
    return ch.cox(of["formula"], data, **arguments)


@pytest.mark.parametrize("which", CASES)
def test_estimates_and_intervals(which):
    table = fit(which).table
    theirs = stored.answer("cox", which)
    for column in ("estimate", "std_error", "statistic", "lower", "upper"):
        stored.close(table[column], theirs[column], rtol(which), atol=1e-10)
    stored.close(table["p_value"], theirs["p_value"], 1e-7)
    stored.close(table["hazard_ratio"], np.exp(theirs["estimate"]), rtol(which))


@pytest.mark.parametrize("which", CASES)
def test_covariance(which):
    theirs = stored.answer("cox_covariance", which)
    p = theirs["row"].max()
    stored.close(fit(which).covariance, theirs["covariance"].to_numpy().reshape(p, p), rtol(which), atol=1e-12)


@pytest.mark.parametrize("which", CASES)
def test_likelihood(which):
    result = fit(which)
    theirs = stored.answer("cox_fit", which).iloc[0]
    assert (result.n, result.n_events) == (theirs["n"], theirs["n_events"])
    stored.close(result.log_likelihood, theirs["log_likelihood"], 1e-10)
    stored.close(result.log_likelihood_null, theirs["log_likelihood_null"], 1e-12)


@pytest.mark.parametrize("which", CASES)
def test_global_tests(which):
    result = fit(which)
    theirs = stored.answer("cox_fit", which).iloc[0]
    clustered = bool(stored.case("cox", which)["cluster"])
    for ours, statistic, robust in (
        (result.likelihood_ratio_test, theirs["likelihood_ratio"], False),
        (result.wald_test, theirs["wald"], True),
        (result.score_test, theirs["score"], False),
    ):
        assert ours.df == theirs["df"]
        stored.close(ours.statistic, statistic, 1e-7, atol=1e-9)
        stored.close(ours.p_value, chi2.sf(statistic, theirs["df"]), 1e-6)
        # with clusters a reader must see which of the tests take the rows as independent
        assert ("independent" in ours.method) == (clustered and not robust)


@pytest.mark.parametrize("which", [name for name in CASES if name != FAR])
def test_baseline(which):
    ours = fit(which).baseline
    theirs = stored.answer("cox_baseline", which)
    merged = theirs.merge(ours, how="left", on=["stratum", "time"], suffixes=("_r", ""))
    stored.close(merged["cumulative_hazard"], merged["cumulative_hazard_r"], 1e-7)
