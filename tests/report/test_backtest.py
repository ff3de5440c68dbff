"""Value by day, rules on the risk, tiers over time and later days: sentences say what the tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.report import Report, build, render_html
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.numbers import between, quantity, share
from churnsurv.warning import backtest
from tests.report.conftest import ASKED, HOSTILE, Drawn
from tests.report.test_render import Page
from tests.report.test_who import like, section, table, text_of

NEW = ("value_by_day", "risk_surface", "tier_timeline", "backtest_by_origin", "backtest_gains")
FIXED = "idle_days > 15 and balance < 100"


@pytest.fixture(scope="module")
def told(study: Mapping[str, Any], judged: Mapping[str, Any]) -> Report:
    return build(**study, **judged)


def later(report: Report) -> str:
    return text_of(section(report, "backtest"))


def fitted(judged: Mapping[str, Any], tier: str) -> pd.Series[Any]:
    frame = judged["backtest"].table
    return frame[frame["origin"].isna() & (frame["policy"] == "fitted") & (frame["tier"] == tier)].iloc[0]


# ------------------------------------------------------------------------------------------------------ value by day


def test_the_best_day_is_told_with_its_value(told: Report, judged: Mapping[str, Any]) -> None:
    frame = judged["value_by_day"]
    stated = frame[(frame["saving"] == "as stated") & ~frame["registration_gap"]]
    best = stated[stated["best"]].iloc[0]
    text = text_of(section(told, "warning"))
    limits = between(quantity(best["value_lower"]), quantity(best["value_upper"]))
    assert f"day {best['idle_day']} would be best, when {share(best['churn_probability'])} of them" in text
    assert f"{quantity(best['value'])} ({limits}) per 1,000 gaps that do not begin at registration" in text
    near = stated.loc[stated["value"] >= 0.95 * best["value"], "idle_day"]
    assert f"Days {near.min()} to {near.max()} are worth nearly as much" in text
    gains = stated.loc[stated["value"] > 0, "idle_day"]
    assert f"Before day {gains.min()} and after day {gains.max()}, contacting everybody loses." in text


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ({"as stated": True, "a": True, "b": True}, "(2 other curves), the best day lies between 3 and 9."),
        (
            {"as stated": True, "a": True, "b": False},
            "nobody should be contacted under 1 of the curves; else the best day is day 3.",
        ),
        ({"as stated": True, "a": False, "b": False}, "than stated, no single day is worth its cost."),
        ({"as stated": False, "a": False, "b": False}, "on one and the same idle day, no day would be worth its cost."),
    ],
)
def test_what_other_savings_would_give(judged: Mapping[str, Any], best: dict[str, bool], expected: str) -> None:
    days = {"as stated": 5, "a": 3, "b": 9}
    rows = [
        {"group": "all", "registration_gap": False, "saving": saving, "idle_day": day,
         "value": 50.0 - abs(day - days[saving]), "value_lower": 1.0, "value_upper": 60.0,
         "best": there and day == days[saving], "churn_probability": 0.5}
        for saving, there in best.items()
        for day in range(1, 30)
    ]  # fmt: skip
    report = build(title="t", **{**judged, "value_by_day": pd.DataFrame(rows)})
    assert expected in text_of(section(report, "warning"))


def test_days_without_a_loss_are_not_said_to_lose(judged: Mapping[str, Any]) -> None:
    frame = judged["value_by_day"].assign(value=lambda rows: rows["value"].abs() + 1)
    frame["best"] = frame.groupby(["registration_gap", "saving"])["value"].transform("max") == frame["value"]
    report = build(title="t", **{**judged, "value_by_day": frame})
    assert "loses" not in text_of(section(report, "warning"))


# ------------------------------------------------------------------------------------------------------- tiers, dates


def test_who_is_in_the_tiers_on_the_last_date(told: Report, judged: Mapping[str, Any]) -> None:
    frame = judged["tier_timeline"]
    last = frame[frame["date"] == frame["date"].max()]
    text = text_of(section(told, "warning"))
    assert f"of {last['n_users'].sum():,} living users" in text
    row = last[last["tier"] == "high"].iloc[0]
    assert f"{row['n_users']} ({share(row['share'])}) are in tier “high”" in text


def test_the_idle_risk_has_the_tiers_below_it(told: Report, judged: Mapping[str, Any]) -> None:
    figure = next(each for each in told.figures if each.name == "idle_risk")
    assert figure.options["bands"]["tier"] == judged["tiers"].bands()["tier"].tolist()
    assert "Bars below" in figure.caption
    by = next(each for each in told.figures if each.name == "idle_risk_by")
    assert by.options["bands"] is None


# ---------------------------------------------------------------------------------------------------------- later days


def test_the_section_follows_that_of_the_tiers(
    told: Report, study: Mapping[str, Any], judged: Mapping[str, Any]
) -> None:
    ids = [each.id for each in told.sections]
    assert ids.index("backtest") == ids.index("warning") + 1 > ids.index("model")
    without = build(**study, **{**judged, "backtest": None})
    assert "backtest" not in [each.id for each in without.sections]
    assert "backtest" not in [each.link for each in without.summary]
    assert "A backtest judges them" in text_of(section(without, "warning"))
    assert "judges tiers made in the same way" in text_of(section(told, "warning"))


def test_the_summary_says_it_in_one_item(told: Report, judged: Mapping[str, Any]) -> None:
    (sentence,) = (each for each in told.summary if each.link == "backtest")
    row, frame = fitted(judged, "high"), judged["backtest"].differences
    (difference,) = frame[(frame["tier"] == "high") & (frame["compared_with"] == FIXED)].to_dict("records")
    assert f"the tier “high” was right in {share(row['precision'])} (" in sentence.text
    assert f"where {share(row['base_rate'])} of all gaps ended in churn" in sentence.text
    way = "more" if difference["lower"] > 0 else "less" if difference["upper"] < 0 else "be told from"
    assert way in sentence.text
    assert f"the fixed rule “{FIXED}”" in sentence.text


def test_each_tier_is_told_as_its_row(told: Report, judged: Mapping[str, Any]) -> None:
    text = later(told)
    row = fitted(judged, "high")
    assert f"is right in {share(row['precision'])} (" in text
    assert f"reaches {share(row['recall'])} of the churns. It is worth {quantity(row['value'])} (" in text
    assert "Tier “sure” contacted nobody on later days." in text
    found = table(section(told, "backtest"), "The tiers and other rules")
    assert [each[0] for each in found.rows] == [
        *("Fitted, tier sure", "Fitted, tier high", "Fitted, tier <i>low</i>", "Fitted, any tier"),
        *("Nobody", "Everybody on the first silent day", FIXED, "2 alerts a day"),
    ]
    assert found.rows[1][2].startswith(share(row["precision"]))


def difference(lower: float, estimate: float, upper: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"tier": ["high"], "compared_with": [FIXED], "estimate": estimate, "std_error": 1.0, "lower": lower,
         "upper": upper, "p_value": 0.5, "adjusted_p_value": 0.5}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((2.0, 5.0, 8.0), "worth 5.00 (2.00–8.00) per 1,000 gaps more than the fixed rule"),
        ((-8.0, -5.0, -2.0), "worth 5.00 (2.00–8.00) per 1,000 gaps less than the fixed rule"),
        ((-2.0, 1.0, 4.0), "in worth: the difference is 1.00 (-2.00 to 4.00)"),
        ((np.nan, 1.0, np.nan), "in worth: the difference is 1.00 (–)"),
    ],
)
def test_differences_are_more_less_or_not_told_apart(
    judged: Mapping[str, Any], numbers: tuple[float, float, float], expected: str
) -> None:
    test = like(judged["backtest"], differences=difference(*numbers))
    report = build(title="t", backtest=test)
    assert expected in later(report)
    (sentence,) = (each for each in report.summary if each.link == "backtest")
    assert expected.split(" (")[0].split("worth")[-1].strip(": ").split(" is ")[-1] in sentence.text


def test_accuracy_stands_beside_always_no(told: Report, judged: Mapping[str, Any]) -> None:
    rows = judged["backtest"].accuracy.set_index(["horizon", "policy"])
    text = later(told)
    for horizon in (7, 30):
        always, ours = rows.loc[(horizon, "fitted"), ["always_no", "accuracy"]]
        assert share(always) in text
        assert share(ours) in text
    assert (
        f"the best that can be done with the same knowledge in {share(rows.loc[(30, 'most accurate'), 'accuracy'])}"
        in text
    )
    assert "nobody silent for fewer than 23 days can churn so soon" in text


def test_capacities_say_what_they_reach(told: Report, judged: Mapping[str, Any]) -> None:
    frame = judged["backtest"].table
    row = frame[frame["origin"].isna() & (frame["policy"] == "2 alerts a day")].iloc[0]
    assert f"With room for 2 first alerts a day, the most urgent first, {share(row['recall'])} of the churns" in later(
        told
    )


def test_a_ready_scheme_is_said_to_be_one(hostile: Mapping[str, Any], judged: Mapping[str, Any]) -> None:
    scheme = judged["backtest"].schemes[0]
    test = backtest(hostile["log"], scheme=scheme, origins=1)
    report = build(title="t", backtest=test)
    assert "The tiers as they stand were judged" in later(report)
    assert not [
        block
        for block in section(report, "backtest").blocks
        if getattr(block, "title", "") == "The rules of each origin"
    ]


def test_without_any_worth_precision_is_drawn(hostile: Mapping[str, Any]) -> None:
    spec = {"objective": {"low": ASKED["objective"]["<i>low</i>"]}, "variables": []}
    report = build(title="t", backtest=backtest(hostile["log"], spec=spec, origins=1))
    figure = next(each for each in report.figures if each.name == "backtest_by_origin")
    assert figure.options["quantity_of"] == "precision"
    assert drawings(figure)[0].wide
    text = later(report)
    assert "worth" not in text.split("To keep in mind")[0]
    found = table(section(report, "backtest"), "The tiers and other rules")
    assert found.rows[0][0] == "Fitted, tier low"
    assert "Fitted, any tier" not in [row[0] for row in found.rows]


# ------------------------------------------------------------------------------------------------------------ the page


def test_figures_have_their_data_and_are_drawn(told: Report, judged: Mapping[str, Any], drawn: Drawn) -> None:
    made = drawn(told)
    figures = {figure.name: figure for figure in told.figures}
    assert [name for name in figures if name in NEW] == list(NEW)
    for name in NEW:
        assert figures[name].alt
        assert figure_csv(figures[name]).count("\n") == len(next(iter(figures[name].data.values()))) + 1
        assert made[name][0].narrow is not None
    assert figures["value_by_day"].data["value"] == pytest.approx(judged["value_by_day"]["value"].tolist())


def test_hostile_names_are_text(told: Report, drawn: Drawn) -> None:
    page = Page(render_html(told, drawn(told)))
    assert {*HOSTILE.values(), "<i>low</i>"} <= set(page.texts)
    kinds = [attrs.get("type") for attrs in page.named("script")]
    assert kinds.count(None) == 1, "the script of the page alone"
    assert set(kinds) <= {None, "application/gzip"}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)


def test_it_claims_no_cause(told: Report) -> None:
    text = later(told)
    assert not re.search(r"\b(caus\w*|because|due to|leads? to|led to|drives?|impact\w*|results? in)\b", text, re.I)
    assert "Backtest: tiers are fitted to what was known at each origin" in text_of(section(told, "method"))


def test_results_are_whole_in_the_json(told: Report, judged: Mapping[str, Any]) -> None:
    results = json.loads(told.to_json())["results"]
    assert results["backtest"]["table"] == json.loads(judged["backtest"].to_json())["table"]
    assert results["risk_surface"]["table"] == json.loads(judged["risk_surface"].to_json())["table"]
    assert len(results["value_by_day"]["value"]) == len(judged["value_by_day"])
    assert results["tier_timeline"]["n_users"] == judged["tier_timeline"]["n_users"].tolist()
