"""Where churn sits: churned users by lifecycle stage, acquisition channel and registration cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.data.lifecycle import has_stages, stage_episodes
from churnsurv.data.rule import days_of
from churnsurv.diagnosis.horizons import GroupCurve, group_curves, horizon_rows, stage_curves
from churnsurv.diagnosis.naming import both, called, quoted
from churnsurv.diagnosis.pooled import pooled
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule, Spells, Stages

__all__ = ["ChurnStructure", "churn_structure"]

Row = dict[str, Any]

_BY = ("stage", "channel", "cohort")
_STAGE = "stage"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChurnStructure(Result):
    """Churned users by stage, channel and cohort, and churn by stated horizons. Made by `churn_structure`.

    Attributes
    ----------
    by : tuple of str
        The variables.
    horizon_days : tuple of int
        The horizons asked for.
    cross_horizon : int or None
        The horizon of `cross`: the longest that all its cells of at least `min_users` reach.
    n_users, n_churned : int
        First spells, and those of them that ended in churn.
    min_users : int
    level : float
        Confidence level of all limits.
    stages : Stages
    rule : ChurnRule
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "churn_structure"

    by: tuple[str, ...]
    horizon_days: tuple[int, ...]
    cross_horizon: int | None
    n_users: int
    n_churned: int
    min_users: int
    level: float
    stages: Stages
    rule: ChurnRule
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _horizons: pd.DataFrame
    _cross: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group of each variable: its share of all churned users."""
        return self._table.copy()

    @property
    def horizons(self) -> pd.DataFrame:
        """Probability of churn by each horizon that the group was followed to; schema "churn_by_horizon"."""
        return self._horizons.copy()

    @property
    def cross(self) -> pd.DataFrame:
        """Stage by channel; schema "stage_channel". Without rows where stages were not asked for."""
        return self._cross.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw where churn sits: area is the share of churned users, shade the probability of churn.

        Raises
        ------
        InputError
            If stages were not asked for.
        """
        from churnsurv.plots.structure import churn_structure as draw

        if self._cross.empty:
            raise InputError("There is nothing to draw: 'stage' is not among the variables of this churn structure.")
        axes: Axes = draw(self.cross, ax, horizon=self.cross_horizon)
        return axes

    def _headline(self) -> str:
        first = f"{self.n_churned:,} of {self.n_users:,} users churned in their first spell"
        parts = []
        for variable in self.by:
            mine = self._table[self._table["variable"] == variable]
            top = mine.iloc[int(mine["share"].argmax())]
            parts.append(
                f"{variable} {top['group']} {top['share']:.1%} ({top['share_lower']:.1%} to {top['share_upper']:.1%})"
            )
        return f"{first}; most of them in {', '.join(parts)}; {self.rule}"

    def _facts(self) -> dict[str, Any]:
        tables = {"horizons": self._horizons, "cross": self._cross}
        return {
            "by": list(self.by),
            "horizon_days": list(self.horizon_days),
            "cross_horizon": self.cross_horizon,
            "n_users": self.n_users,
            "n_churned": self.n_churned,
            "min_users": self.min_users,
            "level": self.level,
            "stages": {"by": self.stages.by, "starts": dict(self.stages.starts)},
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "notes": list(self.notes),
            **{what: {str(name): t[name].tolist() for name in t.columns} for what, t in tables.items()},
        }


