"""The facts of the case as the toolkit finds them in the logs of a simulated app; nothing here looks at the truth.

Run ``python -m tests.simulation.facts`` to print the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.simulation import SimulatedApp, simulate_app

NEW, GROWTH, MATURE = ch.Stages().starts


@dataclass(frozen=True)
class Fact:
    """A figure of the case, and the range that the simulated app must lie in."""

    name: str
    case: str
    measured: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Measured:
    """What the facts are read from.

    churned : one row a user who is churned on the last day of the log, with channel, stage and what he invested.
    active : one row a user who is not, with the mean interval of his spell and his balance.
    spells : first spells.
    reached : one row a user and stage that he reached in his first spell, and whether he churned in it within 120 days.
    """

    churned: pd.DataFrame
    active: pd.DataFrame
    spells: ch.Spells
    reached: pd.DataFrame
    registered: pd.Series
    calendar: pd.DataFrame


def stage_of(n_investments: pd.Series) -> pd.Series:
    starts = ch.Stages().starts
    return pd.cut(n_investments, [*starts.values(), np.inf], right=False, labels=list(starts))


def measure(app: SimulatedApp) -> Measured:
    log, events = app.log, app.events
    last = log.churn_spells(spells="all").table.drop_duplicates("user_id", keep="last").set_index("user_id")
    invest = events[events["kind"] == "invest"]
    invested = invest.groupby("user_id").agg(n=("amount", "size"), highest=("amount", "max"))
    state = last.join(invested).fillna({"n": 0, "highest": 0.0})
    state["boosted"] = state.index.isin(invest.loc[invest["product"] == "boosted", "user_id"])
    state["balance"] = app.balances.groupby("user_id")["balance"].last().reindex(state.index, fill_value=0.0)
    state["stage"] = stage_of(state["n"])
    state["interval"], state["intervals"] = _intervals(events, state)
    first = log.churn_spells()
    return Measured(
        churned=state[state["churned"]],
        active=state[~state["churned"]],
        spells=first,
        reached=_reached(invest, first.table, pd.Timestamp(app.observed_until)),
        registered=app.users.set_index("user_id")["registered_at"].dt.normalize(),
        calendar=app.calendar.set_index("name"),
    )


def _intervals(events: pd.DataFrame, state: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Mean days between active days since the origin of the last spell, and their number."""
    login = events[events["kind"] == "login"]
    day = pd.DataFrame({"user_id": login["user_id"], "day": login["event_at"].dt.normalize()}).drop_duplicates()
    origin = day["user_id"].map(state["origin"])
    n = (day["day"] > origin).groupby(day["user_id"]).sum().reindex(state.index, fill_value=0)
    return (state["last_activity"] - state["origin"]).dt.days / n.where(n > 0), n


def _reached(invest: pd.DataFrame, first: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Days on which stages were reached in first spells, and whether the user churned in the stage."""
    spells = first.set_index("user_id")
    invest = invest[invest["event_at"].dt.normalize() <= invest["user_id"].map(spells["last_activity"])]
    count = invest.groupby("user_id").cumcount() + 1
    final = stage_of(count.groupby(invest["user_id"]).max().reindex(spells.index, fill_value=0))
    rows = []
    for stage, start in ch.Stages().starts.items():
        at = spells["origin"] if start == 0 else invest[count == start].set_index("user_id")["event_at"].dt.normalize()
        table = spells.loc[at.index, ["channel", "churned", "last_activity"]].assign(stage=stage, at=at)
        here = table["churned"] & (final.loc[at.index] == stage)
        table["churned"] = here & ((table["last_activity"] - table["at"]).dt.days <= 120)
        rows.append(table[table["at"] <= until - pd.Timedelta(days=150)])
    return pd.concat(rows)


def facts(app: SimulatedApp) -> list[Fact]:
    return [*of_structure(measured := measure(app)), *of_profile(measured), *of_bursts(measured)]


def of_structure(found: Measured) -> Iterator[Fact]:
    churned = found.churned
    share = churned["stage"].value_counts(normalize=True)
    yield Fact("share of churned users in the new stage", "48 %", share[NEW], 0.45, 0.51)
    yield Fact("the next largest stage less the new stage", "far below", share.drop(NEW).max() - share[NEW], -1, -0.1)
    counts = churned.groupby(["stage", "channel"], observed=True).size()
    rates = found.reached.groupby(["stage", "channel"], observed=True)["churned"].mean()
    for stage, channel in ((NEW, "distribution"), (GROWTH, "invitation"), (MATURE, "invitation")):
        for what, of_stage in (("count", counts[stage]), ("rate", rates[stage])):
            lead = of_stage[channel] / of_stage.drop(channel).max()
            yield Fact(f"{stage} stage: {channel} against the next channel, {what}", "worst", lead, 1.0, np.inf)
    curves = ch.kaplan_meier(found.spells, by="channel").at([180])
    survival = curves.set_index("group")["survival"]["wealth_supermarket"]
    yield Fact("wealth supermarket churned within 180 days (Kaplan-Meier)", "95 %", 1 - survival, 0.93, 0.97)


def of_profile(found: Measured) -> Iterator[Fact]:
    churned, active = found.churned, found.active
    distribution = churned[churned["channel"] == "distribution"]
    few = distribution[distribution["n"] <= 2]
    yield Fact("churned of distribution with at most 2 investments", "90 %", len(few) / len(distribution), 0.87, 0.93)
    low = (few["highest"] < 10_000) & ~few["boosted"]
    yield Fact("of them below 10,000 and never boosted", "80 %", low.mean(), 0.76, 0.84)
    interval = active.loc[active["intervals"] >= 3, "interval"].quantile([0.25, 0.5, 0.75])
    for q, value in interval.items():
        yield Fact(f"active users: days between logins, quantile {q:g}", "7-15", value, 7, 15)
    yield Fact("active users: median balance", "above 100", active["balance"].median(), 100, np.inf)
    yield Fact("active users with a balance above 100", "most", (active["balance"] > 100).mean(), 0.65, 1)
    yield Fact("churned users with a balance above 100", "few", (churned["balance"] > 100).mean(), 0, 0.35)


def of_bursts(found: Measured) -> Iterator[Fact]:
    days = (found.registered.max() - found.registered.min()).days + 1
    for name, span in found.calendar.iterrows():
        length = (span["last"] - span["first"]).days + 1
        inside = found.registered.between(span["first"], span["last"])
        density = inside.mean() / (length / days)
        yield Fact(f"registrations in the {name}, times those of other days", "concentrated", density, 4, np.inf)
        of_churned = inside.loc[found.churned.index].mean() / inside.mean()
        yield Fact(f"share of the {name} in churned users, against all", "concentrated", of_churned, 1.02, np.inf)


def table(found: list[Fact]) -> pd.DataFrame:
    return pd.DataFrame([{**vars(fact), "holds": fact.holds} for fact in found])


if __name__ == "__main__":
    import sys

    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    sys.stdout.write(table(facts(simulate_app(20_000, seed=seed))).round(4).to_string(index=False) + "\n")
