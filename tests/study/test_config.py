"""The study file: what it accepts, and every problem in it at once."""

from __future__ import annotations

import textwrap
import tomllib
from datetime import date
from typing import Any

import pytest

import churnsurv as ch
from churnsurv.study import config as module
from churnsurv.study.config import Dated, StudyConfig
from churnsurv.study.config_reading import read_config
from churnsurv.study.config_sections import SECTIONS
from churnsurv.study.score_keys import MonitorKeys, ReadyKeys

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
feedback = "f.csv"
reasons = "codes.csv"
answers = "scores.csv"
costs = "c.csv"
calendar = { sql = "SELECT * FROM 'days.csv'" }
assignments = "a.csv"
rewards = "r.csv"
opt_outs = "o.csv"
responses = "answers.csv"
margins = "m.csv"
scores = "s.csv"

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
ties = "grouped"
features = ["n_investments", { name = "logins", agg = "count", kind = "login", last = 14 }]
baseline_day = 30

[who_churns]
on = true
horizons = [90, 30]
window = 14
profile_horizon = 120
margin = { active_day = 1, invested_day = 0.00002 }
value_horizon = 90
keep = -1
min_users = 10

[why]
on = true
by = "channel"
within = 14
horizon = 180
weights = []
problems = ["crash"]
holidays = ["holiday", "festival"]
monitor = { on = true, train = 90, watch = 60, smallest_drop = 0.3, false_alarms = 2, min_users = 50 }
shocks = { names = [], kinds = ["news"], untouched = ["organic"], reaches = "active", before = 42, after = 14 }

[warning]
on = true
by = { balance = [100, 1000] }
variables = ["balance", "logins"]
missing = { balance = 0 }

[warning.tiers.high]
saved_value = 100
contact_cost = 5
saving = { shape = "linear", top = 0.2, idle_days = 21 }
[warning.tiers.medium]
precision = 0.6
[warning.tiers.low]
per_day = 140
[warning.backtest]
origins = 3
test_days = 60
capacity = [60, 140]

[campaigns]
on = true
campaign = "spring"
control = "none"
design = "observational"
horizon = 60
strata = ["half"]
by = "device"
margin = 0.01
smallest_lift = 1.1

[score]
scheme = "own.json"
policy = "own.toml"
ledger = "sent.duckdb"
folder = "daily"
margin = "worth"
hysteresis = { balance = 0.2 }
rows = 50
late = 5
ready = { weeks = 6, thin = 0.5, rejects = 0.1, jump = 3, replay = 0 }
monitor = { on = false, by = "device", train = 90, watch = 14, smallest_drop = 0.3, false_alarms = 2 }

