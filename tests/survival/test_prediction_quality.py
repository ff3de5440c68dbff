"""The doors of Brier's score, AUC, calibration and decision curves: predictions of every form, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.survival.auc import time_dependent_auc
from churnsurv.survival.brier import brier_score
from churnsurv.survival.calibration import calibration
from churnsurv.survival.decision import decision_curve
from churnsurv.tables import schema

HAZARD = 1 / 60


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    """Churn with hazard exp(x) / 60 a day, censored between days 20 and 150; two rows a user; half enter late."""
    rng = np.random.default_rng(12)
    n = 600
    x = 0.8 * rng.normal(size=n)
    life, end = rng.exponential(np.exp(-x) / HAZARD), rng.integers(20, 150, n)
    duration = np.minimum(np.ceil(life), end).astype(int)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 2,
            "duration": duration,
            "churned": np.ceil(life) <= end,
            "entry": np.minimum(np.where(rng.random(n) < 0.5, rng.integers(0, 15, n), 0), duration - 1),
            "x": x,
            "p": -np.expm1(-np.exp(x) * HAZARD * 60),
            "users": rng.integers(1, 4, n),
            "drawn": rng.uniform(0.5, 3, n),
        }
    )


@pytest.fixture(scope="module")
def fit(world: pd.DataFrame) -> ch.CoxFit:
    return ch.cox("x", world)


def survival(world: pd.DataFrame, times: list[int]) -> np.ndarray:
    return np.exp(-np.outer(np.exp(world["x"]) * HAZARD, times))


def every(world: pd.DataFrame, **keywords):
    """All four on the same rows."""
    p = world["p"].to_numpy()
    return [
        brier_score(world, survival=1 - p, times=60, **keywords),
        time_dependent_auc(world, score="x", times=[30, 60], **keywords),
        calibration(world, probability="p", horizon=60, **keywords),
        decision_curve(world, probability="p", horizon=60, thresholds=[0.2, 0.5], **keywords),
    ]


def test_tables_have_their_schema_and_go_into_json(world: pd.DataFrame) -> None:
    for found in every(world):
        assert list(found.table) == list(schema(found._schema).names)
        told = json.loads(found.to_json())
        assert told["schema"]["name"] == found._schema
        assert "<p>" in found._repr_html_()
        assert repr(found).startswith(f"<{type(found).__name__}: ")
        found.table.pop(found.table.columns[0])  # of a copy
        assert list(found.table) == list(schema(found._schema).names)
    found = calibration(world, probability="p", horizon=60, survival_at_end=np.full(len(world), 0.5))
    for name, table in (
        ("calibration_summary", found.summary),
        ("calibration_curve", found.curve),
        ("histogram", found.histogram),
        ("d_calibration", found.d_calibration_bins),
    ):
        assert list(table) == list(schema(name).names)
        assert len(table)


@pytest.mark.parametrize("keywords", [{}, {"entry": "entry"}, {"cluster": "user_id"}])
def test_frequencies_are_repeated_rows(world: pd.DataFrame, keywords: dict[str, str]) -> None:
    again = world.loc[np.repeat(world.index, world["users"])].reset_index(drop=True)
    few = every(world, weights="users", weights_kind="frequency", **keywords)
    for one, other in zip(few, every(again, **keywords), strict=True):
        table = one.table.drop(columns=[name for name in ("predicted",) if name in one.table])
        # groups are cut at other places, where a row stands for several users
        if one._schema == "calibration":
            np.testing.assert_allclose(
                one.summary.set_index("quantity").loc[["ratio", "intercept", "slope"], "std_error"],
                other.summary.set_index("quantity").loc[["ratio", "intercept", "slope"], "std_error"],
                rtol=1e-9,
            )
            np.testing.assert_allclose(one.summary["estimate"][:3], other.summary["estimate"][:3], rtol=1e-9)
            np.testing.assert_allclose(one.ici, other.ici, rtol=0.05)
            assert (one.n, one.n_events) == (other.n, other.n_events)
            continue
        pd.testing.assert_frame_equal(table, other.table[list(table)], rtol=1e-9, atol=1e-12)


def test_the_order_of_rows_and_the_unit_of_sampling_weights_do_not_matter(world: pd.DataFrame) -> None:
    keywords = {"weights": "drawn", "weights_kind": "sampling", "cluster": "user_id"}
    turned = world.sample(frac=1, random_state=0).assign(drawn=lambda t: t["drawn"] * 1e-6)
    for one, other in zip(every(world, **keywords), every(turned, **keywords), strict=True):
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-8, atol=1e-10)


def test_true_predictions_are_calibrated_with_and_without_late_entry(world: pd.DataFrame) -> None:
    for keywords in ({}, {"entry": "entry"}):
        found = calibration(world, probability="p", horizon=60, **keywords)
        row = found.summary.set_index("quantity")
        for name, ideal in (("ratio", 1), ("intercept", 0), ("slope", 1)):
            assert abs(row.loc[name, "estimate"] - ideal) < 3 * row.loc[name, "std_error"] < 0.5
            assert row.loc[name, "ideal"] == ideal
        assert 0 <= found.e50 <= found.e90 < 0.2
        assert found.ici < 0.06
        assert found.notes == ()
        table = found.table
        assert table["n"].sum() == found.n
        assert (table["lower"] < table["observed"]).all()
        assert (table["observed"] < table["upper"]).all()
        assert (table["lowest"][1:].to_numpy() > table["highest"][:-1].to_numpy()).all()
        assert (table["predicted"].between(table["lowest"], table["highest"])).all()
    wrong = calibration(world, probability=world["p"] ** 2, horizon=60)
    assert wrong.ratio > 1.2
    assert wrong.ici > 0.1


def test_one_day_of_entry_for_all_is_a_new_origin(world: pd.DataFrame) -> None:
    later = world.assign(duration=world["duration"] + 90, entry=90)
    plain = brier_score(world, survival=1 - world["p"], times=60).table
    moved = brier_score(later, survival=1 - world["p"], times=150, entry="entry").table
    pd.testing.assert_frame_equal(plain.drop(columns="time"), moved.drop(columns="time"), rtol=1e-13)


def test_predictions_of_a_fit_go_in_as_they_are(world: pd.DataFrame, fit: ch.CoxFit) -> None:
    times = [20, 60, 100]
    matrix = fit.survival(world, times)
    brier = brier_score(world, survival=matrix)
    assert brier.times.tolist() == times
    pd.testing.assert_frame_equal(brier.table, brier_score(world, survival=matrix.values, times=times).table)
    some = brier_score(world, survival=matrix, times=[20, 100])
    pd.testing.assert_frame_equal(some.table, brier.table.iloc[[0, 2]].reset_index(drop=True))
    area = time_dependent_auc(world, survival=matrix).table
    by_risk = time_dependent_auc(world, score=fit.risk(world), times=times).table
    pd.testing.assert_frame_equal(area, by_risk, rtol=1e-12)
    p = fit.churn_probability(world, horizon=60)
    assert calibration(world, probability=p, horizon=60).predicted == pytest.approx(p.values.mean())
    with pytest.raises(InputError, match="predicts churn within 60 days, and the horizon is 90"):
        calibration(world, probability=p, horizon=90)
    with pytest.raises(InputError, match="probabilities of churn, not risk"):
        decision_curve(world, probability={"risk": fit.risk(world)}, horizon=60)
    with pytest.raises(InputError, match="not predicted for day 30: it has the days 20, 60, 100"):
        brier_score(world, survival=matrix, times=30)


def test_data_of_any_kind(world: pd.DataFrame) -> None:
    want = every(world)
    for one, other in zip(want, every(pl.from_pandas(world).to_pandas()), strict=True):
        assert one.to_json() == other.to_json()
    polars = calibration(pl.from_pandas(world), probability="p", horizon=60)
    assert polars.to_json() == want[2].to_json()
    assert calibration(world, probability=world["p"].tolist(), horizon=60).slope == want[2].slope
    app = ch.simulate_app(300, seed=3)
    spells = app.log.churn_spells(spells="all")
    found = time_dependent_auc(spells, score=np.arange(len(spells.table)) % 7, times=90)
    assert json.loads(found.to_json())["facts"]["cluster"] == "user_id"


def test_all_censored_on_the_last_day_of_the_log(world: pd.DataFrame) -> None:
    life = np.maximum(world["duration"], 1)
    data = world.assign(duration=np.minimum(life, 60), churned=life < 60)
    for found in every(data):
        assert np.isfinite(found.table.drop(columns=["model", "group", "churned"], errors="ignore").iloc[-1]).all()
    brier = brier_score(data, survival=1 - data["p"], times=60).table
    # nobody is censored before: no weights
    plain = np.square((data["duration"] == 60) - (1 - data["p"])).mean()
    np.testing.assert_allclose(brier["estimate"], [plain], rtol=1e-12)


def test_beyond_follow_up_is_refused_with_the_last_day(world: pd.DataFrame) -> None:
    last = world["duration"].max()
    p = world["p"].to_numpy()
    for ask in (
        lambda: brier_score(world, survival=1 - p, times=200),
        lambda: time_dependent_auc(world, score="x", times=[30, 200]),
        lambda: calibration(world, probability=p, horizon=200),
        lambda: decision_curve(world, probability=p, horizon=200),
        lambda: ch.concordance(world, score="x", horizon=200),
    ):
        with pytest.raises(FollowUpError, match=f"last day is {last}"):
            ask()


def test_predictions_that_cannot_be_used(world: pd.DataFrame) -> None:
    p = world["p"].to_numpy()
    bad = p.copy()
    bad[17] = np.nan
    with pytest.raises(InputError, match=r"between 0 and 1; 1 such row, first at row 17 \(nan\)"):
        calibration(world, probability=bad, horizon=60)
    with pytest.raises(InputError, match="a risk score is no probability"):
        decision_curve(world, probability={"a": 3 * p}, horizon=60)
    with pytest.raises(InputError, match="column 1 has 1 such row"):
        brier_score(world, survival=np.column_stack([p, bad]), times=[30, 60])
    with pytest.raises(InputError, match="one column for each of 2 days"):
        brier_score(world, survival=p[:, None], times=[30, 60])
    with pytest.raises(InputError, match="600 rows"):
        calibration(world, probability=p[:5], horizon=60)
    with pytest.raises(InputError, match="another index"):
        calibration(world, probability=pd.Series(p, index=np.arange(600) + 1), horizon=60)
    with pytest.raises(SchemaError, match="Did you mean 'p'"):
        calibration(world, probability="pp", horizon=60)
    with pytest.raises(SchemaError, match="must hold numbers"):
        calibration(world.assign(p="high"), probability="p", horizon=60)
    with pytest.raises(InputError, match="must say for which days"):
        brier_score(world, survival=p)
    with pytest.raises(InputError, match="ascending order"):
        brier_score(world, survival=np.column_stack([p, p]), times=[60, 30])
    with pytest.raises(InputError, match="takes a score, the same for all days, or survival"):
        time_dependent_auc(world, times=30)
    with pytest.raises(InputError, match="must say on which days"):
        time_dependent_auc(world, score="x")
    with pytest.raises(InputError, match="score 'x' must not be missing"):
        time_dependent_auc(world.assign(x=np.nan), score="x", times=30)
    for thresholds in ([0.5, 0.2], [1.0], [-0.1], []):
        with pytest.raises(InputError, match="thresholds must be"):
            decision_curve(world, probability=p, horizon=60, thresholds=thresholds)
    with pytest.raises(InputError, match="must not be called 'treat all'"):
        decision_curve(world, probability={"treat all": p}, horizon=60)
    with pytest.raises(InputError, match="horizon must be"):
        calibration(world, probability=p, horizon="60d")
    with pytest.raises(InputError, match="groups must be"):
        calibration(world, probability=p, horizon=60, groups=0)
    with pytest.raises(InputError, match="one value only"):
        brier_score(world.assign(c=1), survival=1 - p, times=60, cluster="c")


def test_what_cannot_be_estimated_is_null_and_said(world: pd.DataFrame) -> None:
    p = world["p"].to_numpy().copy()
    p[:3] = 1.0
    found = calibration(world, probability=p, horizon=60)
    assert "3 predictions are 0 or 1" in found.notes[0]
    assert len(found.notes) == 1
    assert math.isnan(found.slope)
    assert math.isnan(found.ici)
    assert len(found.curve) == 0
    assert len(found.table) == 10
    flat = calibration(world, probability=np.full(len(world), 0.5), horizon=60)
    assert math.isnan(flat.slope)
    assert not math.isnan(flat.intercept)
    assert "all predictions are the same" in " ".join(flat.notes)
    early = world.assign(churned=world["churned"] & (world["duration"] > 40))
    with pytest.raises(InputError, match="nobody churned by day 30"):
        calibration(early, probability="p", horizon=30)
    assert np.isnan(time_dependent_auc(early, score="x", times=[30, 60]).table["estimate"][0])
    short = world.assign(duration=np.where(world["p"] > 0.9, 20, world["duration"]))
    short["churned"] &= short["duration"] > 20
    curve = decision_curve(short, probability={"model": short["p"]}, horizon=60, thresholds=[0.5, 0.95])
    assert "model: at threshold 0.95 none of those contacted was followed to day 60" in curve.notes[0]
    lost = calibration(short, probability="p", horizon=60, groups=40)
    assert "was followed to day 60" in lost.notes[0]
    assert lost.table["observed"].isna().any()


def test_d_calibration_of_true_and_of_wrong_predictions() -> None:
    rng = np.random.default_rng(3)
    life, end = rng.exponential(60, 2000), rng.uniform(10, 150, 2000)
    data = pd.DataFrame({"duration": np.minimum(life, end), "churned": life <= end, "p": 0.5, "one": 1})
    true = calibration(data, probability="p", horizon=40, survival_at_end=np.exp(-data["duration"] / 60))
    assert true.d_calibration is not None
    assert true.d_calibration.p_value > 0.01
    assert true.d_calibration.df == 9
    assert true.d_calibration_bins["n"].sum() == pytest.approx(2000)
    wrong = calibration(data, probability="p", horizon=40, survival_at_end=np.exp(-data["duration"] / 30))
    assert wrong.d_calibration is not None
    assert wrong.d_calibration.p_value < 1e-6
    weighted = calibration(
        data, probability="p", horizon=40, survival_at_end=np.full(2000, 0.5), weights="one", weights_kind="sampling"
    )
    assert weighted.d_calibration is not None
    assert math.isnan(weighted.d_calibration.p_value)
    assert "sampling weights" in " ".join(weighted.notes)
    with pytest.raises(InputError, match="first at row 0"):
        calibration(data, probability="p", horizon=40, survival_at_end=np.full(2000, 2.0))


def test_decision_curves_by_model(world: pd.DataFrame) -> None:
    noise = np.random.default_rng(0).random(len(world))
    found = decision_curve(world, probability={"true": "p", "noise": noise}, horizon=60)
    table = found.table.set_index("model")
    assert found.models == ("true", "noise")
    assert found.table["model"].unique().tolist() == ["treat all", "treat none", "true", "noise"]
    assert (table.loc["treat none", "net_benefit"] == 0).all()
    everybody = table.loc["treat all"].set_index("threshold")["net_benefit"]
    t = everybody.index.to_numpy()
    np.testing.assert_allclose(everybody, found.churned - (1 - found.churned) * t / (1 - t), rtol=1e-12)
    best = np.maximum(everybody.to_numpy(), 0)
    assert (table.loc["true", "net_benefit"].to_numpy()[30:70] > best[30:70]).all()
    assert (table.loc["noise", "net_benefit"].to_numpy()[40:60] < best[40:60]).all()
    assert "true beats contacting all or nobody" in repr(found)


@pytest.mark.parametrize("late", [False, True])
def test_a_few_intervals_hold_the_truth(late: bool) -> None:
    """The full coverage is in the slow suite; here a small run with fixed seeds, and bounds as wide as it needs."""
    from tests.slow import prediction_quality as slow

    truth = slow.truths()
    held = dict.fromkeys(truth, 0)
    for seed in range(40):
        for name, (_, lower, upper, _) in slow.figures(slow.world(300, np.random.default_rng(seed), late=late)).items():
            held[name] += lower <= truth[name] <= upper
    # 95 % of 40 falls below 32 once in 6,000
    assert min(held.values()) >= 32, held
