"""The door to Gray's test: one row a cause, effects beside, bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError
from churnsurv.survival.competing import cumulative_incidence
from churnsurv.survival.fine_gray import fine_gray
from churnsurv.survival.gray import gray_test
from churnsurv.tables import schema
from tests.survival.test_competing import users


def test_table_and_effects():
    data = users(400, known=0.8).assign(plan=lambda t: np.array(["a", "b", "c"])[t.index % 3])
    found = gray_test(data, cause="why", by="plan")
    assert tuple(found.table.columns) == schema("gray_test").names
    assert tuple(found.effects.columns) == schema("gray_effects").names
    assert found.table["cause"].tolist() == ["moved", "price", "service", "unknown"]
    assert (found.table["df"] == 2).all()
    p = found.table["p_value"].sort_values().to_numpy()
    adjusted = np.minimum(np.maximum.accumulate(p * [4, 3, 2, 1]), 1)
    np.testing.assert_allclose(found.table["p_adjusted"].sort_values(), adjusted)
    assert len(found.effects) == 4 * 2
    assert json.loads(found.to_json())["facts"]["adjust"] == "holm"
    assert found.of("price").p_value == found.table.set_index("cause").loc["price", "p_value"]


@pytest.mark.parametrize("late", [False, True])
def test_the_hazard_ratios_are_those_of_fine_gray(late):
    data = users(400).assign(
        entry=lambda t: np.where(t.index % 4 == 0, t.index % 20, 0) * late, s=lambda t: t.index % 2
    )
    effects = gray_test(data, cause="why", by="channel", strata="s", entry="entry").effects
    for cause, row in effects.set_index("cause").iterrows():
        fit = fine_gray("channel", data, cause="why", cause_of_interest=cause, strata="s", entry="entry")
        np.testing.assert_allclose(row[["hazard_ratio", "hr_lower", "hr_upper"]].astype(float),
                                   fit.table[["hazard_ratio", "hr_lower", "hr_upper"]].iloc[0], rtol=1e-9)  # fmt: skip


def test_the_differences_are_those_of_the_curves():
    data = users(400)
    effects = gray_test(data, cause="why", by="channel", level=0.9).effects
    curves = cumulative_incidence(data, cause="why", by="channel")
    day = min(curves.last_day.values())
    at = curves.at(day).set_index(["cause", "group"])
    for cause, row in effects.set_index("cause").iterrows():
        a, b = at.loc[(cause, "ads")], at.loc[(cause, "friend")]
        assert row["time"] == day
        assert row["difference"] == pytest.approx(b["incidence"] - a["incidence"])
        error = np.hypot(a["std_error"], b["std_error"])
        assert row["upper"] - row["difference"] == pytest.approx(1.6448536269514722 * error)


def test_a_group_without_the_cause_has_no_ratio():
    data = users(400).assign(plan=lambda t: np.array(["a", "b", "c"])[t.index % 3])
    data.loc[(data["plan"] == "b") & (data["why"] == "price"), "why"] = "moved"
    effects = gray_test(data, cause="why", by="plan", cause_of_interest="price").effects.set_index("group")
    assert np.isnan(effects.loc["b", "hazard_ratio"])
    assert effects.loc["b", "note"] == "no churn of this cause in the group"
    assert effects.loc["c", "hazard_ratio"] > 0
    assert effects.loc["c", "note"] is None
    data.loc[(data["plan"] == "a") & (data["why"] == "price"), "why"] = "moved"
    effects = gray_test(data, cause="why", by="plan", cause_of_interest="price").effects
    assert effects["hazard_ratio"].isna().all()
    assert (effects["note"] == "no churn of this cause in the reference group").all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"by": []}, "gray_test needs `by`"),
        ({"by": "one"}, "all rows have the same value of 'one'"),
        ({"cause_of_interest": "prices"}, "Did you mean 'price'"),
        ({"cluster": "user_id"}, "takes rows as independent"),
        ({"rho": float("nan")}, "rho must be a finite number"),
        ({"strata": "channel"}, "no two groups are at risk together"),
    ],
)
def test_bad_input(change, says):
    with pytest.raises(InputError, match=says):
        gray_test(users().assign(one=1), **{"cause": "why", "by": "channel", **change})


def test_all_churn_on_day_zero():
    data = pd.DataFrame({"duration": 0, "churned": [1, 1, 0, 1, 0, 0], "why": list("abcaab"), "g": list("xxxyyy")})
    found = gray_test(data, cause="why", by="g")
    assert found.table["cause"].tolist() == ["a", "b"]
    assert found.table["p_value"].between(0, 1).all()
