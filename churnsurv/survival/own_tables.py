"""What the columns of our own tables are to an estimator: which is the time, the event, the entry, the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from churnsurv.data.relation import Relation
from churnsurv.errors import InputError
from churnsurv.tables import Result

__all__ = ["OutcomeColumns", "Said", "outcome_columns", "said_by"]


@dataclass(frozen=True, slots=True)
class OutcomeColumns:
    """Names of the columns that say when a row ended, whether by the event, and since when it was at risk."""

    duration: str = "duration"
    event: str = "churned"
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class _Own:
    """One of our own tables.

    `clustered`: users have several rows, "always" or only where its attribute or fact of this name is "all". `refused`:
    why nothing can be estimated from it.
    """

    columns: OutcomeColumns
    clustered: str = "always"
    refused: str | None = None

    def several_rows(self, said: object) -> bool:
        """Whether users have several rows, given what the table says of itself."""
        return self.clustered == "always" or said == "all"


_PANEL = (
    "a landmark panel is no data for a time to churn. Who has been idle for d days at the landmark churns within "
    "idle_days if there is no activity in the next idle_days - d days, and then on the last of them: a model learns "
    "this arithmetic, and predicts .94 where .74 is true. Model returns on log.gaps(): P(churn | idle for d days) = "
    "S(idle_days) / S(d). Or fit the yes or no of `churned` with a learner of your own on panel.table."
)
_SNAPSHOT = (
    "a snapshot is the state of users on one day and has no outcome: nothing can be estimated from it. Estimate from "
    "log.churn_spells(), log.history() or log.gaps(), and predict for the snapshot."
)
#: By the name of the schema.
_OWN: Mapping[str, _Own] = {
    "spells": _Own(OutcomeColumns(entry="entry"), clustered="spells"),
    "history": _Own(OutcomeColumns(duration="stop", entry="start")),
    "gaps": _Own(OutcomeColumns(event="returned", entry="entry")),
    "panel": _Own(OutcomeColumns(), refused=_PANEL),
    "snapshot": _Own(OutcomeColumns(), refused=_SNAPSHOT),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a table says of itself.

    Attributes
    ----------
    schema : str or None
        Name of its layout, where it is one of ours, fetched or not.
    facts : mapping
        Rule, window, counts: what goes into the facts of a result.
    known_at : mapping of str to str
        When its columns are known.
    cluster : str or None
        The column of users, where they have several rows.
    """

    schema: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    known_at: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None


def said_by(data: object) -> Said:
    """Return what a table says of itself; any table but ours says nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> said_by(pd.DataFrame())
    Said(schema=None, facts={}, known_at={}, cluster=None)
    """
    own = _OWN.get(_schema(data) or "")
    known = {} if own is None else {"spell": "origin"}
    if isinstance(data, Relation):
        several = own is not None and own.several_rows(data.facts.get(own.clustered))
        return Said(data.schema, data.facts, {**known, **data.known_at}, "user_id" if several else None)
    if isinstance(data, Result):
        several = own is not None and own.several_rows(getattr(data, own.clustered, None))
        known |= getattr(data, "known_at", None) or {}
        return Said(data._schema, data._facts(), known, "user_id" if several else None)
    return Said()


def outcome_columns(data: object, *, duration: str, event: str, entry: str | None) -> OutcomeColumns:
    """Return the columns of the outcome: those named, else those of our own table.

    Raises
    ------
    InputError
        If the table is one of ours that holds no time to an event.

    Examples
    --------
    >>> import pandas as pd
    >>> outcome_columns(pd.DataFrame(), duration="days", event="churned", entry=None)
    OutcomeColumns(duration='days', event='churned', entry=None)
    """
    own = _OWN.get(_schema(data) or "")
    if own is None:
        return OutcomeColumns(duration, event, entry)
    if own.refused is not None:
        raise InputError(f"data: {own.refused}")
    usual = OutcomeColumns()
    return OutcomeColumns(
        own.columns.duration if duration == usual.duration else duration,
        own.columns.event if event == usual.event else event,
        own.columns.entry if entry is None else entry,
    )


def _schema(data: object) -> str | None:
    if isinstance(data, Relation):
        return data.schema
    return data._schema if isinstance(data, Result) else None
