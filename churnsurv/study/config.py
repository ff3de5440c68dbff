"""The study file: what stands in it, what it means, and every problem in it at once.

A study file is TOML. Only `[sources]` is needed; every other key has the default shown here.

    [study]
    title = "Churn study"
    about = "Export of 1 May"            # where the data are from; goes into the provenance
    seed = 0                             # of simulated data; goes into the provenance
    lang = "en"
    folder = "report"                    # where the report goes

    [sources]                            # paths, globs, or queries; relative ones start from the folder of this file
    events = "events.parquet"
    users = { sql = "SELECT * FROM 'users.parquet' WHERE NOT test" }
    balances = "balances.csv"            # optional
    costs = "costs.csv"                  # optional; what channels cost, as in churnsurv.channel_value: one file
    calendar = "calendar.csv"            # optional; campaigns and holidays: name, first, last, perhaps kind; one file
    assignments = "campaigns.parquet"    # optional; who was in which arm, as in churnsurv.campaign_lift: one file
    rewards = "rewards.parquet"          # optional; what was promised to whom: one file
    opt_outs = "opt_outs.csv"            # with a policy; who must not be contacted: user_id, perhaps channel; one file
    responses = "responses.csv"          # optional; who answered: user_id, responded_on, perhaps channel: one file
    margins = "margins.parquet"          # optional; what users are worth: user_id and the column score.margin
    scores = "scores.parquet"            # for tiers of a score that is given: user_id, date, score: one file

    [columns.events]                     # ours = "theirs"; also of the other sources
    event_at = "created"

    [window]                             # by default from the first registration or event to the last event
    observed_from = 2024-01-01
    observed_until = 2024-12-31

    [clock]
    timestamps = "UTC"                   # the zone of a time without zone
    time_zone = "UTC"                    # the zone whose midnight ends a day

    [rule]
    idle_days = 30
    activity = ["login", "invest"]       # or "all": every event
    sensitivity = [14, 21, 30, 45, 60]   # the same answers under these rules; [] for none

    [stages]                             # of the feature "stage"
    by = "n_investments"
    starts = { new = 0, growth = 3, mature = 10 }

    [groups]
    by = []                              # columns of users, or cohort; the first also splits the answers by rule

    [cox]                                # no model without a formula
    formula = "channel + n_investments + logins"
    reference = { channel = "organic" }
    strata = []
    ties = "efron"                       # or "breslow"; "grouped" where a large part churns on one day
    features = ["n_investments", { name = "logins", agg = "count", kind = "login", last = 14 }]
    baseline_day = 30                    # needed with features: they are known at the end of this day

    [who_churns]                         # who the churned are: stages, channels, behaviour, bursts, value of channels
    on = true
    horizons = [30, 90, 180]             # churn within so many days
    window = 30                          # churned and retained are compared on what they did in these first days
    profile_horizon = 180                # the churned: by this day; later than window and idle_days together
    margin = { active_day = 0.5, invested_day = 0.0001 }   # by default none; what a user brings; needs costs
    value_horizon = 180                  # days for which users of a channel are weighed against what they cost
    keep = 0.0                           # value of a user from which on a channel is kept
    min_users = 30                       # smaller groups are pooled as "other"

    [warning]                            # how likely the silent churn, and from which idle day to warn
    on = true
    by = "channel"                       # idle risk by columns or features, or bands: { balance = [100, 1000] }; by
                                         # default by the first of groups.by other than cohort
    variables = ["balance", "n_investments"]   # what rules look at beside idle days; by default those that vary
    missing = { balance = 0 }            # by default none; what stands in where a variable has no value

    [warning.tiers.high]                 # what each tier is for, highest first; without tiers, idle risk alone
    saved_value = 100                    # what a user saved is worth,
    contact_cost = 5                     # what a contact costs, and how many of those contacted it saves on which day;
    saving = { shape = "plateau", top = 0.3, middle = 20, width = 3 }   # or shape = "linear", top = 0.3, idle_days = 30
                                         # or shape = "table", idle_days = [1, 15, 29], s = [0.3, 0.2, 0.0]
    [warning.tiers.medium]
    precision = 0.6                      # alerts are right so often, at least
    [warning.tiers.low]
    per_day = 140                        # so many first alerts a day, at most

    [warning.backtest]                   # judges the tiers on days that they had not seen; without it nothing does
    origins = 4                          # how many times to fit and judge, or a list of days
    test_days = 90                       # days after an origin on which the gaps begin that are judged
    capacity = [60]                      # by default none; what so many first alerts a day would catch

    [campaigns]                          # what they brought back; needs assignments
    on = true
    campaign = "spring"                  # by default all of them
    control = "holdout"                  # the arm without a contact
    design = "randomised"                # "observational" where nobody drew lots
    horizon = 30                         # days that count, that of the assignment being the first
    strata = []                          # columns of the assignments within which users were drawn
    by = []                              # returns by group: columns of the assignments or users
    margin = 1.0                         # what a unit of money re-invested is worth
    smallest_lift = 1.2                  # by default none; odds ratio below which a running campaign may be given up

    [score]                              # the daily run: `churnsurv tiers` once, `churnsurv score` every day
    scheme = "tiers.json"                # the warning tiers, as fitted once
    policy = "policy.toml"               # by default none: alerts alone
    ledger = "contacts.duckdb"           # what was sent to whom
    folder = "score"                     # where alerts and plans go
    margin = "yearly_margin"             # what a user is worth: a column of margins, or without that table of users
    hysteresis = { balance = 0.1 }       # by default none; a tier is left where its thresholds are missed by a tenth
    rows = 500                           # alerts on the operators' page
    late = 2                             # a day so many days before the end of the log is planned; an earlier one dry

    [score.ready]                        # when a day is there in full
    weeks = 8                            # weeks before that it is compared with
    thin = 0.7                           # share of what is expected below which a count may stop the run
    rejects = 0.05                       # by how much the share of rejected rows may rise
    jump = 2.0                           # by how much the alerts may multiply
    replay = 3                           # weeks back in which the alerts of the same weekday are replayed

    [[calendar]]                         # once for each campaign or holiday, instead of sources.calendar
    name = "spring"
    kind = "campaign"                    # optional
    first = 2024-05-20
    last = 2024-05-26                    # by default the first day

    [report]
    formats = ["html"]
    horizon = 90                         # days; shares are compared on this day
    level = 0.95

`SECTIONS` lists each section and key with the reader that checks its value; `read_config` turns the parsed file into a
frozen `StudyConfig` and the list of all problems. Nothing here touches data.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Literal

import churnsurv.study.readers as read
from churnsurv.data.feature import Feature
from churnsurv.errors import did_you_mean
from churnsurv.report.catalogue import LANGUAGES
from churnsurv.study.config_checks import Problem, check_together
from churnsurv.study.score_keys import ReadyKeys, ready_keys, widths
from churnsurv.study.tier_keys import (
    BacktestKeys,
    backtest_keys,
    groups_or_bands,
    numbers_by_name,
    objectives,
    plain_objective,
)
from churnsurv.warning.objectives import Objective

__all__ = ["LOG_TABLES", "SCORE_TABLES", "SECTIONS", "Dated", "Problem", "Source", "StudyConfig", "read_config"]

LOG_TABLES = ("events", "users", "balances")
#: What the daily run takes beside the log; nothing else of a study looks at it.
SCORE_TABLES = ("opt_outs", "responses", "margins", "scores")
TABLES = (*LOG_TABLES, "costs", "calendar", "assignments", "rewards", *SCORE_TABLES)
FORMATS = ("html",)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table comes from: the path or glob of files, as written in the study file, or a SQL query."""

    path: str | None = None
    sql: str | None = None

    @property
    def shown(self) -> str:
        """The path as it stands in results: without the folders of one machine."""
        path = str(self.path)
        return PurePath(path).name if PurePath(path).is_absolute() else path


