"""The study file: what it accepts, and every problem in it at once."""

from __future__ import annotations

import textwrap
import tomllib
from datetime import date
from typing import Any

import pytest

import churnsurv as ch
from churnsurv.study import config as module
from churnsurv.study.config import SECTIONS, StudyConfig, read_config

SOURCES = {"sources": {"events": "e.csv", "users": "u.csv"}}

FULL = """
[study]
title = "Our study"
about = "Export of May"
seed = 7
lang = "en"
folder = "out"

[sources]
events = { sql = "SELECT * FROM 'e.csv'" }
users = "u.csv"
balances = "b.csv"

[columns.events]
event_at = "ts"

[window]
observed_from = 2024-01-01
observed_until = "2024-12-31"

[clock]
timestamps = "Asia/Shanghai"
time_zone = "Asia/Shanghai"

[rule]
idle_days = 21
activity = ["login"]
sensitivity = [30, 14, 14]

[stages]
by = "n_investments"
starts = { new = 0, grown = 4 }

[groups]
by = ["channel", "cohort"]

[cox]
formula = "channel + n_investments + logins"
reference = { channel = "organic" }
strata = "cohort"
ties = "breslow"
features = ["n_investments", { name = "logins", agg = "count", kind = "login", last = 14 }]
baseline_day = 30

[report]
formats = ["html"]
horizon = 60
level = 0.9
"""


def problems_of(document: dict[str, Any], **overrides: object) -> dict[str, str]:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return {problem.where: problem.what for problem in read_config({**SOURCES, **document}, dotted)[1]}


def test_every_section_and_key_is_read() -> None:
    document = tomllib.loads(FULL)
    assert {section: set(keys) for section, keys in SECTIONS.items() if section != "columns"} == {
        section: set(keys) for section, keys in document.items() if section != "columns"
    }
    config, problems = read_config(document)
    assert problems == []
    assert config.sources["events"].sql == "SELECT * FROM 'e.csv'"
    assert config.sources["users"].path == "u.csv"
    assert config.columns == {"events": {"event_at": "ts"}}
    assert (config.observed_from, config.observed_until) == (date(2024, 1, 1), date(2024, 12, 31))
    assert config.sensitivity == (14, 30)
    assert config.stages_starts == {"new": 0, "grown": 4}
    assert config.strata == ("cohort",)
    assert config.features == ("n_investments", ch.Feature("logins", agg="count", kind="login", last=14))
    assert (config.ties, config.horizon, config.level) == ("breslow", 60, 0.9)


def test_the_documented_format_is_the_one_that_is_read() -> None:
    documented = str(module.__doc__).partition("    [study]")[2].partition("`SECTIONS`")[0]
    document = tomllib.loads(textwrap.dedent("    [study]" + documented))
    found, problems = read_config(document)
    assert problems == []
    assert {section: set(keys) for section, keys in document.items() if section != "columns"} == {
        section: set(keys) for section, keys in SECTIONS.items() if section != "columns"
    }
    default = StudyConfig()
    for name in ("title", "lang", "folder", "idle_days", "activity", "sensitivity", "by", "strata", "ties", "level"):
        assert getattr(found, name) == getattr(default, name)


def test_a_study_needs_its_two_tables_and_nothing_else() -> None:
    config, problems = read_config(SOURCES)
    assert problems == []
    assert config == StudyConfig(sources=config.sources)
    assert config.activity == ("login", "invest")
    assert set(problems_of({"sources": {}})) == {"sources.events", "sources.users"}


def test_the_settings_are_plain_and_the_folders_of_the_machine_stay_out() -> None:
    config, _ = read_config({"sources": {"events": "/home/me/e.csv", "users": "data/u.csv"}})
    assert config.to_dict()["sources"] == {"events": "e.csv", "users": "data/u.csv"}
    plain = read_config(tomllib.loads(FULL))[0].to_dict()
    assert plain["cox"]["features"][1] == {
        "name": "logins", "agg": "count", "kind": ("login",), "last": 14, "empty": 0,
    }  # fmt: skip
    assert plain["window"] == {"observed_from": "2024-01-01", "observed_until": "2024-12-31"}


