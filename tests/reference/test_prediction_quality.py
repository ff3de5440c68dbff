"""How good a prediction is, against R's survival and riskRegression, and against formulas written out in R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.numerics.censoring import Drawn, followed
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.uno import uno
from churnsurv.survival.auc import time_dependent_auc
from churnsurv.survival.brier import brier_score
from churnsurv.survival.calibration import calibration
from churnsurv.survival.compare import compare_concordance
from churnsurv.survival.concordance import concordance
from churnsurv.survival.decision import decision_curve

from . import stored

FOLDER = "output_prediction_quality"
RTOL = 1e-10
CASES = stored.cases("prediction_quality")
COUNTS = ["concordant", "discordant", "tied_score", "tied_time", "tied_both"]


def answer(table: str, which: str) -> pd.DataFrame:
    return stored.answer(table, which, FOLDER)


def there(table: str) -> list[str]:
    found = pd.read_csv(stored.HERE / FOLDER / f"{table}.csv", dtype={"case": str})
    return list(dict.fromkeys(found["case"]))


def case(which: str) -> tuple[dict[str, str], pd.DataFrame, dict[str, Any]]:
    of = stored.case("prediction_quality", which)
    keywords = {**stored.keywords(of), "weights": of["weights"] or None, "weights_kind": of["weights_kind"] or None}
    return of, stored.frame(of), keywords


def predicted_survival(of: dict[str, str], data: pd.DataFrame, t: Any) -> np.ndarray:
    """As in the script."""
    s = np.arcsinh(data[of["score"]].to_numpy(dtype=float))
    return np.exp(-(t / 120) * np.exp(0.6 * (s - s.mean()) / s.std(ddof=1)))


def horizon(of: dict[str, str]) -> float | None:
    return float(of["horizon"]) if of["horizon"] else None


@pytest.mark.parametrize("which", [of["case"] for of in CASES])
def test_concordance_and_its_difference(which: str) -> None:
    of, data, keywords = case(which)
    strata = stored.columns(of["strata"])
    found = concordance(data, score=of["score"], horizon=horizon(of), strata=strata, **keywords)
    theirs = answer("concordance", which)
    theirs = theirs[theirs["method"] == "harrell"].iloc[0]
    stored.close(found.estimate, theirs["estimate"], 1e-13)
    stored.close(found.std_error, theirs["std_error"], RTOL)
    stored.close([getattr(found, count) for count in COUNTS], theirs[COUNTS], 1e-12)
    other = compare_concordance(
        data, scores=(of["score"], of["other"]), horizon=horizon(of), strata=strata, **keywords
    ).table.iloc[0]
    stored.close(other[["estimate", "std_error"]], answer("compare", which).iloc[0], RTOL)


def test_the_variance_of_a_difference_is_that_of_two_fits() -> None:
    _, data, _ = case("churn on a whole day")
    found = compare_concordance(data, scores=("amount", "n_investments"))
    stored.close(found.table["std_error"], answer("vcov", "churn on a whole day")["std_error"], RTOL)


@pytest.mark.parametrize("which", [of["case"] for of in CASES if not of["entry"] and not of["strata"]])
def test_uno(which: str) -> None:
    of, data, keywords = case(which)
    theirs = answer("concordance", which)
    theirs = theirs[theirs["method"] == "uno"].iloc[0]
    found = concordance(data, score=of["score"], method="uno", horizon=horizon(of), **keywords)
    stored.close(found.estimate, theirs["estimate"], 1e-12)
    if of["weights_kind"] != "frequency":  # whose counts of pairs are rounded
        stored.close([getattr(found, count) for count in COUNTS], theirs[COUNTS], 1e-11, atol=1e-9)
    # R takes the weights as known
    duration, churned = data["duration"].to_numpy(), data["churned"].to_numpy()
    cluster, n_clusters = (None, 0)
    if of["cluster"]:
        cluster, names = pd.factorize(data[of["cluster"]])
        n_clusters = len(names)
    weights = data[of["weights"]].to_numpy(dtype=float) if of["weights"] else None
    rows = followed(duration, churned, drawn=Drawn(weights, of["weights_kind"] == "frequency", cluster, n_clusters))
    frequency = weights.astype(int) if of["weights_kind"] == "frequency" and weights is not None else None
    sets = risk_sets(duration, churned & (duration <= (horizon(of) or np.inf)), frequency=frequency)
    known = uno(sets, data[of["score"]].to_numpy(), rows, known=True)
    stored.close(known.std_error, theirs["std_error"], RTOL)
    assert 0.8 < found.std_error / known.std_error < 1.25


@pytest.mark.parametrize("which", there("score"))
def test_brier_and_auc_of_risk_regression(which: str) -> None:
    of, data, keywords = case(which)
    theirs = answer("score", which)
    times = theirs["time"].to_numpy()
    survival = np.column_stack([predicted_survival(of, data, t) for t in times])
    brier = brier_score(data, survival=survival, times=times, **keywords).table
    area = time_dependent_auc(data, survival=survival, times=times, **keywords).table
    for name in ("reference", "scaled"):
        stored.close(brier[name], theirs[name], RTOL)
    stored.close(brier["estimate"], theirs["brier"], RTOL)
    stored.close(area["estimate"], theirs["auc"], RTOL)
    # its martingales of censoring are those of an estimate without ties; ours are derivatives (tests/numerics)
    rtol = 2e-5 if which == "continuous" else 4e-3
    stored.close(brier["std_error"], theirs["brier_std_error"], rtol)
    stored.close(area["std_error"], theirs["auc_std_error"], rtol)


@pytest.mark.parametrize("which", there("formulas"))
def test_weights_from_their_definition(which: str) -> None:
    of, data, keywords = case(which)
    t = horizon(of)
    theirs = answer("formulas", which).iloc[0]
    survival = predicted_survival(of, data, t)
    brier = brier_score(data, survival=survival, times=t, **keywords).table.iloc[0]
    stored.close(brier["estimate"], theirs["brier"], RTOL)
    stored.close(brier["reference"], theirs["survival"] * (1 - theirs["survival"]), RTOL)
    area = time_dependent_auc(data, score=1 - survival, times=t, **keywords)
    stored.close(area.table["estimate"], [theirs["auc"]], RTOL)
    stored.close(area.mean, theirs["auc"], RTOL)
    found = calibration(data, probability=1 - survival, horizon=t, **keywords)
    # glm stops where the deviance does not move
    stored.close([found.intercept, found.slope], theirs[["intercept", "slope"]], 1e-6)
    stored.close(found.observed, 1 - theirs["survival"], RTOL)


@pytest.mark.parametrize("which", there("groups"))
def test_groups_and_net_benefit(which: str) -> None:
    of, data, keywords = case(which)
    t = horizon(of)
    p = 1 - predicted_survival(of, data, t)
    theirs = answer("groups", which)
    grouped = np.select([p <= 0.3, p <= 0.5], [0.2, 0.4], 0.6)
    found = calibration(data, probability=grouped, horizon=t, groups=1000, **keywords).table
    stored.close(found["predicted"], theirs["predicted"].astype(float), 1e-12)
    columns = ["observed", "std_error", "lower", "upper"]
    stored.close(found[columns], theirs[columns], 1e-9)
    theirs = answer("decision", which)
    curve = decision_curve(data, probability=p, horizon=t, thresholds=theirs["threshold"], **keywords).table
    ours = curve[curve["model"] == "model"]
    columns = ["net_benefit", "contacted", "churned"]
    stored.close(ours[columns], theirs[columns], RTOL, atol=1e-14)


@pytest.mark.parametrize("which", there("ici"))
def test_the_smooth_curve_and_d_calibration(which: str) -> None:
    of, data, keywords = case(which)
    t = horizon(of)
    found = calibration(
        data,
        probability=1 - predicted_survival(of, data, t),
        horizon=t,
        survival_at_end=predicted_survival(of, data, data["duration"].to_numpy()),
        **keywords,
    )
    stored.close([found.ici, found.e50, found.e90], answer("ici", which).iloc[0], 1e-7)
    stored.close(found.d_calibration_bins["n"], answer("d_calibration", which)["n"], RTOL)