@dataclass(frozen=True, slots=True)
class Dated:
    """A campaign or holiday of the calendar, both days included."""

    name: str
    kind: str | None
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study file that was read without a problem; the fields are named after its sections and keys."""

    title: str = "Churn study"
    about: str | None = None
    seed: int | None = None
    lang: str = "en"
    folder: str = "report"
    sources: Mapping[str, Source] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    observed_from: date | None = None
    observed_until: date | None = None
    timestamps: str = "UTC"
    time_zone: str = "UTC"
    idle_days: int = 30
    activity: tuple[str, ...] | None = ("login", "invest")
    sensitivity: tuple[int, ...] = (14, 21, 30, 45, 60)
    stages_by: str = "n_investments"
    stages_starts: Mapping[str, float] | None = None
    by: tuple[str, ...] = ()
    formula: str | None = None
    reference: Mapping[str, Any] = field(default_factory=dict)
    strata: tuple[str, ...] = ()
    ties: Literal["efron", "breslow", "grouped"] = "efron"
    features: tuple[str | Feature, ...] = ()
    baseline_day: int | None = None
    who_on: bool = True
    who_horizons: tuple[int, ...] = (30, 90, 180)
    who_window: int = 30
    who_profile_horizon: int = 180
    who_margin: Mapping[str, float] = field(default_factory=dict)
    who_value_horizon: int = 180
    who_keep: float = 0.0
    who_min_users: int = 30
    warning_on: bool = True
    warning_by: tuple[str, ...] | Mapping[str, tuple[float, ...]] | None = None
    warning_variables: tuple[str, ...] | None = None
    warning_missing: Mapping[str, float] = field(default_factory=dict)
    warning_tiers: Mapping[str, Objective] = field(default_factory=dict)
    warning_backtest: BacktestKeys | None = None
    campaigns_on: bool = True
    campaigns_campaign: str | None = None
    campaigns_control: str = "holdout"
    campaigns_design: Literal["randomised", "observational"] = "randomised"
    campaigns_horizon: int = 30
    campaigns_strata: tuple[str, ...] = ()
    campaigns_by: tuple[str, ...] = ()
    campaigns_margin: float = 1.0
    campaigns_smallest_lift: float | None = None
    score_scheme: str = "tiers.json"
    score_policy: str | None = None
    score_ledger: str = "contacts.duckdb"
    score_folder: str = "score"
    score_margin: str | None = None
    score_hysteresis: Mapping[str, float] = field(default_factory=dict)
    score_rows: int = 500
    score_late: int = 2
    score_ready: ReadyKeys = field(default_factory=ReadyKeys)
    calendar: tuple[Dated, ...] = ()
    formats: tuple[str, ...] = ("html",)
    horizon: int = 90
    level: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """The study as nested plain values in the layout of the file, defaults filled in."""
        return {
            "study": {
                "title": self.title,
                "about": self.about,
                "seed": self.seed,
                "lang": self.lang,
                "folder": self.folder,
            },
            "sources": {name: s.shown if s.sql is None else {"sql": s.sql} for name, s in self.sources.items()},
            "columns": {name: dict(pairs) for name, pairs in self.columns.items()},
            "window": {
                "observed_from": self.observed_from and self.observed_from.isoformat(),
                "observed_until": self.observed_until and self.observed_until.isoformat(),
            },
            "clock": {"timestamps": self.timestamps, "time_zone": self.time_zone},
            "rule": {
                "idle_days": self.idle_days,
                "activity": "all" if self.activity is None else list(self.activity),
                "sensitivity": list(self.sensitivity),
            },
            "stages": {"by": self.stages_by, "starts": dict(self.stages_starts)} if self.stages_starts else None,
            "groups": {"by": list(self.by)},
            "cox": {
                "formula": self.formula,
                "reference": dict(self.reference),
                "strata": list(self.strata),
                "ties": self.ties,
                "features": [_plain_feature(feature) for feature in self.features],
                "baseline_day": self.baseline_day,
            },
            "who_churns": {
                "on": self.who_on,
                "horizons": list(self.who_horizons),
                "window": self.who_window,
                "profile_horizon": self.who_profile_horizon,
                "margin": dict(self.who_margin),
                "value_horizon": self.who_value_horizon,
                "keep": self.who_keep,
                "min_users": self.who_min_users,
            },
            "warning": {
                "on": self.warning_on,
                "by": _plain_groups(self.warning_by),
                "variables": None if self.warning_variables is None else list(self.warning_variables),
                "missing": dict(self.warning_missing),
                "tiers": {name: plain_objective(each) for name, each in self.warning_tiers.items()},
                "backtest": None if self.warning_backtest is None else self.warning_backtest.to_plain(),
            },
            "campaigns": {
                key: list(value) if isinstance(value := getattr(self, name), tuple) else value
                for key, (name, _) in SECTIONS["campaigns"].items()
            },
            "score": {
                "scheme": self.score_scheme,
                "policy": self.score_policy,
                "ledger": self.score_ledger,
                "folder": self.score_folder,
                "margin": self.score_margin,
                "hysteresis": dict(self.score_hysteresis),
                "rows": self.score_rows,
                "late": self.score_late,
                "ready": asdict(self.score_ready),
            },
            "calendar": [
                {"name": each.name, "kind": each.kind, "first": each.first.isoformat(), "last": each.last.isoformat()}
                for each in self.calendar
            ],
            "report": {"formats": list(self.formats), "horizon": self.horizon, "level": self.level},
        }


def _plain_feature(feature: str | Feature) -> Any:
    if isinstance(feature, str):
        return feature
    return {key: value for key, value in asdict(feature).items() if value is not None}


def _plain_groups(by: tuple[str, ...] | Mapping[str, tuple[float, ...]] | None) -> Any:
    if isinstance(by, Mapping):
        return {name: list(cuts) for name, cuts in by.items()}
    return None if by is None else list(by)


Reader = Callable[[Any], Any]

# section -> key -> (field of StudyConfig, reader)
SECTIONS: Mapping[str, Mapping[str, tuple[str, Reader]]] = MappingProxyType(
    {
        "study": {
            "title": ("title", read.text),
            "about": ("about", read.text),
            "seed": ("seed", read.whole(0)),
            "lang": ("lang", read.choice(*LANGUAGES)),
            "folder": ("folder", read.text),
        },
        "window": {"observed_from": ("observed_from", read.day), "observed_until": ("observed_until", read.day)},
        "clock": {"timestamps": ("timestamps", read.time_zone), "time_zone": ("time_zone", read.time_zone)},
        "rule": {
            "idle_days": ("idle_days", read.whole(1)),
            "activity": ("activity", read.kinds),
            "sensitivity": ("sensitivity", read.wholes(1)),
        },
        "stages": {"by": ("stages_by", read.text), "starts": ("stages_starts", read.stages)},
        "groups": {"by": ("by", read.texts)},
        "cox": {
            "formula": ("formula", read.text),
            "reference": ("reference", read.categories),
            "strata": ("strata", read.texts),
            "ties": ("ties", read.choice("efron", "breslow", "grouped")),
            "features": ("features", read.features),
            "baseline_day": ("baseline_day", read.whole(0)),
        },
        "who_churns": {
            "on": ("who_on", read.yes_or_no),
            "horizons": ("who_horizons", read.wholes(1, least=1)),
            "window": ("who_window", read.whole(1)),
            "profile_horizon": ("who_profile_horizon", read.whole(1)),
            "margin": ("who_margin", read.margin),
            "value_horizon": ("who_value_horizon", read.whole(1)),
            "keep": ("who_keep", read.number),
            "min_users": ("who_min_users", read.whole(1)),
        },
        "warning": {
            "on": ("warning_on", read.yes_or_no),
            "by": ("warning_by", groups_or_bands),
            "variables": ("warning_variables", read.texts),
            "missing": ("warning_missing", numbers_by_name),
            "tiers": ("warning_tiers", objectives),
            "backtest": ("warning_backtest", backtest_keys),
        },
        "campaigns": {
            "on": ("campaigns_on", read.yes_or_no),
            "campaign": ("campaigns_campaign", read.text),
            "control": ("campaigns_control", read.text),
            "design": ("campaigns_design", read.choice("randomised", "observational")),
            "horizon": ("campaigns_horizon", read.whole(1)),
            "strata": ("campaigns_strata", read.texts),
            "by": ("campaigns_by", read.texts),
            "margin": ("campaigns_margin", read.number),
            "smallest_lift": ("campaigns_smallest_lift", read.number),
        },
        "score": {
            "scheme": ("score_scheme", read.text),
            "policy": ("score_policy", read.text),
            "ledger": ("score_ledger", read.text),
            "folder": ("score_folder", read.text),
            "margin": ("score_margin", read.text),
            "hysteresis": ("score_hysteresis", widths),
            "rows": ("score_rows", read.whole(1)),
            "late": ("score_late", read.whole(0)),
            "ready": ("score_ready", ready_keys),
        },
        "calendar": {  # a list of such sections
            "name": ("name", read.text),
            "kind": ("kind", read.text),
            "first": ("first", read.day),
            "last": ("last", read.day),
        },
        "report": {
            "formats": ("formats", read.choices(*FORMATS)),
            "horizon": ("horizon", read.whole(1)),
            "level": ("level", read.share),
        },
        "sources": {name: (name, read.source) for name in TABLES},
        "columns": {name: (name, read.columns) for name in TABLES},
    }
)


def read_config(
    document: Mapping[str, Any], overrides: Mapping[str, object] | None = None
) -> tuple[StudyConfig, list[Problem]]:
    """Read a parsed study file.

    Parameters
    ----------
    document : mapping
        What `tomllib` returns.
    overrides : mapping, optional
        Values that replace those of the file, by dotted key: ``{"rule.idle_days": 45}``.

    Returns
    -------
    StudyConfig, list of Problem
        A key with a problem has its default in the configuration. No problem: the list is empty.

    Examples
    --------
    >>> config, problems = read_config({"rule": {"idle_day": 45}, "sources": {"events": "e.csv", "users": "u.csv"}})
    >>> problems[0].what
    "There is no such key. Did you mean 'idle_days'? Keys of [rule]: idle_days, activity, sensitivity."
    """
    problems: list[Problem] = []
    merged = _override(document, overrides or {}, problems)
    values: dict[str, Any] = {"sources": {}, "columns": {}}
    for section, body in merged.items():
        if section not in SECTIONS:
            hint = did_you_mean(section, SECTIONS)
            problems.append(Problem(section, f"There is no such section.{hint} Sections: {', '.join(SECTIONS)}."))
        elif section == "calendar":
            values["calendar"] = _read_calendar(body, problems)
        elif not isinstance(body, Mapping):
            problems.append(Problem(section, f"expected a section [{section}], found {read.describe(body)}."))
        else:
            _read_section(section, body, values, problems)
    _fill_sources(values, problems)
    config = StudyConfig(**values)
    problems += check_together(config, [name for name, _ in SECTIONS["campaigns"].values()])
    return config, problems


def _read_calendar(body: Any, problems: list[Problem]) -> tuple[Dated, ...]:
    """The campaigns and holidays, each a section `[[calendar]]` of its own; those with a problem are left out."""
    if not isinstance(body, list) or not all(isinstance(entry, Mapping) for entry in body):
        what = f"expected sections [[calendar]], one for each campaign or holiday, found {read.describe(body)}."
        problems.append(Problem("calendar", what))
        return ()
    entries = []
    for place, body_of_entry in enumerate(body, 1):
        where, before = f"calendar[{place}]", len(problems)
        values: dict[str, Any] = {"kind": None}
        _read_section("calendar", body_of_entry, values, problems, named=where)
        problems += [
            Problem(f"{where}.{key}", f"is missing. Such as {such}.")
            for key, such in (("name", 'name = "spring"'), ("first", "first = 2024-05-20"))
            if key not in body_of_entry
        ]
        if len(problems) > before:
            continue
        entry = Dated(**{"last": values["first"], **values})
        if entry.last < entry.first:
            problems.append(Problem(f"{where}.last", f"{entry.last} is before first, {entry.first}."))
        entries.append(entry)
    return tuple(entries)


def _read_section(
    section: str, body: Mapping[str, Any], values: dict[str, Any], problems: list[Problem], *, named: str = ""
) -> None:
    keys = SECTIONS[section]
    target = values[section] if section in ("sources", "columns") else values
    for key, value in body.items():
        where = f"{named or section}.{key}"
        if key not in keys:
            hint = did_you_mean(key, keys)
            what = f"There is no such key.{hint} Keys of [{section}]: {', '.join(keys)}."
            problems.append(Problem(where, what))
            continue
        name, reader = keys[key]
        try:
            target[name] = reader(value)
        except read.ManyRefusedError as wrong:
            problems += [Problem(f"{where}.{place}", what) for place, what in wrong.problems]
        except read.RefusedValueError as wrong:
            problems.append(Problem(where, str(wrong)))


def _fill_sources(values: dict[str, Any], problems: list[Problem]) -> None:
    values["sources"] = {
        name: Source(sql=value["sql"]) if isinstance(value, Mapping) else Source(path=value)
        for name, value in values["sources"].items()
    }
    named = {problem.where for problem in problems}
    for name in ("events", "users"):
        where = f"sources.{name}"
        if name not in values["sources"] and where not in named and "sources" not in named:
            what = f'is missing. Name the {name} table: {name} = "{name}.parquet" or {{ sql = "SELECT ..." }}.'
            problems.append(Problem(where, what))


def _override(document: Mapping[str, Any], overrides: Mapping[str, object], problems: list[Problem]) -> dict[str, Any]:
    merged: dict[str, Any] = copy.deepcopy(dict(document))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        if not path or not all([*path, last]):
            what = "cannot be set. Write section.key=value, such as rule.idle_days=45."
            problems.append(Problem(dotted or "(empty)", what))
            continue
        body = merged
        for part in path:
            if not isinstance(body.get(part), dict):
                body[part] = {}
            body = body[part]
        body[last] = value
    return merged
