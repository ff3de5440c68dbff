"""Coverage, size and standard errors on simulated truth: experiments, gates and the tables of docs/accuracy.md.

``python -m tests.slow.accuracy`` runs all of it (a few minutes) and rewrites the tables, or those of the experiments
that it is given by name; ``pytest -m slow`` asserts the gates.
Every replication has its own generator, made from a fixed seed, the experiment and its number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import churnsurv as ch

from . import (
    churn_monitor,
    competing,
    cutpoint,
    experience,
    idle_risk,
    logrank,
    prediction_quality,
    predictions,
    reasons,
    recall_checks,
    recall_lift,
    recall_monitor,
    recall_policies,
    recall_targeting,
    shock_effect,
    simulated_app,
    who_churns,
    worlds,
)
from . import curves as curve_questions
from .figures import LEVEL, REPLICATIONS, Figure, Tally, replications, size

__all__ = ["EXPERIMENTS", "REPLICATIONS", "Figure", "main", "run"]

CI_TYPES = ("log-log", "log", "plain", "arcsine")
PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"


def _curve_at(data: pd.DataFrame, days: tuple[int, ...], **keywords: object) -> list[pd.Series]:
    """S on given days; nulls beyond the last day that anybody was followed to."""
    curve = ch.kaplan_meier(data, level=LEVEL, **keywords)
    last = next(iter(curve.last_day.values()))
    table = curve.at([min(day, last) for day in days]).rename(columns={"survival": "estimate"})
    columns = ["estimate", "std_error", "lower", "upper"]
    table.loc[np.array(days) > last, columns] = np.nan
    return [row for _, row in table[columns].iterrows()]


def curves(n: int) -> list[Figure]:
    """Intervals of S(t) at four days: 200 users, all from the first day, or 30 % of them late."""
    days = {34: 0.93, 45: 0.77, 70: 0.50, 110: 0.25}
    figures = []
    for late in (0.0, 0.3):
        tallies = {(ci, d): Tally(2 ** (-(d - 30) / 40)) for ci in CI_TYPES for d in days}
        for rng in replications(f"curves {late}", n):
            data = worlds.churn_world(200, rng, late=late)
            for ci in CI_TYPES:
                for d, row in zip(days, _curve_at(data, tuple(days), ci=ci, entry="entry"), strict=True):
                    tallies[ci, d].add(row)
        where = "30 % enter late" if late else "no late entry"
        for (ci, d), tally in tallies.items():
            # symmetric intervals are only claimed near the middle of the curve; the default is claimed everywhere
            gated = ci == "log-log" or d == 70
            figures.append(tally.coverage(f"{ci}, S = {days[d]:.2f}, {where}", gated=gated))
        figures += [
            tallies["log-log", d].std_error(f"Greenwood, S = {s:.2f}, {where}", gated=True) for d, s in days.items()
        ]
    return figures


def small_curves(n: int) -> list[Figure]:
    """The same with 40 users, where approximations show: reported, not gated, but for the default in the middle."""
    days = {34: 0.93, 70: 0.50, 110: 0.25}
    tallies = {(ci, d): Tally(2 ** (-(d - 30) / 40)) for ci in CI_TYPES for d in days}
    for rng in replications("small curves", n):
        data = worlds.churn_world(40, rng)
        for ci in CI_TYPES:
            for d, row in zip(days, _curve_at(data, tuple(days), ci=ci), strict=True):
                tallies[ci, d].add(row)
    return [
        tally.coverage(f"{ci}, S = {days[d]:.2f}", gated=ci == "log-log" and d == 70)
        for (ci, d), tally in tallies.items()
    ]


def medians(n: int) -> list[Figure]:
    """The interval of the median, which is day 70: 200 users."""
    figures = []
    for late in (0.0, 0.3):
        tally = Tally(70.0)
        for rng in replications(f"medians {late}", n):
            data = worlds.churn_world(200, rng, late=late)
            median = ch.kaplan_meier(data, entry="entry", level=LEVEL).median.iloc[0]
            tally.add(median.rename({"time": "estimate"}).drop("group"))
        figures.append(tally.coverage(f"log-log, {'30 % enter late' if late else 'no late entry'}", gated=True))
    return figures


def clustered_curves(n: int) -> list[Figure]:
    """Two to four spells a user with a strong shared frailty (Kendall's tau .4), 200 users."""
    days = {45: 0.78, 72: 0.50}
    ways = {"user_id": "infinitesimal jackknife", None: "Greenwood"}
    tallies = {(way, d): Tally(float(np.exp(-(d - 30) / 60))) for way in ways for d in days}
    for rng in replications("clustered curves", n):
        data = worlds.parallel_spells(200, rng, effects=False)
        for way in ways:
            for d, row in zip(days, _curve_at(data, tuple(days), cluster=way), strict=True):
                tallies[way, d].add(row)
    figures = []
    for (way, d), tally in tallies.items():
        case = f"{ways[way]}, S = {days[d]:.2f}"
        figures += [tally.coverage(case, gated=way is not None), tally.std_error(case, gated=way is not None)]
    return figures


def tests_of_no_difference(n: int) -> list[Figure]:
    """The log-rank test where groups do not differ: 200 users, three strata that do differ."""
    cases = {
        "2 groups, in strata": (2, 0.0),
        "4 groups, in strata": (4, 0.0),
        "4 groups, in strata, 30 % enter late": (4, 0.3),
    }
    figures = []
    for case, (groups, late) in cases.items():
        p_values = []
        for rng in replications(case, n):
            data = worlds.group_world(200, rng, groups=groups, late=late)
            p_values.append(ch.logrank(data, by="group", strata="stratum", entry="entry").p_value)
        figures.append(size(case, p_values))
    for groups, late in ((2, 0.0), (4, 0.3)):
        case = f"{groups} groups, {'30 % enter late' if late else 'no late entry'}"
        p_values = []
        for rng in replications(case, n):
            data = worlds.churn_world(200, rng, late=late)
            data["group"] = rng.integers(0, groups, len(data))
            p_values.append(ch.logrank(data, by="group", entry="entry").p_value)
        figures.append(size(case, p_values))
    return figures


def recurrent_spells(n: int) -> list[Figure]:
    """The log-rank test on all spells of 200 users with frailty, in two groups that do not differ."""
    robust, naive = [], []
    for rng in replications("recurrent spells", n):
        data = worlds.frailty_groups(200, rng)
        robust.append(ch.logrank(data, by="group", cluster="user_id").p_value)
        naive.append(ch.logrank(data, by="group", cluster=None).p_value)
    return [size("robust, clustered by user", robust), size("naive, every spell on its own", naive, gated=False)]


Fits = Callable[[np.random.Generator], dict[str, ch.CoxFit]]


def _coefficients(fits: Fits, name: str, n: int) -> dict[tuple[str, str], Tally]:
    tallies: dict[tuple[str, str], Tally] = {}
    for rng in replications(name, n):
        for way, fit in fits(rng).items():
            for _, row in fit.table.iterrows():
                truth = 0.5 if row["variable"] == "channel" else -0.3
                tallies.setdefault((way, row["variable"]), Tally(truth)).add(row)
    return tallies


def cox_daily_ties(n: int) -> list[Figure]:
    """Cox coefficients under daily ties and late entry: 300 users, 30 % late."""

    def fits(rng: np.random.Generator) -> dict[str, ch.CoxFit]:
        data = worlds.covariate_world(300, rng, late=0.3)
        return {ties: ch.cox("channel + x", data, ties=ties, entry="entry") for ties in ("efron", "breslow")}

    figures = []
    for (ties, term), tally in _coefficients(fits, "cox", n).items():
        case = f"{ties.title()}, {term}"
        gated = ties == "efron"
        figures += [tally.coverage(case, gated=gated), tally.std_error(case, gated=gated), tally.bias(case)]
    return figures


def cox_clusters(n: int) -> list[Figure]:
    """Cox coefficients of covariates of the user, two to four spells a user with shared frailty, 300 users."""

    def fits(rng: np.random.Generator) -> dict[str, ch.CoxFit]:
        data = worlds.parallel_spells(300, rng)
        return {
            "robust, clustered by user": ch.cox("channel + x", data, cluster="user_id"),
            "naive, every spell on its own": ch.cox("channel + x", data, cluster=None),
        }

    figures = []
    for (way, term), tally in _coefficients(fits, "cox clusters", n).items():
        case = f"{way}, {term}"
        gated = way.startswith("robust")
        figures += [tally.coverage(case, gated=gated), tally.std_error(case, gated=gated)]
    return figures


EXPERIMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "curves": curves,
    "small_curves": small_curves,
    "medians": medians,
    "clustered_curves": clustered_curves,
    "tests_of_no_difference": tests_of_no_difference,
    "recurrent_spells": recurrent_spells,
    "cox_daily_ties": cox_daily_ties,
    "cox_clusters": cox_clusters,
    **predictions.EXPERIMENTS,
    **curve_questions.EXPERIMENTS,
    **logrank.EXPERIMENTS,
    **competing.EXPERIMENTS,
    **prediction_quality.EXPERIMENTS,
    **who_churns.EXPERIMENTS,
    **simulated_app.EXPERIMENTS,
    **idle_risk.EXPERIMENTS,
    **cutpoint.EXPERIMENTS,
    **recall_lift.EXPERIMENTS,
    **recall_checks.EXPERIMENTS,
    **recall_policies.EXPERIMENTS,
    **recall_monitor.EXPERIMENTS,
    **recall_targeting.EXPERIMENTS,
    **reasons.EXPERIMENTS,
    **experience.EXPERIMENTS,
    **churn_monitor.EXPERIMENTS,
    **shock_effect.EXPERIMENTS,
}
#: Replications of a full run, where one takes seconds.
FULL = {**churn_monitor.FULL, **shock_effect.FULL}


