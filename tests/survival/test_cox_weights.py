"""Weights, offsets, the rows that a fit holds, and residuals, through the door."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, SchemaError
from churnsurv.survival.training import training_of
from churnsurv.tables import schema
from tests.proportional_app import proportional_app

KINDS = ["martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta"]


def made(seed: int = 4, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=n), 2)
    time, censored = np.ceil(rng.exponential(30 * np.exp(-0.4 * x))).astype(int), rng.integers(4, 40, n)
    return pd.DataFrame(
        {
            "user_id": [f"u{i // 2}" for i in range(n)],
            "entry": np.where(rng.random(n) < 0.3, 2, 0),
            "duration": np.maximum(np.minimum(time, censored), 3),
            "churned": time <= censored,
            "channel": rng.choice(["ads", "friend", "shop"], n),
            "cohort": rng.choice(["2024-01", "2024-02"], n),
            "x": x,
            "users": rng.integers(1, 5, n),
            "drawn": np.round(rng.lognormal(0, 0.7, n), 2) + 0.01,
            "known": np.round(rng.normal(size=n), 2),
        }
    )


@pytest.fixture
def table() -> pd.DataFrame:
    return made()


def same_fit(one: ch.CoxFit, other: ch.CoxFit, rtol: float = 1e-10) -> None:
    np.testing.assert_allclose(one.table["estimate"], other.table["estimate"], rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=rtol * 10, atol=1e-13)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=rtol)
    assert one.log_likelihood_null == pytest.approx(other.log_likelihood_null, rel=rtol)
    for name in ("likelihood_ratio_test", "wald_test", "score_test"):
        assert getattr(one, name).statistic == pytest.approx(getattr(other, name).statistic, rel=1e-8)
    pd.testing.assert_frame_equal(one.baseline, other.baseline, rtol=rtol)
    assert (one.n, one.n_events, one.n_no_risk) == (other.n, other.n_events, other.n_no_risk)


# ---- Frequencies ----


def test_a_weighted_row_by_hand() -> None:
    # Two users with x = 1 churn on day 1, one with x = 0 on day 2, one with x = 1 stays. With r = e^b Efron's sums are
    # 3r + 1 and 2r + 1 on day 1, r + 1 on day 2: the score 1/(3r + 1) + 1/(2r + 1) - r/(r + 1) is zero where
    # 3 r^3 - 3 r = 1, at r = 2 cos(pi/18) / sqrt 3.
    data = pd.DataFrame({"duration": [1, 2, 3], "churned": [1, 1, 0], "x": [1.0, 0.0, 1.0], "w": [2, 1, 1]})
    fit = ch.cox("x", data, weights="w", weights_kind="frequency")
    r = 2 * np.cos(np.pi / 18) / np.sqrt(3)
    assert fit.table["estimate"][0] == pytest.approx(np.log(r), abs=1e-12)
    assert fit.log_likelihood == pytest.approx(
        2 * np.log(r) - np.log(3 * r + 1) - np.log(2 * r + 1) - np.log(r + 1), abs=1e-12
    )
    information = 3 * r / (3 * r + 1) ** 2 + 2 * r / (2 * r + 1) ** 2 + r / (r + 1) ** 2
    assert fit.covariance[0, 0] == pytest.approx(1 / information, rel=1e-10)
    hazard = [1 / (3 * r + 1) + 1 / (2 * r + 1), 1 / (3 * r + 1) + 1 / (2 * r + 1) + 1 / (r + 1)]
    np.testing.assert_allclose(fit.baseline["cumulative_hazard"], hazard, rtol=1e-11)
    assert (fit.n, fit.n_events) == (4, 3)


@pytest.mark.filterwarnings("ignore:on day .* at risk.* churn:churnsurv.errors.ChurnsurvWarning")
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    formula=st.sampled_from(["x", "channel", "channel * x"]),
    ties=st.sampled_from(["efron", "breslow"]),
    strata=st.sampled_from([None, "cohort"]),
    entry=st.sampled_from([None, "entry"]),
    cluster=st.sampled_from([None, "user_id"]),
    offset=st.sampled_from([None, "known"]),
)
def test_a_frequency_is_so_many_equal_rows(seed: int, formula: str, **arguments: Any) -> None:
    rows = made(seed)
    repeated = rows.loc[rows.index.repeat(rows["users"])].reset_index(drop=True)
    weighted = ch.cox(formula, rows, weights="users", weights_kind="frequency", **arguments)
    plain = ch.cox(formula, repeated, **arguments)
    same_fit(weighted, plain)
    assert weighted.n == rows["users"].sum()
    first = np.cumsum(rows["users"]) - rows["users"]
    for kind in ("martingale", "deviance", "score", "dfbeta"):
        ours, theirs = weighted.residuals(kind), plain.residuals(kind).iloc[first]
        values = list(ours.columns[2:])
        np.testing.assert_allclose(ours[values], theirs[values], rtol=1e-8, atol=1e-10)


def test_rows_without_risk_count_their_users(table: pd.DataFrame) -> None:
    more = pd.concat([table, table.head(2).assign(duration=2, entry=2, churned=False, users=7)], ignore_index=True)
    fit = ch.cox("x", more, entry="entry", weights="users", weights_kind="frequency")
    assert (fit.n, fit.n_no_risk) == (table["users"].sum(), 14)


def test_a_crowded_day_counts_users() -> None:
    data = pd.DataFrame({"duration": [*range(1, 41)], "churned": True, "x": np.sin(np.arange(40)), "w": 1})
    data.loc[10, "w"] = 30
    with pytest.warns(ChurnsurvWarning, match=r"on day 11, 30 of 59 users at risk churn"):
        ch.cox("x", data, weights="w", weights_kind="frequency")


def test_a_fit_of_frequencies_says_so(table: pd.DataFrame) -> None:
    fit = ch.cox("x", table, weights="users", weights_kind="frequency")
    assert f"{table['users'].sum()} users in weighted rows" in repr(fit)
    facts = json.loads(fit.to_json())["facts"]
    assert (facts["weights"], facts["weights_kind"]) == ("users", "frequency")
    assert fit.likelihood_ratio_test.method == "likelihood-ratio test"


# ---- Sampling weights and offsets ----


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_equal_sampling_weights_change_nothing_but_the_errors(table: pd.DataFrame, ties) -> None:
    alone = table.assign(row_id=np.arange(len(table)), w=3.0)
    robust = ch.cox("channel + x", alone, ties=ties, cluster="row_id")
    weighted = ch.cox("channel + x", alone, ties=ties, weights="w", weights_kind="sampling")
    np.testing.assert_allclose(weighted.table["estimate"], robust.table["estimate"], rtol=1e-10)
    np.testing.assert_allclose(weighted.covariance, robust.covariance, rtol=1e-9)
    pd.testing.assert_frame_equal(weighted.baseline, robust.baseline, rtol=1e-10)
    assert (weighted.n, weighted.n_events, weighted.cluster) == (robust.n, robust.n_events, None)
    assert weighted.wald_test.method == "robust Wald test"
    assert weighted.score_test.method == "score test, weights taken as frequencies"


def test_the_two_kinds_agree_on_estimates_under_breslow_and_differ_in_errors(table: pd.DataFrame) -> None:
    drawn = ch.cox("x", table, ties="breslow", weights="users", weights_kind="sampling")
    counted = ch.cox("x", table, ties="breslow", weights="users", weights_kind="frequency")
    np.testing.assert_allclose(drawn.table["estimate"], counted.table["estimate"], rtol=1e-10)
    assert drawn.table["std_error"][0] > 1.2 * counted.table["std_error"][0]
    assert (drawn.n, counted.n) == (len(table), table["users"].sum())


def test_an_offset_is_a_coefficient_that_is_known(table: pd.DataFrame) -> None:
    free = ch.cox("x + known", table)
    shifted = table.assign(effect=0.5 * table["known"] + 2.0)
    fit = ch.cox("x + known", shifted, offset="effect")
    np.testing.assert_allclose(fit.table["estimate"], free.table["estimate"] - [0, 0.5], rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, free.covariance, rtol=1e-9)
    # the baseline is at offset zero, where the hazard is e^-2 of that of the model without the constant 2
    np.testing.assert_allclose(
        fit.baseline["cumulative_hazard"], free.baseline["cumulative_hazard"] * np.exp(-2), rtol=1e-9
    )
    assert json.loads(fit.to_json())["facts"]["offset"] == "effect"
    assert fit.offset == "effect"


def test_an_offset_and_weights_of_any_number_type(table: pd.DataFrame) -> None:
    fit = ch.cox("x", table, weights="users", weights_kind="frequency", offset="known")
    other = table.astype({"users": "Int64", "known": "Float64"})
    same_fit(ch.cox("x", other, weights="users", weights_kind="frequency", offset="known"), fit)
    same_fit(ch.cox("x", pl.from_pandas(table), weights="users", weights_kind="frequency", offset="known"), fit)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": "users"}, InputError, "weights need weights_kind='frequency' .* or 'sampling' .*, not None"),
        ({"weights": "users", "weights_kind": "case"}, InputError, "not 'case'"),
        ({"weights": "users", "weights_kind": "frequencies"}, InputError, "Did you mean 'frequency'"),
        ({"weights_kind": "sampling"}, InputError, "weights_kind='sampling' says .* but there are none"),
        ({"weights": "usres", "weights_kind": "frequency"}, SchemaError, "Did you mean 'users'"),
        ({"weights": "cohort", "weights_kind": "sampling"}, SchemaError, "'cohort' must hold .* serve as weights"),
        ({"weights": "churned", "weights_kind": "frequency"}, SchemaError, "'churned' must .*it holds bool"),
        ({"weights": "drawn", "weights_kind": "frequency"}, InputError,
         r"weights 'drawn' must be whole numbers .*; 2\d\d such rows, first at row 0 .*weights_kind='sampling'"),
        ({"offset": "cohort"}, SchemaError, "'cohort' must hold numbers to serve as an offset"),
        ({"offset": "kown"}, SchemaError, "Did you mean 'known'"),
        ({"offset": "duration"}, InputError, "'duration' cannot be an offset: it is the outcome itself"),
    ],
)  # fmt: skip
def test_arguments_at_fault(table: pd.DataFrame, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        ch.cox("x", table, **changes)


@pytest.mark.parametrize("kind", ["frequency", "sampling"])
@pytest.mark.parametrize(("bad", "shown"), [(0, "0.0"), (-2, "-2.0"), (np.nan, "nan"), (np.inf, "inf")])
def test_weights_that_cannot_be_used(table: pd.DataFrame, kind, bad, shown: str) -> None:
    rows = table.assign(users=table["users"].astype(float))
    rows.loc[[17, 30], "users"] = bad
    with pytest.raises(
        InputError, match=rf"weights 'users' must be finite and > 0; 2 such rows, first at row 17 \({shown}\)"
    ):
        ch.cox("x", rows, weights="users", weights_kind=kind)


def test_an_offset_that_cannot_be_used(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"offset 'known' must be finite; 1 such row, first at row 5 \(nan\)"):
        ch.cox("x", table.assign(known=table["known"].where(table.index != 5)), offset="known")
    with pytest.raises(ConvergenceError, match="the offset or the weights span too wide a range"):
        ch.cox("x", table.assign(known=np.where(table["duration"] > 6, -2000.0, 0.0)), offset="known")


def test_an_offset_that_looks_ahead_is_refused() -> None:
    log = ch.simulate_app(n_users=300, seed=3).log
    with pytest.raises(InputError, match=r"'duration' cannot be an offset: .*baseline_day=30"):
        ch.cox("channel", log.churn_spells(), offset="duration")


# ---- The rows that a fit holds ----


def test_a_fit_keeps_its_answers_when_the_table_changes(table: pd.DataFrame) -> None:
    fit = ch.cox("channel + x", table, weights="drawn", weights_kind="sampling", offset="known", cluster="user_id")
    before = {kind: fit.residuals(kind) for kind in KINDS}
    for name in ("duration", "drawn", "known", "x"):
        table.loc[:, name] = 1
    table.loc[:, "churned"] = ~table["churned"]
    table["user_id"] = "nobody"
    for kind in KINDS:
        pd.testing.assert_frame_equal(fit.residuals(kind), before[kind])


def test_the_rows_of_a_fit_are_read_only_and_stay_out_of_json(table: pd.DataFrame) -> None:
    fit = ch.cox("x", table, weights="drawn", weights_kind="sampling")
    assert fit._training is not None
    for array in (fit._training.data.design.dense, fit._training.data.sets.place, fit._training.data.sampling):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert "_training" not in fit.to_json()
    assert len(fit.to_json()) < 6_000


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"entry": "entry", "strata": "cohort", "cluster": "user_id"},
        {"weights": "users", "weights_kind": "frequency", "offset": "known"},
        {"weights": "drawn", "weights_kind": "sampling", "ties": "breslow", "reference": {"channel": "shop"}},
    ],
)
def test_a_fit_without_rows_takes_its_table_again(table: pd.DataFrame, arguments) -> None:
    fit = ch.cox("channel * x", table, **arguments)
    alone = dataclasses.replace(fit, _training=None)
    with pytest.raises(InputError, match=r"residuals need the rows .* does not hold them\. Pass the same table: data="):
        alone.residuals("score")
    for kind in KINDS:
        pd.testing.assert_frame_equal(alone.residuals(kind, data=table), fit.residuals(kind), rtol=1e-8, atol=1e-10)
    pd.testing.assert_frame_equal(
        alone.residuals("dfbeta", data=pl.from_pandas(table)), fit.residuals("dfbeta"), rtol=1e-8, atol=1e-10
    )


def test_another_table_is_not_that_of_the_fit(table: pd.DataFrame) -> None:
    fit = ch.cox("x", table)
    with pytest.raises(InputError, match=r"data holds others: it has 200 rows at risk and \d+ churns, not 240 and \d+"):
        fit.residuals(data=table.head(200))
    with pytest.raises(InputError, match=r"data holds others: the log-likelihood of its rows is -.*, not -"):
        fit.residuals(data=table.assign(x=table["x"].to_numpy()[::-1]))
    assert training_of(fit, None, "residuals") is fit._training


def test_own_spells_are_found_again() -> None:
    spells = proportional_app(400, seed=3).log.churn_spells()
    fit = ch.cox("channel", spells)
    alone = dataclasses.replace(fit, _training=None)
    pd.testing.assert_frame_equal(alone.residuals(data=spells), fit.residuals())
    # the spells as a plain table: the fit remembers that entry was used
    pd.testing.assert_frame_equal(alone.residuals(data=spells.table), fit.residuals())
    assert fit.residuals()["user_id"].tolist() == spells.table["user_id"].tolist()


# ---- Residual tables ----


@pytest.mark.parametrize(
    "convert", [lambda frame: frame, pl.from_pandas, "parquet"], ids=["pandas", "polars", "parquet"]
)
def test_residual_tables_follow_their_schemas(table: pd.DataFrame, convert, tmp_path) -> None:
    if convert == "parquet":
        table.to_parquet(tmp_path / "t.parquet")
    fit = ch.cox("channel + x", tmp_path / "t.parquet" if convert == "parquet" else convert(table), strata="cohort")
    terms = fit.table["term"].tolist()
    for kind in KINDS:
        found = fit.residuals(kind)
        by_churn = kind.endswith("schoenfeld")
        lead = schema("schoenfeld" if by_churn else "residuals").names
        values = ["residual"] if kind in ("martingale", "deviance") else terms
        assert list(found) == [*lead, "user_id", *values]
        assert found.index.equals(pd.RangeIndex(fit.n_events if by_churn else len(table)))
        assert found["user_id"].tolist() == table["user_id"].to_numpy()[found["row"]].tolist()
        assert found[values].notna().all(axis=None)
    churns = table.iloc[found["row"]] if by_churn else table.iloc[fit.residuals("schoenfeld")["row"]]
    assert churns["churned"].all()
    listed = fit.residuals("schoenfeld")
    assert listed["time"].tolist() == churns["duration"].tolist()
    assert listed["stratum"].tolist() == churns["cohort"].tolist()
    assert listed[["stratum", "time"]].sort_values(["stratum", "time"], kind="stable").index.is_monotonic_increasing


def test_no_users_in_the_table_no_users_in_the_answer(table: pd.DataFrame) -> None:
    assert list(ch.cox("x", table.drop(columns="user_id")).residuals()) == ["row", "residual"]


def test_terms_named_like_other_columns_are_written_out(table: pd.DataFrame) -> None:
    renamed = table.rename(columns={"x": "time", "known": "row"})
    fit = ch.cox("time + row", renamed)
    assert list(fit.residuals("schoenfeld")) == ["row", "stratum", "time", "user_id", "residual: time", "residual: row"]
    assert list(fit.residuals("score")) == ["row", "user_id", "time", "residual: row"]


def test_dfbeta_is_the_change_of_the_estimates_when_a_row_is_left_out(table: pd.DataFrame) -> None:
    fit = ch.cox("x + known", table)
    moved = fit.residuals("dfbeta")[["x", "known"]].to_numpy()
    left_out = [fit.table["estimate"] - ch.cox("x + known", table.drop(index=i)).table["estimate"] for i in range(25)]
    np.testing.assert_allclose(moved[:25], left_out, atol=0.15 * np.abs(moved).max())
    assert np.corrcoef(moved[:25].ravel(), np.ravel(left_out))[0, 1] > 0.99


def test_residuals_of_collapsed_rows_are_by_row(table: pd.DataFrame) -> None:
    rows = pd.concat([made(seed) for seed in range(12)], ignore_index=True).assign(
        duration=lambda frame: frame["duration"] % 5 + 1
    )
    with pytest.warns(ChurnsurvWarning, match="on day"):
        fit = ch.cox("cohort", rows)
    with pytest.warns(ChurnsurvWarning, match="on day"):
        numeric = ch.cox("I(0 + b)", rows.assign(b=(rows["cohort"] == "2024-02") * 1.0))
    assert len(fit.residuals()) == len(rows)
    np.testing.assert_allclose(fit.residuals()["residual"], numeric.residuals()["residual"], atol=1e-10)


def test_a_kind_that_there_is_not(table: pd.DataFrame) -> None:
    with pytest.raises(
        InputError, match=r"kind must be one of 'martingale', .*, not 'schonfeld'\. Did you mean 'schoenfeld'"
    ):
        ch.cox("x", table).residuals("schonfeld")  # type: ignore[arg-type]
