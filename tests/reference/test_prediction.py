"""Predictions from Cox fits against R's survfit.coxph: curves, standard errors, three kinds of limits, risk."""

import numpy as np
import pytest

import churnsurv as ch
from churnsurv.numerics import prediction as numerics
from churnsurv.survival.newdata import design_order, encoded_parts, new_data
from churnsurv.survival.prediction import churn_probability, expected_days, risk, survival

from . import stored

CASES = stored.case_names("prediction")
RTOL = 1e-9
KINDS = ("log-log", "log", "plain")

pytestmark = pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")


def fit(which):
    of = stored.case("prediction", which)
    reference = dict([of["reference"].split("=")]) if of["reference"] else None
    data = stored.frame(of)
    made = ch.cox(
        of["formula"],
        data,
        strata=stored.columns(of["strata"]),
        reference=reference,
        ties=of["ties"],
        level=float(of["level"]),
        weights=of["weights"] or None,
        weights_kind=of["weights_kind"] or None,
        offset=of["offset"] or None,
        **stored.keywords(of),
    )
    return made, data


def by_row(answer):
    return [(row, part.reset_index(drop=True)) for row, part in answer.groupby("row", sort=False)]


@pytest.mark.parametrize("which", CASES)
def test_standard_error_of_the_cumulative_hazard(which):
    made, data = fit(which)
    order = design_order(made._encoding)
    root = numerics.covariance_root(made.covariance[np.ix_(order, order)], made._moments.scale)
    for row, theirs in by_row(stored.answer("prediction", which)):
        new = new_data(made, data.iloc[[row]])
        (part,) = encoded_parts(made, new, per_row=1)
        rows = numerics.new_rows(
            part.design, made._estimates[order], root, shift=made._moments.shift, offset=part.offset
        )
        places = numerics.places(made._moments, new.stratum, theirs["time"].to_numpy())
        baseline = numerics.projected(made._moments, root, places)
        found = [numerics.hazard_between(rows, baseline, j) for j in range(len(theirs))]
        stored.close([one.hazard[0] for one in found], theirs["hazard"], RTOL)
        stored.close([one.hazard[0] * one.log_error[0] for one in found], theirs["std_error"], RTOL)


@pytest.mark.parametrize("which", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_curves_and_limits(which, kind):
    made, data = fit(which)
    for row, theirs in by_row(stored.answer("prediction", which)):
        ours = survival(made, data.iloc[[row]], theirs["time"], ci=kind)
        # R has no log-log limits where the curve is 0 to the last bit; ours come from the hazard
        there = theirs["survival"] > 0
        stored.close(ours.values[0], theirs["survival"], RTOL, atol=1e-14)
        stored.close(ours.lower[0][there], theirs[f"lower {kind}"][there], 10 * RTOL, atol=1e-14)
        stored.close(ours.upper[0][there], theirs[f"upper {kind}"][there], 10 * RTOL, atol=1e-14)


@pytest.mark.parametrize("which", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_churn_of_those_alive_at_a_day(which, kind):
    made, data = fit(which)
    for row, theirs in by_row(stored.answer("prediction_alive", which)):
        said = theirs.iloc[0]
        ours = churn_probability(
            made, data.iloc[[row]], alive_at=said["alive_at"], horizon=said["until"] - said["alive_at"], ci=kind
        )
        stored.close(1 - ours.values[0], said["survival"], RTOL, atol=1e-14)
        stored.close(1 - ours.upper[0], said[f"lower {kind}"], 10 * RTOL, atol=1e-13)
        stored.close(1 - ours.lower[0], said[f"upper {kind}"], 10 * RTOL, atol=1e-13)


@pytest.mark.parametrize("which", CASES)
def test_expected_days_and_risk(which):
    made, data = fit(which)
    theirs = stored.answer("prediction_row", which)
    for _, said in theirs.iterrows():
        new = data.iloc[[int(said["row"])]]
        stored.close(expected_days(made, new, horizon=said["horizon"]).values[0], said["expected_days"], RTOL)
        stored.close(risk(made, new).values[0], said["risk"], RTOL, atol=1e-9)
