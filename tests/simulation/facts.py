"""The facts of the case as the toolkit finds them in the logs of a simulated app; nothing here looks at the truth.

``python -m tests.simulation.facts`` prints the table of `docs/case.md`; with ``--write`` it is written there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

import churnsurv as ch
from churnsurv.simulation import SimulatedApp

PAGE = Path(__file__).parents[2] / "docs" / "case.md"
BEGIN, END = "<!-- facts: begin -->", "<!-- facts: end -->"
N_USERS, SEED = 20_000, 11
HALF_A_PERCENT_A_YEAR = {"invested_day": 0.005 / 365}


class Estimate(NamedTuple):
    """A figure with its 95 % limits, null where chance plays no part in it."""

    value: float
    lower: float = np.nan
    upper: float = np.nan


@dataclass(frozen=True)
class Fact:
    """A figure of the case, the call that measures it, what it finds, and the range that this must lie in.

    `number` is that of the case; `unit` is "%" of shares, "count" of whole numbers, else empty.
    """

    number: int
    name: str
    case: str
    call: str
    found: Estimate
    low: float
    high: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        return self.low <= self.found.value <= self.high

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table in words."""
        value, lower, upper = (self._said(each) for each in self.found)
        limits = "" if np.isnan(self.found.lower) else f" ({lower} to {upper})"
        return str(self.number), self.name, self.case, f"{value}{self._unit}{limits}", self._allowed, self.call

    @property
    def _unit(self) -> str:
        return " %" if self.unit == "%" else ""

    @property
    def _allowed(self) -> str:
        least, most = (0, 1) if self.unit == "%" else (-np.inf, np.inf)
        low, high = self._said(self.low), self._said(self.high)
        if self.low == self.high:
            return f"{low}{self._unit}"
        if self.low > least and self.high < most:
            return f"{low} to {high}{self._unit}"
        return f"above {low}{self._unit}" if self.low > least else f"below {high}{self._unit}"

    def _said(self, value: float) -> str:
        if self.unit == "%":
            return f"{100 * value:.1f}"
        return f"{value:.0f}" if self.unit == "count" else f"{value:.2f}"


def facts(app: SimulatedApp) -> list[Fact]:
    """Every figure, in the order of the case."""
    users = app.log.lifecycle().users
    parts = (of_stages(app.log, users), of_investing(app, users), of_bursts(app, users), of_the_active(app.log))
    return sorted((fact for part in (*parts, of_value(app)) for fact in part), key=lambda fact: fact.number)


def share(yes: pd.Series) -> Estimate:
    """A share of users, with Wilson's limits."""
    return Estimate(float(yes.mean()), *proportion_confint(int(yes.sum()), len(yes), method="wilson"))


def mean(values: pd.Series) -> Estimate:
    """The mean of users, with the limits of the normal law."""
    middle, margin = float(values.mean()), 1.96 * float(values.sem())
    return Estimate(middle, middle - margin, middle + margin)


def column_of(row: Any, value: str, lower: str = "lower", upper: str = "upper") -> Estimate:
    return Estimate(float(row[value]), float(row[lower]), float(row[upper]))


def of_stages(log: ch.ActivityLog, users: pd.DataFrame) -> Iterator[Fact]:
    spells = log.churn_spells(spells="all").table.query("churned")
    exact = Estimate(float(((spells["end_date"] - spells["last_activity"]).dt.days == 30).mean()))
    yield Fact(
        1,
        "churned spells that end 30 idle days after the last activity",
        "all",
        "`log.churn_spells()`",
        exact,
        1,
        1,
        "%",
    )

    left_in, call = users.loc[users["status"] == "churned", "stage"], "`log.lifecycle()`"
    new, growth = share(left_in == "new"), share(left_in == "growth")
    yield Fact(2, "churned users who are new", "48 %", call, new, 0.45, 0.51, "%")
    yield Fact(2, "churned users in growth, the next stage", "far fewer", call, growth, 0, new.value - 0.1, "%")

    found = ch.churn_structure(log, by=["stage", "channel"], horizons=[90, 180])
    for stage, channel in (("new", "distribution"), ("growth", "invitation"), ("mature", "invitation")):
        yield from _worst(found.cross[found.cross["stage"] == stage].set_index("channel"), stage, channel)
    wealth = found.horizons.query("group == 'wealth_supermarket' and horizon == 180").iloc[0]
    name, call = "wealth_supermarket: churned within 180 days of registration", "`ch.churn_structure(log).horizons`"
    yield Fact(6, name, "95 %", call, column_of(wealth, "churned"), 0.93, 0.97, "%")


def _worst(cells: pd.DataFrame, stage: str, channel: str) -> Iterator[Fact]:
    """The channel has the most churned users of the stage, and churns most within 90 days of reaching it."""
    total = int(cells["n_churned"].sum())
    lower, upper = proportion_confint(cells["n_churned"], total, method="wilson")
    shares = pd.DataFrame({"share": cells["n_churned"] / total, "lower": lower, "upper": upper})
    for table, column, what in ((shares, "share", "share of its churned users"), (cells, "churned", "churn by day 90")):
        others = table[column].drop(channel)
        name = f"{stage}, {channel}: {what}; next is {others.idxmax()}, {100 * others.max():.1f} %"
        found = column_of(table.loc[channel], column)
        yield Fact(3, name, "most", "`ch.churn_structure(log).cross`", found, others.max(), 1, "%")


