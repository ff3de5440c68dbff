"""What a caller's tables say of silent users: their score by idle day, and what each of them is worth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.alert_sql import scores_sql
from churnsurv.data.events import number
from churnsurv.data.ids import user_ids
from churnsurv.data.score_days import _scored
from churnsurv.data.sources import MissingColumnsError, Source, open_source
from churnsurv.errors import InputError, SchemaError

if TYPE_CHECKING:
    from churnsurv.data.alert_states import SilentUsers
    from churnsurv.data.log import ActivityLog

__all__ = ["Margins", "SilentScores", "silent_margins", "silent_scores"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_TABLE = "margin"
_MADE = re.compile(r"churnsurv_\d+_\w+")


@dataclass(frozen=True, slots=True, eq=False)
class SilentScores:
    """Scores of n silent users, m rows in the order of user and day.

    Attributes
    ----------
    user, idle : (m,) int64
        Position of the user; idle day, at most 0 for the last score before the silence.
    score : (m,) float64
    n : int
    rows : Mapping of str to int
        Rows of the table, as in `ScoreDays`.
    """

    user: Ints
    idle: Ints
    score: Floats
    n: int
    rows: Mapping[str, int]

    def by_day(self, users: slice, width: int) -> Floats:
        """The score on idle days 0 ... width - 1 of some users; a day without one has that of the day before.

        Returns
        -------
        (n_users, width) float64
            NaN before the first score of a user.
        """
        low, high = np.searchsorted(self.user, [users.start, users.stop])
        found = np.full((users.stop - users.start, width), np.nan)
        idle, mine = np.maximum(self.idle[low:high], 0), self.idle[low:high] < width
        found[self.user[low:high][mine] - users.start, idle[mine]] = self.score[low:high][mine]
        for day in range(1, width):
            none = np.isnan(found[:, day])
            found[none, day] = found[none, day - 1]
        return found

    def age(self, idle: Ints) -> Ints:
        """How many days old the score is on an idle day of each user; -1 where there is none; shape (n,)."""
        known = self.idle <= idle[self.user]
        latest = np.full(self.n, -np.iinfo(np.int64).max)
        np.maximum.at(latest, self.user[known], self.idle[known])
        return np.asarray(np.where(latest < -np.iinfo(np.int64).max // 2, -1, idle - latest))


def silent_scores(log: ActivityLog, users: SilentUsers, table: object) -> SilentScores:
    """Look up a score of the user's own on the days of silences; on a day without a row the last one before holds.

    Parameters
    ----------
    log : ActivityLog
        Of all users, that ends on the day.
    users : SilentUsers
    table : table
        `user_id, date, score`, as for `churnsurv.data.score_days.score_days`; all rows may be of later days.

    Raises
    ------
    SchemaError, InputError
        As there.
    """
    reading = log._reading
    with _scored(reading, table, later=True) as (scores, rows):
        found = reading.engine.arrow(scores_sql(scores, users.table, reading.window.last))
    user = np.cumsum(found["first"].to_numpy().astype(np.int64)) - 1
    there = found["day"].is_valid().to_numpy(zero_copy_only=False)
    since = found["since"].to_numpy().astype(np.int64)[there]
    day = found["day"].drop_null().to_numpy().astype(np.int64)
    score = found["score"].drop_null().to_numpy().astype(np.float64)
    return SilentScores(user[there], day - since, score, users.n, rows)


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """What silent users are worth.

    Attributes
    ----------
    margin : (n,) float64
        In the order of the users; NaN where the table has none.
    unknown : int
        Rows of users that the log does not know; those who registered after the day are known.
    """

    margin: Floats
    unknown: int


def silent_margins(log: ActivityLog, users: SilentUsers, table: object) -> Margins:
    """Look up what users are worth.

    Parameters
    ----------
    log : ActivityLog
        Of all users.
    users : SilentUsers
    table : table
        `user_id, margin`: a data frame, an Arrow table, the path of Parquet or CSV files, or a relation of the log's
        engine. Null and NaN are no margin.

    Raises
    ------
    SchemaError
        If a column is missing or has the wrong type.
    InputError
        If a margin is negative, infinite or no number, or a user has two rows, equal ones too.
    """
    reading, engine = log._reading, log.engine
    try:
        source = open_source(engine, _TABLE, table, {}, ("user_id", "margin"))
    except MissingColumnsError as error:
        raise SchemaError(f"{str(error).partition(' Map names')[0]} Rename its columns.") from error
    read = engine.statement(source.view).rpartition(" FROM ")[2]
    made = [source.view, *([read] if _MADE.fullmatch(read) else [])]
    try:
        # those who register after the day, too: their rows are no mistake
        everybody = reading.known_users
        known = Source("users", everybody, {"user_id": engine.describe(everybody)["user_id"]})
        ids, margin = user_ids(engine, {"users": known, _TABLE: source}), number(source, "margin")
        _check_margins(log, source, margin.value, margin.bad)
        rows = f"SELECT {ids[_TABLE]} AS user_id, CAST({margin.value} AS DOUBLE) AS margin FROM {source.view}"
        theirs = f"SELECT _user_key, {ids['users']} AS user_id FROM {everybody}"
        given = engine.table(
            "margins",
            "SELECT u._user_key, min(m.margin) AS margin, min(u.user_id) AS user_id, count(*) AS n"
            f" FROM ({rows}) AS m LEFT JOIN ({theirs}) AS u ON m.user_id = u.user_id GROUP BY u._user_key",
        )
        made.insert(0, given)
        _check_single(log, given)
        unknown = engine.rows(f"SELECT n FROM {given} WHERE _user_key IS NULL")
        found = engine.arrow(
            f"SELECT m.margin FROM {users.table} AS s LEFT JOIN {given} AS m ON m._user_key = s._user_key"
            " ORDER BY s._user_key"
        )
        return Margins(found["margin"].to_pandas().to_numpy(dtype=np.float64), int(unknown[0][0]) if unknown else 0)
    finally:
        for each in made:
            engine.drop(each)


def _check_margins(log: ActivityLog, source: Source, value: str, bad: str) -> None:
    n_bad, n_negative, example = log.engine.rows(
        f"SELECT count(CASE WHEN {bad} THEN 1 END), count(CASE WHEN {value} < 0 THEN 1 END),"
        f" min(CASE WHEN {bad} OR {value} < 0 THEN CAST(margin AS VARCHAR) END) FROM {source.view}"
    )[0]
    if n_bad or n_negative:
        raise InputError(
            f"margin: {n_bad + n_negative:,} values are negative, infinite or no numbers, such as {example!r}. A margin"
            " is what a user is worth, 0 or more; leave it empty where that is not known."
        )


def _check_single(log: ActivityLog, given: str) -> None:
    n, user = log.engine.rows(f"SELECT count(*), min(user_id) FROM {given} WHERE n > 1 AND _user_key IS NOT NULL")[0]
    if n:
        raise InputError(f"margin: {n:,} users have several rows, such as user {user!r}. Give one row a user.")