[report]
formats = ["html"]
horizon = 60
level = 0.9
"""


def keys_of(document: dict[str, Any]) -> dict[str, set[str]]:
    """The keys of each section; a list of sections stands for its first."""
    bodies = {name: body[0] if isinstance(body, list) else body for name, body in document.items()}
    return {name: set(body) for name, body in bodies.items() if name != "columns"}


def problems_of(document: dict[str, Any], **overrides: object) -> dict[str, str]:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return {problem.where: problem.what for problem in read_config({**SOURCES, **document}, dotted)[1]}


def test_every_section_and_key_is_read() -> None:
    document = tomllib.loads(FULL)
    assert keys_of(document) == {
        name: set(keys) for name, keys in SECTIONS.items() if name not in {"columns", "calendar"}
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
    assert config.sources["costs"].path == "c.csv"
    assert config.sources["calendar"].sql == "SELECT * FROM 'days.csv'"
    assert config.score_hysteresis == {"balance": 0.2}
    assert config.score_ready == ReadyKeys(weeks=6, thin=0.5, rejects=0.1, jump=3.0, replay=0)
    assert config.score_monitor == MonitorKeys(False, "device", 90, 14, 0.3, 2.0)
    assert (config.who_on, config.who_horizons, config.who_window, config.who_profile_horizon) == (
        True,
        (30, 90),
        14,
        120,
    )
    assert config.who_margin == {"active_day": 1.0, "invested_day": 0.00002}
    assert (config.who_value_horizon, config.who_keep, config.who_min_users) == (90, -1.0, 10)
    assert config.to_dict()["who_churns"]["margin"] == config.who_margin
    assert (config.ties, config.horizon, config.level) == ("grouped", 60, 0.9)


def test_the_documented_format_is_the_one_that_is_read() -> None:
    documented = str(module.__doc__).partition("    [study]")[2].partition("`config_sections.SECTIONS`")[0]
    document = tomllib.loads(textwrap.dedent("    [study]" + documented))
    assert keys_of(document) == {name: set(keys) for name, keys in SECTIONS.items() if name != "columns"}
    assert read_config(document)[1][0].where == "calendar"  # two ways are shown, and only one can be taken
    del document["sources"]["calendar"]
    found, problems = read_config(document)
    assert problems == []
    assert found.calendar == (Dated("spring", "campaign", date(2024, 5, 20), date(2024, 5, 26)),)
    default = StudyConfig()
    shown = ("title", "lang", "folder", "idle_days", "activity", "sensitivity", "by", "strata", "ties", "level")
    who = ("who_on", "who_horizons", "who_window", "who_profile_horizon", "who_value_horizon", "who_keep")
    for name in (*shown, *who, "who_min_users"):
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
    assert found["cox.ties"] == 'expected "efron" or "breslow" or "grouped", found the text \'exact\'.'
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
        ("sources", "costs", ["c.csv"]),
        ("who_churns", "on", "yes"),
        ("who_churns", "on", 1),
        ("who_churns", "horizons", []),
        ("who_churns", "horizons", 90),
        ("who_churns", "horizons", [0]),
        ("who_churns", "window", 0),
        ("who_churns", "profile_horizon", "180"),
        ("who_churns", "profile_horizon", 60),
        ("who_churns", "margin", 0.5),
        ("who_churns", "margin", {}),
        ("who_churns", "margin", {"active_days": 0.5}),
        ("who_churns", "margin", {"active_day": float("nan")}),
        ("who_churns", "value_horizon", 0),
        ("who_churns", "keep", float("inf")),
        ("who_churns", "min_users", 0),
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


def test_the_calendar_is_a_list_of_sections() -> None:
    days = {"first": date(2024, 5, 20), "last": "2024-05-26"}
    config, problems = read_config({**SOURCES, "calendar": [{"name": "spring", "kind": "campaign", **days}, {
        "name": "new year", "first": date(2025, 1, 1)}]})  # fmt: skip
    assert problems == []
    assert config.calendar == (
        Dated("spring", "campaign", date(2024, 5, 20), date(2024, 5, 26)),
        Dated("new year", None, date(2025, 1, 1), date(2025, 1, 1)),
    )
    assert config.to_dict()["calendar"][1] == {
        "name": "new year", "kind": None, "first": "2025-01-01", "last": "2025-01-01",
    }  # fmt: skip


def test_every_problem_of_the_calendar_is_listed_with_its_place() -> None:
    days = {"first": date(2024, 5, 20)}
    found = problems_of(
        {
            "calendar": [
                {"name": "spring", **days},
                {"name": " ", **days, "starts": 3},
                {"first": "May"},
                {"name": "back", **days, "last": date(2024, 5, 1)},
            ]
        }
    )
    assert set(found) == {
        "calendar[2].name", "calendar[2].starts", "calendar[3].name", "calendar[3].first", "calendar[4].last",
    }  # fmt: skip
    assert found["calendar[2].starts"].startswith("There is no such key.")
    assert found["calendar[3].name"] == 'is missing. Such as name = "spring".'
    assert found["calendar[4].last"] == "2024-05-01 is before first, 2024-05-20."
    assert problems_of({"calendar": {"name": "spring"}})["calendar"].startswith("expected sections [[calendar]]")
    assert problems_of({"calendar": ["spring"]})["calendar"].startswith("expected sections [[calendar]]")
    both = {"sources": {**SOURCES["sources"], "calendar": "c.csv"}, "calendar": [{"name": "spring", **days}]}
    assert "Keep one of the two" in problems_of(both)["calendar"]


def test_who_churns_is_checked_with_the_rule_and_the_costs() -> None:
    late = problems_of({"rule": {"idle_days": 60}, "who_churns": {"window": 30, "profile_horizon": 90}})
    assert late["who_churns.profile_horizon"].startswith("must be later than day 90")
    assert problems_of({"rule": {"idle_days": 200}}) == {}  # nobody asked for a profile by day 180
    assert "needs sources.costs" in problems_of({"who_churns": {"margin": {"active_day": 1}}})["who_churns.margin"]
    wrong = problems_of({"who_churns": {"margin": {"active_days": 1}}})["who_churns.margin"]
    assert wrong == "expected active_day or invested_day, found the text 'active_days'. Did you mean 'active_day'?"


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
