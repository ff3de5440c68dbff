"""Who churns: what the sections say stands in their tables, claims no cause, and is absent where there is nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.notes import note
from churnsurv.report import Report, build, render_html
from churnsurv.report.catalogue import catalogue
from churnsurv.report.figures import drawings, figure_csv
from churnsurv.report.model import Figure, Listing, Section, Sentence, Table
from churnsurv.report.numbers import share
from churnsurv.report.profile_words import side_of
from tests.report.conftest import HOSTILE, Drawn
from tests.report.test_render import Page

IDS = ["who", "who-profile", "who-bursts", "who-value"]


@pytest.fixture(scope="module")
def told(study: Mapping[str, Any], who: Mapping[str, Any]) -> Report:
    return build(**study, **who)


@pytest.fixture(scope="module")
def page(told: Report, drawn: Drawn) -> Page:
    return Page(render_html(told, drawn(told)))


def section(report: Report, name: str) -> Section:
    return next(each for each in report.sections if each.id == name)


def sole(report: Report) -> Section:
    """The section on who churns or why, of a report that has one of them."""
    (found,) = (each for each in report.sections if each.id.startswith(("who", "why")))
    return found


def text_of(found: Section) -> str:
    lines = []
    for block in found.blocks:
        if isinstance(block, Sentence):
            lines.append(block.text)
        elif isinstance(block, Listing):
            lines += [sentence.text for sentence in block.sentences]
    return "\n".join(lines)


def table(found: Section, title: str) -> Table:
    return next(block for block in found.blocks if isinstance(block, Table) and block.title.startswith(title))


def stub(**fields: Any) -> Any:
    """A result with these fields; its JSON does not matter."""
    return type("Stub", (), {"_to_plain": lambda _: {}, "notes": (), "level": 0.95, **fields})()


def like(result: Any, **changes: Any) -> Any:
    """The result with some of its fields replaced."""
    names = [name for name in dir(type(result)) if not name.startswith("_")]
    return stub(**{name: getattr(result, name) for name in names if name != "plot"} | changes)


# ------------------------------------------------------------------------------------------------------ the sections


def test_the_sections_stand_together_and_are_linked(told: Report) -> None:
    ids = [each.id for each in told.sections]
    first = ids.index(IDS[0])
    assert ids[first : first + len(IDS)] == IDS
    links = [sentence.link for sentence in told.summary if str(sentence.link).startswith("who")]
    assert 2 <= len(links) <= 4
    assert set(links) <= set(IDS)


def test_every_section_begins_with_a_story_and_ends_with_what_to_keep_in_mind(told: Report) -> None:
    for name in IDS:
        blocks = section(told, name).blocks
        assert isinstance(blocks[0], (Listing, Sentence))
        assert re.search(r"\d", text_of(section(told, name)))
        assert isinstance(blocks[-1], Listing)


@pytest.mark.parametrize(
    ("gone", "absent"),
    [
        (["structure", "lifecycle"], "who"),
        (["profile", "spell_profile"], "who-profile"),
        (["bursts"], "who-bursts"),
        (["channels"], "who-value"),
    ],
)
def test_a_section_without_data_is_absent(
    study: Mapping[str, Any], who: Mapping[str, Any], gone: list[str], absent: str
) -> None:
    report = build(**study, **{**who, **dict.fromkeys(gone)})
    assert [each.id for each in report.sections if each.id.startswith("who")] == [i for i in IDS if i != absent]
    assert absent not in [sentence.link for sentence in report.summary]


@pytest.mark.parametrize("only", ["structure", "lifecycle", "profile", "spell_profile", "bursts", "channels"])
def test_each_part_is_told_alone(who: Mapping[str, Any], only: str) -> None:
    report = build(title="t", **{only: who[only]})
    (found,) = (each for each in report.sections if each.id.startswith("who"))
    assert re.search(r"\d", text_of(found))
    assert list(json.loads(report.to_json())["results"])[-1] == only


def test_what_is_absent_is_listed_and_stays_out_of_the_summary(study: Mapping[str, Any]) -> None:
    report = build(**{**study, "notes": ["A note."]}, absent=["Left out: the value of channels. No channels."])
    assert "Left out: the value of channels. No channels." in text_of(section(report, "studied"))
    assert "Left out" not in "".join(sentence.text for sentence in report.summary)


def test_no_sentence_claims_a_cause_and_the_description_says_what_it_is(told: Report) -> None:
    claims = re.compile(r"\b(caus\w*|because|due to|leads? to|led to|drives?|impact\w*|results? in)\b", re.I)
    for name in IDS:
        assert not claims.search(text_of(section(told, name)))
    story = text_of(section(told, "who-profile"))
    assert "Descriptive, over whole first spells" in story
    assert "this is an association" in text_of(section(told, "who-bursts"))
    assert table(section(told, "who-profile"), "Descriptive").columns[1:] == ("Of the churned", "Of the living")


# ------------------------------------------------------------------------------------------------ stages and channels


def test_the_story_says_the_numbers_of_the_structure(told: Report, who: Mapping[str, Any]) -> None:
    structure, text = who["structure"], text_of(section(told, "who"))
    stages = structure.table[structure.table["variable"] == "stage"]
    for row in stages.to_dict("records"):
        limits = f"{share(row['share_lower'])[:-1]}–{share(row['share_upper'])}"
        assert f"{share(row['share'])} ({limits}) left in the stage “{row['group']}”" in text
    first = structure.cross[(structure.cross["stage"] == "new") & (structure.cross["rank"] == 1)].iloc[0]
    assert f"In the stage “new”, “{first['channel']}” users churn most" in text
    assert share(first["churned"]) in text
    life = who["lifecycle"].table
    assert f"{life['churned'].sum():,} of 700 users are churned: {life['churned'].iloc[0]:,} in the stage “new”" in text


def test_the_tables_of_stages_and_channels_are_those_of_the_structure(told: Report, who: Mapping[str, Any]) -> None:
    structure, found = who["structure"], section(told, "who")
    by = table(found, "By channel")
    rows = structure.table[structure.table["variable"] == "channel"]
    assert [row[:3] for row in by.rows] == [(r.group, f"{r.n_users:,}", f"{r.n_churned:,}") for r in rows.itertuples()]
    horizons = structure.horizons
    for row in by.rows:
        mine = horizons[(horizons["variable"] == "channel") & (horizons["group"] == row[0])]
        assert [cell.split(" ")[0] for cell in row[4:]] == [share(value) for value in mine["churned"]]
    cross = table(found, "Stage by channel")
    assert len(cross.rows) == len(structure.cross)
    moves = table(found, "From stage to stage")
    assert moves.rows[0][0] == "(registration)"
    assert len(moves.rows) == len(who["lifecycle"].transitions)


def test_channels_whose_limits_overlap_are_not_told_apart(who: Mapping[str, Any]) -> None:
    structure = who["structure"]
    cross = structure.cross.assign(churned=0.5, lower=0.4, upper=0.6)
    text = text_of(section(build(title="t", structure=like(structure, cross=cross)), "who"))
    assert text.count("hardly apart") == len(set(cross["stage"]))


def test_many_groups_are_cut_and_said_so(who: Mapping[str, Any]) -> None:
    structure = who["structure"]
    rows = pd.DataFrame(
        {"variable": "city", "group": [f"c{i}" for i in range(60)], "n_users": 10, "n_churned": range(60)}
    ).assign(share=lambda t: t["n_churned"] / 1770, share_lower=0.0, share_upper=0.5)
    few = structure.horizons.iloc[:0]
    changed = like(structure, by=("city",), table=rows, horizons=few, cross=structure.cross.iloc[:0])
    found = section(build(title="t", structure=changed), "who")
    cities = table(found, "By city")
    assert len(cities.rows) == 24
    assert cities.note.startswith("The 24 rows with the most churned users; result.json has all 60.")
    assert set(cities.rows[0][4:]) == {"not followed"}


# --------------------------------------------------------------------------------------------------------- behaviour


def profile_row(**changes: Any) -> dict[str, Any]:
    given = {
        "group": "all", "variable": "n_investments", "cut": 2.0, "share_churned": 0.9, "churned_lower": 0.88,
        "churned_upper": 0.92, "share_retained": 0.34, "retained_lower": 0.3, "retained_upper": 0.38,
        "difference": 0.56, "risk_below": 0.8, "risk_above": 0.2, "risk_ratio": 4.0, "lower": 3.0, "upper": 5.0,
        "statistic": 9.0, "adjusted_p_value": 0.001, "suggested": True,
    }  # fmt: skip
    return {**given, **changes}


def profile(rows: list[dict[str, Any]], **changes: Any) -> Any:
    one = pd.DataFrame(
        {"group": ["all"], "variable": "(users)", "statistic": "users", "churned": 10.0, "retained": 5.0}
    )
    fields = {
        "table": pd.DataFrame(rows), "table_one": one, "window": 30, "horizon": 180, "groups": ("all",),
        "limits": "simultaneous", "adjust": "holm", "counts": {"churned": 10, "retained": 5},
    }  # fmt: skip
    return stub(**{**fields, **changes})


def test_the_side_of_the_cut_with_the_churned_is_told_with_its_ratio() -> None:
    report = build(title="t", profile=profile([profile_row()]))
    assert (
        "At most 2 investments: 90.0% (88.0–92.0%) of the churned and 34.0% (30.0–38.0%) of the retained. Such users "
        "churned 4.00 times as often as the others (3.00–5.00)." in text_of(section(report, "who-profile"))
    )
    assert "After their first 30 days: at most 2 investments in 90.0%" in report.summary[-1].text
    words = catalogue("en")
    above = side_of(words, profile_row(difference=-0.56))
    assert above.words == "more than 2 investments"
    assert [above.churned.estimate, above.churned.lower, above.churned.upper] == pytest.approx([0.1, 0.08, 0.12])
    assert [above.ratio.estimate, above.ratio.lower, above.ratio.upper] == pytest.approx([0.25, 0.2, 1 / 3])
    assert (above.inside, above.outside) == (0.2, 0.8)
    assert side_of(words, profile_row(upper=np.inf, difference=-0.1)).ratio.lower == 0


@pytest.mark.parametrize(
    ("variable", "cut", "below", "expected"),
    [
        ("n_investments", 0.0, True, "no investment"),
        ("n_investments", 1.0, False, "more than 1 investment"),
        ("max_amount", 10_000.0, True, "never more than 10,000 invested at once"),
        ("max_amount", 0.0, False, "something invested"),
        ("ever_boosted", 0.0, True, "never a boosted product"),
        ("boosted_share", 2 / 3, True, "at most 66.7% of the investments boosted"),
        ("login_interval", 7.3333, False, "more than 7.33 days from one active day to the next"),
        ("balance", 100.0, True, "a balance of at most 100"),
        ("<b>logins", 0.125, True, "<b>logins at most 0.125"),
    ],
)
def test_cuts_are_said_in_words(variable: str, cut: float, below: bool, expected: str) -> None:
    row = profile_row(variable=variable, cut=cut, difference=0.1 if below else -0.1)
    assert side_of(catalogue("en"), row).words == expected


def test_nothing_clear_is_said_to_be_unclear_and_stays_out_of_the_summary() -> None:
    report = build(title="t", profile=profile([profile_row(adjusted_p_value=0.2)]))
    assert "Nothing that users did in these days tells the churned from the retained" in text_of(sole(report))
    assert not report.summary


def test_groups_of_a_profile_are_named() -> None:
    rows = [profile_row(group=group, cut=cut) for group in ("a", "<b>") for cut in (1.0, 2.0)]
    one = profile([]).table_one
    found = profile(rows, groups=("a", "<b>"), table_one=pd.concat([one.assign(group="a"), one.assign(group="<b>")]))
    report = build(title="t", profile=found)
    assert "“<b>”: At most 1 investment" in text_of(sole(report))
    assert [figure.name for figure in report.figures] == ["profile_a", "profile_b"]
    assert [row[0] for row in table(sole(report), "Churned and retained").rows] == ["a: Users", "<b>: Users"]


def test_the_description_has_low_cuts_and_the_most_telling_ones(told: Report, who: Mapping[str, Any]) -> None:
    found = table(section(told, "who-profile"), "Descriptive")
    names = [row[0] for row in found.rows]
    assert names[:4] == ["No investment", "At most 1 investment", "At most 2 investments", "At most 3 investments"]
    assert not any("50 investments" in name for name in names)
    assert len(names) < len(who["spell_profile"].table)


def test_table_one_has_means_medians_and_differences(told: Report, who: Mapping[str, Any]) -> None:
    rows = {row[0]: row[1:] for row in table(section(told, "who-profile"), "Churned and retained").rows}
    one = who["profile"].table_one.set_index(["variable", "statistic"])
    mean, spread = (one.loc[("n_investments", each)] for each in ("mean", "standard deviation"))
    cells = rows["Number of investments: mean (standard deviation)"]
    assert cells[0] == f"{mean['churned']:.2f} ({spread['churned']:.2f})"
    assert cells[2].startswith(f"{mean['standardised_difference']:.2f} (")
    assert rows["Users"][0] == f"{one.loc[('(users)', 'users'), 'churned']:,.0f}"
    assert rows["Ever a boosted product: share"][0] == share(one.loc[("ever_boosted", "share yes"), "churned"])


# --------------------------------------------------------------------------------------------------- bursts and value


def test_bursts_are_counted_and_named(told: Report, who: Mapping[str, Any]) -> None:
    bursts, text = who["bursts"], text_of(section(told, "who-bursts"))
    n = bursts.table["registrations"].sum()
    assert f"hold {n:,} of 700 registrations" in text or f"holds {n:,} of 700 registrations" in text
    assert "at the time of “<script>alert(3)</script>”" in text
    row = bursts.hazard[bursts.hazard["category"] == "any burst"].iloc[0]
    assert f"churn {row['hazard_ratio']:.2f} times as fast as the others" in text
    found = table(section(told, "who-bursts"), "Bursts of registrations")
    assert len(found.rows) == len(bursts.table)
    assert "$春$, holiday" in {row[1] for row in found.rows} | {"$春$, holiday"}
    groups = table(section(told, "who-bursts"), "Who came in the bursts")
    assert {row[0] for row in groups.rows} <= {*HOSTILE.values(), "other"}


def test_without_bursts_it_is_said(who: Mapping[str, Any]) -> None:
    bursts = who["bursts"]
    none = like(bursts, table=bursts.table.iloc[:0], groups=bursts.groups.iloc[:0], hazard=bursts.hazard.iloc[:0])
    report = build(title="t", bursts=none)
    assert "No day or week stands out: the 700 registrations" in text_of(sole(report))
    assert not report.summary
    assert drawings(report.figures[0])


def test_an_unclear_hazard_ratio_is_said_to_be_so(who: Mapping[str, Any]) -> None:
    bursts = who["bursts"]
    hazard = bursts.hazard.assign(hr_lower=0.5, hr_upper=2.0)
    text = text_of(sole(build(title="t", bursts=like(bursts, hazard=hazard))))
    assert "which is no clear difference" in text


def channels(**changes: Any) -> Any:
    names = ["organic", "paid", "tv", "unpriced"]
    columns = {"n_users": 50, "cost_per_user": [0.0, 3.0, 4.0, np.nan], "verdict": ["keep", "watch", "drop", None]}
    columns |= {"sure": [1.0, 0.6, 0.0, np.nan], "conversion": 0.5, "conversion_lower": 0.4, "conversion_upper": 0.6}
    for key, values in (("value", [5.0, 0.2, -4.0, np.nan]), ("margin", [5.0, 3.2, 0.0, 1.0])):
        columns |= {key: values, f"{key}_lower": np.subtract(values, 1), f"{key}_upper": np.add(values, 1)}
    for key in ("days_until_churn", "active_days"):
        columns |= {key: 40.0, f"{key}_lower": 35.0, f"{key}_upper": 45.0}
    fields = {"table": pd.DataFrame({"channel": names, **columns}), "horizon": 90, "keep": 0.0, "by": "channel"}
    return stub(**{**fields, **changes})


def test_verdicts_are_told_with_their_values_and_how_sure_they_are() -> None:
    report = build(title="t", channels=channels())
    text = text_of(sole(report))
    assert "Keep “organic” with 5.00 (4.00–6.00): the value of a user is clearly above 0." in text
    assert "Watch “paid” with 0.20 (-0.80 to 1.20): whether the value of a user is above 0 is not clear." in text
    assert "Drop “tv” with -4.00 (-5.00 to -3.00): the value of a user is clearly below 0." in text
    assert "No verdict on “unpriced”: the value is not known." in text
    found = table(sole(report), "Channels side by side")
    assert [row[2] for row in found.rows] == ["keep (> 99.99%)", "watch (60.0%)", "drop (< 0.01%)", "–"]
    assert found.columns[2:6] == ("Verdict", "Value", "Margin", "Cost")
    assert found.rows[1][3:6] == ("0.20 (-0.80 to 1.20)", "3.20 (2.20–4.20)", "3.00")
    assert report.summary[-1].text == (
        "Value of a user within 90 days, by channel: keep “organic” with 5.00 (4.00–6.00); watch “paid” with 0.20 "
        "(-0.80 to 1.20); drop “tv” with -4.00 (-5.00 to -3.00)."
    )


def test_many_channels_of_one_verdict_are_counted() -> None:
    row = channels().table.iloc[[0]]
    many = pd.concat([row.assign(channel=f"c{i}", value=float(i)) for i in range(9)], ignore_index=True)
    text = text_of(sole(build(title="t", channels=channels(table=many))))
    assert "Keep “c8” with 8.00" in text
    assert "“c3” with 3.00 (4.00–6.00) and 3 more: the value" in text


def test_without_a_margin_channels_are_compared_in_days() -> None:
    money = ["value", "value_lower", "value_upper", "margin", "margin_lower", "margin_upper", "sure"]
    plain = channels().table.assign(**dict.fromkeys(money, np.nan), verdict=None)
    report = build(title="t", channels=channels(table=plain))
    assert "Without a margin there is no value" in text_of(sole(report))
    found = table(sole(report), "Channels side by side")
    assert not {"Value", "Margin"} & set(found.columns)
    assert report.figures[0].title == "Days until churn, at most 90"
    assert not report.summary


# -------------------------------------------------------------------------------------------------- figures and names


def test_figures_have_their_data(told: Report, who: Mapping[str, Any]) -> None:
    figures = {figure.name: figure for figure in told.figures}
    mine = ["churn_structure", "lifecycle", "profile", "registrations", "channel_value"]
    assert [name for name in figures if name in mine] == mine
    for name in mine:
        figure = figures[name]
        assert figure.alt
        assert len({len(values) for values in figure.data.values()}) == 1
        assert figure_csv(figure).count("\n") == len(next(iter(figure.data.values()))) + 1
    assert [panel["quantity"] for panel in figures["profile"].panels] == ["n_investments", "balance"]
    assert figures["registrations"].data["date"][0] == str(who["bursts"].first_day)


def test_hostile_names_are_text_in_every_section(page: Page) -> None:
    texts = set(page.texts)
    assert {*HOSTILE.values(), "<script>alert(3)</script>"} <= texts
    kinds = [attrs.get("type") for attrs in page.named("script")]
    assert kinds.count(None) == 1, "the script of the page alone"
    assert set(kinds) <= {None, "application/gzip"}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)


def test_results_are_whole_in_the_json(told: Report, who: Mapping[str, Any]) -> None:
    results = json.loads(told.to_json())["results"]
    for key, result in who.items():
        assert results[key]["schema"]["name"] == result._schema
        assert results[key]["table"] == json.loads(result.to_json())["table"]
    assert results["structure"]["facts"]["cross"]["stage"]
    assert results["profile"]["facts"]["table_one"]


# ---------------------------------------------------------------------------------------------------------- languages


def test_months_of_few_users_together_are_no_month(who: Mapping[str, Any]) -> None:
    structure = who["structure"]
    rows = structure.table
    months = rows["variable"] == "cohort"
    share = rows["share"].where(~(months & (rows["group"] == "other")), 0.9)
    text = text_of(sole(build(title="t", structure=like(structure, table=rows.assign(share=share)))))
    most = rows[months & (rows["group"] != "other")].sort_values("share").iloc[-1]
    assert f"of the churned users registered in “{most['group']}”, more than in any other month" in text
    alone = rows[~months | (rows["group"] == "other")]
    assert "registered in" not in text_of(sole(build(title="t", structure=like(structure, table=alone))))


def test_groups_put_together_are_said_in_chinese(who: Mapping[str, Any]) -> None:
    structure = who["structure"]
    group = structure.table["group"].replace({"organic": "other"})
    cross = structure.cross.assign(channel=structure.cross["channel"].replace({"organic": "other"}))
    changed = like(structure, table=structure.table.assign(group=group), cross=cross)
    found = sole(build(title="t", structure=changed, lang="zh-Hant"))
    rows = [row[0] for row in table(found, "依通路").rows]
    assert "其他" in rows
    assert "other" not in rows
    assert "new、其他：" in next(block.alt for block in found.blocks if isinstance(block, Figure))


def test_the_columns_of_every_study_have_a_chinese_name(who: Mapping[str, Any]) -> None:
    found = sole(build(title="t", bursts=who["bursts"], lang="zh-Hant"))
    said = [catalogue("zh-Hant").plain(sentence) for sentence in found.blocks[0].sentences]
    assert said[-1].endswith("這是在「通路」相同的用戶之間所作的比較，僅表示關聯。")
    assert table(found, "註冊高峰來了哪些用戶").columns[0] == "通路"


def test_notes_of_a_profile_call_variables_as_its_tables_do(who: Mapping[str, Any]) -> None:
    profile = who["profile"]
    said = note("{variable}: {users} of {n} without a value left out.", variable="balance", users="3 users", n="700")
    for lang, text in (("en", "Balance: 3 users of 700 without"), ("zh-Hant", "餘額：700名中有")):
        found = sole(build(title="t", profile=like(profile, notes=(said,)), lang=lang))
        assert any(text in sentence.text for sentence in found.blocks[-1].sentences)
