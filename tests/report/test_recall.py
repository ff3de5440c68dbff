"""What campaigns brought back: sentences say what the tables say, and claim an effect only where lots were drawn."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from churnsurv.notes import note
from churnsurv.plots import lift_curves, lift_forests, lift_monitors
from churnsurv.report import Report, build, render_html
from churnsurv.report.catalogue import LANGUAGES, catalogue
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.model import Figure, Sentence, Table
from churnsurv.report.numbers import between, money, returns
from churnsurv.report.pieces import plot_words
from tests.report.conftest import ARMS
from tests.report.test_who import section, table, text_of

NOTHING, BEST = ARMS["none"], ARMS["voucher"]
LOG = {"rule": {"idle_days": 30, "activity": ("login", "invest")}}
CAUSAL = ("because of", "brought back", "effect of it")


@pytest.fixture(scope="module")
def given(campaigns: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of `build`, from a campaign whose arms have hostile names and one of which surely works."""
    worked = {"estimate": 80.0, "lower": 30.0, "upper": 130.0, "arm_value": 180.0, "control_value": 100.0}
    return {**campaigns, "log_facts": LOG, "lift": changed(campaigns["lift"], BEST, **worked)}


def changed(lift: Any, arm: str, outcome: str = "return_probability", **numbers: float) -> Any:
    """The lift with other numbers of one arm and outcome."""
    frame = lift.table
    mine = (frame["arm"] == arm) & (frame["outcome"] == outcome)
    for name, value in numbers.items():
        frame.loc[mine, name] = value
    return with_tables(lift, lift=frame)


def with_tables(found: Any, **frames: pd.DataFrame) -> Any:
    return replace(found, _tables={**found._tables, **frames})


@pytest.fixture(scope="module")
def told(given: Mapping[str, Any]) -> Report:
    return build(title="t", **given)


def text(report: Report) -> str:
    return text_of(section(report, "campaigns"))


def rows(given: Mapping[str, Any], outcome: str) -> pd.DataFrame:
    frame = given["lift"].table
    return frame[(frame["outcome"] == outcome) & frame["adjusted"]].set_index("arm")


def test_each_arm_is_told_with_its_limits_and_what_happened_without_it(told: Report, given: Mapping[str, Any]) -> None:
    said = text(told)
    assert f"“{BEST}”: of 1,000 users 80 more (30–130) returned within 60 days because of it: 180 did, and 100" in said
    unclear = rows(given, "return_probability").drop(BEST)
    for arm, row in unclear[(unclear["lower"] < 0) & (unclear["upper"] > 0)].iterrows():
        low, high = f"{returns(-row['lower'])} fewer", f"{returns(row['upper'])} more"
        assert f"“{arm}”: no effect that can be told from chance: of 1,000 users between {low} and {high}" in said
    assert len(unclear) == 3


def test_money_and_staying_are_told_of_all_assigned(told: Report, given: Mapping[str, Any]) -> None:
    said = text(told)
    for outcome in ("net_value", "days_live"):
        row = rows(given, outcome).loc[BEST]
        limits = between(money(row["lower"]), money(row["upper"]))
        assert f"“{BEST}” {money(row['estimate'])} ({limits})" in said
    assert "within 60 days, less contacts, per 1,000 users" in said  # no rewards were given
    assert (
        said.count("All users assigned count, whether a contact reached them or not, and whether they returned or not")
        == 1
    )


def test_within_a_short_horizon_nothing_is_said_about_staying(given: Mapping[str, Any]) -> None:
    frame = given["lift"].table
    short = replace(with_tables(given["lift"], lift=frame[frame["outcome"] != "days_live"]), horizon=30)
    said = text(build(title="t", log_facts=LOG, lift=short))
    assert "Whether they stayed is not told within 30 days: it takes a horizon of 60 days" in said


def test_the_summary_has_return_money_and_staying_of_the_surest_arm(told: Report, given: Mapping[str, Any]) -> None:
    (sentence,) = (each for each in told.summary if each.link == "campaigns")
    assert "of 1,000 users 80 more (30–130) returned within 60 days because of “voucher”" in sentence.text
    assert f"its net value is {money(rows(given, 'net_value').loc[BEST, 'estimate'])}" in sentence.text
    assert f"it brought {money(rows(given, 'days_live').loc[BEST, 'estimate'])}" in sentence.text


