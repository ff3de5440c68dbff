"""What a plan is made from: alerts in order of urgency, opt-outs, responses; matched by ids of one type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, SchemaError, did_you_mean, require_columns
from churnsurv.survival.frames import as_frame, counted, first_of, numeric_column

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.policy import Policy

__all__ = ["NO_DAY", "Alerted", "Answers", "alerted", "opted_out", "positions", "responded"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Days: TypeAlias = NDArray[np.datetime64]

NO_DAY = np.datetime64("NaT", "D")
_NOBODY = "None of {n} names a user of these alerts. If that is odd, compare their ids with those of the log."
_NEEDED = ("user_id", "date", "status", "tier", "idle_days", "risk")
#: The largest id of 64 bits with a sign; shorter numbers than this many digits are never beyond it.
_MOST, _DIGITS = int(np.iinfo(np.int64).max), 19
#: What people write for an opt-out of every channel.
_EVERY = ("all", "any", "every", "*")
_ISO_DAY = r"\d{4}-\d{2}-\d{2}([T ].*)?"


@dataclass(frozen=True, slots=True, eq=False)
class Alerted:
    """The alerts of a day, n rows, most urgent first.

    Attributes
    ----------
    day, contact_on : date
        The day at whose end they hold, and the next one.
    frame : DataFrame
        The alerts, in this order.
    ids : pandas.Index
        Of the users, each once: whole numbers or text.
    tiers : tuple of str
        Highest first.
    tier : (n,) int64
        Place in `tiers`; -1 where the alert is resolved.
    idle_days : (n,) int64
    risk : (n,) float64
        NaN where it is not known.
    churn_days : int
        Days without activity that make a churn.
    """

    day: date
    contact_on: date
    frame: pd.DataFrame
    ids: pd.Index[Any]
    tiers: tuple[str, ...]
    tier: Ints
    idle_days: Ints
    risk: Floats
    churn_days: int

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.frame)

    @property
    def last_active(self) -> Days:
        """(n,) Last day with activity."""
        return np.datetime64(self.day, "D") - self.idle_days

    @property
    def churn_on(self) -> Days:
        """(n,) Day of formal churn if nothing happens."""
        return self.last_active + self.churn_days


def alerted(alerts: Any, policy: Policy) -> Alerted:
    """Read the alerts of a day.

    Raises
    ------
    InputError
        If they are none, miss what the offers of the policy look at, or have a user twice.
    """
    for name in ("table", "as_of", "tiers", "churn_rule"):
        if not hasattr(alerts, name):
            raise InputError(f"alerts must be what ch.alerts(...) returned, not {type(alerts).__name__}.")
    frame: pd.DataFrame = alerts.table
    require_columns("alerts", _NEEDED, frame.columns)
    _require_features(frame, policy)
    tiers = tuple(alerts.tiers)
    unknown = [name for name in policy.tiers if name not in tiers]
    if unknown:
        raise InputError(
            f"the policy has contacts for the tier {unknown[0]!r}, and the alerts have none of that name."
            f"{did_you_mean(unknown[0], tiers)} Tiers: {', '.join(tiers)}."
        )
    tier = _tier_places(frame, tiers)
    frame, tier = _by_urgency(frame, tier, asked=getattr(alerts, "features", ()))
    idle = numeric_column(frame, "idle_days", "whole days").astype(np.float64)
    if np.isnan(idle).any() or (idle < 0).any():
        raise InputError(f"alerts: idle_days must be days, 0 or more: {first_of(~(idle >= 0), idle)}.")
    day: date = alerts.as_of
    return Alerted(
        day,
        day + timedelta(days=1),
        frame,
        _ids(frame["user_id"]),
        tiers,
        tier,
        idle.astype(np.int64),
        numeric_column(frame, "risk", "probabilities").astype(np.float64),
        int(alerts.churn_rule.idle_days),
    )


def _require_features(frame: pd.DataFrame, policy: Policy) -> None:
    asked = dict.fromkeys([*policy.features, *(each.variable for offer in policy.offers for each in offer.when)])
    missing = [name for name in asked if name not in frame.columns]
    if missing:
        raise SchemaError(
            f"alerts: the offers of the policy look at {', '.join(map(repr, missing))}, which the alerts lack."
            f"{did_you_mean(missing[0], frame.columns)} Make them with ch.alerts(..., features=policy.features)."
        )


def _tier_places(frame: pd.DataFrame, tiers: Sequence[str]) -> Ints:
    import pandas as pd

    column = frame["tier"]
    places: Ints = pd.Categorical(column, categories=list(tiers)).codes.astype(np.int64)
    strange = (places < 0) & column.notna().to_numpy()
    if strange.any():
        raise InputError(f"alerts: the tier {column[strange].iloc[0]!r} is none of {', '.join(tiers)}.")
    odd = (places < 0) != (frame["status"] == "resolved").to_numpy()
    if odd.any():
        raise InputError(f"alerts: a row has no tier if it is resolved, and else has one: {first_of(odd)}.")
    return places


def _by_urgency(frame: pd.DataFrame, tier: Ints, asked: Sequence[str]) -> tuple[pd.DataFrame, Ints]:
    """Highest tier first, resolved ones last; within, by urgency, risk and score, highest first, then by ids.

    That is the order of `ch.alerts`, which is left as it is; rows that were shuffled come back into it. A column that
    was `asked` for, and is called score, is not that of the tiers.
    """
    keys = [np.where(tier < 0, np.iinfo(np.int64).max, tier)]
    for name in ("urgency", "risk", "score"):
        if name in frame.columns and name not in asked:
            numbers = numeric_column(frame, name, "numbers").astype(np.float64)
            keys.append(-np.nan_to_num(numbers, nan=-np.inf))
    ids = _ids(frame["user_id"]).to_numpy()
    tied, in_order = (np.ones(max(len(frame) - 1, 0), dtype=np.bool_) for _ in range(2))
    for key in (*keys, ids):
        in_order &= ~tied | (key[1:] >= key[:-1])
        tied &= key[1:] == key[:-1]
    if in_order.all():
        return frame, tier
    rank = np.argsort(np.argsort(ids, kind="stable"), kind="stable")
    order = np.lexsort((rank, *keys[::-1]))
    return frame.iloc[order].reset_index(drop=True), tier[order]


# ------------------------------------------------------------------------------------------------------------- ids


def _ids(column: pd.Series[Any]) -> pd.Index[Any]:
    """The users of the alerts: int64 or text, each once."""
    import pandas as pd

    if column.isna().any():
        raise InputError(f"alerts: user_id is missing in {first_of(column.isna().to_numpy())}.")
    whole = pd.api.types.is_integer_dtype(column.dtype)
    if whole and len(column) and column.max() > np.iinfo(np.int64).max:
        column, whole = column.astype(str), False  # beyond 64 bits with a sign: compared by their digits
    ids: pd.Index[Any] = pd.Index(column.to_numpy(dtype=np.int64) if whole else column.astype(object).to_numpy())
    if not whole and pd.api.types.infer_dtype(ids, skipna=False) != "string" and len(ids):
        raise SchemaError(f"alerts: 'user_id' has type {column.dtype}; ids must be whole numbers or text.")
    if not ids.is_unique:
        raise InputError(
            f"alerts: user {ids[ids.duplicated()].tolist()[0]!r} has several rows. Alerts have one row a user."
        )
    return ids


def positions(ids: pd.Index[Any], others: pd.Series[Any], what: str) -> Ints:
    """Where each of the other ids stands among `ids`; -1 for not at all.

    Ids are compared as one type: text that reads as a whole number without loss is one where `ids` are. Spaces around
    text do not count.

    Raises
    ------
    SchemaError
        If an id is missing, can never be one of `ids` (a type of its own would match nobody, without a word), or is one
        of them but for upper and lower case.
    """
    import pandas as pd

    if not len(others):
        return np.zeros(0, dtype=np.int64)
    gone = others.isna().to_numpy()
    if gone.any():
        raise SchemaError(f"{what}: user_id is missing in {first_of(gone)}. Say whom these rows are about.")
    if not len(ids):
        return np.full(len(others), -1, dtype=np.int64)
    if ids.dtype.kind != "i":
        return _places_of_text(ids, pd.Index(_as_text(others, ids, what)), what)
    asked, fits = _as_whole(others, what)
    found: Ints = ids.get_indexer(pd.Index(asked)).astype(np.int64)
    found[~fits] = -1
    return found


def _places_of_text(ids: pd.Index[Any], others: pd.Index[Any], what: str) -> Ints:
    """Where ids that are text stand; spaces around them do not count, and another case is refused, not overlooked."""
    found: Ints = ids.get_indexer(others).astype(np.int64)
    missed = np.flatnonzero(found < 0)
    if not missed.size:
        return found
    bare, rest = ids.str.strip(), others[missed].str.strip()
    if bare.is_unique:
        found[missed] = bare.get_indexer(rest)
        missed, rest = missed[found[missed] < 0], rest[found[missed] < 0]
    alike = rest.str.casefold().isin(bare.str.casefold())
    if alike.any():
        given = str(rest[alike][0])
        meant = next(str(each) for each in bare if str(each).casefold() == given.casefold())
        raise SchemaError(
            f"{what}: user_id {given!r} is {meant!r} in the alerts, but for upper and lower case. Write ids as the log "
            "has them: as they are, this row would be nobody's."
        )
    return found


def _as_whole(others: pd.Series[Any], what: str) -> tuple[Ints, Flags]:
    """Ids as int64, and which of them fit into it: one beyond belongs to none of users whose ids all do."""
    import pandas as pd

    everyone = np.ones(len(others), dtype=np.bool_)

    if pd.api.types.is_bool_dtype(others.dtype):
        raise SchemaError(f"{what}: 'user_id' has type bool; ids must be whole numbers or text.")
    if pd.api.types.is_integer_dtype(others.dtype):
        fits = (others <= _MOST).to_numpy(dtype=np.bool_)
        return others.where(fits, 0).to_numpy(dtype=np.int64), fits
    if pd.api.types.is_float_dtype(others.dtype):
        floats = others.to_numpy(dtype=np.float64)
        bad = (floats != np.floor(floats)) | (np.abs(floats) >= 2.0**53)
        if bad.any():
            raise SchemaError(f"{what}: user_id must be whole numbers as in the alerts: {first_of(bad, floats)}.")
        return floats.astype(np.int64), everyone
    text = others.astype(str).str.strip()
    bad = ~text.str.fullmatch(r"-?(0|[1-9][0-9]*)").to_numpy(dtype=np.bool_)
    if bad.any():
        raise SchemaError(
            f"{what}: user_id is text that is no plain whole number, and whole numbers in the alerts: "
            f"{first_of(bad, text.to_numpy())}. Give both ids of the same type."
        )
    long = np.flatnonzero((text.str.len() >= _DIGITS).to_numpy(dtype=np.bool_))
    fits = everyone
    fits[long] = [len(each) <= _DIGITS + 1 and -_MOST - 1 <= int(each) <= _MOST for each in text.iloc[long]]
    return text.where(fits, "0").to_numpy().astype(np.int64), fits


def _as_text(others: pd.Series[Any], ids: pd.Index[Any], what: str) -> Any:
    import pandas as pd

    if pd.api.types.is_integer_dtype(others.dtype):
        padded = ids[ids.str.fullmatch(r"0[0-9]+")]
        if len(padded):
            raise SchemaError(
                f"{what}: user_id is a whole number, and the alerts have text such as {padded[0]!r}: zeros in front "
                "are lost. Read the column as text."
            )
        return others.astype(str).astype(object).to_numpy()
    values = others.astype(object).to_numpy()
    if pd.api.types.infer_dtype(values, skipna=False) != "string":
        raise SchemaError(
            f"{what}: 'user_id' has type {others.dtype}, and text in the alerts. Give both the same type."
        )
    return values


# ------------------------------------------------------------------------------------------- opt-outs and responses


def opted_out(table: Any, alerts: Alerted, channels: Sequence[str]) -> tuple[Flags, tuple[str, ...]]:
    """Which channels each user has opted out of: shape (n, n_channels); and notes.

    Names of channels are compared without case and spaces around them: "SMS" is meant for "sms". A channel "all",
    "any", "every" or "*" is every channel, unless the policy has one of that name.

    Raises
    ------
    InputError
        If there is no table, or a channel looks like a misspelt one of the policy.
    """
    if table is None:
        raise InputError(
            "opt_outs is missing: without it nobody may be contacted. Pass a table with user_id, and channel where an "
            "opt-out is of one channel alone; an empty one if nobody has opted out."
        )
    frame = _table(table, ("user_id",), ("channel",), "opt_outs")
    place = positions(alerts.ids, frame["user_id"], "opt_outs")
    out = np.zeros((alerts.n, len(channels)), dtype=np.bool_)
    known = place >= 0
    strangers = (_NOBODY.format(n=counted(len(frame), "opt-out")),) if len(frame) and not known.any() else ()
    if "channel" not in frame.columns:
        out[place[known]] = True
        return out, strangers
    every = frame["channel"].isna().to_numpy(dtype=np.bool_)
    said = frame["channel"].astype(object).where(~every, "").astype(str).str.strip().str.lower()
    folded = {name.strip().lower(): i for i, name in enumerate(channels)}
    meant = said.isin([name for name in _EVERY if name not in folded]).to_numpy(dtype=np.bool_)
    out[place[known & (every | meant)]] = True
    for name, i in folded.items():
        out[place[known & (said == name).to_numpy()], i] = True
    blank = (said == "").to_numpy() & ~every
    if blank.any():
        raise InputError(f"opt_outs: channel is an empty text in {first_of(blank)}. Leave it null for all channels.")
    of_all = tuple(f"{n} of the channel {name!r}, taken for every channel." for name, n in _counted(said[meant]))
    return out, (*strangers, *of_all, *_other_channels(said[~every & ~meant], channels, folded))


def _table(table: Any, needed: Sequence[str], optional: Sequence[str], what: str) -> pd.DataFrame:
    import pandas as pd

    if isinstance(table, (str, Path)) and Path(table).suffix.lower() == ".csv" and Path(table).is_file():
        # ids as they are written, zeros in front included
        table = pd.read_csv(table, dtype="string", keep_default_na=False, na_values=[""])
    return as_frame(table, columns=(), needed=needed, optional=optional, what=what)


def _other_channels(said: pd.Series[Any], channels: Sequence[str], folded: Mapping[str, int]) -> tuple[str, ...]:
    others = _counted(said[~said.isin(list(folded))])
    for name, _ in others:
        hint = did_you_mean(name, channels)
        if hint:
            raise InputError(
                f"opt_outs: the policy has no channel {name!r}.{hint} A misspelt opt-out would be no opt-out: write "
                "the channel as in the policy, or leave these rows out if another one is meant."
            )
    return tuple(f"{n} of {name!r}, a channel that the policy does not use." for name, n in others)


def _counted(said: pd.Series[Any]) -> list[tuple[str, str]]:
    """Each channel with its opt-outs: "2 opt-outs"."""
    return [(str(name), counted(int(n), "opt-out")) for name, n in said.value_counts().sort_index().items()]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers of n users in their present silence: the last day, NaT for none; and the rows that were not used."""

    on: Days
    counts: Mapping[str, int]


