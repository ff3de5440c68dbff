from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churnsurv
import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.report import Report, build
from churnsurv.report import summary as summary_room
from churnsurv.report.catalogue import LANGUAGES, catalogue
from churnsurv.report.material import Curves
from churnsurv.report.model import Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import ratio, share
from churnsurv.report.sources import PAGE, SOURCES


def section(report: Report, name: str) -> list:
    return list(next(each for each in report.sections if each.id == name).blocks)


def said(report: Report) -> str:
    return "\n".join(sentence.text for sentence in report.summary)


def test_sections_stand_in_order(report: Report) -> None:
    assert [each.id for each in report.sections] == [
        "studied", "curves-all", "curves-channel", "curves-cohort", "model", "rule", "method", "reproduce",
    ]  # fmt: skip


@pytest.mark.parametrize(("gone", "section_gone"), [("cox", "model"), ("sweep", "rule"), ("curves", "curves-channel")])
def test_a_section_without_data_is_absent(study: Mapping[str, Any], gone: str, section_gone: str) -> None:
    changes: dict[str, Any] = {gone: None} if gone != "curves" else {"curves": {}, "tests": {}}
    report = build(**{**study, **changes})
    assert section_gone not in [each.id for each in report.sections]
    assert section_gone not in [sentence.link for sentence in report.summary]


def test_every_link_has_its_section(report: Report) -> None:
    ids = {each.id for each in report.sections}
    assert {sentence.link for sentence in report.summary} <= ids
    assert {tile.link for tile in report.tiles} <= ids
    assert len(ids) == len(report.sections)


def test_the_summary_says_the_numbers_of_the_tables(report: Report, study: Mapping[str, Any]) -> None:
    text = said(report)
    counts = study["spells_counts"]
    assert f"{counts['spells']:,} users were followed up to 29 Jun 2025: {counts['churned']:,} churned" in text
    median = study["curves"]["all"].median.iloc[0]
    assert f"churned by day {median['time']:.0f} ({median['lower']:.0f}–{median['upper']:.0f})" in text
    by = study["curves"]["channel"].at([90]).sort_values("survival")
    low, high = by.iloc[0], by.iloc[-1]
    assert f"{share(low['survival'])} ({share(low['lower'])[:-1]}–{share(low['upper'])})" in text
    assert f"{share(high['survival'])} ({share(high['lower'])[:-1]}–{share(high['upper'])})" in text
    term = study["cox"].table.sort_values("hazard_ratio").iloc[-1]
    assert f"churn {ratio(term['hazard_ratio'])} times as fast as “organic” users" in text


def test_every_estimate_of_the_summary_has_its_interval(report: Report) -> None:
    for sentence in report.summary:
        parts = sentence.parts
        for place, part in enumerate(parts):
            if part.role == "number" and "%" in part.text:
                assert [each.role for each in parts[place + 1 : place + 3]] == ["", "keep"], sentence.text


def test_what_finds_no_room_in_the_summary_stands_in_its_section(report: Report) -> None:
    texts = {each.id: "\n".join(sentences(each)) for each in report.sections}
    there = [each for each in report.summary if str(each.link).startswith(("curves", "model", "rule"))]
    assert len(there) == 7
    assert all(sentence.text in texts[str(sentence.link)] for sentence in there)


def sentences(found: Section) -> Iterator[str]:
    for block in found.blocks:
        if isinstance(block, Listing):
            yield from (sentence.text for sentence in block.sentences)
        elif isinstance(block, Sentence):
            yield block.text


