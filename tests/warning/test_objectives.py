"""Objectives and saving curves: what they say, what they refuse, and that they survive being written down."""

import json

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError, SchemaError
from churnsurv.warning import Capacity, Precision, Saving, Value
from churnsurv.warning.objectives import objective_from_plain

DAYS = np.arange(1, 30)
TABLE = pd.DataFrame(
    {"idle_days": [1, 10, 29], "s": [0.3, 0.3, 0.0], "lower": [0.2, 0.2, 0.0], "upper": [0.4, 0.4, 0.1]}
)
CURVES = [Saving.plateau(), Saving.linear(top=0.2, idle_days=25), Saving.from_table(TABLE)]
OBJECTIVES = [Value(saved_value=100, contact_cost=1.5, saving=curve) for curve in CURVES]
OBJECTIVES += [Precision(target=0.6), Capacity(per_day=40)]


def test_a_plateau_starts_at_its_top_and_follows_its_formula():
    curve = Saving.plateau(top=0.3, middle=20, width=3)
    days = np.array([0.0, 7.0, 20.0, 29.0])
    assert curve.at(days).tolist() == pytest.approx(
        (0.3 * (1 + np.exp(-20 / 3)) / (1 + np.exp((days - 20) / 3))).tolist(), rel=1e-12
    )
    assert curve.at([0]).tolist() == [0.3]
    assert Saving.plateau(width=0.01).at([0, 19, 21]).tolist() == pytest.approx([0.3, 0.3, 0.0])


def test_a_line_ends_at_nothing():
    assert Saving.linear(top=0.3, idle_days=30).at([0, 10, 30, 40]).tolist() == pytest.approx([0.3, 0.2, 0.0, 0.0])


def test_a_table_is_interpolated_and_not_extrapolated():
    curve = Saving.from_table(TABLE)
    assert curve.at([1, 5, 10, 19.5]).tolist() == pytest.approx([0.3, 0.3, 0.3, 0.15])
    with pytest.raises(InputError, match=r"from idle day 1 to 29, and s is needed from day 0"):
        curve.at([0, 5])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_objectives_are_json_and_back(objective):
    assert objective_from_plain(json.loads(json.dumps(objective.to_plain()))) == objective


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_variants_are_other_curves_that_fall_too(curve):
    variants = curve.variants()
    assert len({label for label, _ in variants}) == len(variants) >= 2
    for _, each in variants:
        assert each != curve
        Value(saved_value=1, contact_cost=0, saving=each).worth(DAYS)


def test_variants_of_a_table_are_its_limits_or_a_quarter_more_and_less():
    limits = dict(Saving.from_table(TABLE).variants())
    assert limits["lower limits"].s == (0.2, 0.2, 0.0)
    assert limits["upper limits"].s == (0.4, 0.4, 0.1)
    plain = dict(Saving.from_table(TABLE[["idle_days", "s"]]).variants())
    assert plain["s times 0.75"].s == pytest.approx((0.225, 0.225, 0.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Value(saved_value=100, contact_cost=1), "needs saving"),
        (lambda: Value(), "needs saved_value and contact_cost and saving"),
        (lambda: Value(saved_value=0, contact_cost=1, saving=CURVES[0]), "saved_value must be a number above 0"),
        (lambda: Value(saved_value=1, contact_cost=-1, saving=CURVES[0]), "contact_cost must be a number of 0 or more"),
        (lambda: Value(saved_value=1, contact_cost=True, saving=CURVES[0]), "contact_cost must be a number"),
        (lambda: Value(saved_value=1, contact_cost=1, saving=0.3), "the best day would always be the last one"),
        (lambda: Value(saved_value=1, contact_cost=1, saving="plateau"), "must be a ch.Saving"),
        (lambda: Precision(), "needs target="),
        (lambda: Precision(target=1.0), "between 0 and 1"),
        (lambda: Precision(target=60), "percent"),
        (lambda: Precision(target="a"), "must be a number above 0"),
        (lambda: Capacity(), "needs per_day="),
        (lambda: Capacity(per_day=0), "must be a number above 0"),
        (lambda: Capacity(per_day=float("nan")), "must be a number above 0"),
        (lambda: Saving.plateau(top=30), "percent"),
        (lambda: Saving.plateau(width=0), "width must be a number above 0"),
        (lambda: Saving.plateau(middle=float("inf")), "middle must be a number"),
        (lambda: Saving.linear(idle_days=-1), "idle_days must be a number above 0"),
        (lambda: Saving("plateu", ()), "Did you mean 'plateau'"),
        (lambda: Saving("linear", (("top", 0.3),)), "has the parameters"),
        (lambda: Saving.from_table({"idle_days": [1, 29], "s": [0.2, 0.2]}), "s is 0.2 on every day"),
        (lambda: Saving.from_table({"idle_days": [1, 9, 29], "s": [0.2, 0.3, 0.1]}), "on day 9 it rises"),
        (lambda: Saving.from_table({"idle_days": [1, 29], "s": [20, 10]}), "probability from 0 to 1; on idle day 1"),
        (lambda: Saving.from_table({"idle_days": [9, 1], "s": [0.2, 0.1]}), "idle_days must rise"),
        (lambda: Saving.from_table({"idle_days": [1], "s": [0.2]}), "two rows or more"),
        (lambda: Saving.from_table({"idle_days": [1, 2], "s": [0.2, 0.1], "lower": [0, 0]}), "both limits"),
        (lambda: Saving.from_table({"idle_days": [1, 2], "s": [0.2, float("nan")]}), "saving: s must be a number"),
        (lambda: objective_from_plain({"kind": "profit"}), "no objective of kind 'profit'"),
    ],
)
def test_what_is_not_an_objective_is_refused_with_the_reason(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_table_without_s_is_refused_with_the_nearest_name():
    with pytest.raises(SchemaError, match="'s' is missing"):
        Saving.from_table({"idle_days": [1, 29], "saved": [0.2, 0.1]})


def test_a_curve_that_is_flat_over_the_days_of_the_rule_is_refused():
    late = Saving.from_table({"idle_days": [0, 1, 40, 50], "s": [0.3, 0.2, 0.2, 0.1]})
    with pytest.raises(InputError, match=r"the same on every idle day from 1 to 29 \(0.2\)"):
        Value(saved_value=1, contact_cost=0, saving=late).worth(DAYS)
