"""Problems against churn per activity: hazard ratios, attributable shares, and a problem without effect.

Two kinds of worlds. In the drawn ones users of two channels and three rhythms live from activity to activity; the
chance to leave at one depends on channel, rhythm, an unseen propensity of the user, and the problems of that day, of
which some users have more than others. Who has left may come back, and is counted again. In the simulated app problems
multiply the rate of leaving for one of four reasons, and formal churn is not the same as leaving. No simple model is
true of either: the truth is what the estimates tend to, worked out from the exact chances of many other users.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import stdtrit

import churnsurv as ch
from churnsurv.data.problem_gaps import ProblemGaps, problem_gaps
from churnsurv.diagnosis.experience_asked import Asked, Level
from churnsurv.diagnosis.experience_gaps import KnownGaps, known_gaps
from churnsurv.diagnosis.experience_models import fit_asked, fit_levels, ratio_rows
from churnsurv.diagnosis.experience_problems import Settings, counted_gaps, problem_models
from churnsurv.numerics.attributable import attributable
from churnsurv.simulation import PROBLEMS, Problem

from .figures import LEVEL, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS", "app_chances", "limits_of_app"]

SETTINGS = Settings((1, 2), (7, 30), "holm", LEVEL)
FIRST = datetime.date(2024, 1, 1)
START = (FIRST - datetime.date(1970, 1, 1)).days
STEPS, DAYS = 24, 240
KINDS = ("crash", "lag", "nothing")
SHARE = np.array([0.05, 0.10, 0.08])
WITHOUT_EFFECT = Problem("nothing", 0.05, 1.0)
APP = (*PROBLEMS, WITHOUT_EFFECT)


@dataclass(frozen=True)
class World:
    """What multiplies the hazard, and the variance of the unseen propensity to leave."""

    ratios: tuple[float, ...] = (2.0, 1.4, 1.0)
    frailty: float = 0.0
    rhythms: bool = True


@dataclass(frozen=True)
class Drawn:
    """Gaps, the chance of each to end in churn, and that chance without each kind, and without all."""

    gaps: ProblemGaps
    chance: np.ndarray
    without: np.ndarray


def drawn(world: World, n_users: int, rng: np.random.Generator) -> Drawn:
    """Let users live."""
    channel, rhythm = rng.integers(0, 2, n_users), rng.integers(0, 3, n_users)
    mean = np.array([4.0, 8.0, 13.0])[rhythm] if world.rhythms else np.full(n_users, 8.0)
    slow = np.array([-0.4, 0.0, 0.4])[rhythm] if world.rhythms else np.zeros(n_users)
    frail = rng.gamma(1 / world.frailty, world.frailty, n_users) if world.frailty else np.ones(n_users)
    prone = rng.gamma(2.0, 0.5, n_users)
    effect, day = np.log(world.ratios), rng.integers(0, DAYS - 60, n_users)
    alive, parts = np.ones(n_users, dtype=bool), []
    for step in range(STEPS):
        who = np.flatnonzero(alive & (day < DAYS))
        there = rng.random((who.size, 3)) < np.minimum(SHARE * prone[who, None], 0.5) * (step > 0)
        base = np.where(step == 0, -1.2, -2.3) + 0.5 * channel[who] + slow[who] + np.log(frail[who])
        chance = -np.expm1(-np.exp(base + there @ effect))
        kept = np.column_stack([there * (np.arange(3) != k) for k in range(3)]).reshape(who.size, 3, 3)
        without = [-np.expm1(-np.exp(base + kept[:, k] @ effect)) for k in range(3)]
        churned = rng.random(who.size) < chance
        extra = rng.integers(1, 4, (who.size, 3)) * there
        parts.append((who, day[who], churned, np.full(who.size, step == 0), chance,
                      np.column_stack([*without, -np.expm1(-np.exp(base))]), extra))  # fmt: skip
        gap = np.minimum(1 + rng.poisson(mean[who] - 1), 30)
        day[who] += np.where(churned, 45, gap)
        alive[who[churned]] = rng.random(int(churned.sum())) < 0.4
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    user, start, churned, registration, chance, without_any, extra = (each[order] for each in columns)
    row, kind = np.nonzero(extra)
    problems = pd.DataFrame(
        {
            "user": user[row],
            "kind": np.array(KINDS, dtype=object)[kind],
            "day": start[row] + START,
            "n": extra[row, kind],
        }
    )
    users = pd.DataFrame({"_user_key": np.arange(n_users), "_observed": True, "channel": channel})
    gaps = ProblemGaps(
        user.astype(np.int32), (start + START).astype(np.int32), churned, registration, users,
        pd.DataFrame(index=range(user.size)), problems, FIRST, FIRST + datetime.timedelta(days=DAYS),
    )  # fmt: skip
    return Drawn(gaps, chance, without_any)


def _today(known: KnownGaps, kinds: tuple[str, ...]) -> list[Level]:
    today = (known.state >= 1) & (known.state <= 2)
    return [Level(kind, "any", "none that day", today[:, k]) for k, kind in enumerate(kinds)]


def limits(known: KnownGaps, kinds: tuple[str, ...], chance: np.ndarray) -> Mapping[str, float]:
    """Log hazard ratios, and attributable shares, that the model tends to: outcomes replaced by their chances."""
    m = known.cell.size
    n, d = np.bincount(known.pattern, minlength=m).astype(float), np.bincount(known.pattern, chance, m)
    fitted = fit_levels("any", known, Asked(tuple(_today(known, kinds)), (), n, d))
    k = len(kinds)
    removed = np.zeros((k + 1, fitted.fit.coefficients.size), dtype=bool)
    removed[:k, :k], removed[k, :k] = np.eye(k, dtype=bool), True
    found = {kind: float(b) for kind, b in zip(kinds, fitted.fit.coefficients, strict=False)}
    shares = attributable(fitted.fit, removed).share
    return found | {f"share of {kind}": float(s) for kind, s in zip((*kinds, "all"), shares, strict=True)}


@lru_cache(maxsize=4)
def truth(world: World) -> Mapping[str, float]:
    """What estimates tend to, and the true shares, among 150,000 other users."""
    made = drawn(world, 150_000, np.random.default_rng(1))
    known, counted, _, _ = counted_gaps(made.gaps, KINDS, ["channel"], SETTINGS, month=False)
    chance, without = made.chance[counted], made.without[counted]
    real = 1 - without.sum(axis=0) / chance.sum()
    return dict(limits(known, KINDS, chance)) | {
        f"true {k}": float(s) for k, s in zip((*KINDS, "all"), real, strict=True)
    }


WORLDS = {
    "hazard ratios true": World(rhythms=False),
    "rhythms and unseen propensity": World(frailty=0.5),
}


def experience_effects(n: int) -> list[Figure]:
    """Ratios and shares: 1,500 users with about 8 gaps each; 400, not gated."""
    figures = []
    for name, world in WORLDS.items():
        for n_users in (1_500, 400):
            figures += _effects(f"{name}, {n_users:,} users", world, n_users, n)
    return figures + [figure for held_by in (2, 5, 6, 8, 12, 40) for figure in _held_by_few(held_by, n)]


def _held_by_few(held_by: int, n: int) -> list[Figure]:
    """A kind without effect on nine of ten gaps of some users and on none of the others; users differ unseen."""
    case, p_values, absent = f"without effect, all of it met by {held_by} of 300 users", [], 0
    for rng in replications(case, n):
        frail, gaps = np.exp(rng.normal(-0.18, 0.6, 300)), rng.integers(30, 60, 300)
        user = np.repeat(np.arange(300, dtype=np.int32), gaps)
        there = (user < held_by) & (rng.random(user.size) < 0.9)
        churned = rng.random(user.size) < np.minimum(0.1 * frail, 0.9)[user]
        known = known_gaps(user, churned, np.zeros(user.size, np.int64), [there.astype(np.int64)], [])
        fitted, _ = fit_asked("any", known, [Level("rare", "any", "none that day", known.state[:, 0] > 0)])
        if fitted is None:
            absent += 1
        else:
            p_values.append(ratio_rows(fitted, known, level=LEVEL)[0]["p_value"])
    said = f"{case} (no estimate in {absent / n:.0%})"
    return [size(said, p_values, gated=False)] if p_values else [Figure(said, "size", 0.0, n, None)]


def _effects(name: str, world: World, n_users: int, n: int) -> list[Figure]:
    real = truth(world)
    tallies = {key: Tally(real[key]) for key in (*KINDS, *(f"share of {each}" for each in (*KINDS, "all")))}
    planted = {f"share of {each}": Tally(real[f"true {each}"]) for each in (*KINDS, "all")}
    p_values: dict[str, list[float]] = {}
    for rng in replications(f"experience {name}", n):
        made = drawn(world, n_users, rng)
        known, _, _, _ = counted_gaps(made.gaps, KINDS, ["channel"], SETTINGS, month=False)
        found = problem_models(known, KINDS, SETTINGS)
        for row in found.rows:
            if row["kind"] == "nothing":
                p_values.setdefault(f"{row['model']}, {row['what']}", []).append(row["p_value"])
            if row["model"] == "any":
                low, high = np.log(row["lower"]), np.log(row["upper"])
                error = (high - low) / 2 / stdtrit(row["df"], (1 + LEVEL) / 2)
                tallies[row["kind"]].take(np.log(row["hazard_ratio"]), low, high, error)
        lower, upper = found.shares.limits(LEVEL)
        errors = (1 - found.shares.share) * np.sqrt(np.diag(found.shares.covariance))
        for each, *values in zip((*found.kinds, "all"), found.shares.share, lower, upper, errors, strict=True):
            tallies[f"share of {each}"].take(*values)
            planted[f"share of {each}"].take(*values)
    figures, gated = [], n_users == 1_500
    for key, tally in tallies.items():
        case = f"{name}, {key if key.startswith('share') else f'hazard ratio of {key}'} ({tally.truth:.3f})"
        figures += [tally.coverage(case, gated=gated), tally.std_error(case, gated=gated), tally.bias(case)]
    if world.rhythms:
        figures += [
            tally.coverage(f"{name}, {key}, as planted ({tally.truth:.3f})", gated=False)
            for key, tally in planted.items()
        ]
    return figures + [size(f"{name}, nothing: {what}", p, gated=gated) for what, p in p_values.items()]


# ------------------------------------------------------------------------------------------------ the simulated app


def app_chances(app: ch.SimulatedApp) -> pd.DataFrame:
    """Of each gap: the chance of formal churn as things were, without each kind, and without all.

    Worked out from the public truth: who leaves stays away for the idle days of the rule with probability
    (1 - .0005)^30, who stays has a gap that long by the law of the interval types; a problem multiplies the rate of
    leaving for frustration by its factor, the others stay as they are.
    """
    from churnsurv.data.rule import ChurnRule

    idle = ChurnRule().idle_days
    gaps, parameters = app.truth.gaps, app.truth.parameters
    # with everybody staying the law of the gap is that of the types alone: two equations for each gap
    survival = app.truth.gap_survival([idle])[:, 0]
    departed = (1 - parameters["return_hazard"]) ** idle
    left = gaps["left_probability"].to_numpy()
    staying = (survival - left * departed) / np.where(left < 1, 1 - left, 1.0)
    events = app.log.events if hasattr(app.log, "events") else app.events
    factor = {each["kind"]: each["factor"] for each in parameters["problems"]}
    mine = events[events["kind"].isin(list(factor))]
    day = pd.to_datetime(mine["event_at"]).dt.normalize()
    keys = pd.MultiIndex.from_arrays([gaps["user_id"], gaps["start_date"]])
    kind = pd.Series(mine["kind"].astype(str).to_numpy(), index=pd.MultiIndex.from_arrays([mine["user_id"], day]))
    kind = kind.reindex(keys).to_numpy(dtype=object)
    before = gaps.groupby("user_id")["n_investments"].shift(fill_value=0).to_numpy()
    reasons = parameters["reasons"]
    frustrated = np.where(before > 2, reasons["later"][1], reasons["new"][1])
    with_it = gaps["leaving_probability"].to_numpy()
    times = np.array([factor.get(each, 1.0) for each in kind])
    alone = -np.expm1(np.log1p(-with_it) / (1 + frustrated * (times - 1)))

    def churns(q: np.ndarray) -> np.ndarray:
        return q * departed + (1 - q) * staying

    made = {"chance": churns(with_it)}
    made |= {f"without {each}": churns(np.where(kind == each, alone, with_it)) for each in factor}
    return gaps[["user_id", "start_date"]].assign(**made, **{"without all": churns(alone)})


def limits_of_app(app: ch.SimulatedApp, kinds: tuple[str, ...]) -> Mapping[str, float]:
    """What the estimates of an app of any size tend to, and true shares, from the chances of this one."""
    gaps = problem_gaps(app.log, kinds, ("stage",))
    known, counted, _, _ = counted_gaps(gaps, kinds, ["channel"], SETTINGS, month=False)
    chances = app_chances(app)
    day = chances["start_date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    until = (gaps.until - datetime.date(1970, 1, 1)).days
    chances = chances[day <= until].reset_index(drop=True)
    assert len(chances) == gaps.user.size
    chances = chances[counted]
    real = {
        f"true {each}": float(1 - chances[f"without {each}"].sum() / chances["chance"].sum())
        for each in (*kinds, "all")
    }
    return dict(limits(known, kinds, chances["chance"].to_numpy())) | real


def experience_app(n: int) -> list[Figure]:
    """The whole way from the log of the simulated app: 3,000 users, four kinds, one without effect.

    One replication for each five asked for.
    """
    kinds = tuple(each.kind for each in APP)
    real = limits_of_app(ch.simulate_app(60_000, seed=987, problems=APP, campaigns=()), kinds)
    tallies = {key: Tally(real[key]) for key in (*kinds, *(f"share of {each}" for each in (*kinds, "all")))}
    planted = {each: Tally(real[f"true {each}"]) for each in (*kinds, "all")}
    p_values: dict[str, list[float]] = {}
    for seed in range(max(n // 5, 2)):
        app = ch.simulate_app(3_000, seed=seed, problems=APP, campaigns=())
        found = ch.experience_hazard(app.log, kinds, lasting=True)
        rows = found.table
        for row in rows[rows["model"] == "any"].itertuples():
            tallies[row.kind].take(*np.log([row.hazard_ratio, row.lower, row.upper]))
        for row in found.ranking.itertuples():
            key = row.kind.strip("()")
            tallies[f"share of {key}"].take(row.share, row.share_lower, row.share_upper)
            planted[key].take(row.share, row.share_lower, row.share_upper)
        for row in rows[(rows["kind"] == "nothing") | rows["what"].str.contains("before")].itertuples():
            p_values.setdefault(f"{row.kind}, {row.model}: {row.what}", []).append(row.p_value)
        for row in found.lasting.itertuples():
            p_values.setdefault(f"{row.kind}, lasting: {row.what}", []).append(row.p_value)
    figures = []
    for key, tally in tallies.items():
        what = key if key.startswith("share") else f"hazard ratio of {key}"
        figures += [
            tally.coverage(f"{what} ({tally.truth:.3f})", gated=False),
            tally.bias(f"{what} ({tally.truth:.3f})"),
        ]
    for key, tally in planted.items():
        case = f"share of {key}, as planted ({tally.truth:.4f})"
        figures += [tally.coverage(case, gated=False), tally.bias(case)]
    return figures + [size(case, p, gated=False) for case, p in p_values.items()]


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "experience_effects": experience_effects,
    "experience_app": experience_app,
}
