"""What earlier runs of the daily run did: what must not be replaced, and a day that is recorded already.

The ledger says what was planned, the folders what was handed over. Where a run was killed between the two, its folders
lie staged beside their places; where both are gone, the ledger's contacts are written anew.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.action.ledger import Recorded
from churnsurv.errors import InputError
from churnsurv.report.whole_folder import facts_of, is_whole, staged_before
from churnsurv.study.score_folders import ALERTS, MONITOR, PLAN, day_folder

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.ledger import Ledger
    from churnsurv.action.plan import Plan

__all__ = ["Before", "Now", "before_of", "compared"]

#: By what a contact differs from another one of the same user.
_SAID = ("arm", "step", "channel", "offer", "message", "cost", "reward", "reward_condition")


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """A day that is recorded already.

    Attributes
    ----------
    digest : str
        Of its plan.
    recorded : Recorded
    contacts : DataFrame
        What the ledger has of the day, schema "ledger_contacts".
    put : bool
        Whether its files, which a run before had made, were put in their place only now.
    whole : bool
        Whether the folder of the plan has all its files.
    """

    digest: str
    recorded: Recorded
    contacts: pd.DataFrame
    put: bool
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Now:
    """What has changed since a day was recorded.

    Attributes
    ----------
    n_differ : int
        Users whose contact would be another one, or none, or one now.
    out : (n_contacts,) bool
        Which of the recorded contacts opt-outs of now forbid.
    opted_out : tuple
        The users of these.
    """

    n_differ: int
    out: Any
    opted_out: tuple[Any, ...]


def before_of(folder: Path, ledger: Ledger, campaign: str, day: datetime.date) -> Before | None:
    """Look up what earlier runs did, and put in place what they staged; None where the day is not recorded.

    Raises
    ------
    InputError
        If the ledger does not know a plan of the campaign that was handed over, or a plan of another campaign, which
        must not be replaced, lies where that of the day would.
    DataNotReadyError
        If another process is at work on the day or the ledger.
    """
    days = ledger.days
    days = days[days["campaign"] == campaign]
    plans = {str(date)[:10]: str(plan) for date, plan in zip(days["date"], days["plan"], strict=True)}
    place = day_folder(folder, "plan", day)
    _refuse_other(place, campaign, day)
    _refuse_lost(folder, campaign, plans, ledger.path)
    digest = plans.get(str(day))
    put = _put_staged(folder, day, digest)
    if digest is None:
        return None
    row = days[days["plan"] == digest].iloc[0]
    recorded = Recorded(campaign, day, int(row["n_contacts"]), int(row["n_enrolled"]), True)
    view = ledger.before(day + datetime.timedelta(days=1), since=day).contacts
    mine = view[(view["campaign"] == campaign) & (view["date"].astype(str).str[:10] == str(day))].reset_index(drop=True)
    facts = facts_of(place, PLAN)
    whole = facts is not None and _digest_of(facts) == digest and is_whole(place, PLAN)
    return Before(digest, recorded, mine, put, whole)


def _digest_of(facts: dict[str, Any]) -> str | None:
    found = facts.get("plan")
    return str(found["sha256"]) if isinstance(found, dict) and "sha256" in found else None


def _refuse_other(place: Path, campaign: str, day: datetime.date) -> None:
    facts = facts_of(place, PLAN)
    if facts is None or facts.get("dry_run") is not False or facts.get("campaign") == campaign:
        return
    raise InputError(
        f"{str(place)!r} holds the contacts of {day} of campaign {facts.get('campaign')!r}, which may not have been "
        f"sent yet; those of {campaign!r} would replace them. Give this campaign a folder of its own: [score] folder. "
        "Nothing was recorded or written."
    )


def _refuse_lost(folder: Path, campaign: str, plans: dict[str, str], ledger: Path) -> None:
    """Refuse a ledger that does not know what was handed over: everybody would be contacted again."""
    for place in sorted((folder / "plan").glob("as_of=*")):
        facts = facts_of(place, PLAN)
        if facts is None or facts.get("dry_run") is not False or facts.get("campaign") != campaign:
            continue
        day = str(facts.get("as_of"))
        if plans.get(day) != _digest_of(facts):
            other = "no plan" if day not in plans else "another plan"
            raise InputError(
                f"{str(place)!r} holds the contacts of {day} of campaign {campaign!r}, and the ledger {str(ledger)!r} "
                f"has {other} of that day: it is a new, an older or another one, and users would be contacted again. "
                "Restore the ledger that these contacts were recorded in; if it is lost, give the campaign a new name "
                "and move its folders elsewhere. Nothing was recorded or written."
            )


def _put_staged(folder: Path, day: datetime.date, digest: str | None) -> bool:
    """Put the staged folders of the recorded plan into place, the plan last, and remove all others."""
    put = False
    current = facts_of(day_folder(folder, "plan", day), PLAN)
    there = digest is not None and current is not None and _digest_of(current) == digest
    for what, contents in (("alerts", ALERTS), ("monitor", MONITOR), ("plan", PLAN)):
        for key, staged in staged_before(day_folder(folder, what, day), contents).items():
            if key != digest or there:
                staged.drop()
                continue
            try:
                staged.put()
            finally:
                staged.release()
            put = put or what == "plan"
    return put


def compared(before: Before, plan: Plan, opt_outs: Any) -> Now:
    """Compare what was recorded for a day with what is known and would be planned now.

    Raises
    ------
    InputError
        If the opt-outs cannot be read.
    """
    said = [_sayings(table) for table in (before.contacts, plan.contacts)]
    differ = {user for user, *_ in said[0] ^ said[1]}
    out = _forbidden(before.contacts, plan, opt_outs)
    return Now(len(differ), out, tuple(before.contacts.loc[out, "user_id"].tolist()))


def _sayings(table: pd.DataFrame) -> set[tuple[str, ...]]:
    import pandas as pd

    def said(value: Any) -> str:
        return "" if pd.isna(value) else f"{value:.9g}" if isinstance(value, float) else str(value)

    columns = [[said(value) for value in table[name].tolist()] for name in ("user_id", *_SAID)]
    return set(zip(*columns, strict=True))


def _forbidden(contacts: pd.DataFrame, plan: Plan, opt_outs: Any) -> Any:
    """Which contacts are by a channel that their user has opted out of."""
    import pandas as pd

    from churnsurv.action.plan_inputs import Alerted, opted_out

    n = len(contacts)
    ids = contacts["user_id"]
    whole = pd.api.types.is_integer_dtype(ids.dtype)
    index = pd.Index(ids.to_numpy(dtype=np.int64) if whole else ids.astype(object).to_numpy())
    none = np.zeros(n, dtype=np.int64)
    users = Alerted(plan.date, plan.contact_on, contacts, index, (), none, none, np.zeros(n), 0)
    channels = list(dict.fromkeys([*plan.policy.channels, *contacts["channel"].astype(str)]))
    out, _ = opted_out(opt_outs, users, channels)
    return out[np.arange(n), [channels.index(each) for each in contacts["channel"].astype(str)]]
