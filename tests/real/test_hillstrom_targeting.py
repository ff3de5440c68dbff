"""Targeting on Hillstrom's e-mail campaign: nobody is censored, so everything can be checked by plain means."""

import numpy as np
import pandas as pd
import pytest

from churnsurv.recall.targeting import targeting_curve
from tests.recall.campaign import made_rows

from .conftest import folder


@pytest.fixture(scope="module")
def hillstrom():
    return pd.read_csv(folder("hillstrom") / "hillstrom_half.csv.gz")


@pytest.fixture(scope="module")
def rows(hillstrom):
    """A visit within two weeks is the return; its day is not in the data, and does not matter without censoring."""
    arms = ("Mens E-Mail", "No E-Mail", "Womens E-Mail")
    visit = hillstrom["visit"].to_numpy() == 1
    names = ("recency", "history", "mens", "womens", "newbie")
    return made_rows(
        time=np.where(visit, 1, 99), returned=visit, followed=np.full(len(visit), 14), horizon=14, arms=arms,
        arm=hillstrom["segment"].map({arm: code for code, arm in enumerate(arms)}),
        pre={name: hillstrom[name] for name in names},
    )  # fmt: skip


def test_the_effect_on_all_is_the_plain_difference_with_unpooled_errors(hillstrom, rows):
    from statsmodels.stats.proportion import confint_proportions_2indep

    curve = targeting_curve(rows, scores="history", control="No E-Mail", covariates=(), shares=[1.0])
    groups = hillstrom.groupby("segment")["visit"].agg(["sum", "size"])
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        (s1, n1), (s0, n0) = (groups.loc[each] for each in (arm, "No E-Mail"))
        table = curve.table[(curve.table["arm"] == arm) & (curve.table["measure"] == "effect")].iloc[0]
        p1, p0 = s1 / n1, s0 / n0
        assert table["estimate"] == pytest.approx(1000 * (p1 - p0), abs=1e-9)
        wald = np.sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
        assert table["std_error"] == pytest.approx(1000 * wald, rel=1e-10)
        low, high = confint_proportions_2indep(s1, n1, s0, n0, method="wald", compare="diff")
        # Student's limits of thousands of users are the normal ones to a part in a thousand
        assert table[["lower", "upper"]].tolist() == pytest.approx([1000 * low, 1000 * high], abs=0.02)


def test_women_are_who_the_womens_mail_is_for(rows):
    """The one finding about this campaign that everybody reports; a score with two values, and one of thousands."""
    scores = {"bought women's": "womens", "history": "history"}
    curve = targeting_curve(rows, scores=scores, arms="Womens E-Mail", control="No E-Mail", covariates=())
    rates = curve.rates.set_index(["score", "measure"])
    assert rates.loc[("bought women's", "autoc"), "p_value"] < 1e-3
    assert rates.loc[("bought women's", "autoc"), "estimate"] > 5
    table = curve.table[(curve.table["score"] == "bought women's") & (curve.table["measure"] == "effect")]
    # equal scores share their places: the effect is the same at every share of those who bought
    bought = rows.pre["womens"].mean()
    inside = table[table["share"] < bought]
    assert np.ptp(inside["estimate"]) < 1e-9
    assert len(inside) > 40
