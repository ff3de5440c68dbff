"""The files of a day: alerts, plan and monitor as Parquet and CSV, the operators' page, a manifest of each folder.

What is in them depends on the day and on nothing that changes from run to run: no time of the run, no hash of a log
that grows. The same day gives the same bytes.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from churnsurv import __version__
from churnsurv.errors import ChurnsurvError
from churnsurv.report.whole_folder import MANIFEST, Contents, check_target, manifest, stage_whole, write_whole
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.ledger import Recorded
    from churnsurv.action.plan import Plan
    from churnsurv.action.readiness import Readiness
    from churnsurv.study.score_monitor import Watched
    from churnsurv.warning.alerts import Alerts
    from churnsurv.warning.scheme import TierScheme

Part: TypeAlias = "tuple[Path, Mapping[str, bytes], Contents]"

__all__ = ["ALERTS", "MONITOR", "PLAN", "Prepared", "day_folder", "parquet_bytes"]

ALERTS = Contents("churnsurv alerts", "alerts", "the alerts")
PLAN = Contents("churnsurv plan", "a plan", "the plan")
MONITOR = Contents("churnsurv monitor", "a monitor", "the monitor")
PAGE = "operators.html"
_ANEW = (
    "The files of this day were gone. Its contacts are as the ledger recorded them, less opt-outs since; its alerts "
    "are those of now."
)


def day_folder(folder: Path, what: str, day: datetime.date) -> Path:
    """Where the alerts, the plan, or what the monitor found of a day lie.

    Examples
    --------
    >>> day_folder(Path("score"), "plan", datetime.date(2025, 5, 1)).as_posix()
    'score/plan/as_of=2025-05-01'
    """
    return folder / what / f"as_of={day}"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The folders of a day, ready to be written.

    Attributes
    ----------
    page : Path
        Where the operators' page will be.
    parts : tuple of (Path, files, Contents)
    """

    page: Path
    parts: tuple[tuple[Path, Mapping[str, bytes], Contents], ...]

    @classmethod
    def of(
        cls,
        alerts: Alerts,
        plan: Plan | None,
        ready: Readiness,
        scheme: TierScheme,
        folder: Path,
        *,
        dry: bool,
        rows: int,
        lang: str,
        watched: Watched | None = None,
    ) -> Prepared:
        """Make every file, and see that each folder can be written.

        Raises
        ------
        InputError
            If something that is not ours stands in the way of a folder.
        """
        table = None if plan is None else plan.table
        page = _page(alerts, plan, table, ready, dry=dry, rows=rows, lang=lang, watched=watched)
        facts = _facts(alerts, ready)
        files = _tabled("alerts", alerts.table) | ({PAGE: page} if plan is None else {})
        about = {MANIFEST: _alerts_manifest(alerts, scheme, facts, files)}
        parts: list[Part] = [(day_folder(folder, "alerts", alerts.as_of), files | about, ALERTS)]
        parts += _of_monitor(watched, folder)
        if plan is not None:
            files = _tabled("plan", plan.table) | {PAGE: page}
            if not dry:  # what is not to be sent is in no file that a program may take and send
                files |= _contacts(plan.table[plan.table["action"] == "contact"])
            where = day_folder(folder, "plan", alerts.as_of)
            parts.append((where, files | {MANIFEST: _plan_manifest(plan, facts, files, dry=dry)}, PLAN))
        for place, _, contents in parts:
            check_target(place.expanduser().resolve(), contents)
        return cls(parts[0 if plan is None else -1][0] / PAGE, tuple(parts))

    def write(self) -> tuple[Path, ...]:
        """Write every folder, each whole or not at all."""
        return tuple(write_whole(place, files, contents) for place, files, contents in self.parts)

    def write_recorded(self, record: Callable[[], Recorded], *, key: str) -> tuple[Recorded, tuple[Path, ...]]:
        """Make every folder beside its place, record, and let the folders take their places, that of the plan last.

        Where nothing was recorded nothing is left. Where the run is killed, or a folder cannot take its place, those
        made stay for a later run under their `key`.

        Parameters
        ----------
        record : callable
            That raises a `ChurnsurvError` only if nothing was recorded.
        key : str
            The digest of the plan.
        """
        staged = []
        try:
            for place, files, contents in self.parts:
                staged.append(stage_whole(place, files, contents, key=key))
            done = record()
        except ChurnsurvError:
            for each in staged:
                each.drop()
            raise
        except BaseException:
            for each in staged:
                each.release()
            raise
        try:
            return done, tuple(each.put() for each in staged)
        finally:
            for each in staged:
                each.release()

    @classmethod
    def of_recorded(
        cls, alerts: Alerts, plan: Plan, contacts: pd.DataFrame, ready: Readiness, scheme: TierScheme, folder: Path,
        *, digest: str, rows: int, lang: str, watched: Watched | None = None,
    ) -> Prepared:  # fmt: skip
        """Make the folders of a day from what the ledger has of it: its files are gone, and would be planned otherwise.

        Parameters
        ----------
        alerts, plan, ready, scheme, folder, rows, lang, watched
            As for `of`, as they are now.
        contacts : DataFrame
            Schema "ledger_contacts": what may still be sent.
        digest : str
            Of the plan that was recorded.
        """
        from churnsurv.action.plan_table import window

        table = contacts.reindex(columns=schema("plan").names)
        table["action"], table["escalated"], table["words"] = "contact", False, "As recorded in the ledger."
        table["reason"] = ["first" if step == 1 else "next" for step in table["step"]]
        table["send_from"], table["send_until"] = window(plan.policy, plan.contact_on)
        facts = _facts(alerts, ready)
        own = {
            "contact_on": plan.contact_on, "campaign": plan.policy.campaign, "plan": {"sha256": digest},
            "dry_run": False, "from_ledger": True, "counts": {"contact": len(table)},
        }  # fmt: skip
        page = _page(alerts, plan, table, ready, dry=False, rows=rows, lang=lang, anew=True, watched=watched)
        files = _contacts(table) | {PAGE: page}
        place = day_folder(folder, "plan", alerts.as_of)
        parts: list[Part] = [(place, files | {MANIFEST: manifest(PLAN, {**facts, **own}, files)}, PLAN)]
        parts = [*(each for each in _of_monitor(watched, folder) if not each[0].exists()), *parts]
        beside = day_folder(folder, "alerts", alerts.as_of)
        if not beside.exists():
            files = _tabled("alerts", alerts.table)
            parts.insert(0, (beside, files | {MANIFEST: _alerts_manifest(alerts, scheme, facts, files)}, ALERTS))
        return cls(place / PAGE, tuple(parts))


