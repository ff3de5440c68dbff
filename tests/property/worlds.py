"""Random raw tables for the churn rule: plain rows for the oracle, and the same rows as a pandas table.

Hypothesis draws the shape of a world and a seed; the seed fills it in. Gaps between activities are drawn around
`idle_days`, where the rule decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pandas as pd
from hypothesis import strategies as st

Row = dict[str, Any]
START = date(2024, 2, 1)
DAY = timedelta(days=1)
CLOCKS = ("date", "time", "aware", "text")


@dataclass(frozen=True)
class World:
    """Raw rows and the window and rule to read them with."""

    users: list[Row]
    events: list[Row]
    idle_days: int
    activity: tuple[str, ...] | None
    observed_from: date | None
    observed_until: date | None
    clock: str = "date"
    time_zone: str = "UTC"
    integer_ids: bool = True

    def how(self) -> dict[str, Any]:
        """The keywords that the oracle takes."""
        names = ("idle_days", "activity", "observed_from", "observed_until", "time_zone")
        return {name: getattr(self, name) for name in names}

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Events and users as pandas tables."""
        events = pd.DataFrame(self.events, columns=["user_id", "event_at", "kind", "amount", "product"])
        users = pd.DataFrame(self.users, columns=["user_id", "registered_at", "channel"])
        for table, moment in ((events, "event_at"), (users, "registered_at")):
            table["user_id"] = table["user_id"].astype("Int64" if self.integer_ids else "string")
            if self.clock == "time":
                table[moment] = pd.to_datetime(table[moment])
            elif self.clock == "aware":
                table[moment] = pd.to_datetime(table[moment], utc=True)
        return events, users

    def but(self, **changes: Any) -> World:
        return replace(self, **changes)


