"""Satisfaction: the last answer known when a gap began, and what followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.experience_asked import Absent, Level
from churnsurv.diagnosis.experience_gaps import KnownGaps, LookUp, known_gaps
from churnsurv.diagnosis.experience_models import fit_asked, ratio_rows
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.survival.frames import as_frame

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.data.problem_gaps import ProblemGaps

__all__ = ["Answers", "answer_rows", "answers_of"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_OURS = ("user_id", "date", "topic", "score")
SILENT = note("not answered")


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers that can be used, and the others with the reason (schema "rejects")."""

    table: pd.DataFrame
    rejects: pd.DataFrame
    n_read: int

    @property
    def topics(self) -> tuple[str, ...]:
        """What was asked about, in order."""
        return tuple(sorted(str(each) for each in self.table["topic"].unique()))


def answers_of(log: ActivityLog, answers: Any, columns: Mapping[str, str]) -> Answers:
    """Read answers: `user_id, date, topic, score`, under the names that `columns` gives them.

    Raises
    ------
    InputError
        If no answer can be used.
    SchemaError
        If a column is missing.
    """
    from churnsurv.data.problem_gaps import read_answers

    if not isinstance(columns, Mapping) or (unknown := [each for each in columns if each not in _OURS]):
        what = f"no column {unknown[0]!r}" if isinstance(columns, Mapping) else f"no mapping in {columns!r}"
        raise InputError(
            f"columns maps our names of the answers ({', '.join(_OURS)}) to yours, such as {{'score': 'stars'}}; "
            f"there is {what}."
        )
    theirs = [columns.get(each, each) for each in _OURS]
    frame = as_frame(answers, columns=theirs, needed=theirs, what="answers")[theirs].set_axis(list(_OURS), axis=1)
    table, rejects = read_answers(log, frame.reset_index(drop=True))
    if table.empty:
        why = rejects["reason"].value_counts()
        listed = ", ".join(f"{n:,} {reason}" for reason, n in why.items()) or "there are none"
        raise InputError(f"answers: none of {len(frame):,} rows can be used ({listed}). Check ids, dates and scores.")
    return Answers(table, rejects, len(frame))


def answer_rows(
    answers: Answers, gaps: ProblemGaps, known: KnownGaps, counted: NDArray[np.bool_], within: int, *, level: float
) -> tuple[list[dict[str, Any]], list[Absent]]:
    """Hazard ratios by score of the last answer of the `within` days before a gap, each topic alone.

    Parameters
    ----------
    answers : Answers
    gaps : ProblemGaps
    known : KnownGaps
        Of the gaps that count; what is adjusted for is taken from it.
    counted : (n,) bool
        Which of `gaps` they are.
    within : int
    level : float
    """
    rows: list[dict[str, Any]] = []
    absent: list[Absent] = []
    for topic in answers.topics:
        score, state = _last_scores(answers, gaps, topic, within)
        own = known_gaps(
            known.user,
            known.churned,
            known.cell[known.pattern],
            [state[counted]],
            [each[known.pattern] for each in known.active.T],
        )
        for name, levels in (("score", _by_score(topic, score, own)), ("third", _by_third(topic, score, own))):
            if not levels:
                absent.append(_of_one_value(topic, name, own))
                continue
            fitted, asked = fit_asked(name, own, levels, of_most=False)
            said = note("score") if name == "score" else note("third")
            absent += [each.of(said) for each in asked.absent]
            if fitted is not None:
                rows += ratio_rows(fitted, own, level=level)
    return rows, absent


def _of_one_value(topic: str, name: str, known: KnownGaps) -> Absent:
    """A topic that has nothing to compare."""
    answered, (n, d) = known.state[:, 0] > 0, known.counts
    there = int(n[answered].sum())
    why = note("no gap began with it")
    if there:
        why = note("all scores are the same" if name == "score" else "all scores lie in one third of them")
    return Absent(topic, note("score") if name == "score" else note("third"), why, there, int(d[answered].sum()))


def _last_scores(answers: Answers, gaps: ProblemGaps, topic: str, within: int) -> tuple[Floats, Ints]:
    """Distinct scores of a topic, and for each gap 0, or 1 + the place of the last one known."""
    mine = answers.table[(answers.table["topic"] == topic).to_numpy()]
    score, code = np.unique(mine["score"].to_numpy(dtype=np.float64), return_inverse=True)
    user = np.searchsorted(gaps.users["_user_key"].to_numpy(), mine["user_key"].to_numpy())
    last = LookUp.of(gaps.user, gaps.start, user, mine["day"].to_numpy())
    return score, np.where(last.days <= within, code[last.place] + 1, 0)


def _by_score(topic: str, score: Floats, known: KnownGaps) -> list[Level]:
    """One number, and those without an answer apart: their score has no meaning."""
    state = known.state[:, 0]
    answered = state > 0
    there = np.unique(state[answered]) - 1
    if there.size < 2:
        return []
    n = np.where(answered, known.counts[0], 0).astype(np.float64)
    # around 0 and about 1 in size, whatever the scale: a score may lie a billion points out
    size = float(np.abs(score[there]).max())
    values = np.where(answered, score[np.maximum(state, 1) - 1] / size, 0.0)
    values = np.where(answered, values - values @ n / n.sum(), 0.0)
    spread = float(np.sqrt(values**2 @ n / n.sum()))
    values /= spread
    return [
        Level(topic, note("one point more"), note("one point less"), answered, values, unit=size * spread),
        Level(topic, SILENT, note("answered"), ~answered, shown=False, base=answered),
    ]


def _by_third(topic: str, score: Floats, known: KnownGaps) -> list[Level]:
    """Low, middle and high scores, by the ranks of the scores among the gaps; the high ones are the reference."""
    state, n = known.state[:, 0], known.counts[0]
    of_score = np.bincount(state, n, score.size + 1)[1:]
    total = of_score.sum()
    rank = (np.cumsum(of_score) - of_score / 2) / max(total, 1.0)
    third = np.append(-1, np.where(rank < 1 / 3, 0, np.where(rank > 2 / 3, 2, 1)))[state]
    there = [t for t in (0, 1, 2) if (third == t).any()]
    if len(there) < 2:
        return []
    said = (note("low"), note("middle"), note("high"))
    names = {t: _named(said[t], score[np.unique(state[third == t]) - 1]) for t in there}
    reference = names[there[-1]]
    levels = [Level(topic, names[t], reference, third == t) for t in there[:-1]]
    return [*levels, Level(topic, SILENT, reference, third == -1, beside=True)]


def _named(word: str, score: Floats) -> str:
    low, high = float(score.min()), float(score.max())
    if low == high:
        return note("{third} ({score})", third=word, score=f"{low:g}")
    return note("{third} ({low} to {high})", third=word, low=f"{low:g}", high=f"{high:g}")
