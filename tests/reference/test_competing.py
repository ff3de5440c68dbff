"""Competing causes against R: survfit, cuminc, finegray with coxph, crr; which one is meant stands in competing.R."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.design import design
from churnsurv.numerics.fine_gray import FineGrayData, fit_fine_gray, robust_covariance
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.staying import staying
from churnsurv.survival.competing import cumulative_incidence
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.gray import gray_test

from . import stored

FOLDER = stored.HERE / "output_competing"
DATA = pd.read_csv(FOLDER / "data.csv", float_precision="round_trip")


def cases(name: str) -> dict[str, dict[str, str]]:
    table = pd.read_csv(FOLDER / f"cases_{name}.csv", dtype=str, keep_default_na=False)
    return table.set_index("case").to_dict("index")


CURVES, DELTAS, GRAYS, MODELS, CRRS = (cases(name) for name in ("curves", "deltas", "grays", "models", "crrs"))


def rows_of(name: str) -> pd.DataFrame:
    rows = DATA[DATA["data"] == name].reset_index(drop=True)
    cause = rows["outcome"].map({0: None, 1: "1", 2: "2", 3: "3"})
    return rows.assign(churned=rows["outcome"] > 0, cause=cause.astype(object))


def answer(table: str, which: str) -> pd.DataFrame:
    return stored.answer(table, which, "output_competing")


def weights_of(of: dict[str, str]) -> dict[str, Any]:
    column = {"frequency": "users", "sampling": "drawn"}.get(of["weights"])
    return {} if column is None else {"weights": column, "weights_kind": of["weights"]}


def aligned(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    keys = [pd.Series(ours[name].astype(str)) for name in ("group", "cause")]
    ours = ours.set_index(pd.MultiIndex.from_arrays([*keys, ours["time"].astype(float)]))
    wanted = pd.MultiIndex.from_arrays([theirs["group"].astype(str), theirs["cause"].astype(str), theirs["time"]])
    return ours.loc[wanted]


@pytest.mark.parametrize("which", CURVES)
def test_curves_are_those_of_survfit(which):
    of, theirs = CURVES[which], answer("curves", which)
    found = cumulative_incidence(
        rows_of(of["data"]), cause="cause", by=of["by"] or None, entry="entry" if of["entry"] else None,
        cluster=of["cluster"] or None, ci="plain", **weights_of(of),
    )  # fmt: skip
    ours = aligned(found.table, theirs)
    stored.close(ours["incidence"], theirs["incidence"], 1e-10, atol=1e-15)
    stored.close(ours["std_error"], theirs["std_error"], 1e-8, atol=1e-14)
    if of["weights"] != "sampling":
        stored.close(ours["n_at_risk"], theirs["n_at_risk"], 0)
        stored.close(ours["n_events"], theirs["n_events"], 0)


@pytest.mark.parametrize("which", DELTAS)
def test_the_delta_variance_is_that_of_cuminc(which):
    of, theirs = DELTAS[which], answer("delta", which)
    found = cumulative_incidence(rows_of(of["data"]), cause="cause", by=of["by"] or None, variance="delta")
    theirs = theirs[theirs["time"] > 0].reset_index(drop=True)  # cuminc begins each curve at 0, with 0
    theirs = theirs[theirs["time"].isin(found.table["time"].unique())]
    ours = aligned(found.table, theirs)
    stored.close(ours["incidence"], theirs["incidence"], 1e-10, atol=1e-15)
    stored.close(ours["std_error"], theirs["std_error"], 1e-8, atol=1e-14)


@pytest.mark.parametrize("which", GRAYS)
def test_grays_test_is_that_of_cuminc(which):
    of, theirs = GRAYS[which], answer("gray", which)
    found = gray_test(
        rows_of(of["data"]), cause="cause", by="group", strata=of["strata"] or None, rho=float(of["rho"])
    ).table
    assert found["cause"].tolist() == theirs["cause"].astype(str).tolist()
    assert found["df"].tolist() == theirs["df"].tolist()
    stored.close(found["statistic"], theirs["statistic"], 1e-8)
    stored.close(found["p_value"], theirs["p_value"], 1e-8)


def fit_of(which: str) -> Any:
    of = MODELS[which]
    return fine_gray(
        " + ".join(of["covariates"].split("|")), rows_of(of["data"]), cause="cause", cause_of_interest=of["cause"],
        ties=of["ties"], entry="entry" if of["entry"] else None, strata="stratum" if of["strata"] else None,
        cluster=of["cluster"] or None, **weights_of(of),
    )  # fmt: skip


@pytest.mark.parametrize("which", [name for name, of in MODELS.items() if of["censoring"] != "unweighted"])
@pytest.mark.filterwarnings("ignore:on day:churnsurv.errors.ChurnsurvWarning")
def test_models_are_those_of_finegray_and_coxph(which):
    fit, theirs = fit_of(which), answer("model", which)
    assert fit.table["term"].tolist() == theirs["term"].tolist()
    stored.close(fit.table["estimate"], theirs["estimate"], 1e-8, atol=1e-10)
    stored.close(fit.table["std_error"], theirs["std_error"], 1e-8)
    p = len(theirs)
    covariance = answer("model_covariance", which)["covariance"].to_numpy().reshape(p, p)
    scale = np.outer(theirs["std_error"], theirs["std_error"])
    stored.close(fit.covariance / scale, covariance / scale, 1e-8, atol=1e-9)
    whole = answer("model_fit", which).iloc[0]
    assert fit.n_events == whole["n_events"]
    stored.close(fit.log_likelihood_null, whole["log_likelihood_null"], 1e-11)
    stored.close(fit.log_likelihood, whole["log_likelihood"], 1e-11)


def test_with_unweighted_censoring_it_is_finegray_with_weights():
    """What finegray(weights=) does: G and H of unweighted rows. The package weighs them; its formulas can do both."""
    rows, theirs = rows_of("daily"), answer("model", "daily sampling finegray")
    outcome, entry = rows["outcome"].to_numpy(), rows["entry"].to_numpy()
    columns = [rows["x"].to_numpy(), *((rows["group"] == g).to_numpy().astype(float) for g in ("b", "c"))]
    sets = risk_sets(rows["duration"].to_numpy(), outcome == 1, entry=entry)
    cox = CoxData(design(columns, ["x", "b", "c"], n_rows=len(rows)), sets, sampling=rows["drawn"].to_numpy())
    data = FineGrayData.of(cox, staying(sets, rows["duration"].to_numpy(), outcome, entry=entry))
    found = fit_fine_gray(data)
    stored.close(found.coefficients, theirs["estimate"], 1e-8)
    error = np.sqrt(np.diagonal(robust_covariance(data, found.state, found.inverse_information, None)))
    stored.close(error, theirs["std_error"], 1e-8)


PREDICTED = [name for name, of in MODELS.items() if not of["strata"] and not of["weights"]]


@pytest.mark.parametrize("which", PREDICTED)
@pytest.mark.filterwarnings("ignore:on day:churnsurv.errors.ChurnsurvWarning")
def test_predicted_incidence_is_that_of_survfit(which):
    fit, theirs = fit_of(which), answer("prediction", which)
    for ci, part in theirs.groupby("ci"):
        who = part["row"].unique().tolist()
        new = rows_of(MODELS[which]["data"]).loc[who]
        ours = fit.incidence(new, np.sort(part["time"].unique()), ci=ci)
        stored.close(ours.values.ravel(), part["incidence"], 1e-8)
        known = part["lower"].notna() & part["upper"].notna()
        stored.close(ours.lower.ravel()[known], part["lower"][known], 1e-7, atol=1e-12)
        stored.close(ours.upper.ravel()[known], part["upper"][known], 1e-7)


@pytest.mark.parametrize("which", CRRS)
@pytest.mark.filterwarnings("ignore:on day:churnsurv.errors.ChurnsurvWarning")
def test_compat_is_crr(which):
    """R's Newton steps stop at a gradient of 1e-13 of the log-likelihood, which leaves 1e-9 in the estimates."""
    of, theirs = CRRS[which], answer("crr", which)
    fit = fine_gray(
        " + ".join(of["covariates"].split("|")), rows_of(of["data"]), cause="cause", cause_of_interest=of["cause"],
        compat="cmprsk", **weights_of(of),
    )  # fmt: skip
    stored.close(fit.table["estimate"], theirs["estimate"], 1e-7, atol=1e-9)
    stored.close(fit.table["std_error"], theirs["std_error"], 1e-7)
    whole = answer("crr_fit", which).iloc[0]
    stored.close(fit.log_likelihood_null, whole["log_likelihood_null"], 1e-10)
    stored.close(fit.log_likelihood, whole["log_likelihood"], 1e-10)
