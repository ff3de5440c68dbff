"""The rules of a plan, walked user by user from their text: slow, plain, and without the package's planning."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

import pandas as pd

from churnsurv.action.policy import Policy


def lot(policy: Policy, user: Any) -> str:
    """The arm of a user, or the control."""
    digest = hashlib.blake2b(f"{policy.campaign}\n{user}".encode(), key=policy.key.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
    if first < policy.holdout * 2**64:
        return policy.control
    reached = 0.0
    for name in sorted(policy.arms):
        reached += policy.arms[name].share
        if second < reached * 2**64:
            return name
    return max(policy.arms)


def written(policy: Policy, arm: str, tier: str, tiers: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Channel, wait, and the highest tier reached, of each contact of a sequence."""
    found: list[tuple[str, int, int]] = []
    best, wait = tiers.index(tier), None
    while True:
        for step in policy.sequences(arm).get(tier, ()):
            if step.then is not None:
                tier, wait = step.then, step.after
                best = min(best, tiers.index(tier))
                break
            found.append((step.channel, step.after if wait is None else wait, best))
            wait = None
        else:
            return found


class Walk:
    """One day of a campaign."""

    def __init__(self, policy: Policy, tiers: tuple[str, ...], churn_days: int, day: date) -> None:
        self.policy, self.tiers, self.churn_days, self.day = policy, tiers, churn_days, day
        self.on = day + timedelta(days=1)

    def plan(
        self, alerts: pd.DataFrame, enrolled: pd.DataFrame, contacts: pd.DataFrame, out: set, answers: dict
    ) -> dict:
        """What becomes of each user: (action, reason, arm, channel, track, place, step)."""
        policy = self.policy
        self.out, self.answers = out, answers
        self.every: dict[Any, list[dict[str, Any]]] = {}
        for row in contacts.to_dict("records"):
            days = {name: pd.Timestamp(row[name]).date() for name in ("date", "contact_on")}
            self.every.setdefault(row["user_id"], []).append({**row, **days})
        mine = [row for rows in self.every.values() for row in rows if row["campaign"] == policy.campaign]
        drawn = zip(enrolled["user_id"], enrolled["campaign"], enrolled["arm"], strict=True)
        self.arms = {user: arm for user, campaign, arm in drawn if campaign == policy.campaign}
        self.left = {}
        for name, channel in policy.channels.items():
            spent = sum(row["cost"] for row in mine if row["channel"] == name)
            day = channel.per_day if channel.per_day is not None else 10**9
            money = 10**9 if channel.budget is None else int(round((channel.budget - spent) / channel.cost, 6))
            self.left[name] = (min(day, max(money, 0)), "no_budget" if money < day else "no_capacity")
        found = {}
        for treated in (True, False):
            for row in alerts.itertuples():
                if row.user_id not in found and (self.arms.get(row.user_id) in policy.arms) == treated:
                    found[row.user_id] = self._one(row)
        return found

    def _one(self, row: Any) -> tuple:
        user = row.user_id
        if not isinstance(row.tier, str):
            code = "returned" if row.idle_days == 0 else "churned" if row.idle_days >= self.churn_days else "left_tier"
            return ("close", code, self.arms.get(user), None, None, None, None)
        if self.arms.get(user) == self.policy.control:
            return ("hold out", "held_out", self.policy.control, None, None, None, None)
        active = self.day - timedelta(days=row.idle_days)
        answered = any(active < each <= self.day for each in self.answers.get(user, ()))
        if answered:
            return ("close", "answered", self.arms.get(user), None, None, None, None)
        return self._treated(row, active) if user in self.arms else self._new(row)

    def _free(self, user: Any, steps: list, start: int) -> int | None:
        for place in range(start, len(steps)):
            if (user, steps[place][0]) not in self.out and (user, None) not in self.out:
                return place
        return None

    def _capped(self, user: Any, channel: str) -> bool:
        for cap in self.policy.caps:
            if cap.channel not in (None, channel):
                continue
            first = self.on - timedelta(days=cap.days - 1)
            recent = [row["channel"] for row in self.every.get(user, ()) if row["contact_on"] >= first]
            if (len(recent) if cap.channel is None else recent.count(channel)) + 1 > cap.most:
                return True
        return False

    def _sending(self, day: date) -> date:
        while self.policy.quiet is not None and self.policy.quiet.is_quiet(day):
            day += timedelta(days=1)
        return day

    def _treated(self, row: Any, active: date) -> tuple:
        user, arm = row.user_id, self.arms[row.user_id]
        every = [row for row in self.every.get(user, ()) if row["campaign"] == self.policy.campaign]
        every.sort(key=lambda row: row["step"])
        now = [row for row in every if row["date"] > active]
        tier, rank, due = row.tier, self.tiers.index(row.tier), self.on
        reason = "again" if every else "first"
        start, track = 0, tier
        if len(now):
            last = now[-1]
            track, start, reason = last["track"], int(last["place"]), "next"
            steps = written(self.policy, arm, track, self.tiers)
            level = min(steps[start - 1][2], self.tiers.index(track))
            above = written(self.policy, arm, tier, self.tiers)
            if rank < level and self._free(user, above, 0) is not None:
                track, start, reason = tier, 0, "rose"
        steps = written(self.policy, arm, track, self.tiers)
        place = self._free(user, steps, start)
        if place is None:
            code = "done" if len(now) else "opted_out" if steps else "no_contacts"
            return ("close" if code == "done" else "leave out", code, arm, None, None, None, None)
        channel = steps[place][0]
        if reason == "next":
            due = last["contact_on"] + timedelta(days=steps[place][1])
        sent = self._sending(max(due, self.on))
        if sent > active + timedelta(days=self.churn_days):
            return ("close", "no_time", arm, None, None, None, None)
        wait = "not_due" if due > self.on else "quiet_day" if sent > self.on else None
        wait = wait or ("capped" if self._capped(user, channel) else None)
        room, why = self.left[channel]
        wait = wait or (why if room == 0 else None)
        if wait:
            return ("wait", wait, arm, channel, track, place + 1, None)
        self.left[channel] = (room - 1, why)
        return ("contact", reason, arm, channel, track, place + 1, len(every) + 1)

    def _new(self, row: Any) -> tuple:
        user, first = row.user_id, {}
        for arm in self.policy.arms:
            steps = written(self.policy, arm, row.tier, self.tiers)
            place = self._free(user, steps, 0)
            first[arm] = (None if not steps else "opted_out", None) if place is None else (steps[place][0], place + 1)
        if any(channel is None for channel, _ in first.values()):
            return ("leave out", "no_contacts", None, None, None, None, None)
        if any(channel == "opted_out" for channel, _ in first.values()):
            return ("leave out", "opted_out", None, None, None, None, None)
        if self._sending(self.on) > self.day + timedelta(days=self.churn_days - row.idle_days):
            return ("close", "no_time", None, None, None, None, None)
        if self._sending(self.on) > self.on:
            return ("wait", "quiet_day", None, None, None, None, None)
        if any(self._capped(user, channel) for channel, _ in first.values()):
            return ("leave out", "capped", None, None, None, None, None)
        for arm in self.policy.arms:
            room, why = self.left[first[arm][0]]
            if room == 0:
                return ("leave out", why, None, None, None, None, None)
        arm = lot(self.policy, user)
        if arm == self.policy.control:
            return ("hold out", "held_out", arm, None, None, None, None)
        channel, place = first[arm]
        room, why = self.left[channel]
        self.left[channel] = (room - 1, why)
        return ("contact", "first", arm, channel, row.tier, place, 1)
