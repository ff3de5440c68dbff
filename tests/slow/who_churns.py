"""Coverage and size of who churns: shares and horizons, profiles, bursts of registrations, values of channels.

The worlds are drawn as arrays, and handed to the estimators behind the doors: what lies between (the log, its days,
spells and features) is exact, and checked row by row in ``tests/diagnosis`` and ``tests/data``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import date
from functools import cache, partial
from unittest.mock import patch

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.data.user_days import UserDays
from churnsurv.diagnosis.burst_users import hazard_ratios
from churnsurv.diagnosis.bursts import _burst, _runs
from churnsurv.diagnosis.channels import _Asked, _row
from churnsurv.diagnosis.profile_compare import Groups, compared
from churnsurv.diagnosis.profile_cuts import Variable, default_cuts
from churnsurv.diagnosis.profile_users import ProfileUsers
from churnsurv.diagnosis.registrations import search_bursts
from churnsurv.diagnosis.rewards import Flow
from churnsurv.diagnosis.structure import _Asked as _Structure
from churnsurv.diagnosis.structure import _by_variable, _of_groups
from churnsurv.numerics.two_groups import simultaneous_critical

from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS"]

Rng = np.random.Generator
Floats = np.ndarray

# What is promised for several things together, or for the worst case: no more than so many errors.
AT_LEAST, AT_MOST = (0.935, 1.0), (0.0, 0.065)
FIRST_DAY = 30

# ------------------------------------------------------------------------------------------- structure and horizons

LOG_DAYS, OPEN_DAYS = 240, 181  # of the log; of them users register on the first ones
STAYS = {"a": 40.0, "b": 80.0, "c": 60.0, "d": 120.0}  # mean days after day 30
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
MOVES, LATER = 45.0, 70.0  # mean days to the next stage, and of staying in it after day 30


def structure_and_horizons(n: int) -> list[Figure]:
    """300 users of four channels and two stages, followed for 60 to 240 days.

    Each leaves the first stage by churn (channel by channel) or by moving on, and the second one by churn.
    """
    users, horizons = 300, (60, 120)
    shares, by_horizon = _structure_truth(horizons)
    alone = {key: Tally(truth) for key, truth in shares.items()}
    at = {key: Tally(truth) for key, truth in by_horizon.items()}
    together: dict[str, list[bool]] = {"stage": [], "channel": []}
    for rng in replications("structure", n):
        spells, episodes, until = _structure_world(users, rng)
        n_churned = int(spells["churned"].sum())
        asked = _Structure(horizons, 1, n_churned, LEVEL, until)
        table, rows, _ = _by_variable(("stage", "channel"), spells, episodes, ch.Stages(), asked)
        for variable, held in together.items():
            mine = table[table["variable"] == variable]
            held.append(all(r.share_lower <= shares[variable, r.group] <= r.share_upper for r in mine.itertuples()))
        for r in rows.to_dict("records"):
            at[r["variable"], r["group"], r["horizon"]].take(r["churned"], r["lower"], r["upper"], r["std_error"])
        # of four channels together at 80 %, each has 95 %
        for r in _of_groups(spells, "channel", _Structure(horizons, 1, n_churned, 0.8, until)).itertuples():
            alone["channel", r.group].take(r.share, r.share_lower, r.share_upper)
    figures = [
        Figure(f"shares by {variable}, all together", "coverage", float(np.mean(held)), n, AT_LEAST)
        for variable, held in together.items()
    ]
    figures += [alone["channel", c].coverage(f"share of channel {c}, alone", gated=True) for c in STAYS]
    for (variable, group, horizon), tally in at.items():
        how = "Kaplan-Meier" if variable == "channel" else "Aalen-Johansen"
        case = f"{how}, {variable} {group}, {horizon} days: {tally.truth:.2f}"
        # Of the smallest channel about 20 users are followed so far: shown, not claimed.
        gated = group != "d"
        figures += [tally.coverage(case, gated=gated), tally.std_error(case, gated=gated)]
    return figures


def _structure_world(users: int, rng: Rng) -> tuple[pd.DataFrame, pd.DataFrame, date]:
    first = np.datetime64("2024-01-01")
    registered = rng.integers(0, OPEN_DAYS, users)
    end = LOG_DAYS - registered
    channel = rng.choice(list(STAYS), users, p=SHARES)
    leaves = FIRST_DAY + np.ceil(rng.exponential([STAYS[each] for each in channel])).astype(int)
    moves = np.ceil(rng.exponential(MOVES, users)).astype(int)
    stays_on = FIRST_DAY + np.ceil(rng.exponential(LATER, users)).astype(int)
    moved = moves <= np.minimum(leaves, end)
    life = np.where(moved, moves + stays_on, leaves)
    churned = life <= end
    duration = np.minimum(life, end)
    user = np.arange(users)
    spells = pd.DataFrame(
        {"user_id": user, "origin": first + registered, "entry": 0, "duration": duration, "churned": churned,
         "channel": pd.Categorical(channel, list(STAYS))}
    )  # fmt: skip
    new = pd.DataFrame(
        {"user_id": user, "stage": "new", "origin": first + registered, "entry": 0,
         "duration": np.where(moved, moves, duration), "ended": moved | churned,
         "ended_by": np.where(moved, "moved", np.where(churned, "churned", None))}
    )  # fmt: skip
    growth = pd.DataFrame(
        {"user_id": user, "stage": "growth", "origin": first + registered + moves, "entry": 0,
         "duration": duration - moves, "ended": churned, "ended_by": np.where(churned, "churned", None)}
    )[moved]  # fmt: skip
    episodes = pd.concat([new, growth], ignore_index=True)
    episodes["stage"] = pd.Categorical(episodes["stage"], ["new", "growth"])
    for table in (spells, episodes):
        table["origin"] = table["origin"].astype("datetime64[s]")
    return spells, episodes, date(2024, 1, 1) + pd.Timedelta(days=LOG_DAYS).to_pytimedelta()


@cache
def _structure_truth(
    horizons: tuple[int, ...],
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str, int], float]]:
    """Shares of the churned, and churn by horizon, by sums over days."""
    day = np.arange(LOG_DAYS + 1)
    moved = np.diff(-np.expm1(-day / MOVES), prepend=0.0)  # P(moves on day t)
    still = np.exp(-day / MOVES)
    churn_later = _churn(LATER, day)
    # in the first stage: churn on day t where the move comes after it; the second one begins on the day of the move
    new = {c: np.cumsum(_churn(mean, day) * still) for c, mean in STAYS.items()}
    stays = {c: np.exp(-np.maximum(day - FIRST_DAY, 0) / mean) for c, mean in STAYS.items()}
    # moves count on the day of churn too, before it
    enters = {c: moved * np.concatenate([[1.0], stays[c][:-1]]) for c in STAYS}
    growth = {c: np.cumsum(np.convolve(enters[c], churn_later)[: LOG_DAYS + 1]) for c in STAYS}
    ends = LOG_DAYS - np.arange(OPEN_DAYS)
    found: dict[tuple[str, str], float] = {("stage", "new"): 0.0, ("stage", "growth"): 0.0}
    for c, share in zip(STAYS, SHARES, strict=True):
        parts = share * new[c][ends].mean(), share * growth[c][ends].mean()
        found["stage", "new"] += parts[0]
        found["stage", "growth"] += parts[1]
        found["channel", c] = sum(parts)
    total = found["stage", "new"] + found["stage", "growth"]
    shares = {key: value / total for key, value in found.items()}
    at: dict[tuple[str, str, int], float] = {}
    for horizon in horizons:
        at["stage", "new", horizon] = float(sum(s * new[c][horizon] for c, s in zip(STAYS, SHARES, strict=True)))
        at["stage", "growth", horizon] = float(np.cumsum(churn_later)[horizon])
        at |= {("channel", c, horizon): float(new[c][horizon] + growth[c][horizon]) for c in STAYS}
    return shares, at


def _churn(mean: float, day: Floats) -> Floats:
    """P(churn on day t) of 30 + ceil(exponential)."""
    return np.diff(-np.expm1(-np.maximum(day - FIRST_DAY, 0) / mean), prepend=0.0)


# --------------------------------------------------------------------------------------------------------- profiles

_COUNT, _YES = Variable("few", "count", "few"), Variable("boosted", "yes or no", "boosted")
_RISKS = (0.55, 0.25)  # of churn with at most two investments, and with more


def risk_ratios(n: int) -> list[Figure]:
    """400 users: Poisson many investments (mean 2), of whom those with at most two churn 2.2 times as often.

    Whether they ever had a boosted product has nothing to do with it. Limits of one ratio, and of all ratios together.
    """
    users, cuts = 400, {"few": np.array([0.0, 1.0, 2.0, 3.0]), "boosted": np.array([0.0])}
    truth = _ratio_truth(cuts["few"]) | {("boosted", 0.0): 1.0}
    tallies = {key: Tally(value) for key, value in truth.items()}
    together: list[bool] = []
    # An eighth of the draws that the door takes for the joint quantile: its own chance is still far below that of data.
    quick = patch(
        "churnsurv.diagnosis.profile_compare.simultaneous_critical", partial(simultaneous_critical, draws=8192)
    )
    gc.freeze()
    for rng in replications("risk ratios", n):
        few = rng.poisson(2.0, users).astype(float)
        boosted = (rng.random(users) < 0.3).astype(float)
        churned = rng.random(users) < np.where(few <= 2, *_RISKS)
        made = ProfileUsers({"few": few, "boosted": boosted}, churned, pd.DataFrame(index=range(users)), {})
        for simultaneous in (False, True):
            how = {"given": cuts, "adjust": "holm", "together": simultaneous, "level": LEVEL}
            with quick:
                rows = compared(_one_group(users), made, (_COUNT, _YES), cuts, **how)
            for row in rows:
                key = (row["variable"], row["cut"])
                if not simultaneous:
                    tallies[key].take(row["risk_ratio"], row["lower"], row["upper"])
            if simultaneous:
                together.append(all(row["lower"] <= truth[row["variable"], row["cut"]] <= row["upper"] for row in rows))
    gc.unfreeze()
    figures = [
        tally.coverage(f"ratio {tally.truth:.2f}: {name} at most {cut:g}, alone", gated=True)
        for (name, cut), tally in tallies.items()
    ]
    return [*figures, Figure("all five ratios together", "coverage", float(np.mean(together)), n, AT_LEAST)]


def _ratio_truth(cuts: Floats) -> dict[tuple[str, float], float]:
    k = np.arange(60)
    share = np.exp(k * np.log(2.0) - 2.0 - np.cumsum(np.log(np.maximum(k, 1))))
    risk = np.where(k <= 2, *_RISKS)
    return {
        ("few", float(cut)): float(np.average(risk[k <= cut], weights=share[k <= cut])
                                   / np.average(risk[k > cut], weights=share[k > cut]))
        for cut in cuts
    }  # fmt: skip


def _one_group(users: int) -> Groups:
    return Groups(np.zeros(users, dtype=np.int64), ("all",), pd.DataFrame(index=[0]), ())


def profile_without_effects(n: int) -> list[Figure]:
    """300 users who are active on each day with the same probability: nothing that they do has an effect.

    The early form: known at the end of day 30, alive after day 60, churned by day 180. Three variables with their
    default cuts; the p-value of the suggested cut alone, corrected for the search, and adjusted over the three (Holm).
    """
    kinds = {"investments": "count", "largest": "amount", "boosted": "yes or no"}
    variables = tuple(Variable(name, kind, name) for name, kind in kinds.items())
    naive, searched, family, counts = [], [], [], []
    gc.freeze()  # statsmodels collects garbage in each of Holm's adjustments, through everything that is there
    for rng in replications("profile without effects", n):
        numbers, churned = _same_for_all(300, rng)
        made = ProfileUsers(numbers, churned, pd.DataFrame(index=range(churned.size)), {})
        cuts = {name: default_cuts(kind, numbers[name]) for name, kind in kinds.items()}
        rows = compared(
            _one_group(churned.size), made, variables, cuts, given=(), adjust="holm", together=False, level=LEVEL
        )
        best = {row["variable"]: row for row in rows if row["suggested"]}
        naive.append(best["largest"]["p_value"])
        searched.append(best["largest"]["search_p_value"])
        counts.append(best["investments"]["search_p_value"])
        family.append(min(row["adjusted_p_value"] for row in best.values()))
    gc.unfreeze()
    some = Figure("any of three variables, Holm", "size", float(np.mean(np.array(family) < 1 - LEVEL)), n, AT_MOST)
    return [
        size("best of nine deciles, uncorrected", naive, gated=False),
        size("best of nine deciles, corrected for the search", searched),
        size("best cut of a count, corrected for the search", counts, gated=False),
        some,
    ]


def _same_for_all(users: int, rng: Rng) -> tuple[dict[str, Floats], np.ndarray]:
    """What the early form knows of users who live after day 60 of a world without effects, and who churn by day 180."""
    active = rng.random((users, 181)) < 0.08
    active[:, 0] = True
    day = np.arange(181)
    idle = day - np.maximum.accumulate(np.where(active, day, 0), axis=1)
    gone = idle >= FIRST_DAY
    churn = np.where(gone.any(axis=1), gone.argmax(axis=1), 999)
    window = active[:, :31].copy()
    invested = window & (rng.random(window.shape) < 0.5)
    amount = np.where(invested, rng.lognormal(6, 1, window.shape), 0.0)
    boosted = (invested & (rng.random(window.shape) < 0.2)).any(axis=1)
    numbers = {"investments": invested.sum(axis=1), "largest": amount.max(axis=1), "boosted": boosted}
    alive = churn > 60
    return {name: values[alive].astype(float) for name, values in numbers.items()}, churn[alive] <= 180


# ----------------------------------------------------------------------------------------------------------- bursts

_WEEKDAYS = np.array([1.1, 1.1, 1.1, 1.0, 1.2, 0.7, 0.8])
_MONDAY = date(2024, 1, 1)
BURST = slice(60, 64)


def _registrations(rng: Rng, level: float, extra: float, n_days: int = 120) -> np.ndarray:
    """Counts by day with weekdays, a mild season, and a negative binomial spread."""
    day = np.arange(n_days)
    mean = level * np.exp(0.2 * np.sin(day / 40)) * _WEEKDAYS[day % 7]
    return rng.poisson(mean * (rng.gamma(1 / extra, extra, n_days) if extra else 1.0))


def registration_bursts(n: int) -> list[Figure]:
    """120 days. Without a burst: how often one is found. With four days of 40 more users each: excess and power.

    What came beyond the expectation is known here to a user; the limits allow for the chance of what would have come
    anyway. Of the bursts found with a planted one, the share of false ones is to stay below 5 %.
    """
    alarms: dict[str, list[bool]] = {}
    for case, level, extra, units in (
        ("12 a day, variance m + 0.05 m²", 12.0, 0.05, ("day", "week")),
        ("40 a day, variance m + 0.1 m², days alone", 40.0, 0.1, ("day",)),
    ):
        held = alarms.setdefault(case, [])
        for rng in replications(case, n):
            held.append(bool(search_bursts(_registrations(rng, level, extra), _MONDAY, units=units).burst.any()))
    excess, found, false = Tally(160.0), [], []
    for rng in replications("planted burst", n):
        counts = _registrations(rng, 12.0, 0.05)
        counts[BURST] += 40
        search = search_bursts(counts, _MONDAY)
        runs = _runs(search.burst)
        mine = [run for run in runs if run.start < BURST.stop and run.stop > BURST.start]
        found.append(search.burst[BURST].mean())
        false.append((len(runs) - len(mine)) / max(len(runs), 1))
        if mine:
            row = _burst(BURST, search, counts, _MONDAY, LEVEL)
            excess.take(row["excess"], row["excess_lower"], row["excess_upper"])
        else:
            excess.missing += 1
    figures = [
        Figure(
            f"any burst where there is none, {case}",
            "size",
            float(np.mean(held)),
            n,
            None if "alone" in case else AT_MOST,
        )
        for case, held in alarms.items()
    ]
    figures.append(Figure("share of false bursts beside a planted one", "size", float(np.mean(false)), n, AT_MOST))
    figures.append(Figure("days of the planted burst that are found", "power", float(np.mean(found)), n, None))
    return [*figures, excess.coverage("excess of the planted burst", gated=True)]


def hazard_of_bursts(n: int) -> list[Figure]:
    """500 users of two channels, an eighth of them of a burst, whose hazard is 1.5 times that of their channel."""
    users, ratio = 500, 1.5
    tally = Tally(float(np.log(ratio)))
    dates = [{"start": date(2024, 3, 1), "end": date(2024, 3, 4)}]
    for rng in replications("hazard of bursts", n):
        inside, paid = rng.random(users) < 0.125, rng.random(users) < 0.5
        hazard = np.where(inside, ratio, 1.0) * np.where(paid, 1.4, 1.0) / 90
        life = FIRST_DAY + np.ceil(rng.exponential(1 / hazard)).astype(int)
        end = rng.integers(60, 240, users)
        frame = pd.DataFrame(
            {"entry": 0, "duration": np.minimum(life, end), "churned": life <= end, "burst": np.where(inside, 0, -1),
             "channel": np.where(paid, "paid", "free")}
        )  # fmt: skip
        notes: list[str] = []
        found = hazard_ratios(frame, dates, "channel", min_users=1, ties="efron", level=LEVEL, notes=notes).iloc[0]
        tally.take(*(np.log(found[x]) for x in ("hazard_ratio", "hr_lower", "hr_upper")), found["std_error"])
    case = "burst users against others, 1.5"
    return [tally.coverage(case, gated=True), tally.std_error(case, gated=True), tally.bias(case)]


# --------------------------------------------------------------------------------------------------- channel value

HORIZON, GONE, INVESTS = 120, 0.015, 0.03  # days; chance of leaving, and of a first investment, on each day
RATES, AMOUNT, PER_DAY, PER_UNIT = (0.1, 0.4), 100.0, 0.5, 0.002


def value_of_channels(n: int) -> list[Figure]:
    """200 users of a channel who registered on the first 180 of 240 days: two thirds are followed for 120 days.

    Active with a chance of their own (.1 or .4) until they leave; invest once, hold it until they leave; a cost for
    each user that grows with the amount. Value is margin less cost. Beside it the verdict where the value is exactly
    what is asked for.
    """
    truth = _value_truth()
    tallies = {name: Tally(value) for name, value in truth.items()}
    verdicts = []
    for rng in replications("channel value", n):
        row = _channel(200, rng, keep=truth["value"])
        score = row.pop("_z")
        for name, tally in tallies.items():
            tally.take(
                row[name], row[f"{name}_lower"], row[f"{name}_upper"], (row[f"{name}_upper"] - row[name]) / 1.959964
            )
        verdicts.append(2 * float(_ndtr(-abs(score))))
    figures = []
    for name, tally in tallies.items():
        case = name.replace("_", " ")
        figures += [tally.coverage(case, gated=True), tally.std_error(case, gated=True), tally.bias(case)]
    return [*figures, size("keep or drop where the value is what is asked for", verdicts)]


def _ndtr(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))


def _value_truth() -> dict[str, float]:
    day = np.arange(HORIZON + 1)
    there = (1 - GONE) ** day  # has not left by the end of day d
    invested = 1 - (1 - INVESTS) ** day
    # an investment counts if it comes while the user is there
    converted = float((INVESTS * (1 - INVESTS) ** (day[1:] - 1) * there[1:]).sum())
    active = 1 + np.mean(RATES) * there[1:].sum()
    margin = PER_DAY * active + PER_UNIT * AMOUNT * float((invested * there).sum())
    life = _churn(60.0, np.arange(HORIZON + 1))
    return {
        "conversion": converted,
        "days_until_churn": float((1 - np.cumsum(life)[:HORIZON]).sum()),
        "active_days": float(active),
        "margin": float(margin),
        "value": float(margin) - 4.0,
    }


def _channel(users: int, rng: Rng, keep: float) -> dict[str, float]:
    followed = 240 - rng.integers(0, 181, users)
    leaves = rng.geometric(GONE, users)  # the day of leaving; the days before it count
    rate = rng.choice(RATES, users)
    days = np.arange(HORIZON + 1)
    active = rng.random((users, HORIZON + 1)) < rate[:, None]
    active[:, 0] = True
    active &= (days < leaves[:, None]) & (days <= followed[:, None])
    active_user, active_day = np.nonzero(active)
    first = rng.geometric(INVESTS, users)
    invests = first < leaves
    amount = rng.lognormal(np.log(AMOUNT) - 0.32, 0.8, users)
    known = invests & (first <= followed)
    out = invests & (leaves <= followed)
    held_user = np.concatenate([np.flatnonzero(known), np.flatnonzero(out)])
    held_day = np.concatenate([first[known], leaves[out]])
    inside = held_day <= HORIZON
    held = np.concatenate([amount[known], -amount[out]])
    user = np.arange(users)
    made = UserDays(
        user, np.zeros(users, "datetime64[D]"), followed, active_user, active_day,
        np.where(known, first, np.nan), held_user[inside], held_day[inside], held[inside],
    )  # fmt: skip
    margins = [
        (Flow(active_user, active_day, np.full(active_user.size, PER_DAY), ()), False),
        (Flow(held_user[inside], held_day[inside], PER_UNIT * held[inside], ()), True),
    ]
    life = FIRST_DAY + np.ceil(rng.exponential(60.0, users)).astype(int)
    spells = pd.DataFrame({"entry": 0, "duration": np.minimum(life, followed), "churned": life <= followed})
    spent = Flow(user, np.zeros(users, np.int64), 0.04 * amount, ())
    asked = _Asked(spells, made, margins, np.zeros(users), spent, HORIZON, keep, LEVEL)
    return _row("channel", user, asked, [])


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "structure_and_horizons": structure_and_horizons,
    "risk_ratios": risk_ratios,
    "profile_without_effects": profile_without_effects,
    "registration_bursts": registration_bursts,
    "hazard_of_bursts": hazard_of_bursts,
    "value_of_channels": value_of_channels,
}
