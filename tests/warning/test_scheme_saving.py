"""A scheme saved and read again is the same to the last bit; what is damaged or foreign is named by its key."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.data import ChurnRule, Feature
from churnsurv.errors import InputError
from churnsurv.tables.saved import load
from churnsurv.warning import TierScheme
from churnsurv.warning.rules import Condition, Rule
from churnsurv.warning.scheme_saving import from_json, to_json
from tests.warning.schemes import RECENT, THREE, rule, scheme

TABLES = ("table", "thresholds", "alternatives", "sensitivity")


def own(**changed: Any) -> TierScheme:
    """A scheme with all that can be in one."""
    tiers = {'高 \\ "high"': rule(f"idle_days > 15 and {RECENT.name} < 0.1"), **THREE}
    return scheme(tiers, missing={"balance": 0.1 + 0.2}, churn_rule=ChurnRule(30, None), **changed)


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit and of the same types."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        signs = one.select_dtypes("float64").map(lambda v: math.copysign(1, v) if v == v else 0)
        return bool(signs.equals(other.select_dtypes("float64").map(lambda v: math.copysign(1, v) if v == v else 0)))
    if isinstance(one, float):
        return isinstance(other, float) and np.float64(one).tobytes() == np.float64(other).tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "figures"):
        return all(same(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))
    return type(one) is type(other) and bool(one == other)


def assert_same(one: TierScheme, other: TierScheme) -> None:
    for field in fields(TierScheme):
        assert same(getattr(one, field.name), getattr(other, field.name)), field.name


# -------------------------------------------------------------------------------------------------------- and back


@pytest.mark.parametrize("told", [own(), scheme(THREE), scheme({"low": Rule()})])
def test_everything_comes_back_to_the_last_bit(told: TierScheme, tmp_path: Path) -> None:
    assert_same(told, from_json(to_json(told)))
    path = told.save(tmp_path / "分級.json")
    again = load(path)
    assert_same(told, again)
    assert again.to_json() == told.to_json()
    assert again.save(path).read_bytes() == path.read_bytes()


def test_questions_have_the_same_answers() -> None:
    told = own()
    again = TierScheme.from_json(told.to_json())
    frame = pd.DataFrame(
        {"user_id": range(40), "idle_days": range(40), "balance": 50.0, "n_investments": 1, RECENT.name: [0, 1] * 20}
    )
    pd.testing.assert_frame_equal(told.assign(frame).table, again.assign(frame).table)
    assert told.explain(frame, 17).text == again.explain(frame, 17).text
    assert told.to_sql("users") == again.to_sql("users")
    assert repr(told) == repr(again)
    assert again.features == told.features
    assert RECENT in again.features


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_every_double_survives(numbers: list[float]) -> None:
    first, second, third = numbers
    made = Rule([[Condition("idle_days", ">", first), Condition("balance", "<", second)]])
    told = scheme({"high": made}, missing={"balance": third})
    assert_same(told, from_json(to_json(told)))


@pytest.mark.parametrize(
    "feature",
    [
        Feature("a", agg="share", column="product", equals="boosted", kind="invest"),
        Feature("b", agg="max", column="amount", last=30, empty=0.1),
        Feature("c", agg="count", column="n", equals=0.1 + 0.2),
        Feature("d", agg="any", column="yes", equals=True),
        Feature("e", agg="mean", column="amount"),
        Feature("f", agg="count", column="n", equals=np.int64(3)),
    ],
)
def test_features_survive(feature: Feature) -> None:
    told = scheme({"high": rule(f"{feature.name} > 1")}, variables=(feature,))
    (again,) = from_json(to_json(told)).variables
    assert again == feature
    assert type(again.equals) is not np.int64


def test_a_feature_that_json_does_not_know() -> None:
    odd = Feature("odd", agg="count", column="day", equals=pd.Timestamp("2024-01-01"))
    with pytest.raises(InputError, match="feature 'odd' has equals=Timestamp"):
        to_json(scheme({"high": rule("odd > 1")}, variables=(odd,)))


def test_all_fields_are_written() -> None:
    written = json.loads(to_json(scheme(THREE)))["scheme"]
    assert {field.name.removeprefix("_") for field in fields(TierScheme)} == set(written)


def test_readers_of_results_find_their_keys() -> None:
    told = json.loads(own().to_json())
    assert (told["kind"], told["schema"]["name"], told["format"]) == (
        "TierScheme", "tier_rules", {"kind": "TierScheme", "version": 1},
    )  # fmt: skip
    assert told["facts"]["rule"]["idle_days"] == 30
    assert told["table"]["tier"] == [tier.name for tier in own().tiers]


# ------------------------------------------------------------------------------------------------ damaged, changed


@cache
def saved() -> str:
    return to_json(own())


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    whole = json.loads(saved())
    change(whole)
    return json.dumps(whole)


def of_scheme(**update: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: whole["scheme"].update(update)


def of_tier(place: int, **update: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: whole["scheme"]["tiers"][place].update(update)


def threshold(whole: dict[str, Any]) -> None:
    whole["scheme"]["tiers"][1]["rule"][0][0]["threshold"] = 14


def test_a_change_of_nothing_is_read() -> None:
    assert_same(own(), from_json(changed(len)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("format"), "holds the result of a TierScheme without its 'format', not a saved TierScheme"),
        (lambda w: w.update(format={"kind": "CoxFit", "version": 1}), "holds a CoxFit, not a saved TierScheme"),
        (lambda w: w.update(format={"kind": "TierScheme", "version": 2}), "newer churnsurv"),
        (lambda w: w.update(format={"kind": "TierScheme", "version": "1"}), "version is '1'"),
        (lambda w: w.update(format={"kind": "TierScheme", "version": True}), "version is True"),
        (lambda w: w.pop("scheme"), "scheme is missing"),
        (lambda w: w["scheme"].pop("tiers"), "scheme lacks 'tiers'"),
        (of_scheme(colour=1), "scheme has 'colour', which this version doesn't know"),
        (of_scheme(tiers=[]), r"scheme\.tiers has the names \[\]"),
        (of_scheme(tiers={}), r"scheme\.tiers must be a list"),
        (lambda w: w["scheme"]["tiers"].reverse(), r"scheme\.tiers\[0\] says 'low', and scheme\.table\['tier'\]"),
        (lambda w: w["scheme"]["tiers"].pop(), r"scheme\.tiers\[3\] says None"),
        (threshold, r"scheme\.tiers\[1\] says .* > 14 .* and scheme\.table\['rule'\] .* > 15"),
        (of_tier(1, name="medium"), "each once"),
        (of_tier(1, name=3), r"scheme\.tiers\[1\]\.name must be a text; it is 3"),
        (of_tier(1, rule=[[{"variable": "balance", "sign": "=", "threshold": 1}]]), r"tiers\[1\]\.rule .* sign"),
        (of_tier(1, rule=[[{"variable": "balance", "sign": "<"}]]), r"tiers\[1\]\.rule cannot be read.*threshold"),
        (of_tier(1, rule=[[{"variable": "b", "sign": "<", "threshold": "9"}]]), r"tiers\[1\]\.rule cannot be read"),
        (of_tier(1, rule=3), r"tiers\[1\]\.rule cannot be read"),
        (of_tier(1, rule=[[]]), r"tiers\[1\]\.rule .*one to three conditions"),
        (of_tier(1, fitted=[[{"variable": "b", "sign": "<", "threshold": 9}]]), r"tiers\[1\] looks at 'b'"),
        (of_tier(1, objective={"kind": "profit"}), r"tiers\[1\]\.objective .*'profit'"),
        (of_tier(1, objective={"kind": "capacity", "per_day": -3}), r"tiers\[1\]\.objective .*above 0"),
        (of_tier(1, objective={"kind": "precision", "goal": 3}), r"tiers\[1\]\.objective cannot be read"),
        (of_tier(1, objective={"kind": "value"}), r"tiers\[1\]\.objective cannot be read"),
        (of_tier(1, figures={"alerts": "many"}), r"tiers\[1\]\.figures\['alerts'\] must be a number"),
        (of_scheme(variables=["n_investments", "balance"]), "'recent days', which is not in scheme.variables"),
        (of_scheme(variables=[{"name": "recent days"}]), r"variables\[0\] lacks 'agg'"),
        (of_scheme(variables=[3]), r"variables\[0\] is missing, or no object: 3"),
        (of_scheme(grids={"x": [1.0]}), r"scheme\.grids has 'x'"),
        (of_scheme(grids={"balance": ["1"]}), r"grids\['balance'\]\[0\] must be a number; it is '1'"),
        (of_scheme(missing={"balance": None}), r"missing\['balance'\] must be a number"),
        (of_scheme(missing={"balance": math.inf}), r"missing\['balance'\] must be a finite number"),
        (of_scheme(missing={"balance": 10**400}), r"missing\['balance'\] must be a finite number"),
        (of_scheme(churn_rule={"idle_days": 0, "activity": None}), r"churn_rule cannot be read: idle_days must"),
        (of_scheme(churn_rule={"idle_days": 30}), "churn_rule lacks 'activity'"),
        (of_scheme(window=["2024-01-01"]), "window must be its first and its last day"),
        (of_scheme(window=["2024-06-01", "2024-01-01"]), "window must be its first and its last day"),
        (of_scheme(known_until="someday"), r"known_until must be a day .* 'someday'"),
        (of_scheme(n_users=-1), r"n_users must be a whole number, 0 or more; it is -1"),
        (of_scheme(seed=1.5), r"seed must be a whole number"),
        (of_scheme(level=95), "level is 95"),
        (of_scheme(data_hash=None), "data_hash must be a text"),
        (of_scheme(notes="none"), "notes must be a list"),
        (of_scheme(table={"tier": {"type": "text", "values": ["a"]}}), r"scheme\.tiers\[0\] says"),
        (of_scheme(table={}), "scheme.table lacks 'tier'"),
        (of_scheme(sensitivity={"value": {"type": "blob", "values": []}}), r"sensitivity\['value'\]\.type is 'blob'"),
        (of_scheme(sensitivity={"value": {"type": "number", "values": ["x"]}}), r"values\[0\] must be a number"),
        (
            of_scheme(
                sensitivity={"a": {"type": "number", "values": [1]}, "b": {"type": "number", "values": []}},
            ),
            "columns of different lengths",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_key(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_json(changed(change))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        (saved()[:500], "cut off"),
        ("[1, 2]", "a JSON list"),
        ("{}", "something else"),
        ('{"format": {"kind": 3}}', "something else"),
        ("[" * 100_000, "nested too deeply|no JSON"),
    ],
)
def test_other_text(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_json(text)


@given(place=st.integers(0, 10**6), letter=st.characters(min_codepoint=32, max_codepoint=126))
@settings(max_examples=100, deadline=None)
def test_one_changed_letter_never_ends_in_another_kind_of_error(place: int, letter: str) -> None:
    text = saved()
    place %= len(text)
    with contextlib.suppress(InputError):
        assert from_json(text[:place] + letter + text[place + 1 :]).tiers


# ---------------------------------------------------------------------------------------------------------- files


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tiers.json"
    path.write_text(changed(of_scheme(level="0.95")), encoding="utf-8")
    with pytest.raises(InputError, match=r"tiers\.json' is damaged, or was changed: scheme\.level must be a number"):
        load(path)


def test_saving_over_a_saved_one(tmp_path: Path) -> None:
    path = tmp_path / "tiers.json"
    scheme(THREE).save(path)
    own().save(str(path))
    assert_same(load(path), own())
    assert [each.name for each in tmp_path.iterdir()] == ["tiers.json"]
