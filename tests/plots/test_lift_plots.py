"""Figures of campaigns: every line and interval is the table's, the line of no effect is there, phones have room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv import plots
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.document import svg, themed
from churnsurv.plots.style import SIZE, wrapped
from churnsurv.plots.text import ems
from tests.plots.conftest import HOSTILE, texts

DAYS = np.arange(1, 31)


def curves(arms: list[str], campaign: str = "spring") -> pd.DataFrame:
    parts = []
    for place, arm in enumerate(arms):
        returned = (0.2 + 0.05 * place) * (1 - np.exp(-DAYS / 9))
        parts.append(
            pd.DataFrame(
                {"campaign": campaign, "arm": arm, "day": DAYS, "returned": returned, "lower": 0.8 * returned,
                 "upper": 1.2 * returned, "at_risk": 1000 - 5 * DAYS}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def over_time(arms: list[str]) -> pd.DataFrame:
    parts = []
    for place, arm in enumerate(arms):
        difference = (40.0 + 20 * place) * (1 - np.exp(-DAYS / 9))
        spread = {"lower": -12.0, "upper": 12.0, "band_lower": -20.0, "band_upper": 20.0}
        limits = {name: difference + shift for name, shift in spread.items()}
        base = {"campaign": "spring", "arm": arm, "day": DAYS, "difference": difference}
        parts.append(pd.DataFrame({**base, **limits}))
    return pd.concat(parts, ignore_index=True)


def lift(arms: list[str], outcome: str = "return_probability", unit: str = "per 1,000 users") -> pd.DataFrame:
    ratio = unit == "ratio"
    estimate = np.linspace(0.8, 1.9, len(arms)) if ratio else np.linspace(-20.0, 60.0, len(arms))
    half = 0.1 if ratio else 15.0
    return pd.DataFrame(
        {"campaign": "spring", "arm": arms, "outcome": outcome, "unit": unit, "adjusted": False, "estimate": estimate,
         "lower": estimate - half, "upper": estimate + half}
    )  # fmt: skip


def subgroups(arms: list[str], groups: list[str], p: float = 0.04) -> pd.DataFrame:
    parts = [lift(groups).assign(arm=arm, group=groups, by="channel") for arm in arms]
    return pd.concat(parts, ignore_index=True).assign(heterogeneity_p_value=[p] * len(groups) * len(arms))


def targeted(names: list[str], arms: list[str], measure: str = "toc") -> pd.DataFrame:
    share, parts = np.linspace(0.05, 1, 20), []
    for place, (name, arm) in enumerate((n, a) for n in names for a in arms):
        estimate = (50 + 5 * place) * (1 - share)
        limits = {"lower": estimate - 5, "upper": estimate + 5, "band_lower": estimate - 9, "band_upper": estimate + 9}
        base = {"score": name, "arm": arm, "measure": measure, "unit": "per 1,000 targeted", "share": share}
        parts.append(pd.DataFrame({**base, "estimate": estimate, **limits}))
    return pd.concat(parts, ignore_index=True)


def budgets() -> pd.DataFrame:
    budget, parts = np.linspace(0, 900, 10), []
    for place, policy in enumerate(["all arms", "sms", "sms, in any order"]):
        gain = (90 - 20 * place) * (1 - np.exp(-budget / 300))
        limits = {"lower": gain - 5, "upper": gain + 5, "band_lower": gain - 9, "band_upper": gain + 9}
        parts.append(pd.DataFrame({"policy": policy, "budget": budget, "gain": gain, **limits}))
    return pd.concat(parts, ignore_index=True)


def monitored(arms: list[str], decided: str | None = "lift") -> pd.DataFrame:
    days, parts = pd.date_range("2024-03-01", periods=40), []
    for arm in arms:
        lower = np.linspace(0.02, 1.2, 40)
        told = {"arm": arm, "day": days, "e_value": np.linspace(1, 40, 40), "estimate": 1.6, "lower": lower}
        rows = pd.DataFrame({**told, "upper": [np.nan, *np.linspace(30, 2.4, 39)], "decision": "go on"})
        rows.loc[rows["lower"] > 1, "decision"] = decided or "go on"
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def powers(sizes: list[int]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"lift": 0.02, "n_users": n, "day": DAYS, "power": np.where(DAYS > 9, DAYS / 31, np.nan),
                      "monitored_power": DAYS / 40})
        for n in sizes
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def escalated() -> pd.DataFrame:
    return curves(["first contact only", "second contact on day 5"]).rename(columns={"arm": "policy"})


ARMS = ["none", *HOSTILE[:4]]
CASES: dict[str, tuple[str, Callable[[], pd.DataFrame], dict[str, Any]]] = {
    "returns": ("return_curves", lambda: curves(ARMS), {"control": "none"}),
    "over time": ("lift_over_time", lambda: over_time(ARMS[1:]), {"control": "none"}),
    "over time, one arm": ("lift_over_time", lambda: over_time(["sms"]), {}),
    "forest": ("lift_forest", lambda: lift(ARMS[1:]), {}),
    "forest of ratios": ("lift_forest", lambda: lift(ARMS[1:], "hazard_ratio", "ratio"), {"outcome": "hazard_ratio"}),
    "groups": ("lift_forest", lambda: subgroups(["sms"], HOSTILE), {"overall": lift(["sms"])}),
    "targeting": ("targeting_curve", lambda: targeted(HOSTILE[:3], ["sms"]), {}),
    "targeting, one": ("targeting_curve", lambda: targeted(["model"], ["sms"], "qini"), {"quantity": "qini"}),
    "budget": ("budget_curve", budgets, {}),
    "monitor": ("lift_monitor", lambda: monitored(HOSTILE[:3]), {"smallest_lift": 1.2}),
    "escalation": ("escalation_curves", escalated, {}),
    "power": ("campaign_power", lambda: powers([900, 1800]), {}),
}


@pytest.mark.parametrize("width", [290, 640])
@pytest.mark.parametrize("case", CASES)
def test_every_figure_has_its_room(case: str, width: int) -> None:
    name, make, options = CASES[case]
    draw, frame_of, table = getattr(plots, name), getattr(plots, f"{name}_frame"), make()
    frame = frame_of(table, width, **options)
    document = svg(frame, lambda ax: draw(table, ax, **options))
    assert "<script" not in document
    assert themed(document, prefix="a", label="b")
    ax = draw(table, frame.place(Figure()), **options)
    canvas = ax.get_figure()
    assert canvas is not None
    for text in ax.texts:
        if text.get_ha() != "left" or not text.get_text().strip():
            continue
        x = ax.transAxes.transform((0, 0))[0] / canvas.dpi * 72 + text.get_position()[0]
        above = text.xycoords == "axes fraction" and text.xy[0] == 0  # type: ignore[attr-defined]
        assert not above or x + 0.85 * ems(text.get_text()) * SIZE <= width, text.get_text()
    assert frame.height - frame.top - frame.bottom > 15


@pytest.mark.parametrize("case", CASES)
def test_without_axes_a_figure_of_its_size_is_made(case: str) -> None:
    name, make, options = CASES[case]
    figure = getattr(plots, name)(make(), **options).get_figure()
    frame = getattr(plots, f"{name}_frame")(make(), **options)
    assert figure.get_figwidth() * 72 == pytest.approx(640)
    assert figure.get_figheight() * 72 == pytest.approx(frame.height)


def test_return_curves_are_the_tables_and_the_control_is_grey_and_dashed(ax: Axes) -> None:
    table = curves(["none", "sms", "push"])
    plots.return_curves(table, ax, control="none", level=0.9)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 32]
    for line, arm in zip(drawn, ["none", "sms", "push"], strict=True):
        np.testing.assert_array_equal(line.get_ydata()[1:-1], table.loc[table["arm"] == arm, "returned"])
        assert line.get_ydata()[0] == 0
    assert [line.get_color() for line in drawn] == [MUTED, SERIES[0], SERIES[1]]
    assert [line.get_linestyle() for line in drawn] == ["--", "-", "-"]
    said = texts(ax)
    assert "Share returned, with 90% intervals" in said
    assert said.count("995") == 3  # at risk on day 0, told by the first day
    assert "Not returned" in said


def test_an_arm_has_one_colour_with_and_without_its_control() -> None:
    one = plots.return_curves(curves(["none", "sms", "push"]), control="none")
    two = plots.lift_over_time(over_time(["sms", "push"]))
    colours = [[line.get_color() for line in ax.lines if len(line.get_xdata()) == 32] for ax in (one, two)]
    assert colours[0][1:] == list(dict.fromkeys(colours[1]))


def test_the_band_of_one_arm_is_a_second_shade_and_of_several_dotted(ax: Axes) -> None:
    table = over_time(["sms"])
    plots.lift_over_time(table, ax)
    assert len(ax.collections) == 2
    low, high = ax.get_ylim()
    assert low < table["band_lower"].min() < table["band_upper"].max() < high
    assert {"95% for each day", "95% for all days together"} <= set(texts(ax))
    assert any(np.allclose(line.get_ydata(), 0) for line in ax.lines)
    several = plots.lift_over_time(over_time(["sms", "push"]), control="none")
    assert len(several.collections) == 2
    assert "shaded: 95% for each day; dotted: for all days together" in texts(several)
    assert "More returned than in “none”, per 1,000 users" in texts(several)


def test_one_campaign_is_drawn_at_a_time(ax: Axes) -> None:
    two = pd.concat([curves(["sms"]), curves(["push"], "autumn")])
    with pytest.raises(InputError, match="there are 2 campaigns; choose one with campaign="):
        plots.return_curves(two, ax)
    with pytest.raises(InputError, match="Did you mean 'autumn'"):
        plots.return_curves(two, ax, campaign="autumm")
    plots.return_curves(two, ax, campaign="autumn")
    assert len([line for line in ax.lines if len(line.get_xdata()) == 32]) == 1


def test_a_forest_has_estimates_and_limits_of_the_outcome(ax: Axes) -> None:
    table = lift(["sms", "push", "voucher"])
    both = pd.concat([table, lift(["sms", "push", "voucher"], "hazard_ratio", "ratio")])
    plots.lift_forest(both, ax, control="none")
    squares = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "s"]
    assert squares == table["estimate"].tolist()
    assert "+60.0 (+45.0 to +75.0)" in texts(ax)
    assert {"Returned, per 1,000 users", "against “none”, 95% intervals", "← less", "more →"} <= set(texts(ax))
    ratios = plots.lift_forest(both, outcome="hazard_ratio")
    assert "1.90 (1.80–2.00)" in texts(ratios)
    assert ratios.get_xscale() == "log"


def test_adjusted_rows_are_drawn_where_there_are_some(ax: Axes) -> None:
    plain = lift(["sms"])
    both = pd.concat([plain, plain.assign(adjusted=True, estimate=7.0, lower=1.0, upper=13.0)])
    assert "+7.0 (+1.0 to +13.0)" in texts(plots.lift_forest(both, ax))
    assert "-20.0 (-35.0 to -5.0)" in texts(plots.lift_forest(both, adjusted=False))


def test_large_amounts_are_told_in_thousands_or_millions(ax: Axes) -> None:
    table = lift(["sms"], "net_value", "money per 1,000 users").assign(estimate=4.3e6, lower=-1.4e6, upper=33e6)
    plots.lift_forest(table, ax, outcome="net_value")
    assert {"Net value, per 1,000 users, in millions", "+4.3 (-1.4 to +33.0)"} <= set(texts(ax))
    less = plots.lift_forest(table.assign(estimate=43e3, lower=-14e3, upper=33e4), outcome="net_value")
    assert {"Net value, per 1,000 users, in thousands", "+43.0 (-14.0 to +330.0)"} <= set(texts(less))


def test_an_outcome_that_no_arm_can_tell_is_dashes(ax: Axes) -> None:
    table = lift(["sms", "push"], "users_per_return", "users").assign(estimate=np.nan, lower=np.nan, upper=np.nan)
    plots.lift_forest(table, ax, outcome="users_per_return")
    assert texts(ax).count("–") == 2
    infinite = lift(["sms"]).assign(lower=-np.inf, upper=np.inf)
    assert "-20.00 (-inf to +inf)" in texts(plots.lift_forest(infinite))


def test_days_to_return_say_which_side_is_sooner(ax: Axes) -> None:
    plots.lift_forest(lift(["sms", "push"], "days_to_return", "days"), ax, outcome="days_to_return")
    assert {"← sooner", "later →"} <= set(texts(ax))


def test_groups_end_with_all_users_and_say_whether_they_differ(ax: Axes) -> None:
    overall = lift(["push", "sms"])
    adjusted = pd.concat([overall, overall.assign(adjusted=True, estimate=99.0)])
    plots.lift_forest(subgroups(["sms"], ["a", "b"]), ax, overall=adjusted)
    assert texts(ax)[0:6:2] == ["a", "b", "all users"]
    diamonds = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "D"]
    assert diamonds == [60.0]  # of the same kind as the groups: not adjusted
    assert "95% intervals; the same in all groups: p = 0.040" in texts(ax)
    several = subgroups(["sms", "push"], ["a", "b"])
    several.loc[several["arm"] == "push", "heterogeneity_p_value"] = 0.5
    assert "95% intervals" in texts(plots.lift_forest(several))
    assert "push, b" in texts(plots.lift_forest(several))
    with pytest.raises(InputError, match="one column"):
        plots.lift_forest(pd.concat([several, several.assign(by="device")]))


def test_an_outcome_that_is_not_there_is_named(ax: Axes) -> None:
    with pytest.raises(InputError, match="Did you mean 'return_probability'"):
        plots.lift_forest(lift(["sms"]), ax, outcome="return_probabilty")


def test_targeting_and_budget_lines_are_those_of_the_tables(ax: Axes) -> None:
    table = targeted(["model", "idle days"], ["sms"])
    plots.targeting_curve(table, ax)
    drawn = [line.get_ydata() for line in ax.lines if line.get_linewidth() == 1.8]
    for heights, name in zip(drawn, ["model", "idle days"], strict=True):
        np.testing.assert_array_equal(heights, table.loc[table["score"] == name, "estimate"])
    assert "Effect on those targeted, above that on all, per 1,000 targeted" in texts(ax)
    budget = plots.budget_curve(budgets())
    lines = [line for line in budget.lines if line.get_linewidth() == 1.8]
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert lines[1].get_color() == lines[2].get_color()  # one arm, ranked and in any order
    assert len(budget.collections) == 2


def test_budget_lines_of_many_arms_keep_their_colours() -> None:
    one = budgets()
    arms = [
        one[one["policy"] == "sms"].assign(policy=f"arm {n}{kind}") for n in range(4) for kind in ("", ", in any order")
    ]
    ax = plots.budget_curve(pd.concat([one[one["policy"] == "all arms"], *arms]))
    lines = [line for line in ax.lines if line.get_linewidth() == 1.8]
    assert len(lines) == 9
    assert len({line.get_color() for line in lines}) == 5


def test_each_arm_and_score_of_several_has_its_line(ax: Axes) -> None:
    plots.targeting_curve(targeted(["model", "idle days"], ["sms", "push"]), ax)
    assert {"sms, model", "push, idle days"} <= set(texts(ax))
    alone = plots.targeting_curve(targeted(["model", "idle days"], ["sms", "push"]), arm="push")
    assert {"model", "idle days"} <= set(texts(alone))
    with pytest.raises(InputError, match="Did you mean 'push'"):
        plots.targeting_curve(targeted(["model"], ["push"]), arm="pusch")
    with pytest.raises(InputError, match="quantity must be one of"):
        plots.targeting_curve(targeted(["model"], ["push"]), quantity="auuc")
    with pytest.raises(InputError, match="no rows"):
        plots.targeting_curve(targeted(["model"], ["push"]), quantity="gain")


def test_the_monitor_marks_the_day_of_the_decision(ax: Axes) -> None:
    table = monitored(["sms"])
    plots.lift_monitor(table, ax, smallest_lift=1.2)
    day = table.loc[table["decision"] == "lift", "day"].iloc[0]
    assert f"{day:%Y-%m-%d}: lift" in texts(ax)
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert points == [(day - pd.Timestamp("1970-01-01")).days]
    heights = [float(line.get_ydata()[0]) for line in ax.lines if len(line.get_xdata()) == 2]
    assert heights == [1.0, 1.2]
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[1] <= 10.5  # limits that tell nothing yet take no room


def test_a_monitor_without_decision_tells_its_e_value(ax: Axes) -> None:
    plots.lift_monitor(monitored(["sms", "push"], None), ax)
    assert {"sms: no decision yet; e-value 40", "push: no decision yet; e-value 40"} <= set(texts(ax))
    assert not [line for line in ax.lines if line.get_marker() == "o"]
    with pytest.raises(InputError, match="Did you mean 'push'"):
        plots.lift_monitor(monitored(["push"]), arm="pusch")


def test_power_without_accrual_has_no_days(ax: Axes) -> None:
    plots.campaign_power(powers([900]), ax, power=0.8)
    assert {"one test", "looked at every day"} <= set(texts(ax))
    sizes = plots.campaign_power(powers([900, 1800]))
    assert {"one test, 900", "looked at every day, 1,800"} <= set(texts(sizes))
    lifts = plots.campaign_power(pd.concat([powers([900]), powers([900]).assign(lift=0.05)]))
    assert {"one test, 0.02", "looked at every day, 0.05"} <= set(texts(lifts))
    with pytest.raises(InputError, match="accrual_per_day"):
        plots.campaign_power(powers([900]).head(0), ax)


def test_columns_that_are_missing_are_named(ax: Axes) -> None:
    for name, table, column in (
        ("return_curves", curves(["sms"]), "at_risk"),
        ("lift_over_time", over_time(["sms"]), "band_upper"),
        ("lift_forest", lift(["sms"]), "adjusted"),
        ("targeting_curve", targeted(["a"], ["b"]), "share"),
        ("budget_curve", budgets(), "gain"),
        ("lift_monitor", monitored(["sms"]), "e_value"),
        ("escalation_curves", escalated(), "returned"),
        ("campaign_power", powers([9]), "monitored_power"),
    ):
        with pytest.raises(SchemaError, match=column):
            getattr(plots, name)(table.drop(columns=column), ax)
        with pytest.raises(InputError, match="Figures have no word"):
            getattr(plots, name)(table, ax, words={"nonsense": "x"})


def test_text_is_wrapped_between_words() -> None:
    text = "Gain above that of the same share at random, per 1,000 of the population"
    rows = wrapped(text, 200)
    assert " ".join(rows) == text
    assert all(ems(row) * SIZE <= 200 for row in rows)
    assert wrapped("unbreakable", 5) == ["unbreakable"]
