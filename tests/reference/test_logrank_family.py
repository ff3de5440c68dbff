"""Weighted log-rank tests, trend, max-combo, weights of rows and effects against R; see logrank4.R."""

import numpy as np
import pytest
from scipy.special import ndtri

from churnsurv.numerics.logrank_counts import count_groups
from churnsurv.numerics.logrank_weights import day_weights, weighting_of
from churnsurv.survival.tests_ import groups_compared, logrank, rows_of

from . import stored

RTOL = 1e-8
FOLDER = "output_logrank"
CASES = stored.case_names("logrank_family")
COMBO = [name for name in CASES if stored.case("logrank_family", name)["weighting"] == "max-combo"]
SINGLE = [name for name in CASES if name not in COMBO]


def weighting(of):
    if of["weighting"] != "fleming-harrington":
        return of["weighting"]
    return ("fleming-harrington", float(of["p"]), float(of["q"]))


def columns(of) -> dict:
    named = {"by": stored.columns(of["by"]), "strata": stored.columns(of["strata"]), **stored.keywords(of)}
    return {**named, "weights": of["weights"] or None, "weights_kind": of["weights_kind"] or None}


def run(which: str):
    of = stored.case("logrank_family", which)
    data = stored.frame(of)
    trend = False
    if of["trend"]:
        trend = dict(zip(sorted(data[of["by"]].unique()), map(float, of["trend"].split("|")), strict=True))
    return logrank(data, weighting=weighting(of), trend=trend, **columns(of))


@pytest.mark.parametrize("which", SINGLE)
def test_statistic(which):
    test, theirs = run(which), stored.answer("test", which, FOLDER).iloc[0]
    assert test.df == theirs["df"]
    stored.close(test.statistic, theirs["statistic"], RTOL)
    stored.close(test.p_value, theirs["p_value"], 1e-7)


@pytest.mark.parametrize("which", SINGLE)
def test_observed_and_expected(which):
    table, theirs = run(which).table, stored.answer("groups", which, FOLDER)
    assert list(table["group"]) == list(theirs["group"])
    stored.close(table["observed"], theirs["observed"], 1e-10)
    stored.close(table["expected"], theirs["expected"], RTOL)


@pytest.mark.parametrize("which", SINGLE)
def test_weights_of_days(which):
    of = stored.case("logrank_family", which)
    sets = count_groups(rows_of(groups_compared("logrank", stored.frame(of), **columns(of)))).sets
    ours = day_weights(weighting_of(weighting(of)), sets)
    stored.close(ours, stored.answer("weights", which, FOLDER)["weight"], RTOL, 1e-12)


@pytest.mark.parametrize("which", COMBO)
def test_max_combo(which):
    test, theirs = run(which), stored.answer("test", which, FOLDER).iloc[0]
    stored.close(list(test.facts["z"].values()), stored.answer("deviates", which, FOLDER)["z"], RTOL)
    stored.close(test.statistic, theirs["statistic"], RTOL)
    # R's script integrates over a grid
    stored.close(test.p_value, theirs["p_value"], 2e-5)


@pytest.mark.parametrize("which", CASES)
def test_effects(which):
    effects, theirs = run(which).effects, stored.answer("effects", which, FOLDER)
    assert list(effects["group"]) == list(theirs["group"])
    stored.close(effects["horizon"], theirs["horizon"], 1e-12)
    stored.close(effects["rmst_difference"], theirs["rmst_difference"], RTOL)
    stored.close(np.log(effects["hazard_ratio"]), theirs["estimate"], RTOL, 1e-9)
    reach = 2 * ndtri(0.975)
    stored.close(np.log(effects["hr_upper"] / effects["hr_lower"]) / reach, theirs["std_error"], 1e-7)
    if not theirs["rmst_std_error"].isna().all():  # of clusters and drawn rows R has none
        stored.close((effects["rmst_upper"] - effects["rmst_lower"]) / reach, theirs["rmst_std_error"], RTOL)


def test_peto_and_peto_is_not_survdiff_with_rho_one():
    """R calls rho = 1 the Peto and Peto modification; it weighs days by S(t-), not by their own estimate."""
    peto, early = (stored.answer("test", which, FOLDER).iloc[0] for which in ("peto", "early"))
    assert "survdiff" in early["reference"]
    assert peto["statistic"] != pytest.approx(early["statistic"], rel=1e-4)
