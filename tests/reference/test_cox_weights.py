"""Weights of both kinds, offsets and residuals against R's coxph; frequencies against R on repeated rows."""

import numpy as np
import pytest
from scipy.stats import chi2

import churnsurv as ch

from . import stored

# Some small sets have a spike on purpose; that the warning is given is tested with the door.
pytestmark = pytest.mark.filterwarnings("ignore:on day .* at risk.* churn:churnsurv.errors.ChurnsurvWarning")

RTOL = 1e-8
CASES = stored.case_names("cox_weights")
WITH_RESIDUALS = stored.case_names("cox_weights", residuals="yes")


def answer(table: str, which: str):
    return stored.answer(table, which, "output_weights")


def fit(which: str):
    of = stored.case("cox_weights", which)
    reference = dict([of["reference"].split("=")]) if of["reference"] else None
    return ch.cox(
        of["formula"],
        stored.frame(of),
        strata=stored.columns(of["strata"]),
        reference=reference,
        ties=of["ties"],
        level=float(of["level"]),
        weights=of["weights"] or None,
        weights_kind=of["weights_kind"] or None,
        offset=of["offset"] or None,
        **stored.keywords(of),
    )


@pytest.mark.parametrize("which", CASES)
def test_estimates_and_intervals(which):
    table = fit(which).table
    theirs = answer("cox", which)
    for column in ("estimate", "std_error", "statistic", "lower", "upper"):
        stored.close(table[column], theirs[column], RTOL, atol=1e-10)
    stored.close(table["p_value"], theirs["p_value"], 1e-7)


@pytest.mark.parametrize("which", CASES)
def test_covariance(which):
    theirs = answer("cox_covariance", which)
    p = theirs["row"].max()
    stored.close(fit(which).covariance, theirs["covariance"].to_numpy().reshape(p, p), RTOL, atol=1e-12)


@pytest.mark.parametrize("which", CASES)
def test_likelihood_and_counts(which):
    result = fit(which)
    theirs = answer("cox_fit", which).iloc[0]
    assert (result.n, result.n_events) == (theirs["n"], theirs["n_events"])
    stored.close(result.log_likelihood, theirs["log_likelihood"], 1e-10)
    stored.close(result.log_likelihood_null, theirs["log_likelihood_null"], 1e-12)


@pytest.mark.parametrize("which", CASES)
def test_global_tests(which):
    result = fit(which)
    of, theirs = stored.case("cox_weights", which), answer("cox_fit", which).iloc[0]
    for ours, statistic, robust in (
        (result.likelihood_ratio_test, theirs["likelihood_ratio"], False),
        (result.wald_test, theirs["wald"], True),
        (result.score_test, theirs["score"], False),
    ):
        assert ours.df == theirs["df"]
        stored.close(ours.statistic, statistic, 1e-7, atol=1e-9)
        stored.close(ours.p_value, chi2.sf(statistic, theirs["df"]), 1e-6)
        assert ("independent" in ours.method) == (bool(of["cluster"]) and not robust)
        assert ("weights taken as frequencies" in ours.method) == (of["weights_kind"] == "sampling" and not robust)
        assert ours.method.startswith("robust") == (robust and bool(of["cluster"] or of["weights_kind"] == "sampling"))


@pytest.mark.parametrize("which", CASES)
def test_baseline(which):
    ours = fit(which).baseline
    theirs = answer("cox_baseline", which)
    assert len(ours) == len(theirs)
    merged = theirs.merge(ours, how="left", on=["stratum", "time"], suffixes=("_r", ""))
    stored.close(merged["cumulative_hazard"], merged["cumulative_hazard_r"], RTOL)


@pytest.mark.parametrize("which", WITH_RESIDUALS)
def test_martingale_and_deviance_residuals(which):
    result, theirs = fit(which), answer("residuals", which)
    for kind in ("martingale", "deviance"):
        ours = result.residuals(kind)
        assert ours["row"].tolist() == theirs["row"].tolist()
        stored.close(ours["residual"], theirs[kind], RTOL, atol=1e-9)


@pytest.mark.parametrize("kind", ["score", "dfbeta"])
@pytest.mark.parametrize("which", WITH_RESIDUALS)
def test_residuals_by_row_and_term(which, kind):
    ours = fit(which).residuals(kind)
    theirs = answer("residuals_by_term", which)
    theirs = np.column_stack([part[kind] for _, part in theirs.groupby("term", sort=False)])
    size = np.abs(theirs).max(axis=0)
    stored.close(ours.iloc[:, -theirs.shape[1] :] / size, theirs / size, RTOL, atol=1e-9)


@pytest.mark.parametrize(("kind", "r_name"), [("schoenfeld", "schoenfeld"), ("scaled_schoenfeld", "scaled")])
@pytest.mark.parametrize("which", WITH_RESIDUALS)
def test_residuals_by_churn(which, kind, r_name):
    ours = fit(which).residuals(kind)
    theirs = answer("residuals_by_event", which)
    terms = [part for _, part in theirs.groupby("term", sort=False)]
    for column in ("row", "time", "stratum"):
        assert ours[column].tolist() == terms[0][column].tolist()
    values = np.column_stack([part[r_name] for part in terms])
    size = np.abs(values).max(axis=0)
    stored.close(ours.iloc[:, -values.shape[1] :] / size, values / size, RTOL, atol=1e-9)
