"""Concordance against R's concordance: C, its standard error, the pairs, and the influence of each row."""

import numpy as np
import pytest

import churnsurv as ch
from churnsurv.numerics.concordance import concordance
from churnsurv.numerics.risk_sets import risk_sets

from . import stored

RTOL = 1e-10
CASES = stored.case_names("concordance")
WITH_INFLUENCE = [
    of["case"] for of in stored.cases("concordance") if not of["cluster"] and (of["data"] != "churn" or of["entry"])
]
COUNTS = ["concordant", "discordant", "tied_score", "tied_time", "tied_both"]


@pytest.mark.parametrize("which", CASES)
def test_estimate_and_standard_error(which):
    of = stored.case("concordance", which)
    found = ch.concordance(
        stored.frame(of), score=of["score"], strata=stored.columns(of["strata"]), **stored.keywords(of)
    )
    theirs = stored.answer("concordance", which).iloc[0]
    assert [getattr(found, count) for count in COUNTS] == theirs[COUNTS].tolist()
    stored.close(found.estimate, theirs["estimate"], 1e-14)
    # where all pairs agree R's variance is rounding error
    stored.close(found.std_error, theirs["std_error"], RTOL, atol=1e-15)


@pytest.mark.parametrize("which", WITH_INFLUENCE)
def test_influence(which):
    of = stored.case("concordance", which)
    data = stored.frame(of)
    strata = stored.columns(of["strata"])
    codes = None if strata is None else data.groupby(strata).ngroup().to_numpy()
    sets = risk_sets(
        data["duration"].to_numpy(),
        data["churned"].to_numpy(),
        entry=data["entry"].to_numpy() if of["entry"] else None,
        stratum=codes,
        n_strata=1 if codes is None else int(codes.max()) + 1,
    )
    theirs = stored.answer("concordance_influence", which)
    np.testing.assert_array_equal(theirs["row"], np.arange(len(data)))
    stored.close(concordance(sets, data[of["score"]].to_numpy()).influence, theirs["influence"], RTOL, atol=1e-15)
