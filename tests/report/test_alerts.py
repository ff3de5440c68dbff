from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import churnsurv as ch
from churnsurv.report import Report
from churnsurv.report.catalogue import LANGUAGES
from churnsurv.report.model import Listing, Table
from churnsurv.warning import alerts

DAYS = ("2025-05-01", "2025-06-10")


@pytest.fixture(scope="module")
def given(hostile: Mapping[str, Any], warned: Mapping[str, Any]) -> Mapping[str, Any]:
    log, scheme = hostile["log"], warned["tiers"]
    return {"tiers": scheme, **{day: alerts(scheme, log, as_of=day) for day in DAYS}}


def _section(report: Report) -> Any:
    return next((each for each in report.sections if each.id == "alerts"), None)


@pytest.mark.parametrize("day", DAYS)
def test_counts_and_risks_are_those_of_the_list(
    given: Mapping[str, Any], small: Callable[..., Report], day: str
) -> None:
    found = given[day]
    living = found.table[found.table["status"].astype(str) != "resolved"]
    report = small(tiers=given["tiers"], alerts=found)
    listing, tiers, reasons = _section(report).blocks[:3]
    assert isinstance(listing, Listing)
    assert isinstance(tiers, Table)
    told = [sentence.text for sentence in listing.sentences]
    share = f"{100 * len(living) / found.counts['living']:.1f}%"
    assert f" {len(living)} of {found.counts['living']} users who have not churned ({share})" in told[0]
    assert f"about {living['risk'].sum():.0f} ({living['risk_lower'].sum():.0f}" in " ".join(told)
    assert {row[0]: row[1] for row in tiers.rows} == {tier: str(n) for tier, n in found.in_tier.items()}
    assert sum(int(row[2]) for row in reasons.rows) == len(living)
    assert sum(int(row[2]) for row in tiers.rows) == found.counts["new"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_user_is_named(given: Mapping[str, Any], small: Callable[..., Report], lang: str) -> None:
    found = given[DAYS[0]]
    report = small(tiers=given["tiers"], alerts=found, lang=lang)
    held = report.to_plain()["results"]["alerts"]
    assert set(held["counts"]) == set(found.counts)
    assert "table" not in held
    texts = str([block for each in report.to_plain()["sections"] if each["id"] == "alerts" for block in each["blocks"]])
    marked = found.table.assign(user_id=[f"user-{n}-" for n in range(len(found.table))])
    again = small(tiers=given["tiers"], alerts=_with(found, marked), lang=lang)
    assert texts == str([b for each in again.to_plain()["sections"] if each["id"] == "alerts" for b in each["blocks"]])
    assert "user-0-" not in again.to_json()


def test_nobody_in_a_tier_is_said(given: Mapping[str, Any], small: Callable[..., Report]) -> None:
    found = given[DAYS[0]]
    nobody = _with(found, found.table.iloc[:0])
    counts = {**dict.fromkeys(found.counts, 0), "living": found.counts["living"]}
    for name, value in (("counts", counts), ("in_tier", dict.fromkeys(found.tiers, 0))):
        object.__setattr__(nobody, name, value)
    report = small(tiers=given["tiers"], alerts=nobody)
    listing, *rest = _section(report).blocks
    assert listing.sentences[0].text.endswith("users who have not churned is in a warning tier.")
    assert not any(isinstance(block, Table) for block in rest)
    assert _section(small(tiers=given["tiers"])) is None


def test_the_summary_points_to_it(given: Mapping[str, Any], small: Callable[..., Report]) -> None:
    report = small(tiers=given["tiers"], alerts=given[DAYS[1]])
    assert any(sentence.link == "alerts" for sentence in report.summary)


def _with(found: ch.Alerts, table: Any) -> ch.Alerts:
    from dataclasses import replace

    return replace(found, _table=table)