def churn_structure(
    log: ActivityLog,
    *,
    by: str | Sequence[str] = _BY,
    horizons: Sequence[int | str] = (30, 90, 180),
    min_users: int = 30,
    level: float = 0.95,
) -> ChurnStructure:
    """Say who the churned users are, and how likely churn is in each group by stated horizons.

    It looks at first spells; users registered before the log are left out. A share is of the users who have churned so
    far in this log. It says where churned users are, not how fast a group churns: that is what the horizons say, which
    take into account that younger users have been followed for a shorter time.

    Parameters
    ----------
    log : ActivityLog
        Its `stages` say what the lifecycle stages are.
    by : str or sequence of str
        "stage", "cohort", or attributes of the users. Of the default, what the tables lack is left out with a note.
    horizons : sequence of int or text such as "90d"
        Days.
    min_users : int
        Groups of fewer users are pooled as "other". Stages are not pooled; small ones are named in the notes, and
        small cells of stage and channel have no probability.
    level : float
        Confidence level of all limits.

    Returns
    -------
    ChurnStructure
        ``.table``, schema "churn_structure": shares with Wilson's limits (statsmodels) that hold for all groups of a
        variable together (Bonferroni).

        ``.horizons``, schema "churn_by_horizon": 1 - Kaplan and Meier's estimate for what is known at registration. A
        stage is not: its users are followed from the day on which they enter it, and moving on to another stage is a
        competing end (Aalen and Johansen 1978). Limits hold each alone; they are null where nobody has churned yet
        or everybody has, and where fewer than 10 users were followed to the horizon, with a note. A horizon beyond a
        group's follow-up is left out with a note.

        ``.cross``, schema "stage_channel": both at once, with one horizon for all cells (`cross_horizon`).

    Raises
    ------
    InputError
        If nobody churned, or an argument is not understood.
    SchemaError
        If the stages cannot be told from the events, or users have an attribute called "stage".

    Examples
    --------
    >>> import churnsurv as ch
    >>> found = churn_structure(ch.simulate_app(n_users=400, seed=1).log, by=["stage", "channel"], horizons=[90])
    >>> found.table.groupby("variable", sort=False)["n_churned"].sum().tolist() == [found.n_churned] * 2
    True
    """
    level, least, days = check_level(level), _least(min_users), _days(horizons)
    first = log.churn_spells()
    n_churned = first.counts["churned"]
    if n_churned == 0:
        raise InputError(_nobody(first))
    variables, notes = _variables(log, by, first)
    spells, pools = _pooled(first.table, variables, least)
    notes = [*_first_notes(first, days), *notes, *pools]
    episodes = _episodes(log, spells, split="channel" in variables) if _STAGE in variables else None
    asked = _Asked(days, least, n_churned, level, log.observed_until)
    table, by_horizon, beyond = _by_variable(variables, spells, episodes, log.stages, asked)
    cross, cross_horizon, said = _cross(episodes, asked)
    return ChurnStructure(
        by=variables,
        horizon_days=days,
        cross_horizon=cross_horizon,
        n_users=len(spells),
        n_churned=n_churned,
        min_users=least,
        level=level,
        stages=log.stages,
        rule=log.rule,
        notes=(*notes, *beyond, *said),
        _table=table,
        _horizons=by_horizon,
        _cross=cross,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every table needs."""

    horizons: tuple[int, ...]
    min_users: int
    n_churned: int
    level: float
    until: date

    def shares(self, n_churned: Any) -> dict[str, Any]:
        """Shares of all churned users, with limits that hold for all these groups together."""
        from statsmodels.stats.proportion import proportion_confint

        counts = np.asarray(n_churned, dtype=np.int64)
        alone = (1 - self.level) / max(counts.size, 1)
        lower, upper = proportion_confint(counts, self.n_churned, alpha=alone, method="wilson")
        return {"share": counts / self.n_churned, "share_lower": lower, "share_upper": upper}


# ------------------------------------------------------------------------------------------------------- arguments


def _least(min_users: object) -> int:
    if isinstance(min_users, bool) or not isinstance(min_users, (int, np.integer)) or min_users < 1:
        raise InputError(f"min_users must be a whole number of users, 1 or more; it is {min_users!r}.")
    return int(min_users)


def _days(horizons: Sequence[int | str]) -> tuple[int, ...]:
    if isinstance(horizons, str) or not isinstance(horizons, Sequence) or not horizons:
        raise InputError(f"horizons is a list of days, such as (30, 90, 180); it is {horizons!r}.")
    return tuple(sorted({days_of(each, "horizons", least=1) for each in horizons}))


def _variables(log: ActivityLog, by: str | Sequence[str], first: Spells) -> tuple[tuple[str, ...], list[str]]:
    """The variables asked for; of the default ones those that the tables have, and a note on the others."""
    asked = tuple(dict.fromkeys((by,) if isinstance(by, str) else by))
    there = [_STAGE, *(column for column in first.known_at if column not in {_STAGE, "registered_at"})]
    notes: list[str] = []
    if asked == _BY:
        lacking = [variable for variable in asked if variable not in there]
        # An attribute of that name is an error that says so, and no reason to leave stages out.
        if not has_stages(log) and _STAGE not in first.known_at:
            lacking.append(_STAGE)
        notes = [
            note("{variable}: the tables cannot tell it, so that it is left out.", variable=called(variable))
            for variable in lacking
        ]
        asked = tuple(variable for variable in asked if variable not in lacking)
    for variable in asked:
        if variable not in there:
            raise InputError(
                f"by: users have no {variable!r}.{did_you_mean(str(variable), there)} Churn is split by what is known "
                f"at registration, and by stage: {', '.join(there)}."
            )
    if not asked:
        raise InputError(f"by is empty. Name variables, such as {', '.join(map(repr, there[:3]))}.")
    return asked, notes


def _nobody(first: Spells) -> str:
    counts = first.counts
    followed = int(first.table["duration"].max()) if counts["spells"] else 0
    return (
        f"Nobody churned: none of the {counts['spells']:,} first spells, followed for at most {followed} days, ended "
        f"in churn ({first.rule}). Take a longer log, or a rule of fewer idle days."
    )


def _first_notes(first: Spells, days: Sequence[int]) -> list[str]:
    counts, notes = first.counts, list[str]()
    excluded = ("left_truncated_excluded", "undetermined", "not_seen", "first_spell_unseen")
    if left_out := sum(counts[reason] for reason in excluded):
        notes.append(
            note("{n} users registered before the log are left out: their first days were not seen.", n=f"{left_out:,}")
        )
    if early := [day for day in days if day < first.rule.idle_days]:
        notes.append(
            note(
                "Nobody can churn before day {first}, so that churn by day {days} is 0.",
                first=first.rule.idle_days,
                days=both([str(day) for day in early]),
            )
        )
    return notes


# ----------------------------------------------------------------------------------------------------- the people


def _pooled(spells: pd.DataFrame, variables: Sequence[str], least: int) -> tuple[pd.DataFrame, list[str]]:
    notes: list[str] = []
    for variable in variables:
        if variable != _STAGE:
            found = pooled(spells[variable], least)
            spells = spells.assign(**{variable: found.column})
            notes += [found.note] if found.note else []
    return spells, notes


def _episodes(log: ActivityLog, spells: pd.DataFrame, *, split: bool) -> pd.DataFrame:
    """The stage episodes of the first spells, with the channel of the user where it was asked for."""
    episodes = stage_episodes(log)
    facts = {
        "users": (episodes["user_id"].nunique(), len(spells)),
        "days": (int(episodes["duration"].sum()), int(spells["duration"].sum())),
        "churned": (int((episodes["ended_by"] == "churned").sum()), int(spells["churned"].sum())),
    }
    if broken := {what: pair for what, pair in facts.items() if pair[0] != pair[1]}:
        raise AssertionError(f"churnsurv lost something on the way from spells to stages; please report this: {broken}")
    if not split:
        return episodes.assign(channel="all")
    return episodes.merge(spells[["user_id", "channel"]], on="user_id", validate="many_to_one")


def _by_variable(
    variables: Sequence[str], spells: pd.DataFrame, episodes: pd.DataFrame | None, stages: Stages, asked: _Asked
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Shares and churn by horizon of all variables, and what a reader must know of them."""
    import pandas as pd

    tables, rows, notes = [], list[Row](), list[str]()
    for variable in variables:
        if variable == _STAGE and episodes is not None:
            table = _of_stages(episodes, asked)
            curves = stage_curves(episodes, [_STAGE], asked.until, asked.level)
            notes += _stage_notes(table, stages, asked.min_users)
        else:
            table = _of_groups(spells, variable, asked)
            curves = group_curves(spells, variable, asked.until, asked.level)
        found, beyond = horizon_rows(variable, list(table["group"]), curves, asked.horizons)
        tables.append(table)
        rows += found
        notes += beyond
    return pd.concat(tables, ignore_index=True), _frame(rows, "churn_by_horizon"), notes


def _of_groups(spells: pd.DataFrame, variable: str, asked: _Asked) -> pd.DataFrame:
    groups = spells.groupby(variable, sort=True, observed=True)["churned"].agg(["size", "sum"])
    return _shares(variable, list(map(str, groups.index)), groups["size"], groups["sum"], asked)


def _of_stages(episodes: pd.DataFrame, asked: _Asked) -> pd.DataFrame:
    by_stage = episodes.assign(churned=episodes["ended_by"] == "churned").groupby(_STAGE, sort=True, observed=True)
    users, churned = by_stage["user_id"].nunique(), by_stage["churned"].sum()
    return _shares(_STAGE, list(map(str, users.index)), users, churned, asked)


def _shares(variable: str, groups: list[str], n_users: Any, n_churned: Any, asked: _Asked) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "variable": variable,
            "group": groups,
            "n_users": np.asarray(n_users, np.int64),
            "n_churned": np.asarray(n_churned, np.int64),
            **asked.shares(n_churned),
        }
    )


