"""The contact ledger: what was planned and recorded, day by day, and who is in which arm of which campaign."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.action.ledger_deliveries import deliveries_of
from churnsurv.action.ledger_plan import PlanFacts, planned_day
from churnsurv.data import contact_store_reading as reading
from churnsurv.data.contact_store import ContactStore
from churnsurv.data.contact_store_rewards import released
from churnsurv.data.contact_store_writing import deliver, record
from churnsurv.data.rule import calendar_day
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog

__all__ = ["Delivered", "Ledger", "LedgerView", "Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `Ledger.record` did.

    Attributes
    ----------
    campaign : str
    date : date
        The day that the plan was made for.
    n_contacts, n_enrolled : int
        Contacts and first assignments of the plan.
    already : bool
        Whether this very plan had been recorded before, so that nothing was written.
    """

    campaign: str
    date: datetime.date
    n_contacts: int
    n_enrolled: int
    already: bool

    def __str__(self) -> str:
        done = "had been recorded before; nothing was written" if self.already else "recorded"
        return f"{self.campaign}, {self.date}: {self.n_contacts:,} contacts, {self.n_enrolled:,} enrolments {done}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What `Ledger.deliver` did.

    Attributes
    ----------
    n_new : int
        Rows that were appended.
    n_known : int
        Rows that said what was known.
    """

    n_new: int
    n_known: int


@dataclass(frozen=True, slots=True, eq=False)
class LedgerView:
    """What the ledger held before a day; made by `Ledger.before`.

    Attributes
    ----------
    date : date
    enrolled : DataFrame
        Schema "ledger_enrolled": everybody who was assigned before.
    contacts : DataFrame
        Schema "ledger_contacts": all contacts of all campaigns before; from `since` on where that was given.
    totals : DataFrame or None
        Where `since` was given: `user_id, campaign, n_contacts`, of all contacts before, also those before `since`.
    spent : DataFrame or None
        Likewise `campaign, channel, n_contacts, cost, reward`, summed exactly.
    last_days : Mapping of str to date
        The last recorded day of each campaign, of those before.
    state : str
        A digest of the recorded days before: a plan is recorded only on the state that it was made on.
    """

    date: datetime.date
    enrolled: pd.DataFrame
    contacts: pd.DataFrame
    totals: pd.DataFrame | None
    spent: pd.DataFrame | None
    last_days: Mapping[str, datetime.date]
    state: str

    def __repr__(self) -> str:
        return (
            f"<LedgerView: before {self.date}, {len(self.enrolled):,} enrolled, {len(self.contacts):,} contacts, "
            f"{len(self.last_days)} campaigns>"
        )


class Ledger:
    """The contacts of all campaigns, in one file that only grows.

    It is what stops a user from being contacted twice for one reason, and what keeps everybody in the arm that they
    were drawn into. A plan is recorded in one transaction: a run that is killed has recorded all of its day or nothing,
    and running it again records what is missing and nothing twice. The file is opened for each operation and closed
    again; while another process has it open, `DataNotReadyError` says so. It holds ids and what was planned, nothing
    else about a person.

    Parameters
    ----------
    path : str or Path
        The file. One that is not there is an empty ledger, made by the first `record`; its folder must be there.

    Raises
    ------
    InputError
        If the path is a folder. Every operation: if the file is no ledger, is one of another format, or cannot be read
        or written.
    DataNotReadyError
        From every operation, if another process holds the file; what holds it is named where the system tells.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger(f"{folder}/contacts.duckdb")
    ...     ledger.before("2025-04-01"), ledger.last_day("spring")
    (<LedgerView: before 2025-04-01, 0 enrolled, 0 contacts, 0 campaigns>, None)
    """

    __slots__ = ("_store",)

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, (str, Path)) or not str(path):
            raise InputError(f"Ledger takes the path of its file, such as 'contacts.duckdb', not {path!r}.")
        place = Path(path).expanduser().resolve()
        if place.is_dir():
            raise InputError(
                f"{str(path)!r} is a folder. Name a file in it, such as {str(place / 'contacts.duckdb')!r}."
            )
        self._store = ContactStore(place)

    @property
    def path(self) -> Path:
        """The file, by its absolute path."""
        return self._store.path

    def __repr__(self) -> str:
        return f"<Ledger: {str(self.path)!r}>"

    # ------------------------------------------------------------------------------------------------- writing

    def record(self, plan: PlanFacts) -> Recorded:
        """Record the plan of a day in one transaction: its enrolments, its contacts, and that the day is done.

        Contacts go out after this, never before: what is recorded counts as sent. The same plan again changes nothing.

        Parameters
        ----------
        plan : Plan
            What `plan_actions` returned.

        Returns
        -------
        Recorded

        Raises
        ------
        InputError
            If the plan is a dry run or of a day before the last recorded one, of whatever campaign; if another plan is
            recorded for its day (with how many contacts differ); if the policy draws other lots than the campaign began
            with; if ids are of another kind than the ledger's; if the plan contradicts the ledger. Nothing is written
            then.
        DataNotReadyError
            If the ledger has changed since the plan was made, or another process has it open. Nothing is written then.
        """
        day = planned_day(plan)
        already = record(self._store, day)
        return Recorded(day.campaign, day.date, day.contacts.num_rows, day.enrolled.num_rows, already)

    def deliver(self, table: Any) -> Delivered:
        """Append what is known of deliveries; rows that say what is known already change nothing.

        Parameters
        ----------
        table : table
            `user_id, campaign, step, delivered_at`, and perhaps `opened_at` (null: not, or not yet): days, or local
            times. An opening may be told later, in a row with the same `delivered_at`.

        Returns
        -------
        Delivered

        Raises
        ------
        InputError
            If a row is of no contact, lies before it, or contradicts what was told before. Nothing is written then.
        SchemaError
            If a column is missing or cannot be read.
        """
        rows = deliveries_of(table)
        return Delivered(*deliver(self._store, rows)) if rows.num_rows else Delivered(0, 0)

    # ------------------------------------------------------------------------------------------------- reading

    def before(self, date: datetime.date | str, *, since: datetime.date | str | None = None) -> LedgerView:
        """Read what was recorded for days before a day, of all campaigns.

        The same whether the day itself has been recorded or not, so that its plan is the same, too.

        Parameters
        ----------
        date : date or ISO text
        since : date or ISO text, optional
            Fetch contacts from this day on only; of those before there are `totals` and `spent`.

        Returns
        -------
        LedgerView
            Rows in the order of day, campaign and user.
        """
        day = calendar_day(date, "date")
        first = None if since is None else calendar_day(since, "since")
        known = reading.known_before(self._store, day, first)
        return LedgerView(
            day,
            known.enrolled,
            known.contacts,
            known.totals,
            known.spent,
            MappingProxyType(known.last_days),
            known.state,
        )

    def recorded(self, date: datetime.date | str, campaign: str) -> str | None:
        """The digest of the plan that is recorded for a day of a campaign; None if there is none."""
        return reading.recorded(self._store, calendar_day(date, "date"), campaign)

    def last_day(self, campaign: str | None = None) -> datetime.date | None:
        """The last recorded day of a campaign, by default of all of them; None if there is none."""
        return reading.last_day(self._store, campaign)

    @property
    def state(self) -> str:
        """A digest of all recorded days."""
        return reading.state(self._store)

    @property
    def days(self) -> pd.DataFrame:
        """The recorded days (schema "ledger_days")."""
        return reading.days(self._store)

    @property
    def contacts(self) -> pd.DataFrame:
        """All contacts (schema "ledger_contacts"), in the order of day, campaign and user."""
        return reading.table(self._store, "contacts")

    @property
    def enrolled(self) -> pd.DataFrame:
        """All first assignments (schema "ledger_enrolled"), in the order of day, campaign and user."""
        return reading.table(self._store, "enrolled")

    @property
    def deliveries(self) -> pd.DataFrame:
        """All that was told of deliveries (schema "ledger_deliveries")."""
        return reading.table(self._store, "deliveries")

    def assignments(self, campaign: str | None = None) -> pd.DataFrame:
        """Who was assigned to which arm: what `campaign_lift`, `lift_monitor` and `escalation_effect` take.

        Parameters
        ----------
        campaign : str, optional
            Only this one.

        Returns
        -------
        DataFrame
            Schema "ledger_assignments", one row for each user and campaign. `assigned_at` is the day on which the first
            contact went out, or would have for those held out: what happens on it is day 1. `second_contact_at` is the
            day of the second contact, `cost` what all contacts cost so far. `delivered_at` and `opened_at`, the first
            of the user, are there once a delivery is known.

        Raises
        ------
        InputError
            If there is no such campaign.
        """
        return reading.assignments(self._store, campaign)

    def rewards(self, log: ActivityLog) -> pd.DataFrame:
        """Which promised rewards the log shows to be released: what `campaign_lift` takes as `rewards`.

        A reward is released on the day on which so much has been invested since its contact went out, that day
        included, as its condition asks, up to and on `promised_until`. Two promises to one user are each judged by
        themselves, by the same investments. Contacts after the end of the log are left out.

        Returns
        -------
        DataFrame
            Schema "ledger_rewards".

        Raises
        ------
        SchemaError
            If the events do not say what was invested, or have ids of another kind than the ledger.
        """
        return released(log, reading.promises(self._store))