def full(name: str) -> int:
    """How many replications a full run of an experiment has."""
    return FULL.get(name, REPLICATIONS)


def run(name: str, n: int | None = None) -> list[Figure]:
    """Run one experiment with n replications a case, by default a full run."""
    return EXPERIMENTS[name](full(name) if n is None else n)


def markers(name: str) -> tuple[str, str]:
    """The lines between which docs/accuracy.md holds the table of an experiment."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def rendered(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| case | measure | value | replications | gate | |", "|---|---|---|---|---|---|"]
    for f in figures:
        gate = "" if f.gate is None else f"{_shown(f.measure, f.gate[0])} to {_shown(f.measure, f.gate[1])}"
        verdict = "reported" if f.gate is None else "holds" if f.passes else "FAILS"
        lines.append(f"| {f.case} | {f.measure} | {_shown(f.measure, f.value)} | {f.n:,} | {gate} | {verdict} |")
    return "\n".join(lines)


def _shown(measure: str, value: float) -> str:
    return f"{100 * value:.1f} %" if measure in {"coverage", "size"} else f"{value:.3f}"


def main(names: list[str]) -> None:
    """Run the named experiments, or all, and write their tables into docs/accuracy.md."""
    for name in names or EXPERIMENTS:
        figures = run(name)
        text = PAGE.read_text(encoding="utf-8")
        begin, end = markers(name)
        before, rest = text.split(begin)
        _, after = rest.split(end)
        PAGE.write_text(f"{before}{begin}\n{rendered(figures)}\n{end}{after}", encoding="utf-8")
        gated = [f for f in figures if f.gate is not None]
        print(f"{name}: {sum(f.passes for f in gated)} of {len(gated)} gates hold")  # noqa: T201 - what a runner is for


if __name__ == "__main__":
    main(sys.argv[1:])
