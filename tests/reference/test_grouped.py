"""Grouped proportional hazards against R's glm with complementary log-log link, on one line per (row, day at risk)."""

import numpy as np
import pytest

import churnsurv as ch

from . import stored

# What R finds by iteratively reweighted least squares on thousands of lines.
RTOL = 1e-7
CASES = stored.case_names("grouped")
WITH_RESIDUALS = ["plain", "cluster", "sampling cluster offset"]
ROBUST = [c["case"] for c in stored.cases("grouped") if c["cluster"] or c["weights_kind"] == "sampling"]


def answer(table: str, which: str):
    return stored.answer(table, which, "output_grouped")


def fit(which: str) -> ch.CoxFit:
    of = stored.case("grouped", which)
    reference = dict([of["reference"].split("=")]) if of["reference"] else None
    return ch.cox(
        of["formula"],
        stored.frame(of),
        ties="grouped",
        strata=stored.columns(of["strata"]),
        reference=reference,
        weights=of["weights"] or None,
        weights_kind=of["weights_kind"] or None,
        offset=of["offset"] or None,
        **stored.keywords(of),
    )


@pytest.mark.parametrize("which", CASES)
def test_estimates_and_standard_errors(which):
    ours, theirs = fit(which), answer("grouped", which)
    stored.close(ours.table["estimate"], theirs["estimate"], RTOL, atol=1e-9)
    stored.close(ours.table["std_error"], theirs["std_error"], RTOL)
    by_model = np.sqrt(np.diagonal(ours._model_covariance))
    stored.close(by_model, theirs["observed_std_error"], RTOL)
    # glm's own standard errors, from the expected information, are near
    stored.close(by_model, theirs["expected_std_error"], 0.1 if which == "spike" else 0.01)


@pytest.mark.parametrize("which", CASES)
def test_covariance(which):
    theirs = answer("covariance", which)
    p = theirs["row"].max()
    stored.close(fit(which).covariance, theirs["covariance"].to_numpy().reshape(p, p), RTOL, atol=1e-9)


def test_robust_standard_errors_are_others():
    for which in ROBUST:
        theirs = answer("grouped", which)
        assert (theirs["std_error"] != theirs["observed_std_error"]).all()


@pytest.mark.parametrize("which", CASES)
def test_likelihood_and_score_test(which):
    ours, theirs = fit(which), answer("fit", which).iloc[0]
    stored.close(ours.log_likelihood, theirs["log_likelihood"], 1e-10)
    stored.close(ours.log_likelihood_null, theirs["log_likelihood_null"], 1e-10)
    stored.close(ours.score_test.statistic, theirs["score"], RTOL)


@pytest.mark.parametrize("which", CASES)
def test_baseline(which):
    ours, theirs = fit(which).baseline, answer("baseline", which)
    theirs["cumulative"] = theirs.groupby("stratum", sort=False)["hazard"].cumsum()
    merged = ours.merge(theirs, how="left", on=["stratum", "time"])
    known = np.isfinite(merged["cumulative_hazard"])
    stored.close(merged.loc[known, "cumulative_hazard"], merged.loc[known, "cumulative"], RTOL)
    # where everybody at risk churns R has no line, and the hazard is infinite
    assert known.sum() == len(theirs) - (merged["hazard"].notna() & ~known).sum()


@pytest.mark.parametrize("which", WITH_RESIDUALS)
def test_martingale_and_score_residuals(which):
    ours, theirs = fit(which), answer("residuals", which)
    found = ours.residuals("martingale").set_index("row")["residual"]
    stored.close(found[theirs["row"]], theirs["martingale"], RTOL, atol=1e-8)
    by_term = answer("residuals_by_term", which)
    values = np.column_stack([part["score"] for _, part in by_term.groupby("term", sort=False)])
    size = np.abs(values).max(axis=0)
    scores = ours.residuals("score").set_index("row").loc[theirs["row"]].iloc[:, -values.shape[1] :]
    stored.close(scores / size, values / size, RTOL, atol=1e-8)
    # rows without a line are never at risk on a day with churn that counts
    others = np.setdiff1d(found.index, theirs["row"])
    assert others.size > 0 or which == "plain"
    assert not found[others].any()
