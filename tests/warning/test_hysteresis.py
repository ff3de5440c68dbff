"""Hysteresis of tiers: which variables may have it, how thresholds move, and what it says; the backtest walks it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.warning import GivenScore
from churnsurv.warning.hysteresis import (
    check_hysteresis,
    check_widths,
    entered_tiers,
    hysteresis_notes,
    stays_in,
    wider,
    wider_rules,
)

from .schemes import HIGH, THREE, rule, scheme


class Cox:
    """What hysteresis asks of a Cox score."""

    names = ("P(churn)", "value over waiting")
    variables = ("balance", "n_investments")


CUTS = {"high": rule("idle_days > 0 and score >= 0.8"), "low": rule("idle_days > 0 and score >= 0.5")}
GIVEN = scheme(CUTS, variables=(), score=GivenScore(idle_days=30))
RULES = scheme(THREE)
COX = scheme({"high": rule("P(churn) >= 0.8")}, variables=Cox.variables, score=Cox())


# -------------------------------------------------------------------------------------------------------- checking


def test_a_balance_and_scores_may_be_named():
    assert check_hysteresis(None, RULES) == check_hysteresis({}, RULES) == {}
    assert check_hysteresis({"balance": 0.1}, RULES) == {"balance": 0.1}
    assert check_hysteresis({"score": 0.25}, GIVEN) == {"score": 0.25}
    assert check_hysteresis({"value over waiting": 0.2}, COX) == {"value over waiting": 0.2}


def test_score_stands_for_all_columns_of_a_score_that_are_not_named():
    assert check_hysteresis({"score": 0.1}, COX) == {"P(churn)": 0.1, "value over waiting": 0.1}
    assert check_hysteresis({"P(churn)": 0.3, "score": 0.1}, COX) == {"P(churn)": 0.3, "value over waiting": 0.1}


@pytest.mark.parametrize(
    ("name", "which", "text"),
    [
        ("idle_days", RULES, "only grow in silence.*given for balance"),
        ("n_investments", RULES, "a change of them is news"),
        ("score", RULES, "rules, not cuts of a score"),
        ("blance", RULES, "Did you mean 'balance'"),
        ("balance", scheme({"high": rule("idle_days > 3")}), "not among the variables.*there are none.*No rule"),
        ("balance", GIVEN, "compare the score, not what it is made of.*given for score"),
        ("balance", COX, "compare the score.*P\\(churn\\), value over waiting, score"),
        ("n_investments", COX, "compare the score"),
        ("idle_days", GIVEN, "only grow in silence"),
        ("P(churn", COX, "Did you mean 'P\\(churn\\)'"),
    ],
)
def test_other_variables_are_refused_with_the_reason(name, which, text):
    with pytest.raises(InputError, match=text):
        check_hysteresis({name: 0.1}, which)


@pytest.mark.parametrize("width", [0, -0.1, 1, 1.5, math.nan, math.inf, True, "0.1", None])
def test_widths_are_shares_of_the_threshold(width):
    with pytest.raises(InputError, match="above 0 and below 1"):
        check_widths({"balance": width})


@pytest.mark.parametrize("given", [0.1, ["balance"], {3: 0.1}])
def test_what_is_no_mapping_by_name_is_refused(given):
    with pytest.raises(InputError, match="hysteresis"):
        check_widths(given)


# ---------------------------------------------------------------------------------------------------------- widening


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("balance < 100", "balance < 125"),
        ("balance <= 100", "balance <= 125"),
        ("balance > 100", "balance > 75"),
        ("balance >= 100", "balance >= 75"),
        ("balance < -100", "balance < -75"),
        ("balance >= -100", "balance >= -125"),
        ("balance < 0", "balance < 0"),
        ("n_investments < 4", "n_investments < 4"),
    ],
)
def test_each_sign_is_moved_to_where_more_users_are(before, after):
    assert wider(rule(before), {"balance": 0.25}) == rule(after)


def test_all_alternatives_are_widened_and_nothing_else():
    assert wider(HIGH, {"balance": 0.5}) == rule(
        "idle_days > 15 and balance < 150", "idle_days > 20 and balance >= 50 and n_investments < 3"
    )
    assert wider(HIGH, {}) == HIGH
    assert wider_rules(RULES, {"balance": 0.1})[1:] == [THREE["medium"], rule("idle_days > 5 and balance < 1100")]


def test_a_wider_rule_holds_wherever_the_rule_does():
    rng = np.random.default_rng(1)
    table = {
        "idle_days": rng.integers(0, 30, 2_000).astype(float),
        "balance": rng.normal(100, 200, 2_000),
        "n_investments": rng.integers(0, 6, 2_000).astype(float),
    }
    rules, looser = list(THREE.values()), wider_rules(RULES, {"balance": 0.3})
    own, wide = stays_in(rules, table), stays_in(looser, table)
    assert (own <= wide).all()
    assert (own < wide).any()
    place = entered_tiers(rules, table)
    highest = [next((k for k in range(3) if own[k, row]), 3) for row in range(2_000)]
    assert place.tolist() == highest


def test_a_missing_value_holds_nobody():
    table = {"idle_days": [20.0, 20.0], "balance": [math.nan, 105.0], "n_investments": [1.0, 1.0]}
    assert stays_in(wider_rules(RULES, {"balance": 0.1}), table).tolist() == [
        [False, True],
        [True, True],
        [False, True],
    ]


# ------------------------------------------------------------------------------------------------------------- words


def test_notes_say_how_long_a_user_stays():
    assert hysteresis_notes(RULES, {}) == []
    (note,) = hysteresis_notes(RULES, {"balance": 0.1})
    assert "(balance 0.1)" in note
    assert "stays in high while (idle_days > 15 and balance < 110) or (idle_days > 20 and balance >= 90" in note
    assert "low while idle_days > 5 and balance < 1,100" in note
    assert "medium" not in note


def test_a_threshold_of_0_is_said_to_be_as_wide_as_before():
    found = hysteresis_notes(
        scheme({"high": rule("value over waiting > 0")}, variables=(), score=Cox()), {"value over waiting": 0.1}
    )
    assert "moves no threshold" in found[0]
    assert "value over waiting > 0 is as wide" in found[1]
