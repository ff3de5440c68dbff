"""Curves, standard errors, limits and quantiles against R's survfit."""

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch

from . import stored

RTOL = 1e-11
# (1 - S) near 0 makes log(-log S) lose digits on both sides
RTOL_LIMITS = 1e-10
# sums of influences by cluster are taken in another order than R's
RTOL_ROBUST = 1e-9

CASES = stored.case_names("kaplan_meier")
CI = ("log-log", "log", "plain")


def curves(which, ci="log-log"):
    of = stored.case("kaplan_meier", which)
    result = ch.kaplan_meier(
        stored.frame(of), by=stored.columns(of["by"]), ci=ci, level=float(of["level"]), **stored.keywords(of)
    )
    return result, of


def aligned(table, theirs):
    """Our rows at R's times, in R's order; any others must be times at which nothing ends."""
    both = table.merge(theirs[["group", "time"]], how="outer", on=["group", "time"], indicator=True)
    assert not (both["_merge"] == "right_only").any(), "R has times that we lack"
    extra = both[both["_merge"] == "left_only"]
    assert (extra[["n_events", "n_censored"]] == 0).all(axis=None)
    return theirs[["group", "time"]].merge(table, how="left", on=["group", "time"])


def none_at_zero(values, survival):
    """R's values, but none where survival is 0: with clusters R has a standard error and plain limits of 0 there."""
    assert values[survival == 0].fillna(0).eq(0).all()
    return values.where(survival > 0)


@pytest.mark.parametrize("which", CASES)
def test_curve_and_counts(which):
    result, of = curves(which)
    theirs = stored.answer("kaplan_meier", which)
    assert tuple(result.groups) == tuple(theirs["group"].unique())
    ours = aligned(result.table, theirs)
    for count in ("n_at_risk", "n_events", "n_censored"):
        np.testing.assert_array_equal(ours[count], theirs[count])
    stored.close(ours["survival"], theirs["survival"], RTOL, atol=1e-16)
    std_error = none_at_zero(theirs["std_error"], theirs["survival"])
    stored.close(ours["std_error"], std_error, RTOL_ROBUST if of["cluster"] else RTOL, atol=1e-16)


@pytest.mark.parametrize("ci", CI)
@pytest.mark.parametrize("which", CASES)
def test_limits(which, ci):
    result, of = curves(which, ci)
    theirs = stored.answer("kaplan_meier", which)
    ours = aligned(result.table, theirs)
    for side in ("lower", "upper"):
        limit = none_at_zero(theirs[f"{side} {ci}"], theirs["survival"])
        stored.close(ours[side], limit, RTOL_ROBUST if of["cluster"] else RTOL_LIMITS, atol=1e-14)


@pytest.mark.parametrize("which", CASES)
def test_quantiles(which):
    result, _ = curves(which)
    theirs = stored.answer("quantiles", which)
    theirs = theirs[theirs["ci"] == "log-log"]
    ours = theirs[["group", "probability"]].merge(quantiles(result, theirs), on=["group", "probability"])
    stored.close(ours["time"], theirs["time"], 1e-14)


@pytest.mark.parametrize("ci", CI)
@pytest.mark.parametrize("which", CASES)
def test_limits_of_quantiles(which, ci):
    """The first crossing of R's limits; also R's own reading of them, where these fall steadily."""
    result, _ = curves(which, ci)
    theirs = stored.answer("quantiles", which)
    theirs = theirs[theirs["ci"] == ci]
    ours = theirs[["group", "probability"]].merge(quantiles(result, theirs), on=["group", "probability"])
    answer = stored.answer("kaplan_meier", which)
    for side in ("lower", "upper"):
        for (group, probability, time), r in zip(
            ours[["group", "probability", side]].itertuples(index=False), theirs[side], strict=True
        ):
            curve = answer[answer["group"] == group]
            limit = none_at_zero(curve[f"{side} {ci}"], curve["survival"])
            np.testing.assert_equal(time, first_at_or_below(curve["time"], limit, 1 - probability))
            if (limit.dropna().diff().dropna() <= 0).all() and limit.equals(curve[f"{side} {ci}"]):
                np.testing.assert_equal(time, r)


def quantiles(result, theirs):
    return result.quantiles(tuple(theirs["probability"].unique()))


def first_at_zero(curve):
    """R's limits are 0 from there on where standard errors are clustered; ours are unknown."""
    none = curve["time"][curve["survival"] == 0]
    return none.iloc[0] if len(none) else np.nan


def first_at_or_below(time, curve, value):
    reached = time[curve <= value]
    return reached.iloc[0] if len(reached) else np.nan


def test_a_median_on_a_flat_stretch_is_said_to_be_one():
    """Two of four users have churned from day 4 to day 6: any of these days halves the group, R takes the midpoint."""
    result, _ = curves("flat_half")
    theirs = stored.answer("quantiles", "flat_half")
    assert theirs.loc[theirs["probability"] == 0.5, "time"].iloc[0] == 5
    median = result.median["time"].iloc[0]
    survival = result.table.set_index("time")["survival"]
    assert survival[survival.index <= median].iloc[-1] == 0.5


def test_rows_without_risk_change_no_curve():
    """duration = entry: under observation, but never at risk."""
    of = stored.case("kaplan_meier", "churn by channel entry")
    data = stored.frame(of)
    more = data.head(40).assign(duration=data["entry"].head(40), churned=False)
    arguments = {"by": "channel", "entry": "entry"}
    with_them = ch.kaplan_meier(pd.concat([data, more], ignore_index=True), **arguments).table
    pd.testing.assert_frame_equal(with_them, ch.kaplan_meier(data, **arguments).table)