def test_all_problems_are_listed_at_once_with_the_nearest_name() -> None:
    found = problems_of(
        {
            "rule": {"idle_day": 30, "activity": [], "sensitivity": [14, "21"]},
            "grups": {"by": ["channel"]},
            "cox": {"ties": "exact", "reference": {"channel": ["a"]}},
            "clock": {"time_zone": "Asia/Shangai"},
            "report": {"level": 95},
            "window": {"observed_from": "May 2024"},
        }
    )
    assert "Did you mean 'idle_days'?" in found["rule.idle_day"]
    assert "Did you mean 'groups'?" in found["grups"]
    assert found["rule.sensitivity"].endswith("found the text '21'.")
    assert found["cox.ties"] == 'expected "efron" or "breslow", found the text \'exact\'.'
    assert found["report.level"] == "expected a number between 0 and 1, found the number 95."
    assert {"rule.activity", "cox.reference", "window.observed_from"} <= set(found)
    assert "Did you mean 'Asia/Shanghai'?" in found["clock.time_zone"]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("study", "title", ""),
        ("study", "lang", "xx"),
        ("study", "folder", 3),
        ("sources", "events", 5),
        ("sources", "events", {"query": "SELECT 1"}),
        ("sources", "events", {"sql": " "}),
        ("columns", "events", {"event_at": 1}),
        ("columns", "events", "ts"),
        ("window", "observed_until", 20240501),
        ("clock", "timestamps", "../UTC"),
        ("rule", "idle_days", 0),
        ("rule", "idle_days", 30.0),
        ("rule", "idle_days", True),
        ("rule", "idle_days", "30"),
        ("rule", "activity", "login"),
        ("rule", "sensitivity", 14),
        ("stages", "starts", {"new": 1}),
        ("stages", "starts", {"new": 0, "growth": 0}),
        ("stages", "starts", [0, 3]),
        ("groups", "by", [1]),
        ("cox", "features", ["n_invested"]),
        ("cox", "features", "n_investments"),
        ("cox", "features", [{"name": "x"}]),
        ("cox", "features", [{"name": "x", "agg": "median"}]),
        ("cox", "features", [{"name": "x", "agg": "count", "kinds": "login"}]),
        ("cox", "baseline_day", -1),
        ("report", "formats", ["docx"]),
        ("report", "formats", []),
        ("report", "horizon", 0),
        ("report", "level", 1),
    ],
)
def test_a_wrong_value_says_what_was_expected(section: str, key: str, value: object) -> None:
    document = {"sources": dict(SOURCES["sources"])}
    document.setdefault(section, {})[key] = value
    config, problems = read_config(document)
    assert f"{section}.{key}" in {problem.where for problem in problems}
    assert isinstance(config, StudyConfig)


def test_a_section_that_is_no_section() -> None:
    assert problems_of({"rule": 30})["rule"] == "expected a section [rule], found the number 30."
    assert "sources" in {p.where for p in read_config({"sources": ["e.csv"]})[1]}


def test_what_no_single_key_can_tell() -> None:
    found = problems_of(
        {
            "window": {"observed_from": "2024-05-01", "observed_until": "2024-04-01"},
            "cox": {"formula": "n_investments", "features": ["n_investments"]},
            "columns": {"balances": {"balance": "b"}},
        }
    )
    assert set(found) == {"window.observed_from", "cox.features", "columns.balances"}
    assert set(problems_of({"cox": {"strata": ["channel"]}})) == {"cox.formula"}


def test_every_event_is_activity() -> None:
    assert read_config({**SOURCES, "rule": {"activity": "all"}})[0].activity is None


def test_overrides_replace_values_and_are_checked_alike() -> None:
    document = {**SOURCES, "rule": {"idle_days": 30}}
    config, problems = read_config(
        document, {"rule.idle_days": 45, "groups.by": ["channel"], "columns.events.kind": "k"}
    )
    assert problems == []
    assert (config.idle_days, config.by, config.columns["events"]) == (45, ("channel",), {"kind": "k"})
    assert document["rule"] == {"idle_days": 30}
    assert "rule.idle" in problems_of({}, rule__idle=3)
    assert "idle_days" in problems_of({}, idle_days=3)