def _of_monitor(watched: Watched | None, folder: Path) -> list[Part]:
    """The folder of the monitor: its tables whole where it watched, and a manifest that says whether it did."""
    if watched is None:
        return []
    monitor, files = watched.monitor, dict[str, bytes]()
    about: dict[str, Any] = {
        "as_of": watched.as_of,
        "versions": {"churnsurv": __version__},
        "watched": monitor is not None,
        "reason": watched.reason,
        "asked": asdict(watched.keys),
        "left_out": list(watched.left_out),
    }
    if monitor is not None:
        tables = {"alarms": monitor.alarms, "carriers": monitor.carriers, "groups": monitor.groups}
        for name, table in tables.items():
            files |= _tabled(name, table, f"churn_monitor_{name}")
        files |= _tabled("days", monitor.table, "churn_monitor")
        about |= {
            "by": monitor.by,
            "first_day": monitor.first_day,
            "level": monitor.level,
            "open_alarms": monitor.open_alarms["group"].tolist(),
            "notes": list(monitor.notes),
        }
    place = day_folder(folder, "monitor", watched.as_of)
    return [(place, files | {MANIFEST: manifest(MONITOR, about, files)}, MONITOR)]


def _facts(alerts: Alerts, ready: Readiness) -> dict[str, Any]:
    return {
        "as_of": alerts.as_of,
        "versions": {"churnsurv": __version__},
        "readiness": ready.table.to_dict("records"),
    }


