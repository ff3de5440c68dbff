"""The contact plan of a day: who gets what, who waits, who is held out, who is left out, each with the reason.

A plan is a pure function of the alerts of a day, the policy, what the ledger holds of earlier days, opt-outs and
responses. It sends nothing and writes nothing: `Ledger.record` does the latter, a CRM or an operator the former.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from churnsurv.action.plan_costs import base_shares, plan_costs
from churnsurv.action.plan_deciding import actions, decide, next_sending_day
from churnsurv.action.plan_history import first_day, history
from churnsurv.action.plan_inputs import alerted, opted_out, responded
from churnsurv.action.plan_notes import plan_notes
from churnsurv.action.plan_offers import offered
from churnsurv.action.plan_table import CONTACT_COLUMNS, enrolled_table, plan_table, window
from churnsurv.action.plan_words import ACTIONS, to_text
from churnsurv.action.policy import Policy
from churnsurv.action.policy_sequences import require_possible_waits
from churnsurv.errors import InputError
from churnsurv.survival.frames import counted, numeric_column
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.plan_inputs import Alerted
    from churnsurv.data.rule import ChurnRule

__all__ = ["AlertsOfDay", "LedgerView", "Plan", "ReadableLedger", "plan_actions"]


class AlertsOfDay(Protocol):
    """What a plan needs of alerts: those of `churnsurv.alerts`."""

    @property
    def table(self) -> pd.DataFrame:
        """Schema "alerts", and what the offers look at."""

    @property
    def as_of(self) -> datetime.date:
        """The day at whose end they hold."""

    @property
    def tiers(self) -> tuple[str, ...]:
        """Highest first."""

    @property
    def churn_rule(self) -> ChurnRule:
        """What makes a churn."""


class LedgerView(Protocol):
    """What a ledger holds of days before a day, of all campaigns."""

    @property
    def enrolled(self) -> pd.DataFrame:
        """Columns user_id, campaign, arm, assigned_on and others."""

    @property
    def contacts(self) -> pd.DataFrame:
        """Contacts since the day asked for, and those whose promise is open; the columns of `Plan.contacts`."""

    @property
    def totals(self) -> Any:
        """A table of user_id, campaign, n_contacts: of all contacts."""

    @property
    def spent(self) -> Any:
        """A table of campaign, channel, offer, cost, reward: of all contacts."""

    @property
    def state(self) -> str:
        """What the plan was based on."""


class ReadableLedger(Protocol):
    """What a plan needs of a ledger: it only reads."""

    def before(self, date: datetime.date, *, since: datetime.date) -> LedgerView:
        """What was recorded for earlier days; contacts one by one since a day."""

    def last_day(self) -> datetime.date | None:
        """The last recorded day of all campaigns."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan(Result):
    """What is done with each alert of a day; made by `plan_actions`.

    Attributes
    ----------
    date : date
        The day at whose end the plan was made.
    contact_on : date
        The next day, on which its contacts go out.
    policy : Policy
    dry_run : bool
        Whether the ledger has recorded a later day, of whatever campaign, so that this one can only be looked at.
    based_on : str
        State of the ledger that the plan was made on.
    digest : str
        SHA-256 of what the plan decides; the same plan has the same.
    counts : Mapping of str to int
        `alerts`; rows by action (`contact`, `wait`, `hold out`, `leave out`, `close`), which add up to them; `enrolled`
        today, `held out today` of them; `escalated` contacts.
    reasons : Mapping of str to int
        Rows by reason.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "plan"

    date: datetime.date
    contact_on: datetime.date
    policy: Policy
    dry_run: bool
    based_on: str
    digest: str
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    notes: tuple[str, ...]
    _window: tuple[str, str] | None
    _table: pd.DataFrame
    _enrolled: pd.DataFrame
    _costs: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each alert, in the order of the alerts; schema "plan"."""
        return self._table.copy()

    @property
    def contacts(self) -> pd.DataFrame:
        """Whom to contact: the rows that the ledger records, and a CRM takes."""
        rows = self._table.loc[self._table["action"] == "contact", list(CONTACT_COLUMNS)]
        return rows.astype({"step": np.int64, "place": np.int64}).reset_index(drop=True)

    @property
    def enrolled(self) -> pd.DataFrame:
        """Who is drawn into an arm, or held out, by this plan: the first assignments that the ledger records."""
        return self._enrolled.copy()

    @property
    def costs(self) -> pd.DataFrame:
        """What it costs, by channel and offer, and how many returns pay for it; schema "plan_costs"."""
        return self._costs.copy()

    def to_text(self, limit: int = 30) -> str:
        """The plan as an operator reads it, with the first `limit` contacts."""
        return to_text(self, limit)

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV; cells that a spreadsheet would run as formulas are escaped."""
        from churnsurv.action.export import csv_text

        place = Path(path)
        place.write_text(csv_text(self._table), encoding="utf-8", newline="")
        return place

    def __str__(self) -> str:
        return self.to_text()

    def _headline(self) -> str:
        counts = self.counts
        said: list[str] = [counted(counts["contact"], "contact")]
        said += [f"{counts[name]:,} {name}" for name in ACTIONS if name != "contact" and counts[name]]
        dry = " (dry run)" if self.dry_run else ""
        return f"{self.policy.campaign!r}, {self.contact_on}{dry}: {', '.join(said)}"

    def _facts(self) -> dict[str, Any]:
        names = ("date", "contact_on", "dry_run", "based_on", "digest", "counts", "reasons", "notes")
        return {name: getattr(self, name) for name in names} | {"policy": self.policy.to_plain()}


def plan_actions(
    alerts: AlertsOfDay,
    policy: Policy,
    *,
    ledger: ReadableLedger,
    opt_outs: Any,
    responses: Any = None,
    forecasts: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan the contacts of a day; nothing is sent, and the ledger is only read.

    Users who are in an arm go on with their sequence, then new users are enrolled; both most urgent first. A new user
    is enrolled where the first contact of every arm could go out, and only then is the lot drawn: what decides about
    being enrolled never looks at the user's own lot. Only rows of the ledger of earlier days are looked at, so that a
    day planned again, recorded or not, has the same plan.

    Parameters
    ----------
    alerts : Alerts
        What `churnsurv.alerts` returned, with ``features=policy.features``.
    policy : Policy
    ledger : Ledger
        Arms and contacts so far.
    opt_outs : table
        `user_id` and perhaps `channel` (null: all of them): who must not be contacted. Required; an empty table says
        that nobody has opted out.
    responses : table, optional
        `user_id, responded_on`: who answered elsewhere, such as by telephone. An answer ends the sequence of this
        silence; those after the day are not known yet.
    forecasts : Mapping of offer to RewardForecast, optional
        What `RewardRule.forecast` said of the rewards of offers, for the expected cost.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If opt-outs are missing, a wait of the policy cannot happen under the churn rule, the policy and the alerts or
        the ledger do not fit together, or ids cannot be matched.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from churnsurv import simulate_app
    >>> from churnsurv.action import Ledger, Policy
    >>> from churnsurv.warning import Precision, alerts, fit_tiers
    >>> log = simulate_app(n_users=300, seed=1).log
    >>> scheme = fit_tiers(log, objective={"high": Precision(target=0.5)}, tiers=("high",))
    >>> policy = Policy(
    ...     campaign="spring", key="6f1d0c9be2a84735", holdout=0.2, channels={"sms": {"cost": 0.05}},
    ...     contacts={"high": ["sms"]},
    ... )
    >>> nobody = pd.DataFrame({"user_id": []})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger(f"{folder}/contacts.duckdb")
    ...     plan = plan_actions(alerts(scheme, log, as_of="2024-10-01"), policy, ledger=ledger, opt_outs=nobody)
    ...     ledger.record(plan).already
    False
    >>> sum(plan.counts[action] for action in ("contact", "wait", "hold out", "leave out", "close")) == len(plan.table)
    True
    """
    if not isinstance(policy, Policy):
        raise InputError(f"policy must be a ch.Policy, such as Policy.from_toml(path), not {type(policy).__name__}.")
    asked = alerted(alerts, policy)
    require_possible_waits(policy, asked.churn_days)
    least = base_shares(forecasts, policy)
    out, notes = opted_out(opt_outs, asked, list(policy.channels))
    answers = responded(responses, asked)
    view = ledger.before(asked.day, since=first_day(asked, policy))
    known = history(view, asked, policy)
    found = decide(asked, policy, known, out, answers.on)
    action = actions(found)
    rows = np.flatnonzero(action == "contact")
    gifts = offered(rows, asked, policy, known)
    sends = window(policy, asked.contact_on)
    table = plan_table(asked, policy, known, found, answers.on, action, gifts, sends)
    enrolled = enrolled_table(asked, policy, found)
    costs = plan_costs(table.iloc[rows], _margin(asked)[rows], policy, least)
    last = ledger.last_day()
    dry_run = last is not None and asked.day < last
    quiet = next_sending_day(policy, asked.contact_on) > asked.contact_on
    return Plan(
        asked.day, asked.contact_on, policy, dry_run, view.state, _digest(table, enrolled, policy),
        MappingProxyType(_counts(table, enrolled, policy)),
        MappingProxyType({str(name): int(n) for name, n in table["reason"].value_counts().sort_index().items()}),
        (*notes, *plan_notes(asked, policy, known, found, answers, dry_run=dry_run, last=last)),
        None if quiet else sends, table, enrolled, costs,
    )  # fmt: skip


