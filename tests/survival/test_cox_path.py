"""The path of penalised Cox models: tables, choices, folds, and what is refused."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import ConvergenceError, InputError, SchemaError
from churnsurv.survival import cox
from churnsurv.survival.cox_path import CoxPath, cox_path
from churnsurv.tables import schema
from tests.proportional_app import proportional_app

NUMBERS = ["signal", "weak", "n1", "n2", "n3", "n4", "n5", "n6"]
FORMULA = " + ".join(NUMBERS)


def users(n: int = 600, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(n, len(NUMBERS))), columns=NUMBERS)
    data["n1"] *= 1e5
    data["channel"] = rng.choice(["ads", "friend", "search"], n)
    risk = 0.9 * data["signal"] - 0.6 * data["weak"] + 0.5 * (data["channel"] == "ads")
    churn = 30 + np.ceil(rng.exponential(60 * np.exp(-risk)))
    end = rng.integers(35, 240, n)
    data["duration"] = np.minimum(churn, end).astype(int)
    data["churned"] = churn <= end
    data["user_id"] = rng.integers(0, n // 3, n)
    return data


@pytest.fixture(scope="module")
def path() -> CoxPath:
    return cox_path(FORMULA + " + channel", users(), penalties=30, folds=5)


def test_tables_have_their_schemas(path: CoxPath) -> None:
    assert tuple(path.table.columns) == schema("cox_path").names
    assert tuple(path.coefficients.columns) == schema("cox_path_coefficients").names
    assert len(path.table) == 30
    assert len(path.coefficients) == 30 * 10
    first = path.coefficients["term"].head(10).tolist()
    assert first == [*NUMBERS, "channel: friend", "channel: search"]
    counts = path.coefficients.query("estimate != 0").groupby("penalty")["term"].size()
    again = path.table.set_index("penalty")["n_nonzero"]
    assert counts.sort_index().tolist() == again[again > 0].sort_index().tolist()


def test_penalties_fall_evenly_from_the_first_that_leaves_nothing(path: CoxPath) -> None:
    table = path.table
    ratio = np.diff(np.log(table["penalty"]))
    np.testing.assert_allclose(ratio, np.log(1e-3) / 29, rtol=1e-9)
    assert table["n_nonzero"].iloc[0] == 0
    assert table["n_nonzero"].iloc[1] > 0
    assert table["deviance_explained"].iloc[0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(table["deviance_explained"]) >= -1e-12).all()
    assert (np.diff(table["log_likelihood"]) >= -1e-9).all()


def test_the_choices_follow_from_the_table(path: CoxPath) -> None:
    table = path.table
    best = int(table["cv_deviance"].idxmin())
    assert path.penalty_best == table["penalty"][best]
    within = table["cv_deviance"] <= table["cv_deviance"][best] + table["cv_std_error"][best]
    assert path.penalty_sparse == table.loc[within, "penalty"].max()
    assert path.penalty_sparse >= path.penalty_best


def test_the_truth_is_found(path: CoxPath) -> None:
    kept = path.coefficients.query("penalty == @path.penalty_sparse and estimate != 0").set_index("term")["estimate"]
    assert {"signal", "weak"} <= set(kept.index)
    assert not set(NUMBERS[2:]) & set(kept.index)
    # with hardly any penalty left the estimates are near the truth, and those of noise near zero
    last = path.coefficients.query("penalty == penalty.min()").set_index("term")["estimate"]
    assert last["signal"] == pytest.approx(0.9, abs=0.2)
    assert last["weak"] == pytest.approx(-0.6, abs=0.2)
    assert last["channel: friend"] == pytest.approx(-0.5, abs=0.35)
    assert (last[["n2", "n3", "n4", "n5", "n6"]].abs() < 0.15).all()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_the_model_chosen_is_that_of_cox(l1_ratio: float) -> None:
    data = users()
    found = cox_path(FORMULA + " + channel", data, l1_ratio=l1_ratio, penalties=12, folds=4, unpenalised="channel")
    fit = cox(FORMULA + " + channel", data, penalty=found.penalty_best, l1_ratio=l1_ratio, unpenalised="channel")
    ours = found.coefficients.query("penalty == @found.penalty_best")
    np.testing.assert_allclose(ours["estimate"], fit.table["estimate"], rtol=1e-8, atol=1e-11)
    row = found.table.query("penalty == @found.penalty_best").iloc[0]
    assert row["log_likelihood"] == pytest.approx(fit.log_likelihood, rel=1e-10)
    null = cox("channel", data)
    alone = found.coefficients.query("penalty == penalty.max()").tail(2)
    if l1_ratio > 0:  # ridge pulls everything to zero but never gets there
        np.testing.assert_allclose(alone["estimate"], null.table["estimate"], rtol=1e-9)


def test_ridge_has_degrees_of_freedom_between_none_and_all() -> None:
    found = cox_path(FORMULA, users(300), l1_ratio=0, penalties=15, folds=3).table
    assert (found["n_nonzero"] == 8).all()
    assert (np.diff(found["effective_df"]) > 0).all()
    assert found["effective_df"].iloc[0] < 0.1
    assert 7.9 < found["effective_df"].iloc[-1] < 8


def test_the_same_seed_gives_the_same_answer_and_another_seed_other_folds() -> None:
    data = users(200)
    one, same, other = (cox_path("signal + n2", data, penalties=4, folds=3, seed=s).table for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert (one["cv_deviance"] != other["cv_deviance"]).all()
    assert one["log_likelihood"].tolist() == other["log_likelihood"].tolist()


def test_penalties_of_ones_own() -> None:
    found = cox_path("signal + n2", users(200), penalties=[0.01, 0.2, 0.05, 0.2], folds=3)
    assert found.table["penalty"].tolist() == [0.2, 0.05, 0.01]


def test_rows_of_a_cluster_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    door = importlib.import_module("churnsurv.survival.cox_path")
    seen = []

    def spy(rows, folds, *arguments, **keywords):
        seen.append(folds)
        return original(rows, folds, *arguments, **keywords)

    original = door.cross_validate
    monkeypatch.setattr(door, "cross_validate", spy)
    data = users(300)
    found = cox_path("signal + n2", data, penalties=3, folds=5, cluster="user_id")
    assert found.cluster == "user_id"
    assert data.assign(fold=seen[0]).groupby("user_id")["fold"].nunique().max() == 1
    churn = data.assign(fold=seen[0]).groupby("fold")["churned"].sum()
    assert churn.max() - churn.min() <= 2
    cox_path("signal + n2", data, penalties=3, folds=5)
    assert data.assign(fold=seen[1]).groupby("user_id")["fold"].nunique().max() > 1
    churn = data.assign(fold=seen[1]).groupby("fold")["churned"].sum()
    assert churn.max() - churn.min() <= 1


def test_all_spells_of_a_user_stay_together() -> None:
    spells = proportional_app(300, seed=1).log.churn_spells(spells="all")
    found = cox_path("channel", spells, penalties=3, folds=3)
    assert found.cluster == "user_id"
    assert found._to_plain()["facts"]["data"]


def test_rows_without_risk_change_nothing() -> None:
    data = users(300).assign(entry=0)
    extra = data.head(40).assign(entry=50, duration=50, churned=False, signal=1e3)
    keywords = {"entry": "entry", "penalties": [0.1, 0.02], "folds": 3}
    here = cox_path("signal + n2", data, **keywords)
    there = cox_path("signal + n2", pd.concat([data, extra]), **keywords)
    assert (here.n, there.n, there.n_no_risk) == (300, 300, 40)
    np.testing.assert_allclose(there.coefficients["estimate"], here.coefficients["estimate"], rtol=1e-8)


def test_a_frequency_is_repeated_rows_but_for_the_folds() -> None:
    data = users(150).assign(count=np.random.default_rng(0).integers(1, 4, 150))
    repeated = data.loc[data.index.repeat(data["count"])].reset_index(drop=True)
    keywords = {"penalties": [0.1, 0.02], "folds": 3}
    one = cox_path("signal + n2", data, weights="count", weights_kind="frequency", **keywords)
    two = cox_path("signal + n2", repeated, **keywords)
    assert (one.n, one.n_events) == (two.n, two.n_events)
    np.testing.assert_allclose(one.coefficients["estimate"], two.coefficients["estimate"], rtol=1e-8)
    names = ["log_likelihood", "deviance_explained", "effective_df"]
    np.testing.assert_allclose(one.table[names], two.table[names], rtol=1e-9)
    # the same folds for the repeated rows give the same deviance
    assert one.table["cv_deviance"].iloc[0] == pytest.approx(two.table["cv_deviance"].iloc[0], rel=0.05)


def test_strata_offset_and_breslow() -> None:
    data = users(300).assign(known=lambda d: 0.9 * d["signal"])
    found = cox_path("weak + n2", data, strata="channel", offset="known", ties="breslow", penalties=[0.01], folds=3)
    fit = cox("weak + n2", data, strata="channel", offset="known", ties="breslow", penalty=0.01, l1_ratio=1.0)
    np.testing.assert_allclose(found.coefficients["estimate"], fit.table["estimate"], rtol=1e-8)
    assert (found.strata, found.offset, found.ties) == (("channel",), "known", "breslow")


def test_what_it_says_of_itself(path: CoxPath) -> None:
    text = repr(path)
    assert "lasso at 30 penalties, 600 rows" in text
    assert f"5 folds choose penalty {path.penalty_best:.3g}" in text
    facts = json.loads(path.to_json())["facts"]
    assert facts["penalty_sparse"] == pytest.approx(path.penalty_sparse)
    assert len(facts["coefficients"]["signal"]) == 30
    table = path.table
    table["penalty"] = 0.0
    assert path.table["penalty"].min() > 0


def test_the_ends_of_the_path_are_noted() -> None:
    data = users()
    noise = cox_path("n2 + n3", data, penalties=6, folds=3)
    assert any("don't help" in note for note in noise.notes) == (noise.penalty_best == noise.table["penalty"].max())
    strong = cox_path("signal", data, penalties=[0.3, 0.2], folds=3)
    assert any("hardly any is needed" in note for note in strong.notes)


def test_the_bar_is_shown_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    cox_path("signal", users(100), penalties=3, folds=2, progress=False)
    assert capsys.readouterr().err == ""
    cox_path("signal", users(100), penalties=3, folds=2, progress=True)
    assert "/9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"l1_ratio": 1.5}, "l1_ratio must lie between"),
        ({"folds": 1}, "folds must be a whole number >= 2"),
        ({"folds": 2.5}, "folds must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"penalties": 1}, "penalties must be a whole number >= 2"),
        ({"penalties": [0.1, 0]}, "finite penalties > 0"),
        ({"penalties": "many"}, "penalties must be"),
        ({"penalties": []}, "penalties must be"),
        ({"ties": "grouped"}, "grouped days have none"),
        ({"unpenalised": "signol"}, "Did you mean 'signal'"),
        ({"unpenalised": ["signal", "n2"]}, "names every variable"),
        ({"folds": 80}, "80 folds need as many rows with churn"),
        ({"cluster": "user_id", "folds": 33}, "need as many values of 'user_id' with churn"),
    ],
)
def test_what_is_refused(keywords: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cox_path("signal + n2", users(100), **{"penalties": 3, "folds": 3, **keywords})


def test_errors_of_the_data_are_those_of_cox() -> None:
    with pytest.raises(SchemaError, match="signol"):
        cox_path("signol", users(50))
    with pytest.raises(ConvergenceError, match="without churn"):
        cox_path("signal", users(50).assign(churned=False))
    with pytest.raises(InputError, match="look ahead"):
        cox_path("signal + duration", users(50))
