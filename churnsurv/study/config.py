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
    feedback = "feedback.csv"            # optional; what users said on why they left: user_id, date, reason
    reasons = "reasons.csv"              # optional; which answer is which reason: code, reason; one file
    answers = "answers.csv"              # optional; how satisfied users were: user_id, date, topic, score; one file
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

    [why]                                # why they leave: reasons, problems, returns day by day and after dates
    on = true
    by = "channel"                       # a column of the users, or []; by default the first of groups.by other than
                                         # cohort
    within = 30                          # an answer counts if it comes up to so many days after the churn
    horizon = 365                        # last day of the shares by reason over time
    weights = ["channel", "tenure"]      # what the chance of an answer depends on; [] for no weights; by default those
                                         # of channel, tenure, stage and n_investments that the tables can tell
    problems = ["crash", "lag", "complaint"]   # kinds of events; by default those of these that the log has
    holidays = ["holiday"]               # kinds of the calendar whose days are like no other

    [why.monitor]                        # returns against what was expected, day by day, and alarms
    on = true
    train = 365                          # days that an expectation is learnt from
    watch = 365                          # days to watch: the last ones
    smallest_drop = 0.2                  # what it is to notice: a fifth fewer returns
    false_alarms = 1.0                   # a year, over all groups together, where nothing changes
    min_users = 200                      # groups with fewer users at risk on a mean day are pooled as "other"

    [why.shocks]                         # what dated entries of the calendar did to returns
    on = true
    names = ["spring"]                   # the entries; by default those of these kinds:
    kinds = ["shock", "news", "outage"]
    untouched = ["organic"]              # by default none; groups that they cannot have touched
    reaches = "all"                      # or "active": only those active on the day, such as by an outage
    before = 56                          # days to compare with
    after = 28                           # days judged, from the day on

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

    [score.monitor]                      # whether fewer users return than expected: arguments of churn_monitor
    on = true
    by = "channel"                       # if the users have it; "(all)" for one chart of all users
    train = 365                          # days that an expectation is learnt from
    watch = 28                           # days to watch, and up to 27 before them
    smallest_drop = 0.2                  # what it is to notice: a fifth fewer returns
    false_alarms = 1.0                   # a year, over all groups together, where nothing changes
    by_stage = true                      # expect of each stage what it does, and say which ones carry an alarm
    min_users = 200                      # groups with fewer users at risk on a mean day are pooled as "other"

    [[calendar]]                         # once for each campaign or holiday, instead of sources.calendar
    name = "spring"
    kind = "campaign"                    # optional; such as holiday, shock, news, outage
    first = 2024-05-20
    last = 2024-05-26                    # by default the first day

    [report]
    formats = ["html"]                   # and "pdf"
    horizon = 90                         # days; shares are compared on this day
    level = 0.95

`config_sections.SECTIONS` lists each section and key with the reader that checks its value;
`config_reading.read_config` turns the parsed file into a frozen `StudyConfig` and the list of all problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import PurePath
from typing import Any, Literal

from churnsurv.data.feature import Feature
from churnsurv.study.config_sections import SECTIONS
from churnsurv.study.score_keys import MonitorKeys, ReadyKeys
from churnsurv.study.tier_keys import BacktestKeys, plain_objective
from churnsurv.study.why_keys import DateKeys, WatchKeys
from churnsurv.warning.objectives import Objective

__all__ = ["Dated", "Source", "StudyConfig"]


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
    why_on: bool = True
    why_by: tuple[str, ...] | None = None
    why_within: int = 30
    why_horizon: int = 365
    why_weights: tuple[str, ...] | None = None
    why_problems: tuple[str, ...] | None = None
    why_holidays: tuple[str, ...] = ("holiday",)
    why_monitor: WatchKeys = field(default_factory=WatchKeys)
    why_shocks: DateKeys = field(default_factory=DateKeys)
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
    score_monitor: MonitorKeys = field(default_factory=MonitorKeys)
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
            "why": _plain_why(self),
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
                "monitor": asdict(self.score_monitor),
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


def _plain_why(config: StudyConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (name, _) in SECTIONS["why"].items():
        value = getattr(config, name)
        if isinstance(value, (WatchKeys, DateKeys)):
            value = {inner: list(each) if isinstance(each, tuple) else each for inner, each in asdict(value).items()}
        found[key] = list(value) if isinstance(value, tuple) else value
    return found
