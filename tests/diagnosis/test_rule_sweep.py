"""The study repeated under several rules: each figure is the one asked for directly, and nothing is invented."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.diagnosis import RuleSweep, rule_sweep
from tests.proportional_app import RETURN_MEAN_DAYS, RETURN_SHARE, proportional_app


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return ch.simulate_app(1_000, seed=3).log


@pytest.fixture(scope="module")
def sweep(log: ch.ActivityLog) -> RuleSweep:
    # Many leave at registration and churn on one day, where Efron's ties are not exact: grouped.
    return rule_sweep(
        log, (45, 20, 30), by="channel", formula="channel + campaign", reference={"channel": "organic"}, horizon=80,
        ties="grouped",
    )  # fmt: skip


def small_log(events: list[tuple[str, str]], registered: dict[str, str], **settings: object) -> ch.ActivityLog:
    users = pd.DataFrame({"user_id": list(registered), "registered_at": list(registered.values())})
    table = pd.DataFrame(events, columns=["user_id", "event_at"]).assign(kind="login")
    return ch.ActivityLog(table, users, **settings)  # type: ignore[arg-type]


def rows(sweep: RuleSweep, quantity: str, group: str = "all") -> pd.DataFrame:
    table = sweep.table
    return table[(table["quantity"] == quantity) & (table["group"] == group)].set_index("idle_days")


def test_the_table_follows_its_schema(sweep: RuleSweep) -> None:
    table = sweep.table
    assert tuple(table.columns) == ch.schema("rule_sweep").names
    assert sweep.idle_days == (20, 30, 45)
    assert sweep.chosen == 30
    assert not table.duplicated(["idle_days", "quantity", "group"]).any()
    assert table.loc[table["estimate"].isna(), "note"].notna().all()
    assert table.loc[table["estimate"].notna(), "note"].isna().all()


@pytest.mark.parametrize("days", [20, 30, 45])
def test_every_figure_is_the_one_asked_for_directly(log: ch.ActivityLog, sweep: RuleSweep, days: int) -> None:
    spells = log.with_rule(idle_days=days).churn_spells()
    assert rows(sweep, "n_spells").loc[days, "estimate"] == spells.counts["spells"]
    assert rows(sweep, "churned").loc[days, "estimate"] == spells.counts["churned"] / spells.counts["spells"]
    curves = ch.kaplan_meier(spells, by="channel")
    for point in curves.at([80]).to_dict("records"):
        found = rows(sweep, "survival", point["group"]).loc[days]
        assert [found["estimate"], found["lower"], found["upper"]] == [
            point["survival"],
            point["lower"],
            point["upper"],
        ]
    for median in curves.median.to_dict("records"):
        assert rows(sweep, "median", median["group"]).loc[days, "estimate"] == median["time"]
    fit = ch.cox("channel + campaign", spells, reference={"channel": "organic"}, ties="grouped")
    for term in fit.table.to_dict("records"):
        found = rows(sweep, "hazard_ratio", term["term"]).loc[days]
        assert found["estimate"] == pytest.approx(term["hazard_ratio"], rel=1e-12)
        assert found["lower"] == pytest.approx(term["hr_lower"], rel=1e-12)


def test_the_churned_share_has_wilsons_interval() -> None:
    # One of two churned: (1 + z^2/2 -+ z sqrt(1/2 + z^2/4)) / (2 + z^2) with z = 1.959964, worked by hand.
    log = small_log([("a", "2024-03-25")], {"a": "2024-03-20", "b": "2024-02-01"}, observed_until="2024-03-31")
    row = rows(rule_sweep(log, (10,), horizon=5), "churned").loc[10]
    assert row["estimate"] == 0.5
    assert (row["lower"], row["upper"]) == pytest.approx((0.0945312, 0.9054688), abs=1e-6)


def test_returns_count_those_who_could_be_seen_to_return() -> None:
    """Worked by hand under 10 idle days: the day of churn is the last active day + 10.

    a churns on 11 Jan and is back 4 days later; b churns on 11 Jan, never back, followed 80 days; c churns on 30 March
    and is followed one day only. The naive share is 1/3; among those who are followed it is 1/2.
    """
    log = small_log(
        [("a", "2024-01-15"), ("c", "2024-03-20")],
        {"a": "2024-01-01", "b": "2024-01-01", "c": "2024-03-20"},
        observed_until="2024-03-31",
    )
    found = rows(rule_sweep(log, (10,), horizon=30), "return_share").loc[10]
    assert found["estimate"] == pytest.approx(0.5)


def test_the_share_who_return_is_the_simulated_truth() -> None:
    found = rows(rule_sweep(proportional_app(20_000, seed=8).log, (30,), horizon=120), "return_share").loc[30]
    # The pause after churn is 1 + floor of an exponential: returned within h days means an exponential below h.
    truth = RETURN_SHARE * (1 - np.exp(-120 / RETURN_MEAN_DAYS))
    margin = (found["upper"] - found["lower"]) / 2 / 1.96
    assert abs(found["estimate"] - truth) < 4 * margin


def test_what_cannot_be_estimated_is_null_with_the_reason() -> None:
    log = small_log(
        [("a", "2024-01-03"), ("b", "2024-02-20")],
        {"a": "2024-01-01", "b": "2024-01-20", "c": "2024-01-15"},
        observed_until="2024-02-29",
    )
    sweep = rule_sweep(log, (5, 58), horizon=90)
    assert rows(sweep, "churned")["estimate"].tolist() == [1.0, 0.0]
    long = sweep.table.query("idle_days == 58").set_index("quantity")
    assert long.loc["survival", "note"] == "the group is followed to day 59 only"
    assert "more than half" in long.loc["median", "note"]
    assert long.loc["return_share", "note"] == "nobody churned"
    # Under 5 idle days everybody had churned by day 7: beyond it nobody is left, which is an estimate.
    assert rows(sweep, "survival").loc[5, "estimate"] == 0.0


def test_a_model_that_fails_under_one_rule_is_null_there(log: ch.ActivityLog) -> None:
    app = proportional_app(400, seed=1)
    short = ch.ActivityLog(app.events, app.users, observed_from="2024-01-01", observed_until="2024-03-15")
    sweep = rule_sweep(short, (30, 90), formula="device")
    ratios = rows(sweep, "hazard_ratio", "device: ios")
    assert ratios.loc[30, "estimate"] > 0
    assert pd.isna(ratios.loc[90, "estimate"])
    assert ratios.loc[90, "note"]
    with pytest.raises(ch.ChurnsurvError):
        rule_sweep(short, (90, 100), formula="device")


def test_a_missing_column_is_an_error_not_a_note(log: ch.ActivityLog) -> None:
    with pytest.raises(ch.SchemaError, match="Did you mean 'channel'"):
        rule_sweep(log, (30, 45), formula="chanel")
    with pytest.raises(ch.SchemaError, match="Did you mean 'channel'"):
        rule_sweep(log, (30,), by="chanel")


@pytest.mark.parametrize("rules", [(), (0,), (2.5,), (True,), ("14",)])
def test_rules_that_are_none(log: ch.ActivityLog, rules: tuple[object, ...]) -> None:
    with pytest.raises(ch.InputError, match="idle_days"):
        rule_sweep(log, rules)  # type: ignore[arg-type]


def test_features_enter_as_of_their_day(log: ch.ActivityLog) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ch.ChurnsurvWarning)
        sweep = rule_sweep(log, (30,), formula="n_investments", features=["n_investments"], baseline_day=30)
        spells = log.churn_spells(features=["n_investments"], baseline_day=30)
        fit = ch.cox("n_investments", spells)
    found = rows(sweep, "hazard_ratio", "n_investments").loc[30, "estimate"]
    assert found == pytest.approx(fit.table.loc[0, "hazard_ratio"], rel=1e-12)


def test_a_warning_names_its_rule() -> None:
    log = small_log(
        [], {"a": "2024-01-01", "b": "2024-02-29"}, observed_until="2024-02-29", rule=ch.ChurnRule(30, None)
    )
    users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-02-29"], "plan": ["x", "y"]})
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-02"], "kind": ["login"]})
    log = ch.ActivityLog(events, users, observed_until="2024-02-29")
    with pytest.warns(ch.ChurnsurvWarning, match="under 20 idle days: no curve for 'y'"):
        rule_sweep(log, (20,), by="plan")


def test_it_is_a_result(sweep: RuleSweep) -> None:
    plain = json.loads(sweep.to_json())
    assert plain["schema"] == {"name": "rule_sweep", "version": 1}
    assert plain["facts"]["chosen"] == 30
    assert repr(sweep).startswith("<RuleSweep: share of first spells that churned under 20 days: ")
    table = sweep.table
    table["estimate"] = 0.0
    assert (sweep.table["estimate"] != 0).any()


def test_the_plot_draws_every_quantity(sweep: RuleSweep) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(np.ravel(np.asarray(sweep.plot(), dtype=object)))
    drawn = sweep.table.dropna(subset=["estimate"])
    assert len(panels) >= drawn["quantity"].nunique() - 1  # the number of spells is a count, not an answer
    assert all(panel.lines or panel.collections for panel in panels)
    plt.close("all")
