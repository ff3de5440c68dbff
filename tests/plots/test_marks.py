"""What stands where in every figure of a report: places, texts, how many, and the language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import unescape
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from churnsurv.plots.document import Picture, picture
from churnsurv.plots.marks import collecting, mark
from churnsurv.plots.style import Frame
from churnsurv.report.catalogue import catalogue
from churnsurv.report.figures import _PLOTS, WIDE, Drawing, _drawn, drawings
from churnsurv.report.model import Figure
from churnsurv.report.pieces import plot_words

FRAME = Frame(200, 100, 20, 10, 10, 20)
N = None

#: The room of words, the table and the options of a figure of each kind; every name of a user is Chinese.
KINDS: Mapping[str, tuple[str, dict[str, list[Any]], dict[str, Any]]] = {
    "survival_curves": (
        "plot",
        {"group": ["甲"] * 2 + ["乙"] * 2, "time": [30, 45] * 2, "survival": [0.5, 0.25, 0.75, 0.5],
         "lower": [0.25, 0.125, 0.5, 0.25], "upper": [0.75, 0.5, 0.875, 0.75], "n_at_risk": [4, 2] * 2,
         "n_events": [2, 1] * 2, "n_censored": [0, 1] * 2},
        {"level": 0.95, "horizon": 45},
    ),
    "forest": (
        "plot",
        {"term": ["管道: 付費"], "variable": ["管道"], "category": ["付費"], "reference": ["自然"],
         "hazard_ratio": [1.8], "hr_lower": [1.6], "hr_upper": [2.0]},
        {"level": 0.95, "rows": 9},
    ),
    "rule_sweep": (
        "plot",
        {"idle_days": [14, 30], "quantity": ["median"] * 2, "group": ["all"] * 2, "estimate": [40.0, 60.0],
         "lower": [38.0, 57.0], "upper": [42.0, 63.0]},
        {"chosen": 30, "panels": [{"quantity": "median", "alt": "a"}]},
    ),
    "churn_structure": (
        "plot_structure",
        {"stage": ["新", "新", "熟"], "channel": ["甲", "other", "甲"], "share": [0.5, 0.3, 0.2],
         "share_lower": [0.4, 0.2, 0.1], "share_upper": [0.6, 0.4, 0.3], "churned": [0.6, 0.4, N],
         "lower": [0.5, 0.3, N], "upper": [0.7, 0.5, N]},
        {"horizon": 90},
    ),
    "lifecycle": ("plot_life", {"stage": ["新", "熟"], "living": [10, 5], "churned": [40, 2]}, {"date": "2024-05-01"}),
    "churn_profile": (
        "plot_profile",
        {"group": ["甲"] * 2, "variable": ["餘額"] * 2, "cut": [0, 250_000], "share_churned": [0.5, 0.9],
         "churned_lower": [0.4, 0.8], "churned_upper": [0.6, 0.95], "share_retained": [0.1, 0.3],
         "retained_lower": [0.05, 0.2], "retained_upper": [0.2, 0.4], "suggested": [False, True]},
        {"panels": [{"quantity": "餘額", "alt": "a"}]},
    ),
    "cohort_bursts": (
        "plot_bursts",
        {"date": ["2024-01-01", "2024-01-02"], "registrations": [5, 40], "expected": [6.0, 6.0], "lower": [2.0, 2.0],
         "upper": [11.0, 11.0], "burst": [False, True]},
        {"level": 0.95, "bursts": {"start": ["2024-01-02"], "end": ["2024-01-02"], "registrations": [40],
                                   "expected": [6.0], "event": ["春節"]}},
    ),
    "channel_value": (
        "plot_value",
        {"channel": ["甲", "乙"], "value": [2.0, -1.0], "value_lower": [1.0, -2.0], "value_upper": [3.0, 0.5],
         "verdict": ["keep", "watch"], "sure": [0.99, 0.5], "days_until_churn": [60.0] * 2,
         "days_until_churn_lower": [55.0] * 2, "days_until_churn_upper": [65.0] * 2},
        {"keep": 0.0, "level": 0.95},
    ),
    "reason_shares": (
        "plot_reasons",
        {"group": ["all"] * 2, "reason": ["價格", "搬家"], "share": [0.6, 0.4], "lower": [0.5, 0.3],
         "upper": [0.7, 0.5], "weighted_share": [0.5, 0.5], "weighted_lower": [0.4, 0.4],
         "weighted_upper": [0.6, 0.6], "bound_lower": [0.3, 0.2], "bound_upper": [0.8, 0.7]},
        {"level": 0.95},
    ),
    "stacked_incidence": (
        "plot_over_time",
        {"group": ["all"] * 4, "cause": ["價格"] * 2 + ["unknown"] * 2, "time": [0, 30] * 2,
         "incidence": [0, 0.3, 0, 0.2], "lower": [0, 0.1, 0, 0.1], "upper": [0, 0.5, 0, 0.4]},
        {"horizon": 60},
    ),
    "experience": (
        "plot_problems",
        {"kind": ["當機", "(all)"], "reach_users": [0.2, 0.3], "hazard_ratio": [1.8, N], "share": [0.02, 0.02],
         "share_lower": [-0.01, 0.01], "share_upper": [0.03, 0.03]},
        {"level": 0.95},
    ),
    "churn_monitor": (
        "plot_returns",
        {"date": ["2024-01-01", "2024-01-02"], "group": ["甲"] * 2, "expected": [10.0] * 2, "observed": [9, 2],
         "lower": [4.0] * 2, "upper": [17.0] * 2, "cusum": [0.0, 4.0], "limit": [3.0] * 2, "alarm": [False, True]},
        {"level": 0.95, "alarms": {"group": ["甲"], "alarm_on": ["2024-01-02"], "ended_on": [N],
                                   "begun": ["2024-01-02"], "begun_lower": ["2024-01-01"],
                                   "begun_upper": ["2024-01-02"]}},
    ),
    "shock_effect": (
        "plot_shocks",
        {"name": ["降息"] * 4, "group": ["甲"] * 4, "date": [f"2024-01-0{day}" for day in (5, 6, 7, 8)],
         "since": [-2, -1, 0, 1], "hazard_ratio": [1.0, 1.1, 0.7, 0.8], "weekend": [False, True, False, False],
         "used": [True, True, True, False]},
        {"level": 0.95, "placebo": {"name": ["降息"] * 2, "group": ["甲"] * 2, "window": ["day 0-1"] * 2,
                                    "hazard_ratio": [0.9, 1.1]},
         "windows": {"name": ["降息"], "group": ["甲"], "users": ["living"], "window": ["day 0-1"],
                     "first": ["2024-01-07"], "last": ["2024-01-08"], "hazard_ratio": [0.75], "lower": [0.5],
                     "upper": [1.0]}},
    ),
    "idle_risk": (
        "plot_idle",
        {"group": ["below 100"] * 3 + ["(missing)"] * 3, "registration_gap": [False] * 6, "idle_days": [0, 1, 2] * 2,
         "churn": [0.1, 0.4, 0.9] * 2, "lower": [0.05, 0.3, 0.8] * 2, "upper": [0.2, 0.5, 0.95] * 2},
        {"level": 0.95,
         "crossings": {"group": ["below 100"], "registration_gap": [False], "probability": [0.5], "idle_day": [1.2],
                       "lower": [1.0], "upper": [1.5]},
         "bands": {"variable": ["餘額"] * 2, "band": ["below 100", "100 and above"], "band_lower": [N, 100.0],
                   "band_upper": [100.0, N], "others": [N, N], "rank": [1, N], "tier": ["高", N], "rule": ["r", N],
                   "first_day": [1, N], "last_day": [2, N]}},
    ),
    "tier_bands": (
        "plot_tiers",
        {"variable": ["餘額"] * 2, "band": ["below 100", "100 and above"], "band_lower": [N, 100.0],
         "band_upper": [100.0, N], "others": ["投資 1 and above"] * 2, "rank": [1, N], "tier": ["高", N],
         "rule": ["≥ 15", N], "first_day": [16, N], "last_day": [29, N]},
        {"idle_days": 30},
    ),
    "value_by_day": (
        "plot_value_day",
        {"group": ["甲"] * 6, "registration_gap": [False] * 6, "saving": ["as stated"] * 3 + ["top 0.3"] * 3,
         "idle_day": [1, 2, 3] * 2, "value": [-50.0, 80.0, 20.0, -10.0, 99.0, 40.0],
         "value_lower": [-60.0, 70.0, 10.0, N, N, N], "value_upper": [-40.0, 90.0, 30.0, N, N, N],
         "best": [False, True, False] * 2},
        {"level": 0.95},
    ),
    "risk_surface": (
        "plot_surface",
        {"group": ["below 100", "100 and above", "(missing)"] * 2, "registration_gap": [False] * 6,
         "idle_days": [0, 0, 0, 1, 1, 1], "n_gaps": [10] * 6, "churn": [0.4, 0.1, 0.3, 0.5, 0.2, 0.3],
         "餘額": ["below 100", "100 and above", "(missing)"] * 2},
        {"missing": 0.0,
         "rules": {"variable": ["餘額"] * 2, "band": ["below 100", "100 and above"], "band_lower": [N, 100.0],
                   "band_upper": [100.0, N], "others": [N, N], "rank": [1, N], "tier": ["高", N], "rule": ["r", N],
                   "first_day": [1, N], "last_day": [1, N]}},
    ),
    "tier_timeline": (
        "plot_timeline",
        {"date": ["2024-01-01", "2024-03-08"] * 2, "tier": ["高"] * 2 + ["低"] * 2, "n_users": [3, 9, 4, 50_000],
         "share": [0.25, 0.75, 0.3, 0.7]},
        {"known_until": "2024-01-20"},
    ),
    "backtest": (
        "plot_backtest",
        {"origin": ["2024-01-31", "2024-04-30"] * 2, "policy": ["fitted"] * 2 + ["15 alerts a day"] * 2,
         "tier": ["高", "高", N, N], "base_rate": [0.1] * 4, "value": [900.0, 950.0] * 2,
         "value_lower": [800.0, 850.0] * 2, "value_upper": [1000.0, 1050.0] * 2},
        {"quantity_of": "value", "test_days": 90, "level": 0.95},
    ),
    "backtest_gains": (
        "plot_backtest",
        {"alerts_per_day": [0.0, 5.0, 9.0], "recall": [0, 0.6, 1], "lead_recall": [0, 0.5, 0.9]},
        {"points": {"origin": [N], "policy": ["fitted"], "tier": ["高"], "alerts_per_day": [4.0],
                    "lead_recall": [0.4]}},
    ),
    "return_curves": (
        "plot_recall",
        {"campaign": ["春"] * 4, "arm": ["對照"] * 2 + ["簡訊"] * 2, "day": [1, 2] * 2,
         "returned": [0.0, 0.1, 0.1, 0.3],
         "lower": [0.0, 0.0, 0.0, 0.1], "upper": [0.1, 0.3, 0.3, 0.5], "at_risk": [9, 9, 10, 9]},
        {"control": "對照", "level": 0.95},
    ),
    "lift_over_time": (
        "plot_recall",
        {"campaign": ["春"] * 2, "arm": ["簡訊"] * 2, "day": [1, 2], "difference": [10.0, 20.0], "lower": [0.0, 5.0],
         "upper": [20.0, 35.0], "band_lower": [-5.0, 0.0], "band_upper": [25.0, 40.0]},
        {"control": "對照", "level": 0.95},
    ),
    "lift_forest": (
        "plot_lift",
        {"campaign": ["春"], "arm": ["簡訊"], "outcome": ["net_value"], "unit": ["money"], "adjusted": [False],
         "estimate": [21_000.0], "lower": [-9000.0], "upper": [33_000.0]},
        {"level": 0.95, "panels": [{"quantity": "net_value", "alt": "a"}]},
    ),
    "lift_groups": (
        "plot_lift",
        {"campaign": ["春"] * 2, "by": ["管道"] * 2, "group": ["甲", "other"], "arm": ["簡訊"] * 2,
         "outcome": ["return_probability"] * 2, "unit": ["per 1,000 users"] * 2, "adjusted": [False] * 2,
         "estimate": [21.0, 5.0], "lower": [9.0, -5.0], "upper": [33.0, 15.0], "heterogeneity_p_value": [0.4] * 2},
        {"level": 0.95, "panels": [{"quantity": "簡訊", "alt": "a"}],
         "overall": {"campaign": ["春"], "arm": ["簡訊"], "outcome": ["return_probability"],
                     "unit": ["per 1,000 users"], "adjusted": [False], "estimate": [11.0], "lower": [4.0],
                     "upper": [18.0]}},
    ),
    "lift_monitor": (
        "plot_monitor",
        {"arm": ["簡訊"] * 2, "day": ["2024-05-01", "2024-05-02"], "e_value": [2.0, 30.0], "estimate": [1.5, 1.6],
         "lower": [0.8, 1.1], "upper": [3.0, 2.2], "decision": ["go on", "lift"]},
        {"smallest_lift": 1.2, "level": 0.95},
    ),
}  # fmt: skip


@cache
def drawn(kind: str, lang: str) -> Drawing:
    room, data, options = KINDS[kind]
    words = {name: text for name, text in plot_words(catalogue(lang), room).items() if name != "all"}
    if kind == "survival_curves":
        words["time"] = words["time"].replace("{origin}", "註冊")
    if kind == "rule_sweep":
        words["quantity.median"] = "中位數"
    return drawings(Figure("f", kind, "", "", "", data, {**options, "words": words}))[0]


def test_every_kind_of_figure_is_here() -> None:
    assert set(KINDS) == set(_PLOTS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_what_stands_where(kind: str) -> None:
    made = drawn(kind, "en")
    assert made.marks_wide
    assert (made.narrow is None) == (not made.marks_narrow)
    assert [each.name for each in made.marks_narrow] == [each.name for each in made.marks_wide if made.narrow]
    for document, marks in ((made.wide, made.marks_wide), (made.narrow or "", made.marks_narrow)):
        for series in marks:
            assert series.name
            assert series.points
            box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', document)
            assert box is not None
            width, height = (float(size) for size in box.groups())
            for x, y, text in series.points:
                assert 0 <= x <= width
                assert 0 <= y <= height
                assert text.strip()


def dirty(value: Any) -> Any:
    """The table or the options with what no XML can hold in every name of a user."""
    if isinstance(value, dict):
        return {dirty(name): dirty(each) for name, each in value.items()}
    if isinstance(value, list):
        return [dirty(each) for each in value]
    return f"{value}\x00\x1b\uffff\ud800" if isinstance(value, str) and value > "\u3000" else value


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_no_xml_can_hold_cost_no_figure(kind: str) -> None:
    room, data, options = KINDS[kind]
    words = {name: text for name, text in plot_words(catalogue("en"), room).items() if name != "all"}
    if kind == "survival_curves":
        words["time"] = "Days"
    figure = Figure("f", kind, "", "", "", dirty(data), {**dirty(options), "words": words})
    quantity = figure.panels[0]["quantity"] if figure.panels else None
    assert not re.search("[\x00\x1b\uffff\ud800]", _drawn(figure, WIDE, quantity).document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_in_chinese_has_no_english_word(kind: str) -> None:
    made = drawn(kind, "zh-Hant")
    written = [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", made.wide + (made.narrow or ""))]
    marks = [*made.marks_wide, *made.marks_narrow]
    texts = [*written, *(each.name for each in marks), *(text for each in marks for _, _, text in each.points)]
    assert texts
    assert [text for text in texts if re.search(r"[A-Za-z]{2,}", text)] == []
    assert [text for text in texts if re.search(r"[\u4e00-\u9fff][,.;:(]|[;:] ", text)] == []


def said(kind: str, lang: str = "en") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in drawn(kind, lang).marks_wide:
        found.setdefault(each.name, []).extend(text for _, _, text in each.points)
    return found


def test_texts_by_hand() -> None:
    assert said("survival_curves")["甲"] == [
        "day 0: 100%; 4 at risk", "day 30: 50.0% (25.0–75.0%); 4 at risk", "day 45: 25.0% (12.5–50.0%); 2 at risk",
    ]  # fmt: skip
    assert said("survival_curves", "zh-Hant")["甲"][1] == "第30天：50.0%（25.0–75.0%）；追蹤中4人"
    assert said("forest") == {"管道: 自然": ["reference"], "管道: 付費": ["hazard ratio 1.80 (1.60–2.00)"]}
    assert said("rule_sweep") == {"all users": ["14 idle days: 40 (38–42) days", "30 idle days: 60 (57–63) days"]}
    assert said("churn_structure")["新"][0] == (
        "甲: 50.0% (40.0–60.0%) of all churned users; 60.0% (50.0–70.0%) churn out of it within 90 days"
    )
    assert said("churn_structure")["熟"] == ["甲: 20.0% (10.0–30.0%) of all churned users; no estimate"]
    assert said("lifecycle")["churned"] == ["新: 40 users", "熟: 2 users"]
    assert said("churn_profile")["retained"] == ["at most 0: 10.0% (5.0–20.0%)", "at most 250k: 30.0% (20.0–40.0%)"]
    assert said("churn_profile", "zh-Hant")["留存"][1] == "25萬以下：30.0%（20.0–40.0%）"
    assert said("cohort_bursts")["bursts"] == ["2024-01-02: 春節; 40 registrations; expected 6.0 (2.0–11.0)"]
    assert said("channel_value")["乙"] == ["value of a user: -1.00 (-2.00 to 0.50) watch"]
    assert said("experience")["all together"] == ["2.0% (1.0–3.0); 30.0% of users"]
    assert said("churn_monitor")["observed"][1] == "2024-01-02: 2 returned; expected 10.0 (4.0–17.0); alarm"
    assert said("shock_effect")["days"][1] == "2024-01-07: 70% of the expected hazard"
    assert said("idle_risk")["below 100"][1] == "idle day 1: 40.0% (30.0–50.0%)"
    assert said("idle_risk")["below 100, day on which a risk is reached"] == ["50%: idle day 1.2 (1.0–1.5)"]
    assert said("idle_risk", "zh-Hant")["低於100"][1] == "閒置第1天：40.0%（30.0–50.0%）"
    assert said("idle_risk")["高"] == ["some of the users on idle days 1–2"]
    assert said("tier_bands")["高"] == ["投資 1 and above, 餘額 below 100: idle days 16–29"]
    assert said("value_by_day")["later gaps"][1] == "idle day 2: 80.0 (70.0–90.0) per 1,000 gaps; the best day"
    assert said("value_by_day")["later gaps, highest share saved 0.3"][0] == "idle day 1: -10.0 per 1,000 gaps"
    assert said("tier_timeline")["低"] == ["2024-01-01: 4 users", "2024-03-08: 50,000 users"]
    assert said("backtest")["15 alerts a day"][0] == "2024-01-31: 900 (800–1,000) per 1,000 gaps"
    assert said("backtest_gains")["高"] == ["4.0 alerts a day: 40.0% of the churn"]
    assert said("lift_over_time")["簡訊"][0] == (
        "day 1: +10.0 (+0.0 to +20.0) per 1,000 users; all days together -5.0 to +25.0"
    )
    assert said("lift_forest") == {"簡訊": ["Net value, per 1,000 users: +21.0 (-9.0 to +33.0) thousand"]}
    assert said("lift_forest", "zh-Hant") == {"簡訊": ["淨值，每千名用戶：+2.10（-0.90 至 +3.30）萬"]}
    assert list(said("lift_groups")) == ["甲", "other", "all users"]
    assert said("lift_monitor")["簡訊"][1] == "2024-05-02: odds ratio 1.60 (1.10–2.20); e-value 30; lift"


def texts_of(kind: str, **columns: list[Any]) -> dict[str, list[str]]:
    """What a figure says with these columns in place of its own."""
    room, data, options = KINDS[kind]
    words = {name: text for name, text in plot_words(catalogue("en"), room).items() if name != "all"}
    made = drawings(Figure("f", kind, "", "", "", {**data, **columns}, {**options, "words": words}))[0]
    return {each.name: [text for _, _, text in each.points] for each in made.marks_wide}


def test_a_cell_of_the_surface_says_how_many_gaps_it_is_of_and_its_limits_where_it_is_one_row() -> None:
    below, late = ["below 100"] * 2, [False, True]
    both = {"lower": [0.3, 0.1, 0.4], "upper": [0.5, 0.9, 0.6]}
    told = texts_of(
        "risk_surface", group=[*below, "below 100"], registration_gap=[*late, False], idle_days=[0, 0, 1],
        n_gaps=[10, 2, 1200], churn=[0.4, 1.0, 0.5], 餘額=[*below, "below 100"], **both,
    )  # fmt: skip
    assert told["餘額 below 100"] == ["idle day 0: 50.0%; 12 gaps", "idle day 1: 50.0% (40.0–60.0%); 1,200 gaps"]


def test_days_of_a_shock_say_their_limits() -> None:
    told = texts_of("shock_effect", lower=[0.46, 0.5, 0.4, N], upper=[2.35, 2.0, 1.2, N])
    assert told["days"][0] == "2024-01-05: 100% (46–235%) of the expected hazard"
    assert told["days that do not count"] == ["2024-01-08: 80% of the expected hazard"]


@pytest.mark.parametrize("kind", ["return_curves", "lift_over_time"])
def test_no_day_is_told_that_the_table_does_not_have(kind: str) -> None:
    assert {text.split(":")[0] for each in said(kind).values() for text in each} == {"day 1", "day 2"}


def test_a_band_of_no_width_is_not_told() -> None:
    told = texts_of("lift_over_time", band_lower=[0.0, -1.0], band_upper=[0.0, 2.0])["簡訊"]
    assert [("all days" in each) for each in told] == [False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_series_of_a_figure_with_the_same_name_lie_apart(kind: str) -> None:
    names = [each.name for each in drawn(kind, "en").marks_wide]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", ["forest", "lift_forest"])
def test_numbers_over_lines_stand_on_paper(kind: str) -> None:
    made = drawn(kind, "en")
    narrow = made.narrow or made.wide  # panels are small in both
    plates = re.findall(r'style="fill: #ffffff"', narrow)
    numbers = re.findall(r"<text[^>]*>[^<]*(?:\d \(|\d\)|reference)[^<]*</text>", narrow)
    assert numbers
    assert len(plates) >= 2 * len(numbers)  # of the name and of the number


def line(n: int, *, few: bool = False) -> Picture:
    x = np.linspace(0.0, 1.0, n)
    y = np.where(np.arange(n) == n // 3, 5.0, np.sin(9 * x))

    def draw(ax: Axes) -> None:
        ax.plot(x, y)
        mark(ax, "a", x, y, str, few=few)

    return picture(FRAME, draw)


def test_long_lines_keep_ends_extremes_and_equal_distances() -> None:
    (series,) = line(100_000).marks
    kept = [int(text) for _, _, text in series.points]
    assert kept[0] == 0
    assert kept[-1] == 99_999
    assert 33_333 in kept
    assert 100 <= len(kept) <= 130
    assert max(np.diff(kept)) < 2 * 100_000 / 110
    assert len(line(90).marks[0].points) == 90
    assert len(line(90, few=True).marks[0].points) == 3


def test_a_hundred_lines_share_the_points() -> None:
    def draw(ax: Axes) -> None:
        ax.set_xlim(0, 49)
        for each in range(100):
            x = np.arange(50.0)
            mark(ax, each, x, x * each, str, few=each > 4)

    marks = picture(Frame(640, 300, 20, 10, 10, 20), draw).marks
    assert len(marks) == 100
    assert sum(len(each.points) for each in marks[:5]) > 150
    assert {len(each.points) for each in marks[5:]} == {1}
    assert sum(len(each.points) for each in marks) <= 330


def test_places_are_those_of_the_drawing_also_on_a_log_axis_and_beyond_its_ends() -> None:
    def draw(ax: Axes) -> None:
        ax.set_yscale("log")
        ax.set_xlim(0, 10)
        ax.set_ylim(0.1, 10)
        mark(ax, "a", [0, 5, 10, 5], [0.1, 1.0, 1000.0, np.nan], ["low", "middle", "beyond", "nothing"])

    assert picture(FRAME, draw).marks[0].points == (
        (20.0, 80.0, "low"),
        (105.0, 45.0, "middle"),
        (190.0, 10.0, "beyond"),
    )


def test_hostile_and_endless_texts_are_shown_and_cut() -> None:
    def draw(ax: Axes) -> None:
        mark(ax, "<b>\x00" + "x" * 10_000, [0.5], [0.5], ["\u202e" + "y" * 10_000])

    (series,) = picture(FRAME, draw).marks
    assert series.name.startswith("<b>\ufffd")
    assert len(series.name) < 200
    assert "\u202e" not in series.points[0][2]
    assert len(series.points[0][2]) < 400


def test_nothing_is_collected_where_nobody_asks(ax: Axes) -> None:
    def never(i: int) -> str:
        raise AssertionError(i)

    mark(ax, "a", [0], [0], never)
    with collecting() as found:
        mark(ax, "a", [0], [0], never)
    assert len(found) == 1