def of_investing(app: SimulatedApp, users: pd.DataFrame) -> Iterator[Fact]:
    churned = users[(users["status"] == "churned") & (users["channel"] == "distribution")]
    few, call = churned["stage"] == "new", "`log.lifecycle().users`"
    yield Fact(4, "churned, distribution: at most 2 investments", "90 %+", call, share(few), 0.87, 0.93, "%")
    invest = app.events.query("kind == 'invest'")
    trusting = invest.loc[(invest["amount"] >= 10_000) | (invest["product"] == "boosted"), "user_id"]
    low_trust = share(~churned.loc[few, "user_id"].isin(trusting))
    name = "of these: never 10,000 or more at once, nothing boosted"
    yield Fact(5, name, "80 %", "pandas on `app.events`", low_trust, 0.76, 0.84, "%")


def of_bursts(app: SimulatedApp, users: pd.DataFrame) -> Iterator[Fact]:
    found = ch.cohort_bursts(app.log, calendar=app.calendar, ties="grouped")
    call, bursts = "`ch.cohort_bursts(log)`", found.table
    matched = Estimate(float(bursts["event"].notna().sum()))
    name = f"bursts on the calendar, of {len(bursts)} found"
    yield Fact(7, name, "campaign, holiday", call, matched, 2, 2, "count")
    inside = pd.Series(False, index=users.index)
    for row in bursts.itertuples(index=False):
        n = row.registrations
        ratio = Estimate(row.ratio, n / (n - row.excess_lower), n / (n - row.excess_upper))
        name = f"registrations in the burst of {row.event}, times the expected {row.expected:.0f}"
        yield Fact(7, name, "concentrated", call, ratio, 4, np.inf)
        inside |= users["registered_at"].between(row.start, row.end)
    of_churned, of_all = share(inside[users["status"] == "churned"]), inside.mean()
    name = f"churned users who registered in a burst; of all users {100 * of_all:.1f} %"
    yield Fact(7, name, "concentrated", "`log.lifecycle().users`", of_churned, 1.02 * of_all, 1, "%")
    hazard = column_of(found.hazard.query("category == 'any burst'").iloc[0], "hazard_ratio", "hr_lower", "hr_upper")
    yield Fact(7, "their hazard of churn, times that of others of their channel", "higher", call, hazard, 1.02, np.inf)


def of_the_active(log: ch.ActivityLog) -> Iterator[Fact]:
    call = "`log.snapshot(date)`"
    living = log.snapshot(log.observed_until, features=["balance", "max_amount", "boosted_share"]).table
    small = living["max_amount"] < 10_000
    low, other = (mean(living.loc[chosen, "boosted_share"].dropna()) for chosen in (small, ~small))
    name = f"living, never 10,000 or more at once: boosted share; the others {100 * other.value:.1f} %"
    yield Fact(8, name, "low: not built in", call, low, other.value - 0.03, other.value + 0.03, "%")

    settled = living[(living["spell"] == 1) & (living["active_days"] >= 4)].assign(seen=True)
    curve = ch.kaplan_meier(settled, duration="mean_interval", event="seen")
    for row in curve.quantiles((0.25, 0.5, 0.75)).itertuples(index=False):
        name = f"living: mean days between active days, quantile {row.probability:g}"
        yield Fact(9, name, "7 to 15", call, Estimate(row.time, row.lower, row.upper), 7, 15)
    holding = share(living["balance"].fillna(0) > 100)
    yield Fact(9, "living: balance above 100", "most", call, holding, 0.65, 1, "%")

    thirty_days_ago = (log.observed_until - log.observed_from).days - 30
    panel = log.landmark_panel(every=thirty_days_ago, features=["balance"]).table
    panel = panel[panel["date"] == panel["date"].max()]
    risky = (panel["idle_days"] > 15) & (panel["balance"].fillna(0) < 100)
    rest = panel.loc[~risky, "churned"].mean()
    name = f"idle > 15 days, balance < 100: churned 30 days later; the others {100 * rest:.1f} %"
    found = share(panel.loc[risky, "churned"])
    yield Fact(9, name, "high risk", "`log.landmark_panel()`", found, 0.8, 1, "%")


def of_value(app: SimulatedApp) -> Iterator[Fact]:
    paid = app.costs.groupby("channel", observed=True, as_index=False)["amount"].sum()
    found = ch.channel_value(app.log, paid, margin=HALF_A_PERCENT_A_YEAR).table.set_index("channel")
    call = "`ch.channel_value(log, costs)`"
    for column, what, unit, low in (
        ("conversion", "invest by day 180", "%", 0.0),
        ("days_until_churn", "mean days until churn, 180 at most", "", -np.inf),
    ):
        others = found[column].drop("distribution")
        least = f"{100 * others.min():.1f} %" if unit else f"{others.min():.2f}"
        name = f"distribution: {what}; next is {others.idxmin()}, {least}"
        estimate = column_of(found.loc["distribution"], column, f"{column}_lower", f"{column}_upper")
        yield Fact(13, name, "weighed", call, estimate, low, others.min(), unit)
    for channel, low, high in (("distribution", 0.0, np.inf), ("wealth_supermarket", -np.inf, 0.0)):
        row = found.loc[channel]
        name = f"{channel}: value of a user, cost {row['cost_per_user']:.2f} ({row['verdict']})"
        yield Fact(13, name, "weighed", call, column_of(row, "value", "value_lower", "value_upper"), low, high)


def table(found: list[Fact]) -> str:
    """The facts as a table in Markdown."""
    head = ("", "fact", "the case", "simulated app (95 %)", "tolerated", "measured by")
    rows = [head, ("---",) * len(head), *(fact.cells for fact in found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def committed(page: str) -> str:
    """The table as it stands between the marks of the page."""
    return page.split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    made = table(facts(ch.simulate_app(N_USERS, seed=SEED)))
    sys.stdout.write(f"{made}\n")
    if "--write" in sys.argv[1:]:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