def _stage_notes(table: pd.DataFrame, stages: Stages, least: int) -> list[str]:
    sizes = dict(zip(table["group"], table["n_users"], strict=True))
    notes: list[str] = [
        note("stage: no user was ever in {stage}.", stage=quoted(name)) for name in stages.names if name not in sizes
    ]
    if len(sizes) == 1 and len(stages.names) > 1:
        notes.append(
            note(
                "stage: all users stay in {stage}, so that stages tell nothing. They are cut from {variable}; "
                "investments are events of kind 'invest'.",
                stage=quoted(next(iter(sizes))),
                variable=called(stages.by),
            )
        )
    notes += [
        note(
            "stage: only {users} {was} ever in {stage}; stages are not pooled.",
            users=counted(size, "user"),
            was="was" if size == 1 else "were",
            stage=quoted(name),
        )
        for name, size in sizes.items()
        if size < least
    ]
    return notes


# ------------------------------------------------------------------------------------------------ stage by channel


def _cross(episodes: pd.DataFrame | None, asked: _Asked) -> tuple[pd.DataFrame, int | None, list[str]]:
    """The cells that somebody was ever in, the horizon of their probabilities, and what a reader must know."""
    if episodes is None:
        return _frame([], "stage_channel"), None, []
    keys = [_STAGE, "channel"]
    cells = episodes.assign(churned=episodes["ended_by"] == "churned").groupby(keys, sort=True, observed=True)
    frame = cells.agg(n_users=("user_id", "nunique"), n_churned=("churned", "sum")).reset_index()
    frame = frame.assign(**asked.shares(frame["n_churned"])).astype(dict.fromkeys(keys, "str"))
    curves = {curve.key: curve for curve in stage_curves(episodes, keys, asked.until, asked.level)}
    large = frame["n_users"] >= asked.min_users
    pairs = list(zip(frame[_STAGE], frame["channel"], strict=True))
    drawn = [curves.get(pair) for pair, enough in zip(pairs, large, strict=True) if enough]
    horizon = _common(drawn, asked.horizons)
    for column in ("churned", "lower", "upper"):
        frame[column] = [
            curves[pair].on(horizon)[column] if enough and horizon is not None else float("nan")
            for pair, enough in zip(pairs, large, strict=True)
        ]
    frame["rank"] = frame.groupby(_STAGE, sort=False)["churned"].rank(method="min", ascending=False)
    return frame[list(schema("stage_channel").names)], horizon, _cross_notes(int((~large).sum()), horizon, asked)


def _common(curves: Sequence[GroupCurve | None], horizons: Sequence[int]) -> int | None:
    """The longest horizon that all these curves reach."""
    for horizon in sorted(horizons, reverse=True):
        if curves and all(curve is not None and horizon <= curve.last_day for curve in curves):
            return horizon
    return None


def _cross_notes(n_small: int, horizon: int | None, asked: _Asked) -> list[str]:
    notes: list[str] = []
    if n_small:
        notes.append(
            note(
                "stage by channel: {cells} of fewer than {least} users {verb} no probability of churn.",
                cells=counted(n_small, "cell"),
                least=asked.min_users,
                verb="has" if n_small == 1 else "have",
            )
        )
    if horizon is None:
        notes.append(
            note("stage by channel: no horizon is reached by all cells, so that there is no probability of churn.")
        )
    elif horizon < max(asked.horizons):
        notes.append(note("stage by channel: {days} days is the longest horizon that all cells reach.", days=horizon))
    return notes


# ---------------------------------------------------------------------------------------------------------- tables


def _frame(rows: Sequence[Row], layout: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(schema(layout).names))
    kinds = {"integer": "int64", "number": "float64"}
    return frame.astype({column.name: kinds[column.kind] for column in schema(layout).columns if column.kind in kinds})
