"""The small values that say what churn, a stage and a feature are, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from churnsurv.data import ChurnRule, Feature, Stages
from churnsurv.data.sql import literal
from churnsurv.errors import InputError


def test_a_rule_is_a_value() -> None:
    assert ChurnRule(np.int64(14), ["login"]) == ChurnRule(14, ("login",))
    assert hash(ChurnRule()) == hash(ChurnRule(30, ("login", "invest")))
    assert str(ChurnRule(activity=None)) == "30 days without any event"
    assert ChurnRule(activity=["a", "a", "b"]).activity == ("a", "b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"idle_days": 0}, r"idle_days must be a whole number of days, 1 or more; it is 0"),
        ({"idle_days": 7.0}, r"idle_days must be a whole number of days"),
        ({"idle_days": True}, r"idle_days must be a whole number of days"),
        ({"idle_days": "30"}, r"idle_days must be a whole number of days"),
        ({"idle_days": 2_592_000}, r"Is it in seconds\?"),
        ({"activity": "login"}, r"write activity=\('login',\)"),
        ({"activity": ()}, r"activity is empty"),
        ({"activity": ("login", 3)}, r"3 is not"),
    ],
)
def test_wrong_rules(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChurnRule(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": {"new": 1, "old": 5}}, r"The first stage, 'new', must start at 0, not 1"),
        ({"starts": {"new": 0, "old": 5, "odd": 5}}, r"Stage 'odd' starts at 5, not above the stage before it \(5\)"),
        ({"starts": {"new": 0, "old": -1}}, r"Stage 'old' starts at -1"),
        ({"starts": {"new": 0, "old": "many"}}, r"'old': 'many' is not that"),
        ({"starts": {"new": 0, "old": float("nan")}}, r"'old': nan is not that"),
        ({"starts": {}}, r"Stages.starts maps each stage"),
        ({"by": "stage"}, r"Stages.by names a feature with numbers"),
    ],
)
def test_wrong_stages(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Stages(**settings)


def test_stages_cannot_be_changed_from_outside() -> None:
    starts = {"new": 0, "old": 5}
    stages = Stages(starts=starts)
    starts["older"] = 9
    assert stages.names == ("new", "old")
    with pytest.raises(TypeError):
        stages.starts["older"] = 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agg": "average"}, r"Feature 'f': there is no agg 'average'"),
        ({"agg": "summ", "column": "amount"}, r"Did you mean 'sum'"),
        ({"agg": "sum"}, r"sum needs column="),
        ({"agg": "sum", "column": "amount", "equals": 3}, r"equals= goes with column= and one of count, any, days"),
        ({"agg": "any", "equals": "boosted"}, r"equals= goes with column="),
        ({"agg": "count", "column": 3}, r"column is the name of a column"),
        ({"agg": "count", "kind": 3}, r"kind names event kinds"),
        ({"agg": "count", "kind": ()}, r"kind names event kinds"),
        ({"agg": "count", "last": 0}, r"Feature 'f': last must be a whole number of days, 1 or more"),
        ({"agg": "count", "empty": float("inf")}, r"empty must be a finite number"),
        ({"agg": "count", "empty": "none"}, r"empty must be a finite number"),
    ],
)
def test_wrong_features(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Feature("f", **settings)


def test_a_feature_needs_a_name() -> None:
    with pytest.raises(InputError, match="A feature needs a name"):
        Feature("", agg="count")


def test_only_plain_values_become_sql() -> None:
    assert [literal(value) for value in ("a'b", 3, 2.5, True, None)] == [
        "'a''b'",
        "3",
        "CAST(2.5 AS DOUBLE)",
        "TRUE",
        "NULL",
    ]
    for value in (float("nan"), float("inf"), [1], b"x", np.datetime64("2024-01-01")):
        with pytest.raises(InputError, match=r"can't be written as SQL"):
            literal(value)
