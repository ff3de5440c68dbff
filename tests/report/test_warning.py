"""Thresholds and tiers: what the section says stands in its tables, and it is absent where there is nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.report import Report, build
from churnsurv.report.figures import figure_csv
from churnsurv.report.numbers import share
from churnsurv.warning import Value, fit_tiers, idle_risk
from tests.report.conftest import SAVING, Drawn
from tests.report.test_who import like, section, stub, table, text_of


@pytest.fixture(scope="module")
def told(study: Mapping[str, Any], warned: Mapping[str, Any]) -> Report:
    return build(**study, **warned)


def rows_of(risk: Any, *, late: bool = False) -> pd.DataFrame:
    frame = risk.table
    return frame[frame["registration_gap"] == late].set_index("idle_days")


def test_the_section_follows_the_model_and_the_summary_links_to_it(told: Report) -> None:
    ids = [each.id for each in told.sections]
    assert ids.index("warning") > ids.index("model")
    (sentence,) = (each for each in told.summary if each.link == "warning")
    assert "A user silent for 15 days churns with probability" in sentence.text
    assert "of all gaps end in churn" in sentence.text


def test_the_idle_risk_is_told_with_its_numbers(told: Report, warned: Mapping[str, Any]) -> None:
    risk, text = warned["idle_risk"], text_of(section(told, "warning"))
    rows = rows_of(risk)
    for days in (7, 14, 21):
        row = rows.loc[days]
        said = f"{share(row['churn'])} ({share(row['lower'])[:-1]}–{share(row['upper'])}), {30 - days} days before"
        assert said in text
    assert f"Of these {rows.loc[0, 'n_gaps']:,} gaps between active days, {share(rows.loc[0, 'churn'])}" in text
    since = rows_of(risk, late=True).loc[0]
    assert f"The {since['n_gaps']:,} gaps that begin at registration are told apart: {share(since['churn'])}" in text
    crossing = risk.crossings[~risk.crossings["registration_gap"]].set_index("probability")
    assert f"50% on idle day {crossing.loc[0.5, 'idle_day']:.1f} (" in text
    middle = risk.intervals.set_index("probability").loc[0.5]
    assert f"half do so within {middle['days']:.0f} days" in text


def test_groups_are_compared_half_way_to_churn(told: Report, warned: Mapping[str, Any]) -> None:
    rows = rows_of(warned["idle_risk_by"]).loc[15].dropna(subset=["lower"])
    highest = rows.loc[rows["churn"] == rows["churn"].max()].iloc[0]
    text = text_of(section(told, "warning"))
    assert f"By “channel”, after 15 silent days: the group “{highest['group']}” has the highest risk" in text


def test_each_tier_is_told_beside_the_base_rate(told: Report, warned: Mapping[str, Any]) -> None:
    scheme, text = warned["tiers"], text_of(section(told, "warning"))
    base = share(scheme.n_churned / scheme.n_gaps)
    rows = scheme.table.set_index("tier")
    for tier in ("high", "<i>low</i>"):
        row = rows.loc[tier]
        assert f"Tier “{tier}” ({row['objective']}): “{row['rule']}”. It alerts" in text
        assert f"is right in {share(row['precision'])} (" in text
    assert text.count(f"where {base} of all gaps end in churn") == int((rows["alerts"] > 0).sum())
    assert "A threshold exists only against a purpose." in text
    assert f"It is worth {rows.loc['high', 'value']:.2f} (" in text
    found = table(section(told, "warning"), "The tiers, highest first")
    assert [row[0] for row in found.rows] == ["sure", "high", "<i>low</i>"]
    assert found.rows[2][-1] == "–"  # a capacity has no value


def test_an_empty_tier_is_said_to_be_so(told: Report, warned: Mapping[str, Any]) -> None:
    assert warned["tiers"].table.set_index("tier").loc["sure", "alerts"] == 0
    text = text_of(section(told, "warning"))
    assert "Tier “sure” (precision of at least 99 %) has no rule: nobody is contacted." in text
    assert "The nearest target" in text
    (sentence,) = (each for each in told.summary if each.link == "warning")
    assert "The tier “high” warns at" in sentence.text


def sensitivity(**changes: Any) -> pd.DataFrame:
    columns = {
        "tier": "high",
        "saving": ["as stated", "top 0.225", "top 0.375"],
        "rule": ["idle_days > 15", "idle_days > 17", "idle_days > 14"],
        "value": [100.0, 60.0, 150.0],
        "chosen_value": [100.0, 55.0, 149.0],
        "loss": [0.0, 1 - 55 / 60, 1 / 150],
    }
    return pd.DataFrame({**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "the best rule of tier “high” would be “idle_days > 17”; the present one would then miss 8.3%"),
        ({"loss": [0.0, 0.0, 0.0]}, "If contacts saved less (top 0.225), the rule of tier “high” would stay the best."),
        ({"loss": [0.0, np.nan, 0.0]}, "(top 0.225), contacting nobody would be best for tier “high”."),
    ],
)
def test_what_less_saving_would_change(warned: Mapping[str, Any], changes: Any, expected: str) -> None:
    scheme = like(warned["tiers"], sensitivity=sensitivity(**changes), bands=warned["tiers"].bands)
    assert expected in text_of(section(build(title="t", tiers=scheme), "warning"))


def test_how_sure_a_rule_is(warned: Mapping[str, Any]) -> None:
    rows = pd.DataFrame(
        {
            "tier": "high",
            "form": ["idle_days >", "idle_days > and balance <"],
            "n_rules": [3, 9],
            "rule": ["idle_days > 15", "idle_days > 15 and balance < 100"],
            "value": [99.0, 100.0],
            "difference": [-1.0, 0.0],
            "first_day": [14, 12],
            "last_day": [17, 16],
        }
    )
    scheme = like(warned["tiers"], alternatives=rows, bands=warned["tiers"].bands)
    report = build(title="t", tiers=scheme)
    assert "in tier “high”, 12 rules may be the best as far as these data can tell" in text_of(
        section(report, "warning")
    )
    assert "falls between idle days 12 and 17" in text_of(section(report, "warning"))
    one = like(warned["tiers"], alternatives=rows.head(1).assign(n_rules=1), bands=warned["tiers"].bands)
    assert "the data leave no other rule as good" in text_of(section(build(title="t", tiers=one), "warning"))


def test_without_tiers_no_threshold_is_set(study: Mapping[str, Any], warned: Mapping[str, Any]) -> None:
    report = build(**study, idle_risk=warned["idle_risk"])
    text = text_of(section(report, "warning"))
    assert "so no threshold is set here" in text
    assert "Warning tiers" not in {
        block.title for block in section(report, "warning").blocks if hasattr(block, "title")
    }
    assert "saved_value" not in text
    assert [figure.name for figure in report.figures if figure.kind in ("idle_risk", "tier_bands")] == ["idle_risk"]


def test_without_results_there_is_no_section(study: Mapping[str, Any]) -> None:
    report = build(**study)
    assert "warning" not in [each.id for each in report.sections]
    assert "warning" not in [each.link for each in report.summary]


def test_tiers_that_are_all_empty_have_no_figure(hostile: Mapping[str, Any]) -> None:
    never = {"high": Value(saved_value=0.01, contact_cost=500, saving=SAVING)}
    scheme = fit_tiers(hostile["log"], variables=[], objective=never, bootstrap=0)
    report = build(title="t", tiers=scheme)
    assert not report.figures
    assert "contacting nobody is best" in text_of(section(report, "warning"))
    assert not report.summary


def test_gaps_of_registration_alone_are_told_too(warned: Mapping[str, Any]) -> None:
    risk = warned["idle_risk"]
    late = {name: getattr(risk, name).query("registration_gap") for name in ("table", "crossings")}
    report = build(title="t", idle_risk=like(risk, **late, intervals=risk.intervals.head(0)))
    text = text_of(section(report, "warning"))
    assert "gaps that begin at registration are told apart" in text
    assert "Of these" not in text
    assert "who come back" not in text
    assert table(section(report, "warning"), "Risk of churn").columns[2:] == (
        "Gaps still silent",
        "Churn",
        "Back on the next day",
    )


@pytest.mark.parametrize(("idle_days", "expected"), [(7, [2, 4, 5]), (14, [4, 7, 10]), (60, [14, 21, 45])])
def test_days_that_are_told_fit_the_rule(hostile: Mapping[str, Any], idle_days: int, expected: list[int]) -> None:
    log = hostile["log"]
    short = ch.ActivityLog(
        hostile["events"],
        hostile["users"],
        rule=ch.ChurnRule(idle_days),
        observed_from=log.observed_from,
        observed_until=log.observed_until,
    )
    text = text_of(section(build(title="t", idle_risk=idle_risk(short)), "warning"))
    said = re.search(r"silent for (\d+) days .*?; (\d+) days: .*?; (\d+) days:", text)
    assert said is not None
    assert [int(each) for each in said.groups()] == expected


def test_figures_have_their_data_and_are_drawn(told: Report, warned: Mapping[str, Any], drawn: Drawn) -> None:
    made = drawn(told)
    figures = {figure.name: figure for figure in told.figures if figure.kind in ("idle_risk", "tier_bands")}
    assert list(figures) == ["idle_risk", "idle_risk_by", "warning_tiers"]
    for figure in figures.values():
        assert figure.alt
        assert figure_csv(figure).count("\n") == len(next(iter(figure.data.values()))) + 1
        assert made[figure.name][0].narrow is not None
    assert figures["idle_risk"].data["churn"] == pytest.approx(warned["idle_risk"].table["churn"].tolist())


def test_it_claims_no_cause_and_says_what_it_cannot_tell(told: Report) -> None:
    text = text_of(section(told, "warning"))
    assert not re.search(r"\b(caus\w*|because|due to|leads? to|led to|drives?|impact\w*|results? in)\b", text, re.I)
    for part in ("Whether a contact keeps a user", "How the rules will do on later days", "saved_value, contact_cost"):
        assert part in text
    assert "Idle risk: the share of gaps" in text_of(section(told, "method"))


def test_results_are_whole_in_the_json(told: Report, warned: Mapping[str, Any]) -> None:
    results = json.loads(told.to_json())["results"]
    for key, result in warned.items():
        assert results[key]["table"] == json.loads(result.to_json())["table"]


def test_a_crossing_without_limits_or_with_an_open_end(warned: Mapping[str, Any]) -> None:
    risk = warned["idle_risk"]
    open_end = risk.crossings.assign(idle_day=12.0, lower=[np.nan, 11.0, 11.0] * 2, upper=[np.nan, np.nan, 13.0] * 2)
    text = text_of(section(build(title="t", idle_risk=like(risk, crossings=open_end)), "warning"))
    assert "25% on idle day 12, 50% on idle day 12 (day 11 or later) and 75% on idle day 12 (11–13)" in text
    never = risk.crossings.assign(idle_day=np.nan)
    assert "The risk reaches" not in text_of(
        section(build(title="t", idle_risk=like(risk, crossings=never)), "warning")
    )


def test_many_groups_are_cut_and_said(warned: Mapping[str, Any]) -> None:
    risk = warned["idle_risk_by"]
    frame = risk.crossings[risk.crossings["probability"] == 0.5].head(1)
    many = pd.concat([frame.assign(group=f"g{i}") for i in range(60)], ignore_index=True)
    by = stub(
        **{n: getattr(risk, n) for n in ("table", "intervals", "by", "groups", "rule", "probabilities")}, crossings=many
    )
    report = build(title="t", idle_risk=warned["idle_risk"], idle_risk_by=by)
    found = table(section(report, "warning"), "Idle day on which")
    assert len(found.rows) == 40
    assert found.note.startswith("The first 40 of 62 groups")


def test_a_tier_without_a_known_lead_says_none(warned: Mapping[str, Any]) -> None:
    table_ = warned["tiers"].table.assign(lead_days=np.nan)
    for lang in ("en", "zh-Hant"):
        report = build(title="t", tiers=like(warned["tiers"], table=table_, bands=warned["tiers"].bands), lang=lang)
        said = text_of(section(report, "warning")) + "".join(each.text for each in report.summary)
        assert not re.search(r"– days|前–天", said)
        assert "{" not in said


def test_rules_objectives_and_groups_are_said_in_the_language(judged: Mapping[str, Any]) -> None:
    report = build(title="t", lang="zh-Hant", **judged)
    found = section(report, "warning")
    tiers = table(found, "預警等級，由高至低")
    assert all(re.search("閒置天數|不接觸任何人", row[1]) for row in tiers.rows)
    assert "以價值為目標：每挽留一名用戶價值60" in text_of(found)
    (sentence,) = (each for each in report.summary if each.link == "warning")
    assert "閒置天數 >" in sentence.text
