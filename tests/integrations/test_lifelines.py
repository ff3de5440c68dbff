"""A fit of ours inside lifelines: what must be ours to the digit, what is lifelines' own, and what is refused.

lifelines' own fit on the same columns says which attributes a fitted object has: a version that adds one fails here.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import proportional_hazard_test

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.integrations.lifelines import prediction_frame, to_lifelines, training_frame

pytestmark = [
    pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning"),
    # lifelines on whatever columns it is given
    pytest.mark.filterwarnings("ignore::lifelines.exceptions.ConvergenceWarning"),
]


def rows(n: int = 240, *, tied: bool = True, seed: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    channel = rng.choice(["ads", "friend", "shop"], n)
    amount = rng.lognormal(5, 1, n)
    hazard = 0.02 * np.exp(0.6 * (channel == "shop") - 0.2 * (np.log(amount) - 5))
    time, censored = rng.exponential(1 / hazard), rng.uniform(20, 120, n)
    duration = np.minimum(time, censored)
    duration = np.ceil(duration).astype(int) if tied else duration
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 2,
            "entry": np.where(rng.random(n) < 0.4, np.minimum(25, np.maximum(duration - 1, 0)), 0),
            "duration": duration,
            "churned": time <= censored,
            "channel": channel,
            "cohort": pd.Categorical(rng.choice(["2024-02", "2024-01"], n), categories=["2024-02", "2024-01"]),
            "region": rng.choice([1, 2], n),
            "amount": amount,
            "w": rng.uniform(0.5, 2, n),
        }
    )


FORMULA = "channel + log(amount)"
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "strata": {"strata": ["cohort", "region"]},
    "entry": {"entry": "entry"},
    "cluster": {"cluster": "user_id", "strata": "cohort"},
    "sampling": {"weights": "w", "weights_kind": "sampling", "level": 0.9},
    "all": {"entry": "entry", "strata": "cohort", "cluster": "user_id", "weights": "w", "weights_kind": "sampling"},
}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return rows()


@pytest.fixture(params=list(CASES), scope="module")
def fit(request: pytest.FixtureRequest, data: pd.DataFrame) -> ch.CoxFit:
    return ch.cox(FORMULA, data, **CASES[request.param])


@pytest.fixture(scope="module")
def cph(fit: ch.CoxFit) -> CoxPHFitter:
    return to_lifelines(fit)


def own_fit(fit: ch.CoxFit, cph: CoxPHFitter, **more: Any) -> CoxPHFitter:
    """Fit lifelines itself on the same columns."""
    options = {
        "entry_col": cph.entry_col, "weights_col": cph.weights_col, "cluster_col": cph.cluster_col,
    }  # fmt: skip
    made = CoxPHFitter(alpha=1 - fit.level, penalizer=cph.penalizer, strata=cph.strata)
    return made.fit(training_frame(fit), cph.duration_col, cph.event_col, robust=cph.robust, **options, **more)


def test_it_is_what_lifelines_would_have_fitted(fit: ch.CoxFit, cph: CoxPHFitter) -> None:
    theirs = own_fit(fit, cph)
    assert type(cph) is CoxPHFitter
    for one, other in ((cph, theirs), (cph._model, theirs._model)):
        assert set(vars(one)) - {"_concordance_index_"} == set(vars(other))
        for name, value in vars(other).items():
            assert isinstance(vars(one)[name], type(value)), name
    np.testing.assert_allclose(cph.params_, theirs.params_, rtol=1e-5)
    np.testing.assert_allclose(cph.variance_matrix_, theirs.variance_matrix_, rtol=1e-5)
    assert cph.log_likelihood_ == pytest.approx(theirs.log_likelihood_, rel=1e-9)
    assert cph._model._ll_null_ == pytest.approx(theirs._model._ll_null_, rel=1e-9)
    for name in ("durations", "event_observed", "weights"):
        pd.testing.assert_series_equal(getattr(cph, name), getattr(theirs, name))
    for name in ("_norm_mean", "params_", "standard_errors_"):
        assert getattr(cph, name).index.equals(getattr(theirs, name).index), name
        assert getattr(cph, name).name == getattr(theirs, name).name
    partial, own = cph._model._predicted_partial_hazards_, theirs._model._predicted_partial_hazards_
    assert partial.index.equals(own.index)
    assert list(partial) == list(own)
    np.testing.assert_allclose(partial.astype(float), own.astype(float), rtol=1e-5)
    central = cph._model._central_values
    pd.testing.assert_frame_equal(central, theirs._model._central_values[list(central)])
    assert theirs.timeline.isin(cph.timeline).all()


def test_the_table_is_ours(fit: ch.CoxFit, cph: CoxPHFitter) -> None:
    table = fit.table
    assert cph.params_.index.tolist() == table["term"].tolist()
    percent = f"{100 * fit.level:g}%"
    for name, ours in {
        "coef": "estimate", "exp(coef)": "hazard_ratio", "se(coef)": "std_error", f"coef lower {percent}": "lower",
        f"coef upper {percent}": "upper", "z": "statistic", "p": "p_value", f"exp(coef) lower {percent}": "hr_lower",
    }.items():  # fmt: skip
        np.testing.assert_allclose(cph.summary[name], table[ours], rtol=1e-9)
    np.testing.assert_allclose(cph.confidence_intervals_, table[["lower", "upper"]], rtol=1e-9)
    np.testing.assert_allclose(cph.standard_errors_**2, np.diagonal(fit.covariance), rtol=1e-12)
    assert cph.AIC_partial_ == pytest.approx(-2 * fit.log_likelihood + 2 * len(table))
    assert cph.log_likelihood_ratio_test().test_statistic == pytest.approx(fit.likelihood_ratio_test.statistic)


def test_survival_is_ours_on_every_day(fit: ch.CoxFit, cph: CoxPHFitter, data: pd.DataFrame) -> None:
    new = data.iloc[[3, 0, 8, 1]]
    # to the last day on which every stratum is followed
    days = np.arange(0, 1 + int(fit._moments.last_day.min()))
    theirs = cph.predict_survival_function(prediction_frame(fit, new), times=days)
    np.testing.assert_allclose(theirs.T.sort_index(), fit.survival(new, days).values, rtol=1e-9)
    risk = np.asarray(fit.risk(new))
    log_risk = cph.predict_log_partial_hazard(prediction_frame(fit, new))
    np.testing.assert_allclose(np.diff(log_risk), np.diff(risk), rtol=1e-9)
    np.testing.assert_allclose(cph.predict_partial_hazard(prediction_frame(fit, new)), np.exp(log_risk), rtol=1e-12)


def test_baselines_are_of_one_curve(fit: ch.CoxFit, cph: CoxPHFitter) -> None:
    hazard, cumulative, survival = (
        getattr(cph, f"baseline_{name}_").to_numpy() for name in ("hazard", "cumulative_hazard", "survival")
    )
    np.testing.assert_allclose(hazard.cumsum(axis=0), cumulative, rtol=1e-12)
    np.testing.assert_allclose(np.exp(-cumulative), survival, rtol=1e-12)
    # lifelines' baseline is at the means, ours at zero
    at_mean = float(cph._model._norm_mean @ cph.params_)
    ours = fit.baseline
    columns = ["baseline cumulative hazard"] if not fit.strata else sorted(set(ours["stratum"]))
    assert list(cph.baseline_cumulative_hazard_) == columns
    for label, part in ours.groupby("stratum"):
        there = cph.baseline_cumulative_hazard_[label if fit.strata else columns[0]].loc[part["time"]]
        np.testing.assert_allclose(there, part["cumulative_hazard"] * np.exp(at_mean), rtol=1e-9)


def test_a_churn_on_day_0_is_in_the_baseline(data: pd.DataFrame) -> None:
    early = data.copy()
    early.loc[:9, ["duration", "churned"]] = [0, True]
    fit = ch.cox(FORMULA, early)
    cph = to_lifelines(fit)
    assert cph.baseline_hazard_.iloc[0, 0] == cph.baseline_cumulative_hazard_.iloc[0, 0] > 0
    ours = fit.survival(data.head(3), [0, 1, 2]).values
    found = cph.predict_survival_function(fit.model_matrix(data.head(3)), times=[0, 1, 2])
    np.testing.assert_allclose(found.T, ours, rtol=1e-9)


def test_curves_begin_at_day_0_with_times_that_are_no_whole_days_too() -> None:
    data = rows(tied=False)
    fit = ch.cox(FORMULA, data)
    cph, new = to_lifelines(fit), data.head(5)
    assert (cph.predict_survival_function(fit.model_matrix(new), times=[0]) == 1).all(axis=None)
    days = np.sort(data["duration"].to_numpy())
    theirs = cph.predict_survival_function(fit.model_matrix(new), times=days)
    np.testing.assert_allclose(theirs.T, fit.survival(new, days).values, rtol=1e-9)


def test_medians_and_expectations(data: pd.DataFrame) -> None:
    # nobody churns before day 30
    data = data.assign(duration=data["duration"] + 30)
    fit = ch.cox(FORMULA, data)
    cph, new = to_lifelines(fit), data.head(20)
    last = int(data["duration"].max())
    curves = fit.survival(new, np.arange(last + 1)).values
    reached = curves[:, -1] <= 0.5
    median = np.where(reached, (curves <= 0.5).argmax(axis=1), np.inf)
    assert reached.any()
    assert cph.predict_median(fit.model_matrix(new)).tolist() == median.tolist()
    # trapezoids take half a day off each drop of a day
    expected = np.asarray(fit.expected_days(new, horizon=last)) - (1 - curves[:, -1]) / 2
    np.testing.assert_allclose(cph.predict_expectation(fit.model_matrix(new)), expected, rtol=1e-9)


def test_concordance_is_ours_with_late_entry_too(fit: ch.CoxFit, cph: CoxPHFitter, data: pd.DataFrame) -> None:
    found = ch.concordance(
        data, score=np.asarray(fit.risk(data)), strata=list(fit.strata) or None, entry=fit._columns["entry"]
    )
    assert cph.concordance_index_ == pytest.approx(found.estimate, rel=1e-12)
    if fit._columns["entry"] is None:
        del cph._model._concordance_index_
        assert cph.concordance_index_ == pytest.approx(found.estimate, rel=1e-12)


def test_score_is_the_likelihood_by_row(fit: ch.CoxFit, cph: CoxPHFitter) -> None:
    frame = training_frame(fit)
    assert len(frame) == fit.n
    assert cph.score(frame) * len(frame) == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_residuals(data: pd.DataFrame) -> None:
    for options in ({}, {"strata": "cohort"}):
        fit = ch.cox(FORMULA, data, **options)
        cph, frame = to_lifelines(fit), training_frame(fit)
        for kind, ours in (("schoenfeld", "schoenfeld"), ("scaled_schoenfeld", "scaled_schoenfeld")):
            expected = fit.residuals(ours).set_index("row")[list(cph.params_.index)].sort_index()
            found = cph.compute_residuals(frame, kind).sort_index()
            added = cph.params_.to_numpy() if kind == "scaled_schoenfeld" else 0
            np.testing.assert_allclose(found + added, expected, rtol=1e-8, atol=1e-8)


# lifelines on rows that it has itself indexed by stratum
@pytest.mark.filterwarnings("ignore:DataFrame Index is not unique:UserWarning")
def test_residuals_that_lifelines_computes_without_ties() -> None:
    for options in ({}, {"strata": "cohort"}):
        fit = ch.cox(FORMULA, rows(tied=False), **options)
        cph, frame = to_lifelines(fit), training_frame(fit)
        kinds = {"martingale": ("martingale", ["residual"]), "deviance": ("deviance", ["residual"]),
                 "score": ("score", None), "delta_beta": ("dfbeta", None)}  # fmt: skip
        for kind, (ours, columns) in kinds.items():
            expected = fit.residuals(ours).set_index("row")[columns or list(cph.params_.index)]
            found = cph.compute_residuals(frame, kind).sort_index()[[kind] if columns else list(cph.params_.index)]
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9, err_msg=kind)


def test_assumptions_are_checked_on_the_training_frame(data: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ch.cox(FORMULA, data)
    cph, frame = to_lifelines(fit), training_frame(fit)
    cph.check_assumptions(frame, p_value_threshold=0.01)
    assert "assumption looks okay" in capsys.readouterr().out
    found = proportional_hazard_test(cph, frame, time_transform="km")
    theirs = proportional_hazard_test(own_fit(fit, cph), frame, time_transform="km")
    np.testing.assert_allclose(found.summary, theirs.summary, rtol=1e-4)


def test_summaries_are_printed(fit: ch.CoxFit, cph: CoxPHFitter, capsys: pytest.CaptureFixture[str]) -> None:
    cph.print_summary(decimals=4, style="ascii")
    said = capsys.readouterr().out
    assert "channel: shop" in said
    assert f"{fit.table['estimate'].iloc[0]:.4f}" in said
    assert f"{fit.log_likelihood:.4f}" in said
    assert ("robust variance" in said) == fit._robust
    number = fit.n if fit.weights is None else round(float(cph.weights.sum()), 3)
    assert f"number of observations = {number:g}" in said
    assert repr(cph).startswith("<lifelines.CoxPHFitter: fitted with")


def test_plots(data: pd.DataFrame) -> None:
    import matplotlib.pyplot as plt

    try:
        fit = ch.cox(FORMULA, data)
        cph = to_lifelines(fit)
        axes = cph.plot()
        assert {label.get_text() for label in axes.get_yticklabels()} == set(fit.table["term"])
        plt.close("all")
        axes = cph.plot_partial_effects_on_outcome(["channel: friend", "channel: shop"], [[0, 0], [1, 0], [0, 1]])
        lines = axes.get_lines()
        assert len(lines) == 4
        # the first is the reference category at the median of the rest
        at = pd.DataFrame({"channel": ["ads"], "amount": [np.exp(np.median(np.log(data["amount"])))]})
        drawn = pd.Series(lines[0].get_ydata(), lines[0].get_xdata())
        np.testing.assert_allclose(drawn, fit.survival(at, drawn.index.to_numpy()).values[0], rtol=1e-9)
        stratified = to_lifelines(ch.cox(FORMULA, data, strata=["cohort", "region"]))
        assert len(stratified.plot_partial_effects_on_outcome("log(amount)", [4, 6])) == 4
    finally:
        plt.close("all")


def test_nothing_is_fitted_again(data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    from lifelines.fitters import coxph_fitter

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("lifelines iterates")

    monkeypatch.setattr(coxph_fitter.SemiParametricPHFitter, "_newton_raphson_for_efron_model", refuse)
    fit = ch.cox(FORMULA, data, strata="cohort", cluster="user_id")
    cph = to_lifelines(fit)
    cph.print_summary(style="ascii")
    with pytest.raises(AssertionError, match="iterates"):
        own_fit(fit, cph)


def test_what_happens_to_it_leaves_the_fit_alone(data: pd.DataFrame) -> None:
    fit = ch.cox(FORMULA, data)
    before = fit.table, fit.covariance.copy()
    cph = to_lifelines(fit)
    cph.params_.iloc[:] = 0.0
    cph.variance_matrix_.iloc[:, :] = 0.0
    cph.durations.iloc[:] = 0.0
    cph.baseline_cumulative_hazard_.iloc[:, :] = 0.0
    pd.testing.assert_frame_equal(fit.table, before[0])
    np.testing.assert_array_equal(fit.covariance, before[1])
    again = pickle.loads(pickle.dumps(to_lifelines(fit)))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.params_, fit.table["estimate"])


def test_rows_that_are_never_at_risk_are_left_out(data: pd.DataFrame) -> None:
    late = data.copy()
    late.loc[[4, 9], "entry"] = late.loc[[4, 9], "duration"]
    fit = ch.cox(FORMULA, late, entry="entry")
    frame = training_frame(fit)
    assert len(frame) == len(to_lifelines(fit).durations) == fit.n == len(late) - 2
    assert not frame.index.isin([4, 9]).any()
    np.testing.assert_allclose(frame["log(amount)"], np.log(late["amount"].drop([4, 9])), rtol=1e-12)


def test_terms_of_all_kinds_are_the_columns_of_the_model_matrix(data: pd.DataFrame) -> None:
    fit = ch.cox("channel * log(amount) + bs(amount, df=4) + region:cohort", data, cluster=None)
    frame = training_frame(fit)
    np.testing.assert_allclose(frame[list(fit.table["term"])], fit.model_matrix(data), rtol=1e-9, atol=1e-12)
    cph = to_lifelines(fit)
    days = [10, 40, 80]
    theirs = cph.predict_survival_function(fit.model_matrix(data), times=days)
    np.testing.assert_allclose(theirs.T, fit.survival(data, days).values, rtol=1e-9)


def test_columns_that_are_covariates_too_get_another_name(data: pd.DataFrame) -> None:
    fit = ch.cox("w + user_id + region:amount", data, weights="w", weights_kind="sampling", cluster="user_id")
    cph = to_lifelines(fit)
    assert (cph.weights_col, cph.cluster_col) == ("weights: w", "cluster: user_id")
    assert cph.score(training_frame(fit)) * fit.n == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_a_ridge_penalty_becomes_that_of_lifelines(data: pd.DataFrame) -> None:
    for options in ({}, {"unpenalised": "channel"}, {"weights": "w", "weights_kind": "sampling"}):
        fit = ch.cox(FORMULA, data, penalty=0.2, **options)
        cph = to_lifelines(fit)
        theirs = own_fit(fit, cph, fit_options={"precision": 1e-12, "r_precision": 1e-15})
        np.testing.assert_allclose(cph.params_, theirs.params_, rtol=1e-6)
        np.testing.assert_allclose(cph.variance_matrix_, theirs.variance_matrix_, rtol=1e-6)
        assert cph.log_likelihood_ == pytest.approx(theirs.log_likelihood_, rel=1e-10)
        assert isinstance(cph.penalizer, np.ndarray) == bool(options)


def test_churns_of_other_causes_are_censored(data: pd.DataFrame) -> None:
    reasons = data.assign(reason=np.where(data["churned"], np.where(data["region"] == 1, "price", "bored"), None))
    fit = ch.cox(FORMULA, reasons, cause="reason", cause_of_interest="price")
    cph = fit.to_lifelines()
    assert cph.event_observed.sum() == fit.n_events == (reasons["reason"] == "price").sum()
    assert cph.score(training_frame(fit)) * fit.n == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_a_fit_without_its_rows_takes_them_again(data: pd.DataFrame) -> None:
    import dataclasses

    fit = ch.cox(FORMULA, data, strata="cohort")
    bare = dataclasses.replace(fit, _training=None)
    with pytest.raises(InputError, match=r"Pass the same table: data=\."):
        to_lifelines(bare)
    with pytest.raises(InputError, match="data holds others"):
        to_lifelines(bare, data=data.head(100))
    held, again = to_lifelines(fit), to_lifelines(bare, data=data)
    np.testing.assert_allclose(again.baseline_survival_, held.baseline_survival_, rtol=1e-12)
    pd.testing.assert_frame_equal(training_frame(bare, data=data), training_frame(fit))


def test_what_lifelines_cannot_hold_is_refused(data: pd.DataFrame) -> None:
    data = data.assign(f=1 + np.arange(len(data)) % 3, Intercept=data["amount"])
    for options, said in (
        ({"offset": "w"}, "no offset.*covariate"),
        (
            {"weights": "f", "weights_kind": "frequency"},
            r"rows repeated: data\.loc\[data\.index\.repeat\(data\['f'\]\)\]",
        ),
        ({"ties": "breslow"}, "Efron's ties only.*ties='efron'"),
        ({"ties": "grouped"}, "no model of grouped days"),
        ({"penalty": 0.01, "l1_ratio": 0.5}, "no exact lasso"),
        ({"penalty": "firth"}, "no Firth's penalty"),
    ):
        fit = ch.cox(FORMULA, data, **options)
        for bridge in (to_lifelines, training_frame):
            with pytest.raises(InputError, match=f"^to_lifelines: .*{said}"):
                bridge(fit)
    with pytest.raises(InputError, match=r"'Intercept'\. Rename it"):
        to_lifelines(ch.cox("Intercept", data))


def test_without_ties_breslows_fit_is_efrons() -> None:
    data = rows(tied=False)
    cph = to_lifelines(ch.cox(FORMULA, data, ties="breslow"))
    np.testing.assert_allclose(cph.params_, ch.cox(FORMULA, data).table["estimate"], rtol=1e-9)


def test_prediction_frames_name_their_strata_as_the_fit_does(data: pd.DataFrame) -> None:
    fit = ch.cox(FORMULA, data, strata=["cohort", "region"])
    frame = prediction_frame(fit, data.head(3))
    assert frame["cohort | region"].tolist() == [f"{a} | {b}" for a, b in data.head(3)[["cohort", "region"]].to_numpy()]
    assert set(frame["cohort | region"]) <= set(fit.baseline["stratum"])
    with pytest.raises(InputError, match="which the model was not fitted to"):
        prediction_frame(fit, data.head(1).assign(region=9))