@dataclass
class Maker:
    """Fills in one world from a seed."""

    rng: random.Random
    idle_days: int
    window: int
    clock: str
    integer_ids: bool

    def moment(self, n: int, hour: int | None = None) -> Any:
        """Day number `n` in the form of this world's clock; at this or any hour where the form has one."""
        day = START + n * DAY
        clock = self.rng.choice(("date", "time", "aware", "zone")) if self.clock == "text" else self.clock
        if clock == "date":
            return day.isoformat() if self.clock == "text" else day
        moment = datetime.combine(
            day, time(self.rng.randrange(24) if hour is None else hour, self.rng.choice((0, 0, 59)), 0)
        )
        if clock == "aware":
            moment = moment.replace(tzinfo=UTC)
        if clock == "zone":
            moment = moment.replace(tzinfo=timezone(timedelta(hours=self.rng.choice((-3, 8)))))
        return str(moment) if self.clock == "text" else moment

    def user_id(self, n: int) -> Any:
        return n if self.integer_ids else f"u{n}"

    def event(self, user_id: Any, n: int) -> Row:
        kind = self.rng.choices(("login", "invest", "redeem"), (6, 3, 1))[0]
        amount: float | str | None = None if kind == "login" else self.rng.randrange(1, 40_000) / 4
        if self.clock == "text" and amount is not None:
            amount = f"{amount:.2f}"
        product = self.rng.choice(("plain", "boosted")) if kind == "invest" else None
        return {"user_id": user_id, "event_at": self.moment(n), "kind": kind, "amount": amount, "product": product}

    def life(self, user_id: Any, registered: int) -> list[Row]:
        """Events with gaps around `idle_days`; some before the log, some after it, several on one day."""
        idle = self.idle_days
        gaps = (0, 1, max(1, idle // 2), idle - 1, idle, idle, idle + 1, 2 * idle, 2 * idle + 1)
        rows, n = [], registered
        for _ in range(self.rng.choice((0, 1, 1, 2, 4, 8, 16))):
            n += self.rng.choice(gaps)
            if n > self.window + 3:
                break
            rows.append(self.event(user_id, n))
        return rows


@st.composite
def worlds(draw: st.DrawFn, *, dirty: bool = True) -> World:
    """Worlds of up to 40 users, with a log of 1 to 60 days (longer where idle_days is 30)."""
    idle_days = draw(st.one_of(st.integers(1, 8), st.just(30)))
    window = draw(st.integers(1, 120 if idle_days == 30 else 60))
    early = draw(st.sampled_from((0, 0, 1, idle_days, 3 * idle_days)))
    clock = draw(st.sampled_from(CLOCKS))
    integer_ids = draw(st.booleans())
    maker = Maker(draw(st.randoms(use_true_random=True)), idle_days, window, clock, integer_ids)
    users, events = people(maker, draw(st.integers(1, 40)), early, late=3 if dirty else 0)
    if dirty and draw(st.booleans()):
        users, events = users + bad_users(maker, users), events + bad_events(maker, users)
    if draw(st.booleans()):
        events += maker.rng.choices(events, k=3)
        users += maker.rng.choices(users, k=2)
    maker.rng.shuffle(users)
    maker.rng.shuffle(events)
    explicit = early > 0 or draw(st.booleans())
    return World(
        users=users,
        events=events,
        idle_days=idle_days,
        activity=draw(st.sampled_from((("login", "invest"), ("invest",), None))),
        observed_from=START if explicit else None,
        observed_until=START + (window - 1) * DAY if explicit else None,
        clock=clock,
        time_zone=draw(st.sampled_from(("UTC", "Asia/Shanghai", "America/Sao_Paulo"))) if clock != "date" else "UTC",
        integer_ids=integer_ids,
    )


def people(maker: Maker, n_users: int, early: int, late: int) -> tuple[list[Row], list[Row]]:
    # In every world one user logs in and invests on the first day: tables without activity are an error of their own.
    anchor, noon = maker.user_id(0), maker.moment(0, hour=12)
    users: list[Row] = [{"user_id": anchor, "registered_at": noon, "channel": "organic"}]
    events = [maker.event(anchor, 0) | {"event_at": noon, "kind": kind} for kind in ("login", "invest")]
    events += maker.life(anchor, 0)
    for n in range(1, n_users):
        registered = maker.rng.randrange(-early, maker.window + late)
        user_id = maker.user_id(n)
        channel = maker.rng.choice(("organic", "invitation", "分銷", None))
        users.append({"user_id": user_id, "registered_at": maker.moment(registered), "channel": channel})
        events += maker.life(user_id, registered)
    return users, events


def bad_users(maker: Maker, users: list[Row]) -> list[Row]:
    """Rows that can't be used, and conflicting rows of users that can."""
    wrong: list[Row] = [
        {"user_id": None, "registered_at": maker.moment(1), "channel": "organic"},
        {"user_id": maker.user_id(900), "registered_at": None, "channel": "organic"},
        {"user_id": maker.rng.choice(users)["user_id"], "registered_at": None, "channel": "organic"},
    ]
    if maker.clock == "text":
        wrong.append({"user_id": maker.user_id(901), "registered_at": "2024-02-31", "channel": "organic"})
    # Months after every registration of this world: which of two rows on one day is kept is not the oracle's to say.
    wrong += [
        {"user_id": row["user_id"], "registered_at": maker.moment(400 + i), "channel": row["channel"]}
        for i, row in enumerate(maker.rng.choices(users, k=3))
    ]
    return maker.rng.sample(wrong, k=maker.rng.randrange(len(wrong) + 1))


def bad_events(maker: Maker, users: list[Row]) -> list[Row]:
    someone = [maker.rng.choice(users)["user_id"] for _ in range(8)]
    good = [maker.event(user_id, maker.rng.randrange(maker.window)) for user_id in someone]
    wrong = [
        good[0] | {"user_id": None},
        good[1] | {"user_id": maker.user_id(999)},
        good[2] | {"event_at": None},
        good[3] | {"kind": None},
        good[4] | {"event_at": maker.moment(-200)},
        good[5] | {"event_at": None, "kind": None},
        good[6] | {"user_id": maker.user_id(900)},
    ]
    if maker.clock == "text":
        wrong += [good[7] | {"event_at": "2024-13-01"}, good[7] | {"amount": "lots"}]
    return maker.rng.sample(wrong, k=maker.rng.randrange(len(wrong) + 1))
