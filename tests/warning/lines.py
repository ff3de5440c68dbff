"""Lines of silent users worked off in plain Python, gap by gap, and who is how urgent: the oracle of capped alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

__all__ = ["Urgency", "chances", "gaps_by_day"]


def gaps_by_day(log, features=("balance", "n_investments")) -> list[dict]:
    """All gaps: user, start (a number), length (silent on idle day d if above d), whether they churn, and features."""
    table, idle, end = log.gaps(features=list(features)).table, log.rule.idle_days, pd.Timestamp(log.observed_until)
    found = []
    for row in table.to_dict("records"):
        days = int(row["duration"])
        churned = days > idle or (not row["returned"] and days >= idle)
        known = row["start_date"] + pd.Timedelta(days=idle) <= end
        length = idle + 1 if churned else days if row["returned"] else days + 1
        found.append(
            {
                "user": row["user_id"],
                "start": (row["start_date"] - pd.Timestamp(0)).days,
                "length": length,
                "churned": churned,
                "known": known,
                **{name: None if pd.isna(row[name]) else float(row[name]) for name in features},
            }
        )
    return found


class Urgency:
    """P(churn | cell, idle day) (idle_days - d) / idle_days, by counting gaps; shares as if 10 more were like all."""

    def __init__(self, gaps: Sequence[dict], grids: dict[str, Sequence[float]], idle: int) -> None:
        self.grids, self.idle = grids, idle
        self.silent: dict[tuple, list[int]] = defaultdict(lambda: [0] * idle)
        self.churned: dict[tuple, int] = defaultdict(int)
        for gap in gaps:
            for day in range(idle):
                self.silent[self.cell(gap)][day] += gap["length"] > day
            self.churned[self.cell(gap)] += gap["churned"]
        self.everywhere = [sum(each[day] for each in self.silent.values()) for day in range(idle)]

    def cell(self, gap: dict) -> tuple:
        return tuple(
            None if gap[name] is None else sum(gap[name] >= cut for cut in cuts) for name, cuts in self.grids.items()
        )

    def of(self, gap: dict, day: int) -> float:
        cell, total = self.cell(gap), self.everywhere[day]
        overall = sum(self.churned.values()) / total if total else 1.0
        left = self.silent[cell][day] if cell in self.silent else 0
        share = (self.churned.get(cell, 0) + 10.0 * overall) / (left + 10.0)
        return share * ((self.idle - day) / self.idle)


def chances(lines: Sequence[tuple[int, int, Sequence[float | None]]], per_day: float) -> list[list[float]]:
    """Chance of a first alert on each idle day of gaps: (start, length, urgency by idle day, None: may not)."""
    found = [[0.0] * len(urgency) for _, _, urgency in lines]
    waiting: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    for place, (start, length, urgency) in enumerate(lines):
        for day, pressing in enumerate(urgency[:length]):
            if pressing is not None:
                waiting[start + day].append((pressing, place, day))
    left = [1.0] * len(lines)
    for today in sorted(waiting):
        room, levels = per_day, defaultdict(list)
        for pressing, place, day in waiting[today]:
            levels[pressing].append((place, day))
        for level in sorted(levels, reverse=True):
            amount = sum(left[place] for place, _ in levels[level])
            share = 1.0 if amount <= room else room / amount
            for place, day in levels[level]:
                found[place][day] = share * left[place]
                left[place] -= found[place][day]
            room -= min(amount, room)
    return found