def _contacts(table: pd.DataFrame) -> dict[str, bytes]:
    """What is sent: for programs, to whom an id is an id, and for spreadsheets, which would run some of them."""
    return {"contacts.csv": _csv(table), "contacts.parquet": parquet_bytes(table, "plan")}


def _tabled(name: str, table: pd.DataFrame, layout: str | None = None) -> dict[str, bytes]:
    return {f"{name}.csv": _csv(table), f"{name}.parquet": parquet_bytes(table, layout or name)}


def _csv(table: pd.DataFrame) -> bytes:
    from churnsurv.action.export import csv_text

    return csv_text(table).encode("utf-8", errors="replace")


def parquet_bytes(table: pd.DataFrame, layout: str) -> bytes:
    """Return a table as Parquet, with the types of its layout also where a column is empty.

    Examples
    --------
    >>> import io
    >>> import pandas as pd, pyarrow.parquet as pq
    >>> empty = pd.DataFrame(columns=schema("readiness").names)
    >>> pq.read_schema(io.BytesIO(parquet_bytes(empty, "readiness"))).field("n").type
    DataType(int64)
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
    }
    known = {column.name: kinds.get(column.kind) for column in schema(layout).columns}
    arrays = {}
    for name in table.columns:
        column = table[name]
        if column.dtype.name == "category":
            column = column.astype(object)
        if known.get(str(name)) == pa.date32():
            column = column.astype("datetime64[s]").astype("datetime64[ms]")
        array = pa.array(column, from_pandas=True)
        wanted = known.get(str(name))
        arrays[str(name)] = array if wanted is None else array.cast(wanted)
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink)
    return sink.getvalue()


def _alerts_manifest(alerts: Alerts, scheme: TierScheme, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    own = {
        "rule": str(alerts.churn_rule),
        "scheme": {"sha256": hashlib.sha256(scheme.to_json().encode()).hexdigest(), "known_until": scheme.known_until},
        "hysteresis": dict(alerts.hysteresis),
        "counts": dict(alerts.counts),
        "notes": list(alerts.notes),
    }
    return manifest(ALERTS, {**facts, **own}, files)


def _plan_manifest(plan: Plan, facts: Mapping[str, Any], files: Mapping[str, bytes], *, dry: bool) -> bytes:
    own = {
        "contact_on": plan.contact_on,
        "campaign": plan.policy.campaign,
        "policy": {"sha256": plan.policy.digest},
        "plan": {"sha256": plan.digest},
        "dry_run": dry,
        "counts": dict(plan.counts),
        "reasons": dict(plan.reasons),
        "costs": plan.costs.to_dict("records"),
    }
    return manifest(PLAN, {**facts, **own}, files)


def _page(
    alerts: Alerts,
    plan: Plan | None,
    table: pd.DataFrame | None,
    ready: Readiness,
    *,
    dry: bool,
    rows: int,
    lang: str,
    anew: bool = False,
    watched: Watched | None = None,
) -> bytes:
    from churnsurv.report.operators import operators_page

    tomorrow = alerts.as_of + datetime.timedelta(days=1)
    look = [f"{check.check}: {check.words}" for check in ready.checks if check.verdict == "look"]
    # which later days the ledger knows depends on when the page is made, and the page must not; its banner says enough
    notes = [] if plan is None else [note for note in plan.notes if "dry run" not in note]
    facts = {
        "as_of": str(alerts.as_of),
        "contact_on": str(tomorrow if plan is None else plan.contact_on),
        "tiers": alerts.tiers,
        "rule": f"Churn: {alerts.churn_rule}",
        "level": alerts.level,
        "campaign": None if plan is None else plan.policy.campaign,
        "dry_run": dry,
        "look": look,
        "monitor": None if watched is None else watched.facts(),
        "costs": [] if plan is None or anew else plan.costs.to_dict("records"),
        "notes": [*([_ANEW] if anew else []), *alerts.notes, *([] if anew else notes)],
        "version": __version__,
    }
    page = operators_page(alerts.table, table, facts=facts, rows=rows, lang=lang)
    return page.encode("utf-8", errors="replace")
