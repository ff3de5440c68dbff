"""A fit that went through JSON predicts to the last bit what it predicted before; a damaged text says what is wrong."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
from dataclasses import fields, replace
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.prediction import churn_probability, expected_days, risk, survival
from churnsurv.survival.saving import from_json, load, to_json
from churnsurv.survival.scoring_sql import to_sql


@cache
def _rows(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    duration = rng.integers(31, 120, n)
    return pd.DataFrame(
        {
            "user_id": np.arange(n),
            "entry": np.where(rng.random(n) < 0.3, 20, 0),
            "duration": duration,
            "churned": rng.random(n) < 0.7,
            "channel": rng.choice(["有機", "friend", 'a "quoted" one'], n),
            "plan": pd.Series(rng.choice(["a", "b", None], n, p=[0.5, 0.3, 0.2]), dtype=object),
            "level": rng.integers(1, 4, n),
            "size": rng.choice([0.5, 1.5, 2.0], n),
            "vip": rng.random(n) < 0.3,
            "amount": np.round(np.exp(rng.normal(5, 1, n)), 2),
            "x": rng.normal(size=n),
            "cohort": rng.choice(["2024-01", "2024-02"], n),
            "known": rng.normal(size=n) / 4,
        }
    )


def rows(seed: int = 0, n: int = 300) -> pd.DataFrame:
    return _rows(seed, n).copy()


PARTS = [
    *("channel", "plan", "vip", "C(level)", "C(size)", "x", "log1p(amount)", "center(x)", "scale(amount)"),
    *("poly(x, 3)", "bs(x, df=4)", "cs(log1p(amount), df=3)", "cr(amount, df=3)", "I(x > 0)", "I(channel == '有機')"),
    *("I(amount / 100)", "channel:x", "plan:vip", "C(level):log1p(amount)", "poly(amount, 2, raw=True)"),
]


@given(
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True),
    strata=st.sampled_from([None, "cohort", ["cohort", "vip"]]),
    cluster=st.booleans(),
    seed=st.integers(0, 3),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_predictions_are_the_same_to_the_last_bit(parts, strata, cluster, seed):
    frame = rows(seed)
    try:
        fit = ch.cox(
            " + ".join(parts), frame, strata=strata, cluster="user_id" if cluster else None,
            entry="entry", offset="known" if seed % 2 else None,
        )  # fmt: skip
    except (ConvergenceError, InputError):
        assume(False)  # columns that determine each other, or too few clusters
    again = from_json(to_json(fit))
    assert (risk(again, frame).values == risk(fit, frame).values).all()
    ours, theirs = survival(again, frame, [30, 60]), survival(fit, frame, [30, 60])
    assert (ours.values == theirs.values).all()
    np.testing.assert_allclose(ours.lower, theirs.lower, rtol=1e-9)
    np.testing.assert_allclose(ours.upper, theirs.upper, rtol=1e-9)
    assert (
        churn_probability(again, frame, horizon=30, alive_at=20).values
        == churn_probability(fit, frame, horizon=30, alive_at=20).values
    ).all()
    pd.testing.assert_frame_equal(again.table, fit.table, check_exact=True)
    pd.testing.assert_frame_equal(again.baseline, fit.baseline, check_exact=True)
    assert to_sql(again, "t", horizons=60) == to_sql(fit, "t", horizons=60)


def everything() -> ch.CoxFit:
    return ch.cox(
        "channel * x + bs(amount, df=4) + C(level) + plan",
        rows(),
        strata="cohort",
        cluster="user_id",
        offset="known",
        entry="entry",
        reference={"channel": "friend"},
        level=0.9,
    )


def test_every_field_comes_back():
    fit = everything()
    again = from_json(to_json(fit))
    assert again._training is None
    for field in fields(fit):
        ours, theirs = getattr(again, field.name), getattr(fit, field.name)
        if field.name == "_training":
            continue
        assert type(ours) is type(theirs), field.name
        if isinstance(theirs, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
            assert not ours.flags.writeable
        elif not isinstance(theirs, BaselineMoments | pd.DataFrame):
            assert ours == theirs, field.name
    for field in fields(BaselineMoments):
        ours, theirs = getattr(again._moments, field.name), getattr(fit._moments, field.name)
        if field.name == "gradient":
            np.testing.assert_allclose(ours, theirs, rtol=2e-11, atol=0)
        else:
            assert np.asarray(ours).dtype == np.asarray(theirs).dtype
            np.testing.assert_array_equal(ours, theirs)


def test_tests_and_expected_days_come_back():
    fit = everything()
    again = from_json(to_json(fit))
    for name in ("likelihood_ratio_test", "wald_test", "score_test"):
        assert getattr(again, name).statistic == getattr(fit, name).statistic
        assert getattr(again, name).method == getattr(fit, name).method
    ours, theirs = (expected_days(one, rows().head(20), horizon=60) for one in (again, fit))
    assert (ours.values == theirs.values).all()
    np.testing.assert_allclose(ours.lower, theirs.lower, rtol=1e-9)
    assert repr(again) == repr(fit)
    # what needs the rows finds them in the table
    pd.testing.assert_frame_equal(again.residuals(data=rows()), fit.residuals())
    with pytest.raises(InputError, match="data="):
        again.residuals()


@pytest.mark.parametrize(
    "arguments",
    [
        {"penalty": "firth"},
        {"penalty": 0.05, "l1_ratio": 1.0, "unpenalised": "x"},
        {"penalty": 0.2},
        {"ties": "grouped", "strata": "cohort"},
        {"weights": "size", "weights_kind": "sampling"},
        {"cause": "plan", "cause_of_interest": "a"},
    ],
)
@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_every_way_to_fit_comes_back(arguments):
    frame = rows()
    fit = ch.cox("channel + x", frame, **arguments)
    again = from_json(to_json(fit))
    pd.testing.assert_frame_equal(again.table, fit.table, check_exact=True)
    pd.testing.assert_frame_equal(again.baseline, fit.baseline, check_exact=True)
    assert again._to_plain() == fit._to_plain()
    assert (survival(again, frame, 60).values == survival(fit, frame, 60).values).all()


def test_saving_twice_writes_the_same():
    first = to_json(everything())
    assert to_json(from_json(first)) == first


def test_readers_of_results_find_the_same_keys():
    fit = everything()
    whole, result = json.loads(to_json(fit)), fit._to_plain()
    assert {key: whole[key] for key in ("kind", "schema", "facts", "table")} == json.loads(json.dumps(result))
    assert whole["format"] == {"kind": "CoxFit", "version": 1}


def test_no_rows_are_written():
    frame = rows()
    frame["amount"] += 0.123456
    text = to_json(ch.cox("log1p(amount)", frame))
    assert "_training" not in text
    assert "123456" not in text


def test_a_fit_of_two_years_and_twenty_terms_takes_kilobytes():
    rng = np.random.default_rng(3)
    n = 4000
    frame = pd.DataFrame(rng.normal(size=(n, 20)), columns=[f"x{j}" for j in range(20)])
    frame["duration"], frame["churned"] = np.tile(np.arange(1, 731), 6)[:n], True
    fit = ch.cox(" + ".join(f"x{j}" for j in range(20)), frame)
    assert fit._moments.gradient.shape == (730, 20)
    size = len(to_json(fit).encode())
    assert size < 135_000
    assert (risk(from_json(to_json(fit)), frame).values == risk(fit, frame).values).all()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "流失", "(missing)"], str),
        ([True, False], bool),
        ([1, 2, 3], int),
        ([0.1, 2.5], float),
        ([pd.Timestamp("2024-05-01"), pd.Timestamp("2024-06-01 12:00", tz="UTC")], pd.Timestamp),
        ([pd.Interval(0, 1), pd.Interval(1, 2, closed="left")], pd.Interval),
        ([datetime.date(2024, 5, 1), datetime.date(2024, 6, 1)], datetime.date),
        ([Decimal("1.10"), Decimal("2")], Decimal),
        ([1, "1.0", None, True], None),
        ([pd.Timedelta(days=1), datetime.datetime(2024, 5, 1, 3)], None),
    ],
)
def test_categories_keep_their_types(values, kind):
    fit = ch.cox("C(level)", rows())
    (name, code), *_ = fit._encoding.factors.items()
    changed = replace(fit._encoding, factors={name: replace(code, categories=(*code.categories[:1], *values))})
    # the number of columns is checked, so the fit gets as many
    wide = replace(fit, _encoding=changed)
    text = to_json(wide)
    found = json.loads(text)["fit"]["_encoding"]["fields"]["factors"]
    if len(values) != 2:
        with pytest.raises(InputError, match="another number of columns"):
            from_json(text)
    else:
        again = from_json(text)._encoding.factors[name].categories[1:]
        assert again == tuple(values)
        assert [type(a) for a in again] == [type(v) for v in values]
        assert kind is None or all(isinstance(a, kind) for a in again)
    assert found


def test_categories_of_other_types_are_refused_by_name():
    fit = ch.cox("C(level)", rows())
    with pytest.raises(InputError, match=r"cause_of_interest holds .* a complex"):
        to_json(replace(fit, cause_of_interest=1j))


@pytest.mark.parametrize(
    "value", [None, "text", 3, 2.5, True, datetime.date(2024, 1, 1), float("inf"), ("a", 1), [1, None]]
)
def test_plain_fields_come_along(value):
    fit = replace(ch.cox("x", rows()), cause_of_interest=value, _source={"data": {1: value, "$odd": [value]}})
    again = from_json(to_json(fit))
    assert again.cause_of_interest == value
    assert type(again.cause_of_interest) is type(value)
    assert again._source == {"data": {1: value, "$odd": [value]}}


# --- what is no saved fit ---


def changed(change) -> str:
    whole = json.loads(saved())
    change(whole)
    return json.dumps(whole)


@cache
def saved() -> str:
    return to_json(ch.cox("channel + poly(x, 2)", rows(), strata="cohort"))


def test_a_change_of_nothing_is_read():
    assert from_json(changed(len)).formula == "channel + poly(x, 2)"


def cut(whole):
    data = whole["fit"]["_moments"]["fields"]["hazard"]["$array"]
    data["data"] = data["data"][: len(data["data"]) // 8 * 4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("format"), "not a saved fit"),
        (lambda w: w.update(format={"kind": "Lift", "version": 1}), "holds a Lift"),
        (lambda w: w.update(format={"kind": "CoxFit", "version": 2}), "newer churnsurv"),
        (lambda w: w.update(format={"kind": "CoxFit", "version": "1"}), "version is '1'"),
        (lambda w: w.update(format={"kind": "CoxFit", "version": True}), "version is True"),
        (lambda w: w.pop("fit"), "fit is missing"),
        (lambda w: w["fit"].pop("_estimates"), "lacks '_estimates'"),
        (lambda w: w["fit"].update(colour=1), "'colour', which this version doesn't know"),
        (lambda w: w["fit"].update(level="0.95"), r"fit\.level is no float"),
        (lambda w: w["fit"].update(n=True), r"fit\.n is no int"),
        (lambda w: w["fit"].update(strata=["cohort"]), r"fit\.strata is no tuple"),
        (lambda w: w["fit"].update(_encoding={"$object": "Row", "fields": {}}), "lacks 'term'"),
        (lambda w: w["fit"].update(_encoding={"$object": "Path", "fields": {}}), "which this version doesn't know"),
        (lambda w: w["fit"].update(offset={"$date": "2024-13-01"}), "cannot be read"),
        (lambda w: w["fit"].update(offset={"$date": 3}), "cannot be read"),
        (lambda w: w["fit"].update(offset={"$call": "os.system"}), "which this version doesn't know"),
        (cut, "hazard"),
        (lambda w: w["fit"]["covariance"]["$array"].update(shape=[2, 3]), "does not have the 6 numbers"),
        (lambda w: w["fit"]["covariance"]["$array"].update(shape=[1, 16]), r"shape \(1, 16\), not \(4, 4\)"),
        (lambda w: w["fit"]["covariance"]["$array"].update(shape=[-4, -4]), "shape"),
        (lambda w: w["fit"]["covariance"]["$array"].update(shape=[10**9, 10**9]), "bytes"),
        (lambda w: w["fit"]["covariance"]["$array"].update(dtype="|O"), "array of '|O'"),
        (lambda w: w["fit"]["covariance"]["$array"].update(data="%%%"), "cannot be read"),
        (lambda w: w["fit"].update(covariance=[[1.0]]), r"covariance is no Floats"),
        (lambda w: w["fit"]["_rows"]["$tuple"].pop(), "shape"),
        (lambda w: w["fit"]["_encoding"]["fields"]["factors"].pop("channel"), "no factor 'channel'"),
        (lambda w: w["fit"]["_strata_labels"]["$tuple"].pop(), "last_day"),
    ],
)
def test_damage_is_named(change, said):
    with pytest.raises(InputError, match=said):
        from_json(changed(change))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        (saved()[:500], "cut off"),
        ("[1, 2]", "a JSON list"),
        ("3", "a JSON int"),
        ("{}", "something else"),
        ("[" * 100_000, "nested too deeply|no JSON"),
    ],
)
def test_other_text(text, said):
    with pytest.raises(InputError, match=said):
        from_json(text)


@given(place=st.integers(0, 10**6), letter=st.characters(min_codepoint=32, max_codepoint=126))
@settings(max_examples=60, deadline=None)
def test_one_changed_letter_never_ends_in_another_kind_of_error(place, letter):
    text = saved()
    place %= len(text)
    with contextlib.suppress(InputError):
        assert from_json(text[:place] + letter + text[place + 1 :])._training is None


def test_another_result_is_not_a_fit():
    curves = ch.kaplan_meier(rows())
    with pytest.raises(InputError, match="the result of a SurvivalCurves, not a saved fit"):
        from_json(curves.to_json())


def test_load(tmp_path):
    path = tmp_path / "模型.json"
    path.write_text(saved(), encoding="utf-8")
    for given_path in (path, str(path)):
        assert load(given_path).formula == "channel + poly(x, 2)"


def test_files_that_cannot_be_loaded(tmp_path):
    (tmp_path / "fit.json").write_text(saved(), encoding="utf-8")
    with pytest.raises(InputError, match=r"no file .*Did you mean 'fit.json'"):
        load(tmp_path / "fitt.json")
    with pytest.raises(InputError, match="no file"):
        load(tmp_path / "nowhere" / "fit.json")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "fit.pickle").write_bytes(b"\x80\x04\x95\xff")
    with pytest.raises(InputError, match="is no text"):
        load(tmp_path / "fit.pickle")
    (tmp_path / "curves.json").write_text(ch.kaplan_meier(rows()).to_json(), encoding="utf-8")
    with pytest.raises(InputError, match=r"curves\.json' holds the result of a SurvivalCurves"):
        load(tmp_path / "curves.json")


def test_the_fit_is_not_changed_by_saving():
    fit = everything()
    before = copy.deepcopy((fit._encoding, fit._source, fit.baseline))
    to_json(fit)
    assert fit._training is not None
    assert (fit._encoding, fit._source) == before[:2]
    pd.testing.assert_frame_equal(fit.baseline, before[2])
