"""What the ledger needs of a plan, and how its tables are read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from churnsurv.data.contact_store_writing import PlannedDay
from churnsurv.errors import InputError, SchemaError, require_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["PlanFacts", "PolicyFacts", "columns_of", "planned_day"]


class _Arm(Protocol):
    @property
    def share(self) -> float: ...


class PolicyFacts(Protocol):
    """What the ledger needs of a policy."""

    @property
    def campaign(self) -> str:
        """The campaign's name."""

    @property
    def digest(self) -> str:
        """A digest of all of it, without the key."""

    @property
    def draw(self) -> str:
        """A digest of what the lots hang on: campaign, key, hold-out, arms with their shares, control."""

    @property
    def holdout(self) -> float:
        """Share held out."""

    @property
    def control(self) -> str:
        """The arm of those held out."""

    @property
    def arms(self) -> Mapping[str, Any] | None:
        """The other arms."""


class PlanFacts(Protocol):
    """What the ledger needs of a plan."""

    @property
    def date(self) -> datetime.date:
        """The day whose end it was made at."""

    @property
    def contact_on(self) -> datetime.date:
        """The day on which its contacts go out."""

    @property
    def policy(self) -> PolicyFacts:
        """Its policy."""

    @property
    def based_on(self) -> str:
        """`LedgerView.state` of what it was made on."""

    @property
    def digest(self) -> str:
        """A digest of the plan."""

    @property
    def dry_run(self) -> bool:
        """Whether it must not be recorded."""

    @property
    def contacts(self) -> pd.DataFrame:
        """Who is contacted, in the columns of schema "ledger_contacts"."""

    @property
    def enrolled(self) -> pd.DataFrame:
        """Who is assigned to an arm, in the columns of schema "ledger_enrolled"."""


_KINDS = {"text": "string", "integer": "int32", "number": "float64", "date": "date32"}


def planned_day(plan: PlanFacts) -> PlannedDay:
    """Read a plan.

    Raises
    ------
    InputError
        If it is a dry run.
    SchemaError
        If its tables lack a column, or one has the wrong type or holes.
    """
    policy = plan.policy
    if plan.dry_run:
        raise InputError(
            f"The plan of {plan.date} of campaign {policy.campaign!r} is a dry run: a later day is recorded, or it was "
            "asked for as one. Only the plan of a new day is recorded. Nothing was written."
        )
    arms = {str(name): _share(arm) for name, arm in (policy.arms or {}).items()}
    lots = {"arms": arms, "control": policy.control, "holdout": policy.holdout}
    return PlannedDay(
        campaign=policy.campaign,
        date=plan.date,
        contact_on=plan.contact_on,
        plan=plan.digest,
        policy=policy.digest,
        draw=policy.draw,
        lots=json.dumps(lots, sort_keys=True, ensure_ascii=False),
        based_on=plan.based_on,
        contacts=columns_of(plan.contacts, "ledger_contacts", "plan.contacts", _NEEDED_OF_CONTACTS),
        enrolled=columns_of(plan.enrolled, "ledger_enrolled", "plan.enrolled", _NEEDED_OF_ENROLMENTS),
    )


_NEEDED_OF_CONTACTS = ("user_id", "campaign", "arm", "step", "date", "contact_on", "channel")
_NEEDED_OF_ENROLMENTS = ("user_id", "campaign", "arm", "assigned_on", "contact_on")


def _share(arm: object) -> float:
    return float(getattr(arm, "share", arm))  # type: ignore[arg-type]


def columns_of(table: pd.DataFrame, layout: str, what: str, needed: tuple[str, ...]) -> pa.Table:
    """The columns of a schema as an Arrow table of fixed types; the user first, and in the type that it has.

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type, or one of `needed` has holes.
    """
    import pyarrow as pa

    from churnsurv.tables import schema

    columns = schema(layout).columns
    require_columns(what, [column.name for column in columns], table.columns)
    made = {}
    for column in columns:
        values = _array(table[column.name], f"{what}: {column.name!r}")
        kind = getattr(pa, _KINDS[column.kind])() if column.kind != "any" else _id_type(values.type, what)
        try:
            made[column.name] = values.cast(kind)
            if pa.types.is_timestamp(values.type) and not made[column.name].cast(values.type).equals(values):
                raise pa.ArrowInvalid("some have a time of day")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(
                f"{what}: {column.name!r} has type {values.type}; {column.kind} is needed ({error})."
            ) from None
        if column.name in needed and made[column.name].null_count:
            raise SchemaError(
                f"{what}: {column.name!r} is missing in {made[column.name].null_count:,} rows. Fill it in."
            )
    return pa.table(made)


def _array(values: pd.Series[Any], where: str) -> Any:
    import pyarrow as pa

    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SchemaError(f"{where} has values of several types, such as {values.iloc[0]!r}. Give one type.") from None
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(found.type.value_type) if pa.types.is_dictionary(found.type) else found


def _id_type(kind: Any, what: str) -> Any:
    import pyarrow as pa

    if pa.types.is_integer(kind):
        return pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return pa.string()
    raise SchemaError(f"{what}: 'user_id' has type {kind}; ids must be whole numbers or text.")
