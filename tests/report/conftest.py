from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import churnsurv as ch
from churnsurv.report import Report, build
from churnsurv.report.figures import Drawing, drawings
from churnsurv.report.model import Figure
from churnsurv.warning import Capacity, Precision, Saving, Value, backtest, fit_tiers, idle_risk, tier_timeline

HOSTILE = {
    "advertising": "<script>alert(1)</script>",
    "distribution": "分銷",
    "invitation": "$x$ & co",
    "organic": "organic",
    "wealth_supermarket": '=HYPERLINK("http://evil.example")]]>\'',
}


SAVING = Saving.plateau(top=0.3, middle=20, width=3)
WORTH = Value(saved_value=60, contact_cost=4, saving=SAVING)
ASKED: Mapping[str, Any] = {
    "objective": {"high": WORTH, "<i>low</i>": Capacity(per_day=3), "sure": Precision(target=0.99)},
    "variables": ["balance"],
    "tiers": ("<i>low</i>", "high", "sure"),
}


@pytest.fixture(scope="session")
def hostile() -> Mapping[str, Any]:
    """A log with hostile channel names, with its tables, costs and a calendar."""
    app = ch.simulate_app(700, seed=4)
    users, events = app.users, app.events
    costs = app.costs.assign(channel=app.costs["channel"].map(HOSTILE), amount=app.costs["amount"].astype(float))
    users["channel"] = users["channel"].astype(str).map(HOSTILE)
    users["channel"] = users["channel"].astype("category")
    users["user_id"], events["user_id"] = (table["user_id"].astype(str).astype(object) for table in (users, events))
    events.loc[events.index[:3], "user_id"] = "<img src=x onerror=alert(2)>\x00"
    log = ch.ActivityLog(
        events, users, observed_from=app.observed_from, observed_until=app.observed_until, time_zone="Asia/Taipei"
    )
    calendar = app.calendar.assign(name=["<script>alert(3)</script>", "$春$"])
    return {"log": log, "costs": costs, "calendar": calendar, "events": events, "users": users}


