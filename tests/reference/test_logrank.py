"""Log-rank tests against R: survdiff, Mantel's formula under late entry, the robust score test with clusters."""

import numpy as np
import pytest

import churnsurv as ch

from . import stored

RTOL = 1e-9
CASES = stored.case_names("logrank")


def run(which: str, data=None):
    of = stored.case("logrank", which)
    data = stored.frame(of) if data is None else data
    return ch.logrank(data, by=stored.columns(of["by"]), strata=stored.columns(of["strata"]), **stored.keywords(of))


@pytest.mark.parametrize("which", CASES)
def test_statistic(which):
    test = run(which)
    theirs = stored.answer("logrank", which).iloc[0]
    assert test.df == theirs["df"]
    stored.close(test.statistic, theirs["statistic"], RTOL)
    stored.close(test.p_value, theirs["p_value"], RTOL)


@pytest.mark.parametrize("which", CASES)
def test_observed_and_expected(which):
    table = run(which).table
    theirs = stored.answer("logrank_groups", which)
    assert list(table["group"]) == list(theirs["group"])
    np.testing.assert_array_equal(table["n"], theirs["n"])
    np.testing.assert_array_equal(table["observed"], theirs["observed"])
    stored.close(table["expected"], theirs["expected"], RTOL)
