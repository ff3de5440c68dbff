"""Gaps between activities with what users had met by then: problems in the log, and answers about their experience.

Narrow tables leave the engine: one row a gap, one row a user, kind and day with problems, one row an answer. What was
known when a gap began is a look-up in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import category_orders
from churnsurv.data.feature import Feature
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.feedback import judged_feedback
from churnsurv.data.gaps_sql import active_gaps_sql
from churnsurv.data.sql import literal, literals, name
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["ProblemGaps", "kinds_of_events", "problem_gaps", "read_answers"]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_DAY_0 = "DATE '1970-01-01'"


@dataclass(frozen=True, slots=True, eq=False)
class ProblemGaps:
    """Gaps that began so early that the log shows how they ended. Arrays are read-only.

    Attributes
    ----------
    user : (n,) int32
        Row of `users`; gaps are in the order of user and start.
    start : (n,) int32
        The active day on which the gap began, counted from 1970-01-01.
    churned : (n,) bool
        Not active on any of the `idle_days` days after it.
    registration : (n,) bool
        It began on the day of registration.
    users : DataFrame
        `_user_key, user_id`, `_observed` (registered within the log), and the attributes.
    features : DataFrame
        One row a gap: features as of the end of its first day.
    problems : DataFrame
        `user` (row of `users`), `kind`, `day` (as `start`) and `n`, the events; in the order of user and day.
    first, until : date
        First day of the log, and the last day on which a gap may begin.
    """

    user: NDArray[np.int32]
    start: NDArray[np.int32]
    churned: Flags
    registration: Flags
    users: pd.DataFrame
    features: pd.DataFrame
    problems: pd.DataFrame
    first: date
    until: date

    def __post_init__(self) -> None:
        for array in (self.user, self.start, self.churned, self.registration):
            array.setflags(write=False)

    @property
    def observed(self) -> Flags:
        """Of each gap: its user registered within the log."""
        return np.asarray(self.users["_observed"].to_numpy(dtype=np.bool_)[self.user])


def kinds_of_events(log: ActivityLog) -> tuple[str, ...]:
    """Kinds of the accepted events within the log, in order."""
    reading = log._reading
    if "kind" not in reading.sources["events"].columns:
        return ()
    found = reading.engine.rows(f"SELECT DISTINCT kind FROM {_events(reading)} ORDER BY kind")
    return tuple(str(kind) for (kind,) in found)


def problem_gaps(log: ActivityLog, kinds: Sequence[str], features: Sequence[str | Feature] = ()) -> ProblemGaps:
    """Fetch the gaps whose outcome is known, and the days on which users had problems.

    Parameters
    ----------
    log : ActivityLog
    kinds : sequence of str
        Kinds of events that are problems.
    features : sequence of str or Feature
        As `feature.resolve` returns them.

    Raises
    ------
    InputError
        If the log is no longer than the rule.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> events = pd.DataFrame({"user_id": "a", "event_at": "2024-01-03", "kind": ["login", "crash"]})
    >>> found = problem_gaps(ActivityLog(events, users, observed_until="2024-03-01"), ["crash"])
    >>> found.start.tolist(), found.churned.tolist(), found.problems[["day", "n"]].to_numpy().tolist()
    ([19723, 19725], [False, True], [[19725, 1]])
    """
    reading, idle_days = log._reading, log.rule.idle_days
    window = reading.window
    until = window.last - timedelta(days=idle_days)
    if until < window.first:
        raise InputError(
            f"The log covers {window.first} to {window.last}: no gap has had {idle_days} days to end. Take a longer "
            "log."
        )
    reading.require_activity(log._kinds)
    made = reading.engine.table(
        "problem_gaps", active_gaps_sql(reading.judged("events"), reading.users, log._kinds, window, idle_days)
    )
    try:
        rows = reading.engine.arrow(_gaps_sql(log, made, features, until))
    finally:
        reading.engine.drop(made)
    key = rows["user_key"].to_numpy()
    users = _users(reading)
    known = users["_user_key"].to_numpy()
    names = [each if isinstance(each, str) else each.name for each in features]
    orders = category_orders(reading, features, log.stages)
    return ProblemGaps(
        np.searchsorted(known, key).astype(np.int32),
        rows["start"].to_numpy().astype(np.int32),
        rows["churned"].to_numpy().astype(np.bool_),
        rows["registration"].to_numpy().astype(np.bool_),
        users,
        to_pandas(tidy(rows.select([f"f{i}" for i in range(len(names))]).rename_columns(names), orders)),
        _problems(reading, kinds, known, until),
        window.first,
        until,
    )


def _events(reading: Reading) -> str:
    first, last = literal(reading.window.first), literal(reading.window.last)
    return f"{reading.judged('events')} AS e WHERE e._reason IS NULL AND e._day BETWEEN {first} AND {last}"


def _gaps_sql(log: ActivityLog, made: str, features: Sequence[str | Feature], until: date) -> str:
    reading, end = log._reading, literal(until)
    names = [each if isinstance(each, str) else each.name for each in features]
    joins, columns = "", ""
    if features:
        questions = f"(SELECT _user_key, as_of FROM {made} WHERE as_of <= {end})"
        answers = answers_sql(reading, log.rule, features, log.stages, questions, until=until)
        joins = f" LEFT JOIN ({answers}) AS a ON a._user_key = g._user_key AND a.as_of = g.as_of"
        columns = "".join(f", a.{name(each)} AS f{i}" for i, each in enumerate(names))
    return (
        f"SELECT g._user_key AS user_key, CAST(date_diff('day', {_DAY_0}, g.as_of) AS INTEGER) AS start,"
        f" (g.next_day IS NULL OR date_diff('day', g.as_of, g.next_day) > {log.rule.idle_days}) AS churned,"
        f" g.as_of = u.registered_at AS registration{columns}"
        f" FROM {made} AS g JOIN {reading.users} AS u ON g._user_key = u._user_key{joins}"
        f" WHERE g.as_of <= {end} ORDER BY g._user_key, g.as_of"
    )


def _users(reading: Reading) -> pd.DataFrame:
    columns = "".join(f", {name(each)}" for each in reading.users_read.attributes)
    found = reading.engine.arrow(
        f"SELECT _user_key, user_id, registered_at >= {literal(reading.window.first)} AS _observed{columns}"
        f" FROM {reading.users} ORDER BY _user_key"
    )
    return to_pandas(tidy(found, dict(reading.sources["users"].orders), keep=("user_id", "_user_key")))


def _problems(reading: Reading, kinds: Sequence[str], known: NDArray[Any], until: date) -> pd.DataFrame:
    import pandas as pd

    if not kinds:
        return pd.DataFrame({"user": np.zeros(0, np.int32), "kind": [], "day": np.zeros(0, np.int32), "n": []})
    found = reading.engine.arrow(
        f"SELECT e._user_key AS user_key, e.kind, CAST(date_diff('day', {_DAY_0}, e._day) AS INTEGER) AS day,"
        f" CAST(count(*) AS INTEGER) AS n FROM {_events(reading)} AND e.kind IN ({literals(kinds)})"
        f" AND e._day <= {literal(until)} GROUP BY e._user_key, e.kind, e._day ORDER BY user_key, day, e.kind"
    )
    return pd.DataFrame(
        {
            "user": np.searchsorted(known, found["user_key"].to_numpy()).astype(np.int32),
            "kind": found["kind"].to_pandas(),
            "day": found["day"].to_numpy(),
            "n": found["n"].to_numpy(),
        }
    )


def read_answers(log: ActivityLog, answers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read answers with a score, and those that cannot be used with the reason.

    Parameters
    ----------
    log : ActivityLog
    answers : DataFrame
        `user_id, date, topic, score`.

    Returns
    -------
    answers : DataFrame
        `user_key, day` (counted from 1970-01-01), `topic, score`; of several of a user about a topic on a day the last
        one, the mean of those of one moment.
    rejects : DataFrame
        Schema "rejects".

    Raises
    ------
    SchemaError
        If ids cannot be those of the users.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> events = pd.DataFrame({"user_id": "a", "event_at": ["2024-01-03"], "kind": "login"})
    >>> given = pd.DataFrame({"user_id": ["a", "b"], "date": "2024-01-03", "topic": "service", "score": [4, 5]})
    >>> kept, rejects = read_answers(ActivityLog(events, users), given)
    >>> kept[["topic", "score"]].to_numpy().tolist(), rejects["reason"].tolist()
    ([['service', 4.0]], ['unknown_user'])
    """
    reading = log._reading
    window = reading.window
    judged = judged_feedback(reading, _as_feedback(answers))
    found = reading.engine.arrow(
        f"SELECT _user_key AS user_key, CAST(user_id AS VARCHAR) AS user_id, CAST(_at AS VARCHAR) AS given,"
        f" CAST(date_diff('day', {_DAY_0}, _day) AS INTEGER) AS day, {judged.code} AS topic, score, place,"
        f" {judged.moment} AS moment,"
        f" CASE WHEN _reason = 'missing_reason' THEN 'missing_topic' WHEN _reason IS NOT NULL THEN _reason"
        " WHEN score IS NULL THEN 'missing_score'"
        f" WHEN NOT (_day BETWEEN {literal(window.first)} AND {literal(window.last)}) THEN 'outside_window'"
        f" END AS verdict FROM {judged.view} ORDER BY place"
    ).to_pandas()
    bad = found["verdict"].notna()
    kept, mine = found.loc[~bad], ["user_key", "day", "topic"]
    last = kept["moment"] == kept.groupby(mine, observed=True)["moment"].transform("max")
    kept = kept[last].groupby(mine, as_index=False, observed=True)["score"].mean()
    lost = found[bad]
    shows = lost["verdict"].isin(["unparsable_date", "outside_window"])
    value = lost["given"].where(shows, lost["user_id"].where(lost["verdict"] == "unknown_user", None))
    rejects = lost[["place", "user_id", "verdict"]].rename(columns={"place": "row", "verdict": "reason"})
    rejects.insert(0, "table", "answers")
    return kept.reset_index(drop=True), rejects.assign(value=value).reset_index(drop=True)


def _as_feedback(answers: pd.DataFrame) -> Any:
    """Answers under the names of the feedback, whose dates and ids are read the same way."""
    import pandas as pd
    import pyarrow as pa

    score = pd.to_numeric(answers["score"], errors="coerce").astype(np.float64)
    score = score.where(np.isfinite(score))
    made = answers[["user_id", "date", "topic"]].set_axis(["user_id", "date", "reason"], axis=1)
    made["reason"] = made["reason"].astype(object).map(_as_text, na_action="ignore")
    table = pa.Table.from_pandas(made, preserve_index=False)
    table = table.append_column("score", pa.array(score.to_numpy(), from_pandas=True))
    return table.append_column("place", pa.array(np.arange(len(answers))))


def _as_text(topic: object) -> str:
    """Topics of several types in one column; codes that are whole numbers without decimals."""
    return str(int(topic)) if isinstance(topic, float) and topic.is_integer() else str(topic)
