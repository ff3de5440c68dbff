"""Tests of proportional hazards against R's cox.zph, its robust form made of R's score residuals, R's fits by window;
contrasts and joint tests against R's covariance matrices.
"""

from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

import churnsurv as ch
from churnsurv.numerics.ph_test import ph_score, transformed
from churnsurv.survival.contrasts import contrasts, joint_test, joint_tests
from churnsurv.survival.ph_test import ph_test

from . import stored

# Two small sets have a spike on purpose; that the warning is given is tested with the door.
pytestmark = [
    pytest.mark.filterwarnings("ignore:on day .* at risk.* churn:churnsurv.errors.ChurnsurvWarning"),
    pytest.mark.filterwarnings("ignore:.* coefficients are estimated from:churnsurv.errors.ChurnsurvWarning"),
]

RTOL = 1e-7
CASES = stored.cases("ph_test")
PAIRS = [(of["case"], transform) for of in CASES for transform in of["transforms"].split("|")]
ROBUST = [of["case"] for of in CASES if of["cluster"] or of["weights_kind"] == "sampling"]
WITH_CHANNEL = [of["case"] for of in CASES if "channel" in of["formula"]]
WITH_WINDOWS = [of["case"] for of in CASES if of["cuts"]]


def answer(table: str, which: str):
    return stored.answer(table, which, "output_ph_test")


@cache
def fit(which: str) -> ch.CoxFit:
    of = stored.case("ph_test", which)
    return ch.cox(
        of["formula"],
        stored.frame(of),
        strata=stored.columns(of["strata"]),
        ties=of["ties"],
        weights=of["weights"] or None,
        weights_kind=of["weights_kind"] or None,
        offset=of["offset"] or None,
        **stored.keywords(of),
    )


@pytest.mark.parametrize(("which", "transform"), PAIRS)
def test_statistics(which, transform):
    result = fit(which)
    ours = ph_test(result, transform=transform, cuts=()).table
    theirs = answer("ph_test", which)
    theirs = theirs[theirs["transform"] == transform]
    robust = result.cluster is not None or result.weights_kind == "sampling"
    statistic = theirs["robust" if robust else "statistic"]
    assert ours["variable"].tolist() == theirs["variable"].tolist()
    assert ours["df"].tolist() == theirs["df"].tolist()
    # statistics near zero are squares of a score that is a difference of large sums
    stored.close(ours["statistic"], statistic, RTOL, atol=1e-10)
    stored.close(ours["p_value"], chi2.sf(statistic, theirs["df"]), RTOL)


@pytest.mark.parametrize(("which", "transform"), [pair for pair in PAIRS if pair[0] in ROBUST])
def test_rows_taken_as_independent(which, transform):
    training = fit(which)._training
    data = training.data
    frequency = None if data.frequency is None else data.frequency.astype(int)
    g = transformed(transform, data.sets, duration=training.duration, entry=training.entry, frequency=frequency)
    ours = ph_score(data, training.state(), g).test(np.arange(data.design.n_columns))
    theirs = answer("ph_test", which)
    theirs = theirs[(theirs["transform"] == transform) & (theirs["variable"] == "GLOBAL")].iloc[0]
    assert ours.df == theirs["df"]
    stored.close(ours.statistic, theirs["statistic"], RTOL)
    stored.close(ours.p_value, theirs["p_value"], RTOL)


@pytest.mark.parametrize("which", WITH_WINDOWS)
def test_hazard_ratios_by_window(which):
    of, theirs = stored.case("ph_test", which), answer("ph_windows", which)
    cuts = None if of["cuts"] == "thirds" else [float(cut) for cut in of["cuts"].split("|")]
    result = ph_test(fit(which), cuts=cuts)
    ours = result.windows
    assert list(result.cuts) == theirs.drop_duplicates("window")["cut"].dropna().tolist()
    assert len(ours) == len(theirs)
    assert ours["note"].isna().all()
    stored.close(ours["estimate"], theirs["estimate"], 1e-8, atol=1e-10)
    stored.close(ours["std_error"], theirs["std_error"], 1e-8)
    numeric = ours["category"].isna()
    assert ours["n_events"][numeric].tolist() == theirs["n_events"][numeric].tolist()


def test_a_category_without_churn_in_a_window():
    of = {"data": "small", "set": "clustered"}
    data = stored.frame(of)
    data["group"] = np.resize(["a", "b", "gone"], len(data))
    data.loc[(data["group"] == "gone") & (data["duration"] <= 8), "churned"] = False
    ours = ph_test(ch.cox("x + group", data, entry="entry"), cuts=[8]).windows
    theirs = stored._table("output_ph_test/ph_gone.csv")
    first = ours[ours["window"] == "0-8"].set_index("term")
    stored.close(first.loc[["x", "group: b"], "estimate"], theirs["estimate"], 1e-8)
    stored.close(first.loc[["x", "group: b"], "std_error"], theirs["std_error"], 1e-8)
    assert np.isnan(first.loc["group: gone", "estimate"])
    assert first.loc["group: gone", "note"] == "no churn of this category in this window"


@pytest.mark.parametrize("which", [of["case"] for of in CASES])
def test_joint_tests(which):
    ours, theirs = joint_tests(fit(which)), answer("joint_tests", which)
    assert ours["variable"].tolist() == theirs["variable"].tolist()
    assert ours["df"].tolist() == theirs["df"].tolist()
    stored.close(ours["statistic"], theirs["statistic"], RTOL, atol=1e-10)
    stored.close(ours["p_value"], theirs["p_value"], RTOL)
    first = joint_test(fit(which), theirs["variable"][0])
    stored.close(first.statistic, theirs["statistic"][0], RTOL, atol=1e-10)
    assert first.df == theirs["df"][0]


@pytest.mark.parametrize("which", WITH_CHANNEL)
def test_all_pairs_of_categories(which):
    theirs = answer("contrasts", which)
    for adjust in ("holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"):
        ours = contrasts(fit(which), variable="channel", adjust=adjust).table
        assert ours["contrast"].tolist() == theirs["contrast"].tolist()
        stored.close(ours["estimate"], theirs["estimate"], 1e-8, atol=1e-10)
        stored.close(ours["std_error"], theirs["std_error"], 1e-8)
        stored.close(ours["p_value"], theirs["p_value"], RTOL)
        stored.close(ours["p_adjusted"], theirs[adjust], RTOL)