def test_the_summary_fits_one_page(study: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question has its first answer before any has its second; each keeps the order of its section."""

    def answers(*links: str) -> Any:
        return lambda _: [Sentence((Part(f"{place} of {link}"),), link) for place, link in enumerate(links)]

    told = {
        "who_summary": answers("who", "who-profile", "who-bursts", "who-value"),
        "why_summary": answers("why-problems", "why-monitor", "why-reasons"),
        "warning_summary": answers("warning"),
        "backtest_summary": answers("backtest"),
        "alerts_summary": answers("alerts"),
        "recall_summary": answers("campaigns"),
    }
    for name, said in told.items():
        monkeypatch.setattr(summary_room, name, said)
    links = [sentence.link for sentence in build(**study).summary]
    assert links == [
        *("studied", "curves-all", "who", "who-value", "curves-channel", "model", "why-reasons"),
        *("warning", "backtest", "alerts", "campaigns", "rule"),
    ]
    monkeypatch.setattr(summary_room, "recall_summary", answers())
    monkeypatch.setattr(summary_room, "alerts_summary", answers())
    links = [sentence.link for sentence in build(**study).summary]
    assert links[2:8] == ["who", "who-value", "curves-channel", "curves-cohort", "model", "why-monitor"]
    assert len(links) == 12


def test_many_rows_that_could_not_be_used_are_told_first(study: Mapping[str, Any]) -> None:
    log = {**study["log_facts"], "counts": {"users_read": 20, "events_read": 80}}
    assert said(build(**{**study, "log_facts": log})).splitlines()[1].startswith("3 of 100 rows could not be used")
    assert said(build(**study)).splitlines()[-2].startswith("3 of 33,")


def test_the_groups_that_are_furthest_apart_are_told_first(study: Mapping[str, Any]) -> None:
    curves = dict(reversed(study["curves"].items()))
    links = [str(sentence.link) for sentence in build(**{**study, "curves": curves}).summary]
    assert [link for link in links if link.startswith("curves-c")] == ["curves-channel", "curves-cohort"]


def test_what_the_study_cannot_know_is_told_in_its_numbers(study: Mapping[str, Any], small: Any) -> None:
    report = build(**study)
    text = "\n".join(sentences(next(each for each in report.sections if each.id == "studied")))
    back = study["sweep"].table.query("quantity == 'return_share' and idle_days == 30").iloc[0]
    assert f"{share(back['estimate'])} ({share(back['lower'])[:-1]}–{share(back['upper'])}) of the churned" in text
    curves = study["curves"]["all"]
    at_risk = int(curves.number_at_risk([90])["n_at_risk"].sum())
    assert f"{at_risk:,} users were still at risk on day 90" in text
    assert f"for more than {curves.last_day['all']:g} days" in text
    assert "registered before" not in text
    late = small(spells_counts={"left_truncated_excluded": 5}, log_facts={"observed_from": "2024-01-01"}, curves={})
    assert list(sentences(late.sections[0]))[-1].startswith("Users who registered before 1 Jan 2024 are not in these")


def test_each_method_used_has_its_source(report: Report) -> None:
    (table,) = (block for block in section(report, "method") if isinstance(block, Table))
    assert [row[0] for row in table.rows] == [
        "Who is at risk, late entry", "Curves of the share still active", "Comparison of curves",
        "Hazard ratios on whole days",
    ]  # fmt: skip


@pytest.mark.parametrize("key", SOURCES)
def test_sources_are_those_of_the_page_of_methods(key: str) -> None:
    page = (Path(churnsurv.__file__).parents[1] / PAGE).read_text(encoding="utf-8")
    assert re.search(rf"^## {SOURCES[key].chapter}\. ", page, re.M)
    cited = re.findall(r"(?:^|\. )([A-Z][\w']+)[^.()]*\((\d{4})\)", SOURCES[key].references)
    assert cited
    for author, year in cited:
        assert re.search(rf"{author}[^*]{{0,80}}{year}", page), (author, year)


def test_tiles_are_users_churned_median_and_share(report: Report, study: Mapping[str, Any]) -> None:
    values = [tile.value for tile in report.tiles]
    assert values[:2] == [f"{study['spells_counts'][key]:,}" for key in ("spells", "churned")]
    assert [bool(tile.range) for tile in report.tiles] == [False, False, True, True]


def test_the_table_of_curves_is_right(report: Report, study: Mapping[str, Any]) -> None:
    (table,) = (block for block in section(report, "curves-channel") if isinstance(block, Table))
    result = study["curves"]["channel"]
    assert [row[0] for row in table.rows] == list(result.groups)
    on = table.columns.index("Active on day 90")
    for row, point in zip(table.rows, result.at([90]).itertuples(), strict=True):
        assert row[on].startswith(share(point.survival))
    observed = study["tests"]["channel"].table
    expected = [ratio(value) for value in observed["observed"] / observed["expected"]]
    assert [row[table.columns.index("Churned per expected")] for row in table.rows] == expected


def test_days_beyond_follow_up_are_not_followed() -> None:
    rows = pd.DataFrame(
        {"plan": ["a"] * 4 + ["b"] * 4, "duration": [30, 40, 50, 200, 30, 31, 40, 45], "churned": [True] * 7 + [False]}
    )
    report = build(title="t", curves={"plan": ch.kaplan_meier(rows, by="plan")})
    (table,) = (block for block in section(report, "curves-plan") if isinstance(block, Table))
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert second["Active on day 60"] == "not followed"
    assert first["Active on day 180"].startswith("25.0%")
    assert "not followed to that day" in table.note


def test_a_group_that_has_churned_to_the_last_is_at_zero_and_lowest() -> None:
    rows = pd.DataFrame(
        {
            "plan": ["gone"] * 40 + ["kept"] * 40 + ["few"] * 3,
            "duration": [*range(30, 70), *range(61, 101), 100, 100, 100],
            "churned": [True] * 60 + [False] * 23,
        }
    )
    report = build(title="t", curves={"plan": ch.kaplan_meier(rows, by="plan")})
    (table,) = (block for block in section(report, "curves-plan") if isinstance(block, Table))
    cells = {row[0]: row[table.columns.index("Active on day 90")] for row in table.rows}
    assert cells["gone"] == "0%"
    text = said(report)
    assert "By “plan”, groups of at least 30 users: 0% (no interval at 0%) of “gone” users" in text
    assert "few" not in text


def test_the_surest_ratio_is_told_and_not_the_largest(study: Mapping[str, Any]) -> None:
    """Of a category with a huge and vague ratio and one with a large and sure one, the second stands in the summary."""

    class Fit:
        def __getattr__(self, name: str) -> Any:
            return getattr(study["cox"], name)

        @property
        def table(self) -> pd.DataFrame:
            table = study["cox"].table.assign(p_value=1e-4)
            for place, values in ((0, [4.0, 1.1, 14.5]), (1, [0.4, 0.3, 0.5])):
                table.loc[table.index[place], ["hazard_ratio", "hr_lower", "hr_upper"]] = values
            return table.iloc[:2]

    text = said(build(**{**study, "cox": Fit()}))
    assert "churn 0.40 times as fast" in text
    assert "churn 4.00 times as fast" not in text


def test_before_anybody_can_churn_no_interval_is_claimed() -> None:
    rows = pd.DataFrame({"duration": [100, 120, 140, 200, 200], "churned": [True, True, True, False, False]})
    report = build(title="t", curves={"all": ch.kaplan_meier(rows)})
    assert "100% (no interval at 100%) are still active on day 90" in said(report)
    assert all("100–100" not in tile.range for tile in report.tiles)


def test_a_median_that_is_not_reached_is_said() -> None:
    rows = pd.DataFrame({"duration": [30, 60, 200, 200, 200], "churned": [True, False, False, False, False]})
    report = build(title="t", curves={"all": ch.kaplan_meier(rows)}, spells_counts={"spells": 5})
    assert "Fewer than half of the users have churned by day 200, the last day followed." in said(report)
    assert report.tiles[1].value == "–"
    (table,) = (block for block in section(report, "curves-all") if isinstance(block, Table))
    assert "not reached" in table.rows[0]


def test_an_open_upper_limit_is_said() -> None:
    rows = pd.DataFrame({"duration": [30, 40, 50, 60, 100], "churned": [True, True, True, False, False]})
    text = said(build(title="t", curves={"all": ch.kaplan_meier(rows)}))
    assert "by day 50 (from day 30; the upper limit lies beyond the last day followed)" in text


def test_curves_that_are_alike_are_not_told_apart() -> None:
    rows = pd.DataFrame({"plan": ["a", "b"] * 60, "duration": [30 + i // 2 for i in range(120)], "churned": True})
    report = build(
        title="t", curves={"plan": ch.kaplan_meier(rows, by="plan")}, tests={"plan": ch.logrank(rows, by="plan")},
        config={"report": {"horizon": 60}},
    )  # fmt: skip
    assert "differ no more than chance allows (log-rank test p = 1.00)" in said(report)
    assert "lowest" not in said(report)


def test_a_category_clear_by_chance_alone_is_not_told(study: Mapping[str, Any]) -> None:
    """Four categories with p = 0.02 each: none stands out once four comparisons are allowed for."""

    class Fit:
        def __getattr__(self, name: str) -> Any:
            return getattr(study["cox"], name)

        @property
        def table(self) -> pd.DataFrame:
            return study["cox"].table.assign(p_value=0.02)

    text = said(build(**{**study, "cox": Fit()}))
    assert "no “channel” stands out from “organic”" in text
    assert "times as fast" not in text


def test_rows_that_could_not_be_used_are_counted_with_their_reason(report: Report, study: Mapping[str, Any]) -> None:
    assert len(study["rejects"]) == 3
    tables = {block.title: block for block in section(report, "studied") if isinstance(block, Table)}
    (row,) = tables["Rows that could not be used"].rows
    assert row[:3] == ("events", "user not in the users table", "3")
    assert "<img src=x onerror=alert(2)>\ufffd" in row[3]
    counts = dict(row[:2] for row in tables["From rows to results"].rows)
    assert counts["Event rows rejected"] == "3"
    assert counts["Churned"] == f"{study['spells_counts']['churned']:,}"


def test_all_spells_are_called_spells(study: Mapping[str, Any]) -> None:
    report = build(**{**study, "spells_facts": {**study["spells_facts"], "spells": "all"}})
    assert "spells were followed" in said(report)
    assert report.figures[0].title.endswith("registration or return")


def test_notes_stand_in_the_summary_and_whole_below(study: Mapping[str, Any]) -> None:
    report = build(**{**study, "notes": [f"Note {i}." for i in range(5)]})
    assert [line for line in said(report).splitlines() if "keep in mind" in line] == [
        f"To keep in mind: Note {i}." for i in range(3)
    ]
    listings = [block for block in section(report, "studied") if isinstance(block, Listing)]
    assert [sentence.text for sentence in listings[0].sentences] == [f"Note {i}." for i in range(5)]


def test_a_ratio_that_turns_is_named(study: Mapping[str, Any]) -> None:
    table = study["sweep"].table
    term = study["cox"].table.sort_values("hazard_ratio")["term"].iloc[-1]
    turned = (table["group"] == term) & (table["idle_days"] == 60)
    table.loc[turned, ["estimate", "lower", "upper"]] = [0.5, 0.4, 0.6]
    sweep = type("Sweep", (), {"table": table, "horizon": 90, "level": 0.95, "_to_plain": lambda _: {}})()
    assert "point the other way under another rule" in said(build(**{**study, "sweep": sweep}))
    assert "point the other way" not in said(build(**study))


def test_reasons_for_missing_figures_are_listed(study: Mapping[str, Any]) -> None:
    table = study["sweep"].table
    gone = (table["quantity"] == "survival") & (table["idle_days"] == 60) & (table["group"] == "organic")
    table.loc[gone, ["estimate", "lower", "upper"]] = None
    table.loc[gone, "note"] = "the group is followed to day 70 only"
    sweep = type("Sweep", (), {"table": table, "horizon": 90, "level": 0.95, "_to_plain": lambda _: {}})()
    listing = section(build(**{**study, "sweep": sweep}), "rule")[-1]
    assert [sentence.text for sentence in listing.sentences] == [
        "Share still active on day 90 (organic) under 60 days: the group is followed to day 70 only."
    ]


def test_figures_carry_their_table_and_say_what_they_show(report: Report, study: Mapping[str, Any]) -> None:
    assert [figure.kind for figure in report.figures] == [*["survival_curves"] * 3, "forest", "rule_sweep"]
    names = [figure.name for figure in report.figures]
    assert len(set(names)) == len(names)
    for figure in report.figures:
        assert figure.alt
        assert len({len(values) for values in figure.data.values()}) == 1
    assert len(report.figures[1].data["time"]) == len(study["curves"]["channel"].table)
    assert "on day 90" in report.figures[1].alt


def test_many_groups_are_cut_in_the_table_and_said_so() -> None:
    rows = pd.DataFrame({"city": [f"c{i % 120}" for i in range(720)], "duration": [30 + i % 50 for i in range(720)]})
    report = build(title="t", curves={"city": ch.kaplan_meier(rows.assign(churned=True), by="city")})
    (table,) = (block for block in section(report, "curves-city") if isinstance(block, Table))
    assert len(table.rows) == 100
    assert table.note.startswith("The 100 largest groups; the data file of the figure has all 120.")


def test_the_report_is_plain_data(report: Report) -> None:
    told = json.loads(report.to_json())
    curves = next(each for each in told["sections"] if each["id"] == "curves-all")
    assert [block["file"] for block in curves["blocks"] if block["kind"] == "figure"] == ["figures/survival_all.csv"]
    assert told["results"]["curves"]["channel"]["schema"]["name"] == "curves"
    assert told["results"]["cox"]["kind"] == "CoxFit"
    assert told["results"]["log"]["rule"]["idle_days"] == 30
    assert told["results"]["rejects"] == [{"table": "events", "reason": "unknown_user", "n": 3}]


def test_a_report_comes_back_from_its_json(report: Report) -> None:
    text = report.to_json()
    again = Report.from_json(text)
    assert again.to_json() == text
    assert (again.summary, again.tiles, again.subtitle) == (report.summary, report.tiles, report.subtitle)
    assert [figure.data for figure in again.figures] == [figure.data for figure in report.figures]


def test_another_json_is_no_report() -> None:
    with pytest.raises(InputError, match="no report of this version"):
        Report.from_json('{"kind": "Report", "version": 1}')


@pytest.mark.parametrize("rule", [ch.ChurnRule(14, ["login"]), {"idle_days": 14, "activity": ["login"]}])
def test_the_rule_is_told_in_words(small: Callable[..., Report], rule: object) -> None:
    report = small(log_facts={"rule": rule, "observed_from": "2024-01-01", "observed_until": date(2024, 3, 1)})
    assert report.subtitle.text == "1 Jan 2024 to 1 Mar 2024 · churn is 14 days without login"
    first, window = section(report, "studied")[:2]
    assert first.text.startswith("Churn is 14 calendar days in a row without login.")
    assert window.text == "The log covers 1 Jan 2024 to 1 Mar 2024, 61 days."
    assert json.loads(report.to_json())["results"]["log"]["rule"] == {"idle_days": 14, "activity": ["login"]}


def test_an_unknown_language_is_named(small: Callable[..., Report]) -> None:
    with pytest.raises(InputError, match=r"language 'zh'.*Languages: en, zh-Hant"):
        small(lang="zh")


def test_a_test_without_curves_is_named(study: Mapping[str, Any], small: Callable[..., Report]) -> None:
    with pytest.raises(InputError, match="test 'channel' has no curves"):
        small(tests={"channel": study["tests"]["channel"]})


def test_curves_are_read_as_the_result_reads_them(study: Mapping[str, Any]) -> None:
    result = study["curves"]["channel"]
    curves = Curves(result)
    for row in result.at([0, 31, 45.5, 90]).itertuples():
        point = curves.at(row.group, row.time)
        assert point is not None
        assert (point.estimate, point.lower, point.upper) == (row.survival, row.lower, row.upper)
    for row in result.number_at_risk([90]).groupby("time")["n_at_risk"].sum().items():
        assert curves.at_risk(row[0]) == row[1]
    assert Curves(study["curves"]["cohort"]).at("2025-06", 10_000) is None  # the last month: nobody is followed so far


MESSAGES = [(lang, key, text) for lang in LANGUAGES for key, text in catalogue(lang).messages.items()]


def test_no_message_claims_a_cause() -> None:
    claims = re.compile(r"\b(caus\w*|effect\w*|because|due to|leads? to|led to|drives?|impact\w*|results? in)\b", re.I)
    drawn = re.compile(r"(recall\.|summary\.recall_).*")  # where lots were drawn: tests/report/test_recall.py
    assert [(lang, key) for lang, key, text in MESSAGES if claims.search(text) and not drawn.fullmatch(key)] == []


def test_every_message_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (Path(churnsurv.__file__).parent / "report").rglob("*")
        if path.suffix in {".py", ".j2"} and not path.name.startswith("messages_")
    )
    heads = set(re.findall(r"f[\"']([a-z_]+\.[a-z_.]*)\{", source))  # keys that the code makes: f"count.{name}"
    for _, key, _ in MESSAGES:
        room = key.split(".")[0]
        drawn = room == "plot" or (room.startswith("plot_") and f'"{room}"' in source)
        assert drawn or f'"{key}"' in source or f"'{key}'" in source or key.startswith(tuple(heads)), key
