"""Which sections and keys a study file has, the field of the configuration that each is, and who reads its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import churnsurv.study.readers as read
from churnsurv.report.catalogue import LANGUAGES
from churnsurv.study.score_keys import monitor_keys, ready_keys, widths
from churnsurv.study.tier_keys import backtest_keys, groups_or_bands, numbers_by_name, objectives
from churnsurv.study.why_keys import column_or_none, date_keys, watch_keys

__all__ = ["FORMATS", "LOG_TABLES", "SCORE_TABLES", "SECTIONS"]

LOG_TABLES = ("events", "users", "balances", "feedback")
#: What the daily run takes beside the log; nothing else of a study looks at it.
SCORE_TABLES = ("opt_outs", "responses", "margins", "scores")
TABLES = (*LOG_TABLES, "reasons", "answers", "costs", "calendar", "assignments", "rewards", *SCORE_TABLES)
FORMATS = ("html", "pdf")

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
        "why": {
            "on": ("why_on", read.yes_or_no),
            "by": ("why_by", column_or_none),
            "within": ("why_within", read.whole(0)),
            "horizon": ("why_horizon", read.whole(1)),
            "weights": ("why_weights", read.texts),
            "problems": ("why_problems", read.texts),
            "holidays": ("why_holidays", read.texts),
            "monitor": ("why_monitor", watch_keys),
            "shocks": ("why_shocks", date_keys),
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
            "monitor": ("score_monitor", monitor_keys),
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
