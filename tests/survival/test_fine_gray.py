"""The door to Fine and Gray's model: options, notes, predictions, bad input."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import ChurnsurvWarning, ConvergenceError, FollowUpError, InputError, SchemaError
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.fine_gray_fit import incidence_totals
from churnsurv.tables import schema
from tests.survival.test_competing import users

ASKED = {"cause": "why", "cause_of_interest": "price"}


def data_with_x(n: int = 400, known: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return users(n, known=known).assign(x=rng.normal(size=n), s=rng.integers(0, 2, n), w=rng.integers(1, 4, n))


def test_table_and_facts():
    fit = fine_gray("channel + x", data_with_x(known=0.8), **ASKED)
    assert tuple(fit.table.columns) == schema("fine_gray").names
    assert fit.table["term"].tolist() == ["channel: friend", "x"]
    np.testing.assert_allclose(fit.table["std_error"] ** 2, np.diagonal(fit.covariance))
    plain = json.loads(fit.to_json())["facts"]
    assert plain["n_events"] + plain["n_competing"] == data_with_x()["churned"].sum()
    assert "count as another cause" in fit.notes[0]
    assert "churned by why price" in repr(fit)
    assert fit.wald_test.df == 2


def test_incidence_rises_and_follows_the_limits():
    data = data_with_x()
    fit = fine_gray("channel + x", data, **ASKED)
    found = fit.incidence(data.head(20), [31, 60, 100])
    assert (np.diff(found.values, axis=1) >= 0).all()
    assert ((found.lower <= found.values) & (found.values <= found.upper)).all()
    assert tuple(found.table.columns) == schema("predicted_incidence").names
    at_zero = fit.incidence(pd.DataFrame({"channel": ["ads"], "x": [0.0]}), fit.baseline["time"].to_numpy())
    np.testing.assert_allclose(at_zero.values[0], -np.expm1(-fit.baseline["cumulative_hazard"]), rtol=1e-10)
    narrow = fit.incidence(data.head(20), [60], level=0.5)
    assert (narrow.upper < found.upper[:, 1:2]).all()
    with pytest.raises(FollowUpError, match="nobody was followed to day 999"):
        fit.incidence(data.head(1), 999)
    with pytest.raises(InputError, match="ci must be"):
        fit.incidence(data.head(1), 60, ci="log")
    higher = np.argsort(np.asarray(fit.risk(data.head(20))))
    assert (np.diff(found.values[higher, 1]) >= 0).all()
    assert fit.model_matrix(data.head(2)).shape == (2, 2)


def test_compat_changes_the_ties_and_the_variance():
    data = data_with_x()
    ours, theirs = (fine_gray("x", data, compat=compat, **ASKED).table.iloc[0] for compat in (None, "cmprsk"))
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=0.1, abs=0.02)
    assert ours["estimate"] != theirs["estimate"]
    assert ours["std_error"] == pytest.approx(theirs["std_error"], rel=0.05)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ties": "efron"}, "takes no ties='efron'"),
        ({"strata": "s"}, "takes no strata"),
        ({"cluster": "user_id"}, "takes no cluster"),
        ({"entry": "s"}, "takes no late entries"),
        ({"weights": "w", "weights_kind": "sampling"}, "takes no sampling weights"),
        ({"compat": "crr"}, "compat must be None or 'cmprsk'"),
    ],
)
def test_what_cmprsk_has_not(change, says):
    with pytest.raises(InputError, match=says):
        fine_gray("x", data_with_x(), **{**ASKED, "compat": "cmprsk", **change})


def test_entries_at_zero_are_none_for_cmprsk():
    data = data_with_x().assign(entry=0)
    with_entry, without = (fine_gray("x", data, compat="cmprsk", **ASKED, **more) for more in ({"entry": "entry"}, {}))
    assert with_entry.table["std_error"].tolist() == without.table["std_error"].tolist()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"cause_of_interest": "prize"}, InputError, "cause_of_interest: .*Did you mean 'price'"),
        ({"cause_of_interest": None}, InputError, "needs cause_of_interest="),
        ({"cause": "wy"}, SchemaError, "Did you mean 'why'"),
        ({"formula": "why"}, InputError, "'why' cannot be a covariate"),
        ({"formula": "duration"}, InputError, "'duration' cannot be a covariate"),
        ({"ties": "exact"}, InputError, "ties must be 'efron' or 'breslow'"),
        ({"formula": "x + twice"}, ConvergenceError, "collinear"),
        ({"formula": "perfect"}, ConvergenceError, "'perfect' to plus infinity"),
        ({"formula": "C(perfect)"}, ConvergenceError, "none of the rows at risk in"),
        ({"cluster": "s", "formula": "x + channel"}, InputError, "too few for 2 coefficients"),
    ],
)
def test_bad_input(change, error, says):
    data = data_with_x().assign(twice=lambda t: 2 * t["x"], perfect=lambda t: (t["why"] == "price").astype(int))
    given = {"formula": "x", **ASKED, **change}
    with pytest.raises(error, match=says):
        fine_gray(given.pop("formula"), data, **given)


def test_nobody_of_the_cause_at_risk():
    data = data_with_x().assign(entry=lambda t: np.where(t["why"] == "price", t["duration"], 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChurnsurvWarning)
        with pytest.raises(ConvergenceError, match="no row at risk churned of 'price'"):
            fine_gray("x", data, entry="entry", **ASKED)


def test_all_churn_on_day_zero():
    data = data_with_x().assign(duration=0)
    fit = fine_gray("x", data, **ASKED)
    assert fit.baseline["time"].tolist() == [0]
    assert fit.n_events == (data["churned"] & (data["why"] == "price")).sum()


def test_weights_enter_the_censoring_too():
    """All who churn and a third of the others are kept: the weighted fit is that of everybody, as it should be."""
    rng = np.random.default_rng(6)
    everybody = data_with_x(4000).assign(x=rng.normal(size=4000), w=1.0)
    kept = everybody[everybody["churned"] | (rng.random(4000) < 1 / 3)].copy()
    kept["w"] = np.where(kept["churned"], 1.0, 3.0)
    whole = fine_gray("x", everybody, **ASKED)
    part = fine_gray("x", kept, weights="w", weights_kind="sampling", **ASKED)
    day = [60, 100]
    new = pd.DataFrame({"x": [0.0]})
    np.testing.assert_allclose(part.incidence(new, day).values, whole.incidence(new, day).values, rtol=0.06)
    assert part.table["estimate"].iloc[0] == pytest.approx(whole.table["estimate"].iloc[0], abs=0.05)


def test_totals_above_one_warn():
    rng = np.random.default_rng(2)
    n = 600
    x = rng.normal(size=n)
    why = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * x)), "a", "b")
    data = pd.DataFrame({"duration": rng.integers(1, 40, n), "churned": rng.random(n) < 0.95, "why": why, "x": x})
    fits = [fine_gray("x", data, cause="why", cause_of_interest=cause) for cause in ("a", "b")]
    with pytest.warns(ChurnsurvWarning, match="add up to more than one in"):
        totals = incidence_totals(fits, pd.DataFrame({"user_id": ["u"], "x": [2.0]}), [5, 39])
    assert totals.columns.tolist() == ["user_id", "time", "incidence: a", "incidence: b", "total"]
    assert totals["total"].iloc[1] > 1
    with pytest.raises(InputError, match="different causes"):
        incidence_totals([fits[0], fits[0]], data, 5)
    with pytest.raises(InputError, match="at least one"):
        incidence_totals([], data, 5)


def test_coefficients_of_proportional_subdistribution_hazards_come_back():
    """F(t | x) = 1 - [1 - .6 (1 - exp(-t / 40))] ^ exp(.5 g - .3 x), at whole days: mean over 30 samples of 500."""
    from tests.slow.competing import proportional_world

    rng = np.random.default_rng(7)
    found = [
        fine_gray("group + x", proportional_world(500, rng), cause="cause", cause_of_interest="first", entry="entry")
        .table["estimate"].to_numpy()
        for _ in range(30)
    ]  # fmt: skip
    error = np.std(found, axis=0) / np.sqrt(30)
    assert (np.abs(np.mean(found, axis=0) - [0.5, -0.3]) < 3.5 * error).all()
