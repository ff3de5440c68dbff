"""Product problems and satisfaction as hazards of churn: how much, how lasting, and what to fix first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.problem_gaps import ProblemGaps, problem_gaps
from churnsurv.diagnosis.experience_answers import Answers, answer_rows, answers_of
from churnsurv.diagnosis.experience_asked import Absent
from churnsurv.diagnosis.experience_gaps import REGISTRATION
from churnsurv.diagnosis.experience_inputs import activity_without, adjusters_asked, kinds_asked, settings_asked
from churnsurv.diagnosis.experience_lasting import Lasting, lasting_rows
from churnsurv.diagnosis.experience_models import Fitted
from churnsurv.diagnosis.experience_problems import (
    Problems,
    Settings,
    churns_a_month,
    counted_gaps,
    problem_models,
    reach_of,
)
from churnsurv.diagnosis.experience_rank import difference_rows, ranking_rows, with_adjusted
from churnsurv.diagnosis.experience_words import answer_notes, experience_notes, headline
from churnsurv.diagnosis.naming import called
from churnsurv.diagnosis.rows import frame_of
from churnsurv.notes import note
from churnsurv.tables import Result
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule, Feature

__all__ = ["Experience", "experience_hazard"]

Flags: TypeAlias = NDArray[np.bool_]

_TABLES = ("ranking", "differences", "lasting", "absent")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experience(Result):
    """Problems and satisfaction against churn. Made by `experience_hazard`. Observational.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of problems that have an estimate.
    topics : tuple of str
        What answers were about.
    adjusted_for : tuple of str
    doses, recency : tuple of int
    lag : int or None
        Days by which the history of `lasting` lags; None without one.
    until : date
        Last day on which a gap may begin.
    fit : Fitted
        The model of problems on the first day of a gap: names of the columns, and the fit with its coefficients.
    adjust : str
    level : float
    rule : ChurnRule
        That of the log, `kinds` being no activity.
    counts : mapping of str to int
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "experience"

    kinds: tuple[str, ...]
    topics: tuple[str, ...]
    adjusted_for: tuple[str, ...]
    doses: tuple[int, ...]
    recency: tuple[int, ...]
    lag: int | None
    until: date
    fit: Fitted
    adjust: str
    level: float
    rule: ChurnRule
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _ranking: pd.DataFrame
    _differences: pd.DataFrame
    _lasting: pd.DataFrame
    _absent: pd.DataFrame
    _answer_rejects: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """Hazard ratios of churn per activity: any problem on the day, dose, recency; score and third of answers."""
        return self._table.copy()

    @property
    def ranking(self) -> pd.DataFrame:
        """What to fix first: kinds by attributable share, then all together; schema "experience_ranking"."""
        return self._ranking.copy()

    @property
    def differences(self) -> pd.DataFrame:
        """How far the shares of two kinds differ; schema "experience_differences"."""
        return self._differences.copy()

    @property
    def lasting(self) -> pd.DataFrame:
        """Effects long after the problem, from a lagged history; schema "experience_lasting"."""
        return self._lasting.copy()

    @property
    def absent(self) -> pd.DataFrame:
        """What has no estimate, and why; schema "experience_absent"."""
        return self._absent.copy()

    @property
    def answer_rejects(self) -> pd.DataFrame:
        """Answers that cannot be used, with the reason; schema "rejects"."""
        return self._answer_rejects.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ranking: attributable shares with limits; see `churnsurv.plots.experience`."""
        from churnsurv.plots.experience import experience as draw

        axes: Axes = draw(self._ranking, ax, level=self.level)
        return axes

    def _headline(self) -> str:
        return headline(list(self._ranking.to_dict("records")), self.counts)  # type: ignore[arg-type]

    def _facts(self) -> dict[str, Any]:
        names = ("kinds", "topics", "adjusted_for", "doses", "recency", "lag", "until", "adjust", "level", "notes")
        tables = {name: getattr(self, f"_{name}").to_dict("list") for name in _TABLES}
        rule = {"idle_days": self.rule.idle_days, "activity": self.rule.activity}
        return {name: getattr(self, name) for name in names} | {"rule": rule, "counts": dict(self.counts)} | tables


def experience_hazard(
    log: ActivityLog,
    kinds: str | Sequence[str] = ("crash", "lag", "complaint"),
    *,
    answers: Any = None,
    columns: Mapping[str, str] | None = None,
    adjust_for: Sequence[str | Feature] | None = None,
    doses: Sequence[int] = (1, 2),
    recency: Sequence[int] = (7, 30),
    lasting: bool = True,
    lag: int | None = None,
    adjust: str = "holm",
    level: float = 0.95,
) -> Experience:
    """Say how much more often users leave after a problem, what share of churn goes with it, and what to fix first.

    Each activity is an occasion to leave: the gap that begins on it ends in a return, or reaches the idle days of the
    rule. What happened on that day and before is known when the gap begins.

    Parameters
    ----------
    log : ActivityLog
    kinds : str or sequence of str
        Kinds of events that are problems. They are no activity here, whatever the rule of the log says.
    answers : table, optional
        Satisfaction: `user_id, date, topic, score`.
    columns : mapping, optional
        Our names of the columns of `answers` to yours.
    adjust_for : sequence of str or Feature, optional
        Attributes of the users; features, as of the active day before; "month", the calendar month. By default those
        of channel and stage that there are. Their values are crossed, and each cell has a level of its own; gaps that
        begin with registration are apart. Numbers of active days in the windows of `recency` are always adjusted for:
        who is active more often meets more problems.
    doses : sequence of int
        Where classes of the number of problems on a day begin: 1 and "2 or more".
    recency : sequence of int
        Where windows end, in days before the first day of a gap, which is a window of its own: day 0, days 1 to 7,
        8 to 30.
    lasting : bool
        Fit the history of `.lasting`, too.
    lag : int, optional
        Of that history; by default that of `log.history`. Less than the idle days of the rule is refused.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        For the number of rows of each table.
    level : float
        Of all limits.

    Returns
    -------
    Experience
        ``.table`` has hazard ratios per activity (complementary log-log), errors clustered by user; ``.ranking`` reach,
        effect, attributable share of churn and users lost a month, by kind.

    Raises
    ------
    InputError
        If no kind occurs in the log or has an estimate, the log is too short, or an argument is not understood.
    SchemaError
        If `answers` lacks a column.

    Notes
    -----
    Observational: see ``.notes``.

    Examples
    --------
    >>> import churnsurv as ch
    >>> from churnsurv.simulation import PROBLEMS
    >>> app = ch.simulate_app(1_000, seed=1, problems=PROBLEMS)
    >>> found = experience_hazard(app.log, lasting=False)
    >>> sorted(found.ranking["kind"])
    ['(all)', 'complaint', 'crash', 'lag']
    """
    settings = settings_asked(log, doses, recency, lag, adjust, level)
    there, missing = kinds_asked(log, kinds)
    log, taken = activity_without(log, there)
    attributes, features, month = adjusters_asked(log, adjust_for)
    known_answers = None if answers is None else answers_of(log, answers, columns or {})
    gaps = problem_gaps(log, there, features)
    known, counted, counts, names = counted_gaps(gaps, there, attributes, settings, month=month)
    problems = problem_models(known, there, settings)
    rows, absent = list(problems.rows), [*missing, *problems.absent]
    counts |= _problem_counts(gaps, there) | {"with_absent": int(known.counts[0].sum() - problems.any.asked.n.sum())}
    notes = list(experience_notes(counts, names, until=gaps.until, idle_days=log.rule.idle_days, kinds=there))
    notes += [] if taken is None else [taken]
    notes += problems.notes
    if known_answers is not None:
        counts |= {"answers_read": known_answers.n_read, "answers_rejected": len(known_answers.rejects)}
        more, without = answer_rows(known_answers, gaps, known, counted, settings.recency[-1], level=level)
        rows, absent = rows + more, absent + without
        notes += answer_notes(counts, settings.recency[-1])
    later = Lasting([], None, [])
    if lasting:
        strata = [each for each in names if each in (*attributes, "stage")]
        later = lasting_rows(log, problems.kinds, strata, gaps.users, window=settings.recency[-1], lag=lag, level=level)
        others = [each for each in names if each not in (*strata, REGISTRATION)]
        notes += [_not_lasting(others)] if others and later.rows else []
        notes += later.notes
    rate = churns_a_month(gaps, known, counted, problems.any, settings)
    problems = replace(problems, shares=replace(problems.shares, churns_a_month=rate))
    return _result(log, settings, gaps, problems, known_answers, later, rows, absent, counts, notes, names, counted)


def _not_lasting(names: Sequence[str]) -> str:
    return note(
        "The lasting effects are not adjusted for {variables}.", variables=said_list([called(n) for n in names])
    )


def _problem_counts(gaps: ProblemGaps, kinds: Sequence[str]) -> dict[str, int]:
    """Problem events up to the last day on which a gap may begin, and those on days without activity."""
    mine = gaps.problems[gaps.problems["kind"].isin(list(kinds))]
    own = (gaps.user.astype(np.int64) << 24) + gaps.start
    key = (mine["user"].to_numpy(dtype=np.int64) << 24) + mine["day"].to_numpy(dtype=np.int64)
    n = mine["n"].to_numpy(dtype=np.int64)
    return {"problems": int(n.sum()), "between": int(n[~np.isin(key, own)].sum())}


def _result(
    log: ActivityLog,
    settings: Settings,
    gaps: ProblemGaps,
    problems: Problems,
    answers: Answers | None,
    later: Lasting,
    rows: list[dict[str, Any]],
    absent: list[Absent],
    counts: dict[str, int],
    notes: list[str],
    names: tuple[str, ...],
    counted: Flags,
) -> Experience:
    shares = problems.shares
    level, adjust = settings.level, settings.adjust
    ratios = {row["kind"]: row for row in rows if row["model"] == "any"}
    ranking = ranking_rows(shares, ratios, reach_of(gaps, problems.any, counted), level=level)
    return Experience(
        kinds=problems.kinds,
        topics=() if answers is None else answers.topics,
        adjusted_for=names,
        doses=settings.doses,
        recency=settings.recency,
        lag=later.lag,
        until=gaps.until,
        fit=problems.any,
        adjust=adjust,
        level=level,
        rule=log.rule,
        counts=MappingProxyType(counts),
        notes=tuple(notes),
        _table=frame_of("experience", with_adjusted(rows, adjust)),
        _ranking=frame_of("experience_ranking", ranking),
        _differences=frame_of("experience_differences", difference_rows(shares, level=level, adjust=adjust)),
        _lasting=frame_of("experience_lasting", with_adjusted(later.rows, adjust)),
        _absent=frame_of("experience_absent", [each.row() for each in absent]),
        _answer_rejects=frame_of("rejects", []) if answers is None else answers.rejects,
    )
