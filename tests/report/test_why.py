"""Why they leave: what the sections say stands in their tables, claims no cause, and is absent without data."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.notes import note
from churnsurv.report import Report, build, render_html
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.numbers import ratio, share
from tests.report.conftest import KINDS, NAMED, SHOCK, Drawn
from tests.report.test_render import Page
from tests.report.test_who import like, section, sole, table, text_of

IDS = ["why-reasons", "why-problems", "why-monitor", "why-shocks"]


@pytest.fixture(scope="module")
def told(study: Mapping[str, Any], why: Mapping[str, Any]) -> Report:
    return build(**study, **why)


@pytest.fixture(scope="module")
def page(why: Mapping[str, Any], drawn: Drawn) -> Page:
    report = build(title="t", **why)
    return Page(render_html(report, drawn(report)))


# ------------------------------------------------------------------------------------------------------ the sections


def test_the_sections_stand_together_and_are_linked(told: Report) -> None:
    ids = [each.id for each in told.sections]
    first = ids.index(IDS[0])
    assert ids[first : first + len(IDS)] == IDS
    links = [sentence.link for sentence in told.summary if str(sentence.link).startswith("why")]
    assert links == [each for each in IDS if each in links]
    assert {"why-reasons", "why-problems", "why-shocks"} <= set(links)


@pytest.mark.parametrize(
    ("gone", "absent"),
    [("reasons", "why-reasons"), ("experience", "why-problems"), ("monitor", "why-monitor"), ("shocks", "why-shocks")],
)
def test_a_section_without_data_is_absent(why: Mapping[str, Any], gone: str, absent: str) -> None:
    report = build(title="t", **{**why, gone: None})
    assert [each.id for each in report.sections if each.id.startswith("why")] == [i for i in IDS if i != absent]
    assert absent not in [sentence.link for sentence in report.summary]


def test_no_sentence_claims_a_cause_and_each_section_says_what_it_rests_on(told: Report) -> None:
    claims = re.compile(r"\b(caus\w*|because|due to|leads? to|led to|drives?|impact\w*|results? in)\b", re.I)
    for name in IDS:
        assert not claims.search(text_of(section(told, name)))
        for block in section(told, name).blocks:
            assert not claims.search(f"{getattr(block, 'note', '')} {getattr(block, 'caption', '')}")
    assert "answering has nothing to do with the reason" in table(section(told, "why-reasons"), "Reasons").note
    assert text_of(section(told, "why-problems")).count("Observational: ") == 2
    assert "only if nothing else was new on the days judged" in text_of(section(told, "why-shocks"))
    summary = {str(sentence.link): sentence.text for sentence in told.summary}
    assert "if answering has nothing to do with the reason" in summary["why-reasons"]
    assert not claims.search(" ".join(summary[name] for name in IDS if name in summary))


def test_hostile_and_chinese_names_are_text(page: Page, told: Report) -> None:
    texts = set(page.texts)
    assert {*NAMED.values(), *KINDS.values(), SHOCK} <= texts
    kinds = [attrs.get("type") for attrs in page.named("script")]
    assert kinds.count(None) == 1, "the script of the page alone"
    assert set(kinds) <= {None, "application/gzip"}
    assert not page.named("i")
    csv = "\n".join(figure_csv(figure) for figure in told.figures if figure.name in {"reasons", "problems"})
    assert "'=cmd|x" in csv
    assert "'=lag" in csv


def test_figures_are_drawn_in_both_widths_from_data_that_are_plain(
    told: Report, why: Mapping[str, Any], drawn: Drawn
) -> None:
    there = drawn(told)
    figures = {figure.name: figure for figure in told.figures}
    mine = ["reasons", "reasons_over_time", "problems", "returns", "date_script_alert_5_script"]
    assert [name for name in figures if name in mine] == mine
    for name in mine:
        figure = figures[name]
        json.dumps([dict(figure.data), dict(figure.options)])
        assert figure.alt
        (made,) = there[name]
        assert made.narrow
    assert figures["returns"].data["date"][-1] == str(why["monitor"].last_day)


def test_results_are_whole_in_the_json(told: Report, why: Mapping[str, Any]) -> None:
    results = json.loads(told.to_json())["results"]
    for key, result in why.items():
        assert results[key]["table"] == json.loads(result.to_json())["table"]
    assert results["reasons_incidence"]["table"]["cause"]
    assert results["monitor"]["facts"]["groups"]["half_found"]


# ------------------------------------------------------------------------------------------------------------ reasons


def test_reasons_are_told_with_shares_limits_and_bounds(told: Report, why: Mapping[str, Any]) -> None:
    reasons, text = why["reasons"], text_of(section(told, "why-reasons"))
    counts = reasons.counts
    assert f"Of the {counts['churns']:,} churns up to 30 May 2025, {counts['known']:,} (" in text
    for row in reasons.table.to_dict("records"):
        limits = f"{share(row['weighted_lower'])[:-1]}–{share(row['weighted_upper'])}"
        assert f"{share(row['weighted_share'])} ({limits}) left for the reason “{row['reason']}”" in text
    first = reasons.table.sort_values("weighted_share").iloc[-1]
    assert f"between {share(first['bound_lower'])} and {share(first['bound_upper'])} of these churns" in text
    rows = table(section(told, "why-reasons"), "Reasons").rows
    assert rows[0][0] == first["reason"]
    assert rows[0][4] == f"{share(first['bound_lower'])[:-1]}–{share(first['bound_upper'])}"
    days = table(section(told, "why-reasons"), "Share churned by day")
    assert days.columns[1:] == ("Day 30", "Day 90", "Day 180", "Day 365")
    frame = reasons.weighted_incidence
    mine = frame[(frame["cause"] == first["reason"]) & (frame["time"] <= 90)]
    assert days.rows[0][2].split(" ")[0] == share(mine["incidence"].iloc[-1])
    groups = table(section(told, "why-reasons"), "Weighted shares by channel")
    assert {row[0] for row in groups.rows} == set(why["reasons_by"].table["group"])
    assert len(table(section(told, "why-reasons"), "Who answers").rows) == len(reasons.response)


def test_without_weights_shares_are_those_of_the_answers(why: Mapping[str, Any]) -> None:
    reasons = why["reasons"]
    plain = like(reasons, weights_on=(), response=reasons.response.iloc[:0])
    report = build(title="t", reasons=plain)
    assert "Of those who answered, " in text_of(sole(report))
    assert "; of these, " in report.summary[0].text
    assert "among users alike" not in table(sole(report), "Reasons").note
    assert "Weighted for who answers" not in table(sole(report), "Reasons").columns
    captions = [f"{figure.caption} {figure.alt} {figure.options['words']}" for figure in report.figures]
    assert "weight" not in table(sole(report), "Share churned by day").note
    assert "eighted for" not in " ".join(captions)


def test_the_surest_sign_of_who_answers_and_agreement_are_told(why: Mapping[str, Any]) -> None:
    reasons = why["reasons"]
    first = reasons.response.iloc[[0]].assign(p_value=1e-6, odds_ratio=0.4, lower=0.3, upper=0.5)
    agree = pd.DataFrame({"measure": ["agreement"], "estimate": [0.8], "lower": [0.7], "upper": [0.9], "n": [40]})
    changed = like(reasons, response=first, agreement=agree)
    text = text_of(sole(build(title="t", reasons=changed)))
    category, reference = first["category"].iloc[0], first["reference"].iloc[0]
    assert f"are 0.40 times (0.30–0.50) as high for “{category}” as for “{reference}”" in text
    assert "Of 40 churns with several answers, 80.0% (70.0–90.0%) of the pairs of answers agree." in text


def test_one_p_value_stands_in_the_sentence_and_the_table_of_who_answers(why: Mapping[str, Any]) -> None:
    reasons = why["reasons"]
    three = reasons.response.iloc[:3].assign(p_value=[0.04, 0.02, 0.03])
    page = sole(build(title="t", reasons=like(reasons, response=three)))
    assert "no single term is clear once all 3 are allowed for." in text_of(page)
    assert [row[2] for row in table(page, "Who answers").rows] == ["0.060"] * 3
    assert "p-values adjusted for all 3 rows" in table(page, "Who answers").note


def test_the_pair_of_groups_that_is_furthest_apart_is_told(why: Mapping[str, Any]) -> None:
    reasons, by = why["reasons"], why["reasons_by"]
    first = reasons.table.sort_values("weighted_share").iloc[-1]["reason"]
    shares = {"wide": (0.7, 0.2, 0.95), "high": (0.6, 0.5, 0.7), "low": (0.3, 0.2, 0.4), "lowest": (0.2, 0.01, 0.8)}
    names = ["weighted_share", "weighted_lower", "weighted_upper"]
    rows = pd.DataFrame([{"group": g, "reason": first, **dict(zip(names, s, strict=True))} for g, s in shares.items()])
    overlap = pd.DataFrame({"group": list(shares), "n": 90, "n_answered": 90})
    text = text_of(sole(build(title="t", reasons=reasons, reasons_by=like(by, table=rows, overlap=overlap))))
    assert "differs most clearly between “high” users, 60.0% (50.0–70.0%), and “low” users, 30.0% (20.0–40.0%)" in text
    alike = like(by, table=rows[rows["group"] != "low"], overlap=overlap)
    text = text_of(sole(build(title="t", reasons=reasons, reasons_by=alike)))
    assert "there is no clear difference" in text
    assert "from 20.0% (1.0–80.0%) of “lowest” users to 70.0% (20.0–95.0%) of “wide” users" in text


def test_many_reasons_are_pooled_in_tables_and_figures(why: Mapping[str, Any]) -> None:
    reasons = why["reasons"]
    names, numbers = [f"r{i:02}" for i in range(13)], np.arange(13, 0, -1)
    part = numbers / numbers.sum()
    ends = {f"{before}{end}": part for before in ("", "weighted_") for end in ("share", "lower", "upper")}
    bounds = {"bound_lower": part / 2, "bound_upper": part / 2 + 0.5}
    whole = pd.DataFrame({"group": "all", "reason": names, "n": numbers, **ends, **bounds})
    steps = [(name, 5.0 * half, p * half / 4) for name, p in zip(names, part, strict=True) for half in (1, 2)]
    steps += [("unknown", 5.0, 0.2), ("unknown", 10.0, 0.3)]
    times = pd.DataFrame(steps, columns=["cause", "time", "incidence"]).assign(group="all")
    times = times.assign(lower=times["incidence"], upper=times["incidence"])
    changed = like(
        reasons, table=whole, weighted_incidence=times, incidence=like(reasons.incidence, table=times), horizon=10
    )
    report = build(title="t", reasons=changed)
    page, rest = sole(report), part[10:].sum()
    rows = table(page, "Reasons").rows
    assert [row[0] for row in rows] == [*names[:10], "other reasons (3)"]
    assert rows[-1][1:] == ("6", share(rest), share(rest), f"{share(rest / 2)[:-1]}–{share(rest / 2 + 0.5)}")
    assert "The 10 most frequent of 13 reasons" in table(page, "Reasons").note
    assert table(page, "Share churned by day").rows[-1][:2] == ("other reasons (3)", share(rest / 2))
    shares, stacked = report.figures[:2]
    assert list(shares.data["reason"]) == names[:10]
    assert list(dict.fromkeys(stacked.data["cause"])) == [*names[:6], "other reasons (7)", "unknown"]
    assert stacked.data["incidence"][13] == pytest.approx(part[6:].sum() / 2)
    assert "The 10 most frequent of 13 reasons" in shares.caption
    assert "The 6 most frequent of 13 reasons" in stacked.caption
    assert all(drawings(figure) for figure in (shares, stacked))


# ----------------------------------------------------------------------------------------------------------- problems


def test_what_to_fix_first_is_told_by_reach_and_effect(why: Mapping[str, Any]) -> None:
    experience = why["experience"]
    ranking = experience.ranking.assign(share_lower=lambda t: t["share"].abs() / 2, share_upper=0.5)
    row = ranking.iloc[0]
    report = build(title="t", experience=like(experience, ranking=ranking))
    text = text_of(sole(report))
    assert (
        f"What to fix first, by reach and hazard ratio: “{row['kind']}”. {share(row['reach_users'])} of the users"
        in text
    )
    assert f"at {ratio(row['hazard_ratio'])} times" in text
    assert f"takes a larger share is {share(row['top'])}." in text
    assert report.summary[0].text.startswith(f"Problem to fix first: “{row['kind']}”")
    rows = table(sole(report), "Problems in the order").rows
    assert [each[0] for each in rows] == [*ranking["kind"].iloc[:-1], "all together"]
    models = experience.table["model"]
    assert len(table(sole(report), "Hazard ratios").rows) == (models != "any").sum()


def test_problems_that_are_not_clear_are_not_said_to_be_first(why: Mapping[str, Any]) -> None:
    experience = why["experience"]
    ranking = experience.ranking.assign(share=-0.01, share_lower=-0.02, share_upper=0.01)
    report = build(title="t", experience=like(experience, ranking=ranking))
    text = text_of(sole(report))
    assert "None of these problems goes with clearly more churn." in text
    assert "with -1.0% (-2.0% to 1.0%) of churn" in text
    assert report.summary[0].text.startswith("None of the problems in the log (“")


def test_a_clear_problem_is_not_hidden_by_a_larger_share_that_is_not_clear(why: Mapping[str, Any]) -> None:
    experience = why["experience"]
    ranking = experience.ranking.iloc[[0, 1, 1, 2]].assign(kind=["noise", "clear", "last", "(all)"])
    ranking = ranking.assign(share=[0.03, 0.02, 0.01, 0.0], share_lower=[-0.01, 0.01, -0.02, -0.1])
    report = build(title="t", experience=like(experience, ranking=ranking.assign(share_upper=0.05)))
    noise, clear, last = ranking["kind"].iloc[:3]
    text = text_of(sole(report))
    assert "None of" not in text
    assert f"What to fix first, by reach and hazard ratio: “{clear}”." in text
    assert f"yet not clearly above none: “{noise}” with 3.0% (-1.0% to 5.0%) of churn.\nThen “{last}” with" in text
    assert report.summary[0].text.startswith(f"Problem to fix first: “{clear}”")


# ------------------------------------------------------------------------------------------------------------ monitor


def alarms(monitor: Any, ended: str | None) -> Any:
    """The same monitor with one alarm, of all users."""
    days = pd.to_datetime(["2025-04-16", "2025-04-11", "2025-04-08", "2025-04-14"])
    row = {"group": ["(all)"], "alarm_on": days[:1], "ended_on": pd.to_datetime([ended]), "begun": days[1:2]}
    row |= {"begun_lower": days[2:3], "begun_upper": days[3:], "ratio": 0.7, "lower": 0.6, "upper": 0.8}
    row |= {
        "missing": 120.0,
        "missing_lower": 80.0,
        "missing_upper": 160.0,
        "after_ratio": np.nan,
        "after_lower": np.nan,
        "after_upper": np.nan,
    }
    table = pd.DataFrame(row)
    carriers = pd.DataFrame(
        {"group": ["(all)"] * 2, "alarm_on": days[:1].repeat(2), "split": "channel", "value": ["<b>", "y"],
         "missing": [90.0, 30.0], "share": [0.75, 0.25]}
    )  # fmt: skip
    return like(monitor, alarms=table, open_alarms=table[table["ended_on"].isna()], carriers=carriers)


def test_an_open_alarm_is_told_with_its_day_size_and_carrier(why: Mapping[str, Any]) -> None:
    report = build(title="t", monitor=alarms(why["monitor"], None))
    text = text_of(sole(report))
    assert (
        "An alarm is open: since 11 Apr 2025 (between 8 Apr 2025 and 14 Apr 2025), all users return 0.70 times "
        "(0.60–0.80) as often as expected; it was raised on 16 Apr 2025, and 120 returns (80–160) are missing since. "
        "By “channel”, “<b>” has the largest part of what is missing, 75.0%." in text.replace("\n", " ")
    )
    assert [sentence.text for sentence in report.summary] == [
        "Alarm: since 11 Apr 2025, all users return 0.70 times (0.60–0.80) as often as expected."
    ]
    (row,) = table(sole(report), "Alarms").rows
    assert row[1:4] == ("16 Apr 2025", "open", "11 Apr 2025 (8 Apr 2025 to 14 Apr 2025)")
    assert drawings(report.figures[0])


def test_an_alarm_that_is_over_stays_out_of_the_summary(why: Mapping[str, Any]) -> None:
    report = build(title="t", monitor=alarms(why["monitor"], "2025-05-20"))
    assert "An alarm of 16 Apr 2025 was over on 20 May 2025" in text_of(sole(report))
    assert not report.summary


def test_without_an_alarm_it_is_said_how_soon_one_would_come(why: Mapping[str, Any]) -> None:
    monitor = why["monitor"]
    none = monitor.alarms.iloc[:0]
    groups = monitor.groups.assign(half_found=6.0, most_found=np.nan)
    report = build(title="t", monitor=like(monitor, alarms=none, open_alarms=none, groups=groups))
    text = text_of(sole(report))
    assert "returns were watched in 1 chart, and no alarm was raised; 1 false alarm a year would be let pass" in text
    assert "A drop of 20.0% in the returns of all users would be noticed within 6 days in half of all cases." in text


def test_a_group_with_an_alarm_leads_and_all_users_are_those_outside_it(why: Mapping[str, Any]) -> None:
    monitor = why["monitor"]
    one = alarms(monitor, None)
    both = pd.concat([one.alarms, one.alarms.assign(group="b", missing=50.0, ratio=0.5)], ignore_index=True)
    days = pd.concat([monitor.table, monitor.table.assign(group="b")], ignore_index=True)
    charts = pd.concat([monitor.groups, monitor.groups.assign(group="b")], ignore_index=True)
    changed = {"table": days, "groups": charts.assign(half_found=1.0, most_found=np.nan)}
    report = build(title="t", monitor=like(one, alarms=both, open_alarms=both, **changed))
    others, text = "all users outside the groups with an alarm of their own", text_of(sole(report))
    assert report.summary[0].text.startswith(
        "2 alarms are open; the strongest of a group: since 11 Apr 2025, the users of “b” return 0.50 times"
    )
    assert f"{others} return 0.70 times" in text
    assert f"in the returns of {others} would be noticed within 1 day in half" in text
    assert report.figures[0].title == "Returns a day: b"
    assert [row[0] for row in table(sole(report), "Alarms").rows] == ["b", others]
    ended = pd.Series([pd.NaT, pd.Timestamp("2025-04-01")])
    apart = both.assign(alarm_on=pd.to_datetime(["2025-04-16", "2025-03-20"]), ended_on=ended)
    assert others not in text_of(sole(build(title="t", monitor=like(one, alarms=apart, **changed))))
    mine = both[both["group"] == "b"]
    left = {"table": days, "groups": changed["groups"].iloc[1:]}
    text = text_of(sole(build(title="t", monitor=like(one, alarms=mine, open_alarms=mine, **left))))
    assert "all users" not in text


def test_an_alarm_raised_before_the_days_watched_is_said_to_be(why: Mapping[str, Any]) -> None:
    late = like(alarms(why["monitor"], "2025-05-20"), first_day=datetime.date(2025, 5, 1))
    text = text_of(sole(build(title="t", monitor=late)))
    assert "The alarm of 16 Apr 2025 had been raised before 1 May 2025 and was still open then." in text
    assert "had been raised before" not in text_of(sole(build(title="t", monitor=alarms(why["monitor"], None))))


# ------------------------------------------------------------------------------------------------------------- shocks


def test_an_effect_is_told_with_users_lost_duration_and_placebos(why: Mapping[str, Any]) -> None:
    shocks = why["shocks"]
    lost = shocks.lost.assign(lost=50.0, lower=20.0, upper=80.0)
    lasted = shocks.duration.assign(found=True, days=21.0, days_lower=14.0, days_upper=28.0, lasting=False)
    clear = shocks.table.assign(hazard_ratio=0.8, lower=0.7, upper=0.9, adjusted_p_value=0.001, placebo_p_value=0.025)
    report = build(title="t", shocks=like(shocks, table=clear, lost=lost, duration=lasted))
    text = text_of(sole(report))
    assert f"“{SHOCK}”, from 7 Apr 2025 on: over 42 days, all users return at 0.80 times (0.70–0.90) the hazard" in text
    assert "50 more users (20–80) churn by 17 Jun 2025 than would have. It lasted 21 days (14–28)." in text
    n = shocks.placebo["date"].nunique()
    assert f"Of this and {n} dates before on which nothing is known to have happened, 2.5% are as far from 1." in text
    assert "and 50 users (20–80) were lost by 17 Jun 2025, if nothing else was new on these days." in (
        report.summary[0].text
    )
    windows = table(sole(report), "Returns by window").rows
    assert [row[1] for row in windows] == [*dict.fromkeys(shocks.table["window"])]
    assert table(sole(report), "Users lost").rows[0][1:3] == ("all users", "0.80 (0.70–0.90)")


def test_good_news_keep_users_and_unclear_ones_say_so(why: Mapping[str, Any]) -> None:
    shocks = why["shocks"]
    good = shocks.table.assign(hazard_ratio=1.2, lower=1.1, upper=1.3, adjusted_p_value=0.001)
    kept = shocks.lost.assign(lost=-30.0, lower=-50.0, upper=-10.0, brought_back=9.0, back_lower=4.0, back_upper=14.0)
    report = build(title="t", shocks=like(shocks, table=good, lost=kept))
    text = text_of(sole(report))
    assert "30 fewer users (10–50) churn by 17 Jun 2025 than would have." in text
    assert "Of the churned users, 9 (4–14) more came back than expected." in text
    assert "30 users (10–50) were kept" in report.summary[0].text
    unclear = shocks.table.assign(hazard_ratio=1.0, lower=0.9, upper=1.1, adjusted_p_value=0.9)
    report = build(title="t", shocks=like(shocks, table=unclear, lost=kept.assign(lost=1.0, lower=-9.0, upper=11.0)))
    assert "which is no clear difference. Users lost by 17 Jun 2025: 1 (-9 to 11), which may be none." in text_of(
        sole(report)
    )
    assert "no different from those expected by more than chance allows" in report.summary[0].text


def test_the_ratio_and_the_users_lost_have_one_verdict(why: Mapping[str, Any]) -> None:
    shocks = why["shocks"]
    kept = shocks.lost.assign(lost=-13.0, lower=-24.0, upper=-2.0)
    unclear = shocks.table.assign(hazard_ratio=1.15, lower=0.97, upper=1.36, adjusted_p_value=0.2)
    text = text_of(sole(build(title="t", shocks=like(shocks, table=unclear, lost=kept))))
    assert "Users lost by 17 Jun 2025: -13 (-24 to -2), which may be none, since the ratio is not clear." in text
    assert "fewer users" not in text
    clear = shocks.table.assign(hazard_ratio=0.8, lower=0.7, upper=0.9, adjusted_p_value=0.001)
    none = shocks.lost.assign(lost=5.0, lower=-4.0, upper=14.0)
    report = build(title="t", shocks=like(shocks, table=clear, lost=none))
    assert "Users lost by 17 Jun 2025: 5 (-4 to 14), which may be none." in text_of(sole(report))
    assert "users lost by 17 Jun 2025: 5 (-4 to 14), which may be none." in report.summary[0].text


def test_an_effect_that_may_go_on_has_no_upper_limit(why: Mapping[str, Any]) -> None:
    shocks = why["shocks"]
    lasting = shocks.duration.assign(found=True, days=20.0, days_lower=19.0, days_upper=20.0, lasting=True)
    page = sole(build(title="t", shocks=like(shocks, duration=lasting)))
    assert "It lasted at least 19 days, and may go on after the last day judged." in text_of(page)
    assert table(page, "Users lost").rows[0][-1] == "at least 19"
    short = lasting.assign(days=1.0, days_lower=1.0, days_upper=3.0, lasting=False)
    assert "It lasted 1 day (1–3)." in text_of(sole(build(title="t", shocks=like(shocks, duration=short))))


# ---------------------------------------------------------------------------------------------------------- languages


def test_levels_windows_and_terms_are_said_in_chinese(why: Mapping[str, Any]) -> None:
    report = build(title="t", **why, lang="zh-Hant")
    compared = [row[1] for row in table(section(report, "why-problems"), "依次數與時間遠近").rows]
    assert "當天，相對於30天內沒有" in compared
    windows = [row[1] for row in table(section(report, "why-shocks"), "各時段").rows]
    assert windows[0] == "事件期間"
    assert windows[-1] == "全部日子"
    terms = [row[0] for row in table(section(report, "why-reasons"), "哪些人回答").rows]
    assert any(re.fullmatch(r"註冊至最後一次活躍的天數至多[\d.]+，每增加一倍", term) for term in terms)
    assert any(re.fullmatch(r"「.+」相對於「.+」（通路）", term) for term in terms)


def test_what_has_no_estimate_is_said_with_its_reason(why: Mapping[str, Any]) -> None:
    row = {"kind": "lag", "what": note("none that day"), "why": note("it never occurs in the log")}
    found = like(why["experience"], absent=pd.DataFrame([row | {"n_exposed": 0, "n_churned": 0}]), notes=())
    for lang, text in (
        ("en", "No estimate of lag, none that day: it never occurs in the log."),
        ("zh-Hant", "「lag」（當天沒有）沒有估計值：紀錄中從未發生。"),
    ):
        (said,) = sole(build(title="t", experience=found, lang=lang)).blocks[-1].sentences
        assert said.text == text
