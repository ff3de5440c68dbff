"""Ridge against R's coxph(ridge()), lasso and elastic net against glmnet, cross-validation against cv.glmnet."""

import numpy as np
import pytest

from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.cross_validation import CrossValidation, cross_validate, rows_of
from churnsurv.numerics.penalised import fit_penalised
from churnsurv.numerics.penalty_path import (
    largest_penalty,
    path_points,
    problem_of,
    saturated_log_likelihood,
    without_penalised,
)
from churnsurv.numerics.penalty_units import penalty_units
from churnsurv.survival.covariates import learn_encoding
from churnsurv.survival.cox_methods import penalised_columns
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.inputs import survival_data
from churnsurv.survival.training import cox_data, rows_at_risk

from . import stored

CASES = stored.case_names("penalised")
RIDGE = stored.case_names("penalised", l1_ratio="0")
LASSO = [which for which in CASES if which not in RIDGE]
CV = stored.case_names("penalised_cv")
# coxph stops at 1e-14 of the log-likelihood; glmnet leaves slopes of up to 7e-7 of the penalty, which the script wrote
RIDGE_RTOL, LASSO_RTOL = 1e-8, 2e-6


class Made:
    """A case as arrays: rows, which of them count, which columns are penalised, and the order of the formula."""

    def __init__(self, of):
        parsed = parse_formula(of["formula"])
        found = survival_data(
            stored.frame(of),
            strata=stored.columns(of["strata"]),
            columns=parsed.variables,
            entry=of["entry"] or None,
            weights=of["weights"] or None,
            weights_kind=of["weights_kind"] or None,
            offset=of["offset"] or None,
        )
        _, matrix, _ = learn_encoding(parsed, found.frame)
        self.rows: CoxData = cox_data(found, matrix.design, rows_at_risk(found), of["ties"])
        self.counted = None if found.entry is None else found.duration > found.entry
        self.units = penalty_units(self.rows, self.counted)
        self.penalised = penalised_columns(matrix, stored.columns(of["unpenalised"]) or ())
        self.order = matrix.order


def answer(table: str, which: str):
    return stored.answer(table, which, "output_penalised")


def solution(which: str):
    of = stored.case("penalised", which)
    made = Made(of)
    fit = fit_penalised(
        collapse(made.rows),
        penalty=float(of["penalty"]),
        l1_ratio=float(of["l1_ratio"]),
        penalised=made.penalised,
        units=made.units,
    )
    return made, fit


@pytest.mark.parametrize("which", RIDGE)
def test_ridge(which):
    made, fit = solution(which)
    theirs, whole = answer("coefficients", which), answer("fit", which).iloc[0]
    stored.close(fit.coefficients[made.order], theirs["estimate"], RIDGE_RTOL)
    errors = np.sqrt(np.diagonal(fit.inverse_information))
    stored.close(errors[made.order], theirs["std_error"], RIDGE_RTOL)
    stored.close(fit.effective_df, whole["effective_df"], RIDGE_RTOL)
    stored.close(fit.log_likelihood, whole["log_likelihood"], 1e-12)
    stored.close(fit.log_likelihood_null, whole["log_likelihood_null"], 1e-12)


@pytest.mark.parametrize("which", LASSO)
def test_lasso_and_elastic_net(which):
    made, fit = solution(which)
    theirs, whole = answer("coefficients", which), answer("fit", which).iloc[0]
    stored.close(fit.coefficients[made.order], theirs["estimate"], LASSO_RTOL)
    assert (fit.coefficients[made.order] == 0).tolist() == (theirs["estimate"] == 0).tolist()
    assert fit.effective_df == whole["effective_df"]
    stored.close(fit.log_likelihood, whole["log_likelihood"], 1e-9)
    stored.close(fit.log_likelihood_null, whole["log_likelihood_null"], 1e-10)
    assert fit.inverse_information is None


@pytest.mark.parametrize("which", CASES)
def test_standard_deviations(which):
    made, fit = solution(which)
    stored.close(fit.deviation[made.order], answer("coefficients", which)["deviation"], 1e-13)


@pytest.mark.parametrize("which", [which for which in LASSO if "offset" not in which])
def test_share_of_deviance_explained(which):
    made, fit = solution(which)
    most = saturated_log_likelihood(made.rows)
    explained = 1 - (most - fit.log_likelihood) / (most - fit.log_likelihood_null)
    stored.close(explained, answer("fit", which)["deviance_explained"].iloc[0], 1e-7)


@pytest.mark.parametrize("which", CV)
def test_cross_validation_in_the_same_folds(which):
    of = stored.case("penalised_cv", which)
    made, theirs = Made(of), answer("cv", which)
    alpha = float(of["l1_ratio"])
    penalties = theirs["penalty"].to_numpy()
    problem = problem_of(made.rows, made.penalised, made.units)
    null = without_penalised(problem)
    stored.close(largest_penalty(problem, null, alpha), theirs["first"].iloc[0], 1e-9)
    points = [found.point for found in path_points(problem, null, penalties.tolist(), alpha)]
    # at the first penalty the coefficient that enters there is zero up to rounding
    assert [int(np.count_nonzero(point.beta)) for point in points[1:]] == theirs["n_nonzero"].tolist()[1:]
    folds = np.zeros(made.rows.design.n_rows, dtype=np.intp)
    rows = answer("cv_rows", which)
    folds[rows["row"]] = rows["fold"] - 1
    found = cross_validate(
        made.rows,
        folds,
        penalties,
        alpha,
        made.penalised,
        coefficients=np.array([problem.in_units(point.beta) for point in (null.point, *points)]),
        counted=made.counted,
    )
    by_fold = answer("cv_folds", which)
    assert found.events.tolist() == by_fold["events"].tolist()
    most = saturated_log_likelihood(made.rows)
    left = np.array([most - saturated_log_likelihood(rows_of(made.rows, folds != k)) for k in by_fold["fold"] - 1])
    stored.close(left, by_fold["saturated"], 1e-10, atol=1e-10)
    # glmnet's deviance is from the saturated model, which adds a constant to each fold
    with_saturated = CrossValidation(found.deviance + (2 * left / found.events)[:, None], found.events)
    stored.close(with_saturated.mean, theirs["mean"], 1e-7)
    stored.close(with_saturated.std_error, theirs["std_error"], 1e-6)