def test_rows_that_are_not_adjusted_are_not_said_to_be(told: Report, given: Mapping[str, Any]) -> None:
    assert "Figures are adjusted for pre_active_days" in text(told)
    assert "adjusted for what was known before" in table(section(told, "campaigns"), "Every outcome").note
    frame = given["lift"].table
    report = build(title="t", log_facts=LOG, lift=with_tables(given["lift"], lift=frame[~frame["adjusted"]]))
    assert "Figures are adjusted" not in text(report)
    assert "adjusted" not in table(section(report, "campaigns"), "Every outcome").note


def test_no_clear_arm_is_said_to_be_none(given: Mapping[str, Any]) -> None:
    lift = given["lift"]
    for arm in lift.arms:
        lift = changed(lift, arm, lower=-5.0, upper=9.0, estimate=2.0)
    (sentence,) = build(title="t", log_facts=LOG, lift=lift).summary
    assert sentence.text.endswith("no arm brought back more users than chance allows.")


def test_an_arm_of_which_nothing_is_known_and_one_that_does_harm(given: Mapping[str, Any]) -> None:
    nan = float("nan")
    lift = changed(given["lift"], ARMS["sms"], estimate=nan, lower=nan, upper=nan)
    lift = changed(lift, ARMS["push"], estimate=-40.0, lower=-70.0, upper=-10.0)
    said = text(build(title="t", log_facts=LOG, lift=lift))
    assert f"“{ARMS['sms']}”: too few users to tell." in said
    assert f"“{ARMS['push']}”: of 1,000 users 40 fewer (-70 to -10) returned within 60 days because of it" in said


def test_a_broken_check_comes_first_and_nothing_is_called_an_effect(given: Mapping[str, Any]) -> None:
    checks = given["lift"].checks
    checks.loc[0, ["verdict", "words"]] = ["broken", "10 users too many."]
    report = build(title="t", log_facts=LOG, lift=with_tables(given["lift"], lift_checks=checks))
    first, second = section(report, "campaigns").blocks[:2]
    assert isinstance(first, Sentence)
    assert first.text.startswith("Not to be read as an experiment: sample ratio, 春")
    assert isinstance(second, Table)
    assert second.rows[0][3:] == ("broken", "10 users too many.")
    (sentence,) = report.summary
    assert "cannot be read as an experiment: the check of sample ratio is broken" in sentence.text
    assert "returned within 60 days than in “<b>none</b>”, which is not to be taken for an effect" in text(report)
    for words in ("because of", "brought back"):
        assert words not in text(report)
        assert words not in sentence.text


def test_checks_that_are_fine_stand_at_the_end(told: Report) -> None:
    blocks = section(told, "campaigns").blocks
    checks = table(section(told, "campaigns"), "Checks before the answer")
    outcomes = table(section(told, "campaigns"), "Every outcome")
    assert blocks.index(checks) > blocks.index(outcomes)
    assert {row[3] for row in checks.rows} <= {"fine", "look"}


def test_without_lots_no_word_claims_an_effect(given: Mapping[str, Any]) -> None:
    report = build(title="t", log_facts=LOG, lift=replace(given["lift"], design="observational"))
    said = f"{text(report)}\n{report.summary[0].text}"
    assert "Nobody drew lots" in said
    assert "80 more (30–130) returned within 60 days than of alike users in “<b>none</b>”" in said
    assert "nobody drew lots, so no proof of an effect" in said
    for words in CAUSAL:
        assert words not in said
    figure = next(each for each in report.figures if each.kind == "lift_forest")
    assert "no proof of an effect" in figure.caption


def test_the_monitor_says_when_it_could_have_been_decided(given: Mapping[str, Any]) -> None:
    (campaign, monitor) = next(iter(given["lift_monitors"].items()))
    frame = monitor.table
    mine = frame["arm"] == BEST
    day = frame.loc[mine, "day"].iloc[9]
    frame["decision"] = "go on"
    frame.loc[mine & (frame["day"] >= day), "decision"] = "lift"
    frame.loc[(frame["arm"] == ARMS["push"]), "decision"] = "no lift worth having"
    monitors = {campaign: replace(monitor, _table=frame)}
    said = text(build(title="t", **{**given, "lift_monitors": monitors}))
    assert f"Looked at every day, “{BEST}” could have been called a lift on {pd.Timestamp(day).day} " in said
    assert "could have been given up on" in said
    assert f"Looked at every day, “{ARMS['sms']}” and “推送” could not have been decided by" in said


def test_tables_hold_every_outcome_and_group(told: Report, given: Mapping[str, Any]) -> None:
    outcomes = table(section(told, "campaigns"), "Every outcome")
    assert len(outcomes.rows) == given["lift"].table["outcome"].nunique()
    assert outcomes.columns[1:] == given["lift"].arms
    place = outcomes.columns.index(BEST)
    assert outcomes.rows[0][place] == "80 (30–130)"
    groups = table(section(told, "campaigns"), "More returned within 60 days")
    frame = given["lift_groups"].subgroups
    assert {row[0] for row in groups.rows[:-1]} == set(frame["group"])
    assert groups.rows[-1][0] == "the same in all groups: p"


