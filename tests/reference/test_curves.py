"""Weighted curves, arcsine intervals, hazards, restricted means and recurrent churns against R's survfit."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.survival.recurrent import mean_cumulative_churns
from churnsurv.survival.rmst import rmst

from . import stored

RTOL = 1e-10
FOLDER = "output_curves"
CASES = stored.case_names("curves")
CI = ("log-log", "log", "plain", "arcsine")
DAY = dt.timedelta(days=1)


def keywords(of):
    more = {"weights": of["weights"] or None, "weights_kind": of["weights_kind"] or None}
    return {"by": stored.columns(of["by"]), "level": float(of["level"]), **stored.keywords(of), **more}


def curves(which, ci="log-log"):
    of = stored.case("curves", which)
    return ch.kaplan_meier(stored.frame(of), ci=ci, **keywords(of)), of


def aligned(table, theirs, keys=("group", "time")):
    found = theirs[list(keys)].merge(table, how="left", on=list(keys))
    assert len(found) == len(theirs)
    return found


def none_at_zero(values, survival):
    """R's values, but none where survival is 0: with clusters R has a standard error and plain limits of 0 there."""
    assert values[survival == 0].fillna(0).eq(0).all()
    return values.where(survival > 0)


@pytest.mark.parametrize("which", CASES)
def test_survival_and_its_standard_error(which):
    result, of = curves(which)
    theirs = stored.answer("curves", which, FOLDER)
    assert tuple(result.groups) == tuple(theirs["group"].unique())
    ours = aligned(result.table, theirs)
    stored.close(ours["survival"], theirs["survival"], RTOL, atol=1e-16)
    stored.close(ours["std_error"], none_at_zero(theirs["std_error"], theirs["survival"]), RTOL, atol=1e-15)
    if of["weights_kind"] != "sampling":  # the table counts rows, R sums weights
        stored.close(ours["n_at_risk"], theirs["n_at_risk"], 0)
        stored.close(ours["n_events"], theirs["n_events"], 0)


@pytest.mark.parametrize("ci", CI)
@pytest.mark.parametrize("which", CASES)
def test_limits(which, ci):
    result, _ = curves(which, ci)
    theirs = stored.answer("curves", which, FOLDER)
    ours = aligned(result.table, theirs)
    for side in ("lower", "upper"):
        stored.close(ours[side], none_at_zero(theirs[f"{side} {ci}"], theirs["survival"]), RTOL, atol=1e-14)


@pytest.mark.parametrize("which", CASES)
def test_cumulative_hazard(which):
    result, _ = curves(which)
    theirs = stored.answer("curves", which, FOLDER)
    ours = aligned(result.cumulative_hazard, theirs)
    stored.close(ours["cumulative_hazard"], theirs["cumulative_hazard"], RTOL)
    stored.close(ours["std_error"], theirs["hazard_error"], RTOL, atol=1e-15)


@pytest.mark.parametrize("which", CASES)
def test_restricted_mean(which):
    of = stored.case("curves", which)
    theirs = stored.answer("rmst", which, FOLDER)
    found = rmst(stored.frame(of), horizon=float(of["horizon"]), **keywords(of)).table
    assert found["group"].tolist() == theirs["group"].tolist()
    stored.close(found["estimate"], theirs["estimate"], RTOL)
    stored.close(found["std_error"], theirs["std_error"], RTOL)


@pytest.mark.parametrize("which", CASES)
def test_conditional_survival(which):
    of = stored.case("curves", which)
    theirs = stored.answer("conditional", which, FOLDER)
    for group, rows in theirs.groupby("group"):
        data = stored.frame(of)
        one = data[data[of["by"]] == group] if of["by"] else data
        arguments = {**keywords(of), "by": None}
        alone = ch.kaplan_meier(one, ci="log", **arguments)
        ours = alone.conditional(float(of["alive_at"]), rows["time"].to_numpy())
        stored.close(ours["survival"], rows["survival"], RTOL, atol=1e-16)
        left = rows["survival"].to_numpy() > 0
        for column in ("std_error", "lower", "upper"):
            stored.close(ours[column].to_numpy()[left], rows[column].to_numpy()[left], RTOL, atol=1e-15)


def recurrent_log() -> ch.ActivityLog:
    """A log in which each user churns and returns on the days of R's data, and the log ends after their follow-up."""
    happenings = stored._table(f"{FOLDER}/recurrent.csv")
    end = dt.date(2025, 6, 1)
    users, events = [], []
    for user, rows in happenings.groupby("user_id", sort=False):
        last = int(rows.loc[rows["what"] == "end", "day"].iloc[0])
        registered = end - last * DAY
        users.append({"user_id": user, "registered_at": registered, "channel": rows["channel"].iloc[0]})
        since = 0
        churns = rows.loc[rows["what"] == "churn", "day"].tolist()
        returns = rows.loc[rows["what"] == "return", "day"].tolist()
        for number in range(len(returns) + 1):
            # active until 30 days before the churn, or to the end
            until = churns[number] - 30 if number < len(churns) else last
            days = [*range(since, until, 20), until]
            events += [{"user_id": user, "event_at": registered + day * DAY, "kind": "login"} for day in days]
            since = returns[number] if number < len(returns) else last
    return ch.ActivityLog(pd.DataFrame(events), pd.DataFrame(users), observed_until=end)


@pytest.mark.parametrize("by", [None, "channel"])
def test_mean_cumulative_churns(by):
    table = mean_cumulative_churns(recurrent_log().churn_spells(spells="all"), by=by).table
    theirs = stored._table(f"{FOLDER}/mean_cumulative.csv")
    theirs = theirs[(theirs["group"] == "all") == (by is None)].reset_index(drop=True)
    assert set(theirs["group"]) == set(table["group"])
    ours = aligned(table, theirs)
    for column in ("n_at_risk", "n_events"):
        np.testing.assert_array_equal(ours[column], theirs[column])
    stored.close(ours["mean"], theirs["mean"], RTOL)
    stored.close(ours["std_error"], theirs["std_error"], RTOL, atol=1e-15)
