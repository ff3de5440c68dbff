"""Firth's penalty against R: its own likelihood and information, penalised and maximised by differences in firth.R."""

import numpy as np
import pandas as pd
import pytest

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.firth import firth_profile, fit_firth
from churnsurv.numerics.risk_sets import risk_sets

from . import stored

FOLDER = stored.HERE / "output_firth"
CASES = pd.read_csv(FOLDER / "cases.csv", dtype=str, keep_default_na=False).set_index("case").to_dict("index")
DATA = pd.read_csv(FOLDER / "data.csv", float_precision="round_trip")
# R's side is a maximum by differences: about 1e-9 standard errors.
RTOL = 2e-8


def data_of(which: str, *, codes: bool = False) -> CoxData:
    """The rows of a case; with `codes` a column of zeros and ones enters as a category."""
    of = CASES[which]
    rows = DATA[DATA["data"] == of["data"]].reset_index(drop=True)
    frequency = rows["users"].to_numpy() if of["frequency"] else None
    sets = risk_sets(
        rows["duration"].to_numpy(),
        rows["churned"].to_numpy() == 1,
        entry=rows["entry"].to_numpy() if of["entry"] else None,
        stratum=rows["stratum"].to_numpy() if of["strata"] else None,
        n_strata=int(rows["stratum"].max()) + 1 if of["strata"] else 1,
        frequency=frequency,
    )
    names = of["covariates"].split("|")
    numeric, indicators = list(names), []
    if codes:
        numeric.remove("x1")
        indicators = [Indicators(rows["x1"].to_numpy().astype(np.int32), ("x1",), "rest")]
    return CoxData(
        design([rows[name].to_numpy() for name in numeric], numeric, indicators, n_rows=len(rows)),
        sets,
        of["ties"],
        frequency=None if frequency is None else frequency.astype(float),
        offset=rows["known"].to_numpy() if of["offset"] else None,
    )


def answer(table: str, which: str) -> pd.DataFrame:
    return stored.answer(table, which, "output_firth")


@pytest.mark.parametrize("which", CASES)
def test_estimates_and_covariance(which):
    solution, theirs = fit_firth(data_of(which)), answer("firth", which)
    stored.close(solution.coefficients / theirs["std_error"], theirs["estimate"] / theirs["std_error"], RTOL, atol=1e-8)
    error = np.sqrt(np.diagonal(solution.inverse_information))
    stored.close(error, theirs["std_error"], RTOL)
    p = len(theirs)
    covariance = answer("firth_covariance", which)["covariance"].to_numpy().reshape(p, p)
    stored.close(solution.inverse_information / np.outer(error, error), covariance / np.outer(error, error), 1e-7, 1e-8)


@pytest.mark.parametrize("which", CASES)
def test_likelihood(which):
    data = data_of(which)
    solution, theirs = fit_firth(data), answer("firth_fit", which).iloc[0]
    assert int(data.sets.n_events.sum()) == theirs["n_events"]
    stored.close(solution.log_likelihood, theirs["log_likelihood"], 1e-12)
    stored.close(solution.log_likelihood_null, theirs["log_likelihood_null"], 1e-12)
    stored.close(solution.unpenalised_log_likelihood, theirs["unpenalised"], 1e-8)


@pytest.mark.parametrize("which", CASES)
def test_profile(which):
    data = data_of(which)
    profile = firth_profile(data, fit_firth(data), level=float(CASES[which]["level"]))
    theirs = answer("firth", which)
    assert profile.notes == ()
    for column in ("lower", "upper"):
        ours = getattr(profile, column)
        stored.close(ours / theirs["std_error"], theirs[column] / theirs["std_error"], 1e-7, atol=1e-7)
    stored.close(profile.statistic, theirs["statistic"], 1e-7, atol=1e-6)
    stored.close(profile.p_value, theirs["p_value"], 1e-6)


@pytest.mark.parametrize("which", ["churn entry strata", "churn frequency", "separated"])
def test_a_category_is_its_column(which):
    """Numbers of categories instead of a column of zeros and ones: the last coefficient then is that of x1."""
    solution, theirs = fit_firth(data_of(which, codes=True)), answer("firth", which)
    ours = solution.coefficients[[2, 0, 1]]
    stored.close(ours / theirs["std_error"], theirs["estimate"] / theirs["std_error"], RTOL, atol=1e-8)