def test_of_many_arms_each_has_its_rows(given: Mapping[str, Any]) -> None:
    frame = given["lift"].table
    more = frame[frame["arm"] == BEST].assign(arm="sixth")
    report = build(title="t", log_facts=LOG, lift=with_tables(given["lift"], lift=pd.concat([frame, more])))
    outcomes = table(section(report, "campaigns"), "Every outcome")
    assert ("sixth", "Returned, per 1,000 users", "80 (30–130)") in outcomes.rows


def test_all_campaigns_together_come_first(given: Mapping[str, Any]) -> None:
    frame = given["lift"].table
    both = pd.concat([frame, frame.assign(campaign="(all)")])
    report = build(title="t", log_facts=LOG, lift=with_tables(given["lift"], lift=both))
    said = text(report).splitlines()
    assert said[0] == "All campaigns together"
    assert report.summary[0].text.startswith("All campaigns together: of 1,000 users")
    assert any(line.startswith("Campaign “春 <i>recall</i>”") for line in said)
    assert text(report).count("All users assigned count") == 1


def test_figures_are_drawn_with_hostile_names(told: Report) -> None:
    kinds = {figure.kind: figure for figure in told.figures}
    assert set(kinds) == {"lift_forest", "return_curves", "lift_over_time", "lift_groups", "lift_monitor"}
    for figure in kinds.values():
        assert isinstance(figure, Figure)
        assert figure.caption
        assert figure.alt
        assert figure_csv(figure).count("\n") > 1
    some = {"return_curves", "lift_over_time", "lift_monitor"}  # forests have many panels
    drawn = {figure.name: drawings(figure) if figure.kind in some else [] for figure in told.figures}
    forests = [replace(figure, options={**figure.options, "panels": figure.panels[:1]}) for figure in told.figures]
    drawn |= {figure.name: drawings(figure) for figure in forests if figure.kind not in some}
    page = render_html(told, drawn)
    assert "<script>alert" not in page
    assert "推送" in page


def test_everything_is_in_the_result_as_plain_data(told: Report, given: Mapping[str, Any]) -> None:
    found = json.loads(told.to_json())["results"]
    assert {"lift", "lift_checks", "lift_balance", "lift_subgroups", "lift_monitors"} <= set(found)
    assert len(found["lift"]["table"]["estimate"]) == len(given["lift"].table)
    methods = text_of(section(told, "method"))
    assert "users are compared as they were assigned" in methods


def test_without_campaigns_there_is_no_section() -> None:
    report = build(title="t", log_facts=LOG)
    assert "campaigns" not in [each.id for each in report.sections]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234567.0, "1.23M"), (-12345.0, "-12.3k"), (1234.0, "1,234"), (55.51, "56"), (2.345, "2.35"), (None, "–")],
)
def test_amounts(value: float | None, expected: str) -> None:
    assert money(value) == expected


@pytest.mark.parametrize(
    ("room", "own"),
    [("plot_recall", lift_curves._WORDS), ("plot_lift", lift_forests._WORDS), ("plot_monitor", lift_monitors._WORDS)],
)
def test_every_language_has_the_words_of_the_figures(room: str, own: Mapping[str, str]) -> None:
    for lang in LANGUAGES:
        said = plot_words(catalogue(lang), room)
        left_out = (
            {"power", "power_day", "one_test", "monitored", "of_lift", "of_users"} if room == "plot_monitor" else set()
        )
        assert set(own) - left_out <= set(said)
        for word, text_of_word in said.items():
            if word not in own:  # a word of all figures
                continue
            fields = [{f for _, f, _, _ in string.Formatter().parse(each) if f} for each in (text_of_word, own[word])]
            assert fields[0] == fields[1], word


def test_one_user_who_decides_on_an_amount_is_told_once(given: Mapping[str, Any]) -> None:
    heavy = [
        note(
            "{campaign}, {arm}: one user makes up {share} of the variance of {outcome}, and no limits can be trusted "
            "then.",
            campaign="c", arm="a", share=share, outcome="net_value",
        )
        for share in ("40%", "55%", "31%")
    ]  # fmt: skip
    lift = replace(given["lift"], notes=("Something else.", *heavy))
    said = text(build(title="t", **{**given, "lift": lift}))
    assert said.count("one user makes up") == 1
    assert "one user makes up 55%" in said
    assert "Something else." in said