def _margin(asked: Alerted) -> Any:
    if "margin" not in asked.frame.columns:
        return np.full(asked.n, np.nan)
    return numeric_column(asked.frame, "margin", "numbers").astype(np.float64)


def _counts(table: pd.DataFrame, enrolled: pd.DataFrame, policy: Policy) -> dict[str, int]:
    by_action = table["action"].value_counts()
    return {
        "alerts": len(table),
        **{name: int(by_action.get(name, 0)) for name in ACTIONS},
        "enrolled": len(enrolled),
        "held out today": int((enrolled["arm"] == policy.control).sum()),
        "escalated": int(table["escalated"].sum()),
    }


def _digest(table: pd.DataFrame, enrolled: pd.DataFrame, policy: Policy) -> str:
    """SHA-256 of all that is decided; sentences are left out, which say it again."""
    import pandas as pd

    found = hashlib.sha256(policy.digest.encode())
    for part in (table.drop(columns="words"), enrolled):
        for name in part.columns:
            column = part[name]
            found.update(f"\n{name}:".encode())
            if name == "user_id":
                found.update("\n".join(map(str, column.tolist())).encode("utf-8", "surrogatepass"))
            elif column.dtype == object:
                codes, values = pd.factorize(column, use_na_sentinel=True)
                found.update("\n".join(map(str, values)).encode("utf-8", "surrogatepass"))
                found.update(codes.astype("<i8").tobytes())
            elif column.dtype.kind == "M":
                found.update(column.to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
            else:
                found.update(column.to_numpy(dtype=np.float64, na_value=np.nan).astype("<f8").tobytes())
    return found.hexdigest()