def responded(table: Any, alerts: Alerted) -> Answers:
    """When each user last answered in the present silence, as far as was known at the end of the day.

    Raises
    ------
    SchemaError
        If a column is missing, or an id or day cannot be read.
    """
    on = np.full(alerts.n, NO_DAY)
    if table is None:
        return Answers(on, MappingProxyType({"later": 0}))
    frame = _table(table, ("user_id", "responded_on"), (), "responses")
    place = positions(alerts.ids, frame["user_id"], "responses")
    days = _days(frame["responded_on"])
    known = days <= np.datetime64(alerts.day, "D")
    used = known & (place >= 0)
    order = np.argsort(days[used], kind="stable")
    on[place[used][order]] = days[used][order]  # of several, the latest is written last
    on[~(on > alerts.last_active)] = NO_DAY
    return Answers(on, MappingProxyType({"later": int(np.count_nonzero(~known))}))


def _days(column: pd.Series[Any]) -> Days:
    import pandas as pd

    _require_days(column)
    try:
        moments = pd.to_datetime(column, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise SchemaError(f"responses: 'responded_on' cannot be read as days ({error}).") from error
    if moments.isna().any():
        raise SchemaError(f"responses: responded_on is missing in {first_of(moments.isna().to_numpy())}.")
    if getattr(moments.dtype, "tz", None) is not None:
        raise SchemaError("responses: responded_on has a time zone. Convert it to days of the log's time zone first.")
    found: Days = moments.to_numpy().astype("datetime64[D]")
    return found


def _require_days(column: pd.Series[Any]) -> None:
    """Raise where days are numbers, which say nothing of their unit, or text that can be read in two ways."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return
    there = column[column.notna().to_numpy()].astype(object)
    text = there.map(lambda each: isinstance(each, str)).to_numpy(dtype=np.bool_)
    day = there.map(lambda each: isinstance(each, (date, np.datetime64))).to_numpy(dtype=np.bool_)
    text[text] = there[text].astype(str).str.strip().str.fullmatch(_ISO_DAY).to_numpy(dtype=np.bool_)
    bad = ~(text | day)
    if bad.any():
        raise SchemaError(
            "responses: 'responded_on' must be dates, or text such as '2025-04-01': numbers have no unit, and days and "
            f"months can be confused; {first_of(bad, there.to_numpy())}."
        )