@pytest.fixture(scope="session")
def who(hostile: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of `build` on who churns, from the same log."""
    log, margin = hostile["log"], {"invested_day": 0.000018}
    return {
        "lifecycle": log.lifecycle(),
        "structure": ch.churn_structure(log),
        "profile": ch.churn_profile(log, variables=["n_investments", "ever_boosted", "balance"]),
        "spell_profile": ch.churn_profile(log, form="spell"),
        "bursts": ch.cohort_bursts(log, calendar=hostile["calendar"], ties="grouped"),
        "channels": ch.channel_value(log, hostile["costs"], margin=margin),
    }


@pytest.fixture(scope="session")
def warned(hostile: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of `build` on thresholds and tiers, from the same log."""
    log = hostile["log"]
    return {
        "idle_risk": idle_risk(log),
        "idle_risk_by": idle_risk(log, "channel", min_gaps=20),
        "tiers": fit_tiers(log, **ASKED, bootstrap=20, seed=1),
    }


@pytest.fixture(scope="session")
def judged(hostile: Mapping[str, Any], warned: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with what contacts are worth by day, the rules on the risk, the tiers over time, and a backtest."""
    log, scheme = hostile["log"], warned["tiers"]
    return {
        **warned,
        "value_by_day": warned["idle_risk"].value(WORTH, variants=True),
        "risk_surface": idle_risk(log, {"balance": scheme.grids["balance"]}, min_gaps=20),
        "tier_timeline": tier_timeline(log, scheme, every=120),
        "backtest": backtest(log, spec=ASKED, origins=2, capacity=[2]),
    }


@pytest.fixture(scope="session")
def study(hostile: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of `build`, made by the real estimators from a log with hostile channel names."""
    log = hostile["log"]
    spells = log.churn_spells()
    by = ("channel", "cohort")
    facts = spells._facts()
    return {
        "title": "Churn & <b>簡理財</b>",
        "config": {"study": {"title": "=cmd"}, "groups": {"by": list(by)}, "report": {"horizon": 90, "level": 0.95}},
        "check": log.check(),
        "log_facts": {**{k: v for k, v in facts.items() if k != "counts"}, "counts": dict(log.counts)},
        "rejects": log.rejects,
        "spells_counts": dict(spells.counts),
        "spells_facts": facts,
        "curves": {"all": ch.kaplan_meier(spells), **{name: ch.kaplan_meier(spells, by=name) for name in by}},
        "tests": {name: ch.logrank(spells, by=name) for name in by},
        "cox": ch.cox("channel", spells, reference={"channel": "organic"}, ties="grouped"),
        "sweep": ch.rule_sweep(
            log, (21, 30, 60), by="channel", formula="channel", reference={"channel": "organic"}, ties="grouped"
        ),
        "provenance": {
            "packages": {"churnsurv": "0.1.0", "numpy": "2"},
            "inputs": {"events": {"path": "<e>.csv", "sha256": "ab" * 32}},
            "seed": 4,
        },
        "notes": ("A note with <i>marks</i>.",),
    }


@pytest.fixture(scope="session")
def report(study: Mapping[str, Any]) -> Report:
    return build(**study)


Drawn = Callable[[Report], dict[str, list[Drawing]]]


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    """Draw the figures of a report; what was drawn for another report already is not drawn again."""
    made: dict[str, list[Drawing]] = {}

    def once(figure: Figure) -> list[Drawing]:
        key = json.dumps([figure.kind, figure.data, figure.options])
        if key not in made:
            made[key] = drawings(figure)
        if figure.panels:
            return [replace(each, name=f"{figure.name}_{place}") for place, each in enumerate(made[key], 1)]
        return [replace(each, name=figure.name, alt=figure.alt) for each in made[key]]

    return lambda report: {figure.name: once(figure) for figure in report.figures}


@pytest.fixture(scope="session")
def page(report: Report, drawn: Drawn) -> str:
    from churnsurv.report import render_html

    return render_html(report, drawn(report))


@pytest.fixture
def small() -> Callable[..., Report]:
    """A report that takes no time to make."""
    import pandas as pd

    def make(**changes: Any) -> Report:
        rows = pd.DataFrame(
            {"plan": ["a", "b"] * 20, "duration": range(30, 70), "churned": [True, True, False, True] * 10}
        )
        given: dict[str, Any] = {"title": "Small", "curves": {"plan": ch.kaplan_meier(rows, by="plan")}}
        return build(**{**given, **changes})

    return make


NAMED = {"natural": "自然流失", "rigid": "<b>rigid</b>", "policy": "=cmd|x", "frustrated": "frustrated & <script>"}
KINDS = {"crash": "<i>崩潰</i>", "lag": "=lag"}
SHOCK = "<script>alert(5)</script> 降息"


@pytest.fixture(scope="session")
def why() -> Mapping[str, Any]:
    """The arguments of `build` on why they leave, from a log with hostile and Chinese names."""
    from datetime import date

    import pandas as pd

    from churnsurv.simulation import PROBLEMS, Shock

    news = Shock(date(2025, 4, 7), date(2025, 4, 20), factor=30.0)
    app = ch.simulate_app(900, seed=6, problems=PROBLEMS, shocks=[news])
    feedback, events = app.feedback, app.events
    feedback["reason"] = feedback["reason"].astype(str).map(NAMED)
    events["kind"] = events["kind"].astype(str).replace(KINDS)
    log = ch.ActivityLog(
        events, app.users, feedback=feedback, observed_from=app.observed_from, observed_until=app.observed_until
    )
    dates = pd.DataFrame({"name": [SHOCK], "start": ["2025-04-07"], "end": ["2025-04-20"], "kind": ["news"]})
    return {
        "reasons": ch.churn_reasons(log, models=False),
        "reasons_by": ch.churn_reasons(log, by="channel", models=False),
        "experience": ch.experience_hazard(log, [*KINDS.values(), "complaint"], lasting=False),
        "monitor": ch.churn_monitor(log, None, train=180, watch=90),
        "shocks": ch.shock_effect(log, dates),
    }


ARMS = {
    "none": "<b>none</b>",
    "push": "<script>alert(1)</script>",
    "push_then_sms": "推送",
    "sms": "$x$ & co",
    "voucher": "voucher",
}


@pytest.fixture(scope="session")
def campaign_app() -> Any:
    """A simulated app for campaigns."""
    return ch.simulate_app(1500, seed=3)


@pytest.fixture(scope="session")
def campaigns(campaign_app: Any) -> Mapping[str, Any]:
    """The arguments of `build` on a campaign whose arms have hostile names, as they come out of the estimators."""
    table = campaign_app.campaigns
    table = table[table["campaign"] == "recall"].assign(campaign="春 <i>recall</i>")
    table["arm"] = table["arm"].astype(str).map(ARMS)
    asked = {"assignments": table, "log": campaign_app.log, "control": ARMS["none"]}
    lift = ch.campaign_lift(**asked, horizon=60, margin=0.01, covariates=["pre_active_days"])
    return {
        "lift": lift,
        "lift_groups": ch.campaign_lift(
            **asked, horizon=60, outcomes=["return_probability"], covariates=(), by=["channel"]
        ),
        "lift_monitors": {lift.campaigns[0]: ch.lift_monitor(**asked, horizon=60, smallest_lift=1.2)},
    }
