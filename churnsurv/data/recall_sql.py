"""Churned users as SQL: each churn with what the user answered, and what the churned liked to invest in."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.feedback_sql import ABOUT
from churnsurv.data.sql import literal, name
from churnsurv.data.users import text_or_null

if TYPE_CHECKING:
    from churnsurv.data.feedback_sql import Answers
    from churnsurv.data.reading import Reading

__all__ = ["answers_of_churns_sql", "churns_sql", "known_feedback_sql", "preferred_sql"]


def known_feedback_sql(answers: Answers, last: date) -> str:
    """SQL of the answers known at the end of a day: `_user_key, day, moment, reason, _reason` (null: it can be used).

    Rows of later days are not there at all, so that what becomes known later changes nothing.
    """
    return (
        f"SELECT _user_key, _day AS day, {answers.moment} AS moment, {answers.code} AS reason, _reason"
        f" FROM {answers.view} AS f WHERE f._day IS NULL OR f._day <= {literal(last)}"
    )


def answers_of_churns_sql(spells: str, feedback: str) -> str:
    """SQL of the answer that belongs to a churn: `_user_key, spell, answered_on, reason`, one row a churn at most.

    Which spell an answer is about is said in `feedback_sql.about_spells_sql`; of several the latest, and of those of
    one moment the one whose reason comes first.
    """
    return f"""
        SELECT _user_key, spell, answered_on, reason FROM (
            SELECT s._user_key, s.spell, f.day AS answered_on, f.reason,
                   row_number() OVER (PARTITION BY s._user_key, s.spell ORDER BY f.moment DESC, f.reason) AS recency
            FROM {spells} AS s JOIN {feedback} AS f ON s._user_key = f._user_key
            WHERE s.churned AND s.fate IS NULL AND f._reason IS NULL AND {ABOUT.format(day="f.day")}
        ) AS answered WHERE recency = 1
    """


def churns_sql(spells: str, answers: str | None) -> str:
    """SQL of every churn: `_user_key, spell, last_activity, churned_on, returned, answered_on, reason`.

    `answers` is SQL of `answers_of_churns_sql`; None where nobody was asked.
    """
    told = "CAST(NULL AS DATE) AS answered_on, CAST(NULL AS VARCHAR) AS reason" if answers is None else ""
    join = ""
    if answers is not None:
        told = "a.answered_on, a.reason"
        join = f" LEFT JOIN ({answers}) AS a ON s._user_key = a._user_key AND s.spell = a.spell"
    return (
        "SELECT s._user_key, s.spell, s.last_activity, s.end_date AS churned_on, s.next_day IS NOT NULL AS returned,"
        f" {told} FROM {spells} AS s{join} WHERE s.churned AND s.fate IS NULL"
    )


def preferred_sql(reading: Reading, users: str, as_of: date) -> str:
    """SQL of the product that each user of a table invested in most often: `_user_key, preferred_product`.

    Of equally frequent products it is the one with the larger sum, then the one bought last, then the first by name.
    """
    columns = reading.sources["events"].columns
    product = text_or_null(f"e.{name('product')}", columns["product"], always=True)
    invests = "e.kind = 'invest'" if "kind" in columns else "TRUE"
    amount = "CAST(0 AS BIGINT)"
    if "amount" in columns:
        # Whole millionths: no order of their sum matters.
        amount = f"CAST(round(CAST(e.amount AS DOUBLE) * {literal(1_000_000.0)}) AS BIGINT)"
    window = reading.window
    return f"""
        SELECT _user_key, product AS preferred_product FROM (
            SELECT _user_key, product, row_number() OVER (
                PARTITION BY _user_key ORDER BY n DESC, total DESC, latest DESC, product
            ) AS place
            FROM (
                SELECT e._user_key, {product} AS product, count(*) AS n, coalesce(sum({amount}), 0) AS total,
                       max(e._day) AS latest
                FROM {reading.judged("events")} AS e JOIN (SELECT DISTINCT _user_key FROM {users}) AS c
                    ON e._user_key = c._user_key
                WHERE e._reason IS NULL AND e._day BETWEEN {literal(window.first)} AND {literal(as_of)}
                    AND {invests} AND {product} IS NOT NULL
                GROUP BY e._user_key, {product}
            ) AS bought
        ) AS ranked WHERE place = 1
    """
