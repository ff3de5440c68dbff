"""Worlds for tables over time: those of the churn rule with balances, amounts to the cent, stages and features."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import strategies as st

import churnsurv as ch
from tests import oracle_over_time
from tests.data.small import engine
from tests.oracle import Feature
from tests.property.worlds import DAY, START, Maker, Row, World, worlds

#: What can be asked for: the built-in features and others that come and go with a window of days.
FEATURES: tuple[str | Feature, ...] = (
    *oracle_over_time.BUILT_IN,
    "balance",
    "stage",
    Feature("logins", "count", kind="login", last=3),
    Feature("busy", "days"),
    Feature("busy_lately", "days", last=5),
    Feature("redeemed", "any", kind="redeem", last=2),
    Feature("spent", "sum", column="amount", kind="invest", last=4),
    Feature("smallest", "min", column="amount", kind="invest"),
    Feature("largest", "max", column="amount", kind="redeem", last=6, empty=-1),
    Feature("usual", "mean", column="amount", last=7),
    Feature("boosted_lately", "count", column="product", equals="boosted", last=3),
    Feature("plain_share", "share", column="product", kind="invest", equals="plain", last=9),
)
#: A quotient: its last digit is not fixed.
QUOTIENTS = ("mean_interval", "usual", "boosted_share", "plain_share")
STAGES = (
    ("n_investments", {"new": 0, "growth": 3, "mature": 10}),
    ("total_amount", {"small": 0, "middle": 900.5, "large": 6_000}),
)


@dataclass(frozen=True, repr=False)
class OverTime:
    """A world with what tables over time need besides."""

    world: World
    balances: list[Row] | None = None
    decimals: bool = False
    stage_by: str = "n_investments"
    stages: Any = dataclasses.field(default_factory=lambda: STAGES[0][1])

    def __repr__(self) -> str:
        """Short: a report of Hypothesis that is too long is an error of its own."""
        world = self.world
        settings = (world.idle_days, world.activity, world.observed_from, world.observed_until, world.time_zone)
        tables = [[tuple(map(str, row.values())) for row in rows or ()] for rows in (world.users, world.events)]
        return f"<{settings} {world.clock} {self.stage_by} {tables} {self.balances}>"[:5_000]

    def but(self, *, balances: list[Row] | None = None, **changes: Any) -> OverTime:
        kept = self.balances if balances is None else balances
        return dataclasses.replace(self, world=self.world.but(**changes), balances=kept)

    def log(self, **settings: Any) -> ch.ActivityLog:
        events, users = self.world.frames()
        if self.decimals:
            events["amount"] = pd.Series([decimal(each["amount"]) for each in self.world.events], dtype=object)
        return ch.ActivityLog(
            events,
            users,
            rule=ch.ChurnRule(idle_days=self.world.idle_days, activity=self.world.activity),
            balances=self._balances(),
            stages=ch.Stages(self.stage_by, self.stages),
            time_zone=self.world.time_zone,
            observed_from=self.world.observed_from,
            observed_until=self.world.observed_until,
            **{"engine": engine(), **settings},
        )

    def _balances(self) -> pd.DataFrame | None:
        if self.balances is None:
            return None
        table = pd.DataFrame(self.balances, columns=["user_id", "date", "balance"])
        table["user_id"] = table["user_id"].astype("Int64" if self.world.integer_ids else "string")
        if self.world.clock in ("time", "aware"):
            table["date"] = pd.to_datetime(table["date"], utc=self.world.clock == "aware")
        return table

    def oracle(self) -> oracle_over_time.World:
        settings = {"balances": self.balances, "stage_by": self.stage_by, "stages": self.stages}
        return oracle_over_time.world(self.world.users, self.world.events, **self.world.how(), **settings)


def decimal(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))


def ours(features: list[str | Feature] | tuple[str | Feature, ...]) -> list[str | ch.Feature]:
    """The same features for the package."""
    return [each if isinstance(each, str) else ch.Feature(**dataclasses.asdict(each)) for each in features]


@st.composite
def worlds_over_time(draw: st.DrawFn, *, dirty: bool = True, stated: bool = False) -> OverTime:
    """Worlds with balances or without; `stated`: the window is given and not taken from the rows."""
    world = draw(worlds(dirty=dirty))
    rng = draw(st.randoms(use_true_random=True))
    events = [to_the_cent(row) for row in world.events]
    world = world.but(events=events)
    if stated and world.observed_from is None:
        read = oracle_over_time.world(world.users, world.events, **world.how())
        world = world.but(observed_from=read.since, observed_until=read.until)
    balances = balance_rows(rng, world) if draw(st.booleans()) else None
    decimals = world.clock != "text" and draw(st.booleans())
    return OverTime(world, balances, decimals, *draw(st.sampled_from(STAGES)))


def to_the_cent(row: Row) -> Row:
    """Amounts that no binary fraction holds: sums of floats would depend on their order."""
    amount = row["amount"]
    if isinstance(amount, float):
        return row | {"amount": round(amount / 7, 2)}
    return row


def balance_rows(rng: random.Random, world: World) -> list[Row]:
    """Balances now and then, some before the log or before registration, several on one day, and a few wrong rows."""
    users = [row["user_id"] for row in world.users if row["user_id"] is not None]
    maker = Maker(rng, world.idle_days, 60, world.clock, world.integer_ids)
    rows = []
    for _ in range(rng.choice((1, 10, 60))):
        number = rng.randrange(-20, 80)
        at: Any = START + number * DAY
        if world.clock in ("time", "aware"):
            at = maker.moment(number)
        elif world.clock == "text":
            at = at.isoformat()
        rows.append({"user_id": rng.choice(users), "date": at, "balance": rng.randrange(100_000) / 100})
    rows += [row | {"balance": rng.randrange(100_000) / 100} for row in rng.choices(rows, k=3)]
    wrong = [rows[0] | {"user_id": None}, rows[0] | {"user_id": maker.user_id(999)}, rows[0] | {"balance": None}]
    return rows + rng.sample(wrong, k=rng.randrange(4))


def after(day_number: int, rng: random.Random, world: World, n: int) -> list[Row]:
    """Random events of any user on days after this one."""
    users = [row["user_id"] for row in world.users if row["user_id"] is not None]
    maker = Maker(rng, world.idle_days, 60, world.clock, world.integer_ids)
    last = day_number + 3 * world.idle_days + 20
    return [to_the_cent(maker.event(rng.choice(users), rng.randrange(day_number + 2, last))) for _ in range(n)]
