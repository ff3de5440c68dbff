"""One randomised campaign, made ready for questions about whom to contact: a doubly robust value of each arm by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned import CampaignRows, campaign_rows
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.targeting import arm_model, arm_values, complete_outcomes, follow_up_terms
from churnsurv.recall.lift_request import DEFAULT_COVARIATES, own_covariates, prepared
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["OUTCOMES", "Targets", "targets", "units"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: What a contact is to raise, and what is counted.
OUTCOMES: Mapping[str, str] = {
    "return_probability": "users",
    "active_days": "days",
    "reinvested": "money",
    "net_value": "money",
    "days_live": "days",
}
_DEFAULT_HORIZON = 30


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The rows of one campaign, in their order; the control is arm 0.

    Attributes
    ----------
    rows : CampaignRows
    campaign, control, outcome : str
    arms : tuple of str
        Those compared with the control: 1, 2, ...
    arm : (n,) int64
    order : tuple of int
        The code in `rows` of each arm, the control first.
    outcome_value : (n,) float64
        The outcome, made complete (`churnsurv.numerics.targeting.complete_outcomes`).
    covariates : tuple of str
    X : (n, p) float64
    cluster : (n,) int64, or None
        None where no two rows depend on each other.
    n_clusters : int
    notes : tuple of str
    """

    rows: CampaignRows
    campaign: str
    control: str
    outcome: str
    arms: tuple[str, ...]
    arm: Ints
    order: tuple[int, ...]
    outcome_value: Floats
    covariates: tuple[str, ...]
    X: Floats
    cluster: Ints | None
    n_clusters: int
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Rows."""
        return self.rows.n

    def effects(self) -> Floats:
        """What each arm does to each row against the control: doubly robust values, (n, n_arms - 1)."""
        rows, n_arms = self.rows, len(self.order)
        model = arm_model(
            self.outcome_value,
            self.arm,
            n_arms,
            stratum=rows.stratum,
            n_strata=len(rows.strata),
            covariates=self.X,
            propensity=rows.propensity,
        )
        values = arm_values(self.outcome_value, self.arm, model)
        return np.asarray(values[:, 1:] - values[:, :1])

    def terms(self) -> Floats:
        """Functions of how long rows were followed, (n, p); all 0 where nobody is censored."""
        rows = self.rows
        cell, keys = _cells(rows)
        weights = [rows.weights[key] for key in keys]
        return follow_up_terms(rows.followed, cell, weights, self.arm, len(self.order))

    def some(self, arms: Iterable[str], what: str) -> tuple[str, ...]:
        """Those of the arms that are asked for, in the order of `arms`.

        Raises
        ------
        InputError
            If there is no such arm; the nearest is given.
        """
        wanted = tuple(arms)
        for arm in wanted:
            if arm not in self.arms:
                raise InputError(
                    f"{what}: there is no arm {arm!r} to compare with {self.control!r}."
                    f"{did_you_mean(str(arm), self.arms)} Arms: {', '.join(map(repr, self.arms))}."
                )
        return tuple(arm for arm in self.arms if arm in wanted)

    def column(self, values: Any, name: str) -> Floats:
        """One number a row: an array in the order of the rows, or the name of a covariate.

        Raises
        ------
        InputError
            If there is no such column, or the array has another length or holes.
        """
        if isinstance(values, str):
            pre = self.rows.pre
            if values not in pre:
                raise InputError(
                    f"{name}: there is no column {values!r}.{did_you_mean(values, pre)} Columns that are numbers: "
                    f"{', '.join(map(repr, pre))}."
                )
            values = pre[values]
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (self.n,):
            raise InputError(
                f"{name} has the shape {found.shape}; it needs one number for each of the {self.n:,} rows of the "
                f"campaign {self.campaign!r}, in the order of campaign_rows(...)."
            )
        bad = ~np.isfinite(found)
        if bad.any():
            raise InputError(
                f"{name} has {counted(int(bad.sum()), 'value')} missing or infinite, first at row {int(bad.argmax())}. "
                "Give every row a score."
            )
        return found


def units(outcome: str) -> str:
    """What effects are counted in.

    Examples
    --------
    >>> units("return_probability")
    'users'
    """
    if outcome not in OUTCOMES:
        raise InputError(
            f"outcome must be one of {', '.join(map(repr, OUTCOMES))}, of which more is better; not {outcome!r}."
            f"{did_you_mean(str(outcome), OUTCOMES)}"
        )
    return OUTCOMES[outcome]


def targets(
    assignments: Any,
    log: ActivityLog | None,
    *,
    control: str,
    campaign: str | None,
    outcome: str,
    horizon: int | str | None,
    covariates: Sequence[str] | None,
    given: Mapping[str, Iterable[Any]] = MappingProxyType({}),
    rewards: Any = None,
    margin: float = 1.0,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    columns: Mapping[str, Mapping[str, str]] | None = None,
    exclude_conflicts: bool = False,
) -> Targets:
    """Read one campaign, or take its rows as they are.

    Parameters
    ----------
    assignments : CampaignRows, or a table
    log : ActivityLog, optional
        With a table.
    control, campaign, outcome, horizon, covariates, rewards, margin, strata, cluster, columns, exclude_conflicts
        As in `churnsurv.recall.campaign_lift`.
    given : Mapping of str to iterable
        What is asked for by row, by the name of the argument: columns of the assignments, and arrays in the order of
        the rows. Anything else is left alone.

    Raises
    ------
    InputError
        If the campaign, the control or an outcome is not there, or an array is given for a table, whose rows are in no
        known order.
    """
    units(outcome)
    own = [each for values in given.values() for each in values]
    if not isinstance(assignments, CampaignRows) and any(np.ndim(each) for each in own):
        raise InputError(
            f"{' and '.join(given)} as arrays need rows in a known order: pass what campaign_rows(log, assignments, "
            "...) returns instead of the table, or make them columns of the assignments."
        )
    if isinstance(assignments, CampaignRows):
        rows = _as_given(assignments, horizon, rewards=rewards, strata=strata, columns=columns, cluster=cluster)
    elif log is None:
        raise InputError("a table of assignments needs the log: pass log=, or what campaign_rows(log, ...) returns.")
    else:
        table, mapping = prepared(assignments, columns, strata, cluster)
        named = [each for each in own if isinstance(each, str)]
        rows = campaign_rows(
            log, table, horizon=_DEFAULT_HORIZON if horizon is None else horizon, rewards=rewards, columns=mapping,
            covariates=list(dict.fromkeys([*own_covariates(covariates), *own_covariates(named)])), campaign=campaign,
            exclude_conflicts=exclude_conflicts,
        )  # fmt: skip
    rows = _one_campaign(rows, campaign)
    order, arm = _arms(rows, control)
    used, X, notes = _covariates(rows, covariates)
    clusters, n_clusters = _clusters(rows, cluster)
    value = _outcome_value(rows, outcome, margin)
    read_only(arm, X, value)
    return Targets(
        rows=rows, campaign=rows.campaigns[0], control=control, outcome=outcome,
        arms=tuple(rows.arms[code] for code in order[1:]), arm=arm, order=tuple(order), outcome_value=value,
        covariates=used, X=X, cluster=clusters, n_clusters=n_clusters, notes=(*rows.notes, *notes),
    )  # fmt: skip


def _as_given(rows: CampaignRows, horizon: int | str | None, *, cluster: str | None, **others: Any) -> CampaignRows:
    if horizon is not None and str(horizon).removesuffix("d") != str(rows.horizon):
        raise InputError(
            f"these rows have a horizon of {rows.horizon} days, not {horizon!r}: leave horizon out, or read them again."
        )
    given = [name for name, value in others.items() if value is not None]
    given += ["cluster"] if cluster not in ("auto", None) else []
    if given:
        raise InputError(
            f"{given[0]}= is settled where rows are read: pass it to campaign_rows(...), not with its rows."
        )
    return rows


def _one_campaign(rows: CampaignRows, campaign: str | None) -> CampaignRows:
    if campaign is not None:
        return rows.only(campaign)
    if len(rows.campaigns) > 1:
        raise InputError(
            f"there are {len(rows.campaigns)} campaigns ({', '.join(map(repr, rows.campaigns))}): whom to contact is "
            "learnt from one. Choose with campaign=."
        )
    return rows


def _arms(rows: CampaignRows, control: str) -> tuple[list[int], Ints]:
    if control not in rows.arms:
        raise InputError(
            f"nobody is in the control arm {control!r}.{did_you_mean(control, rows.arms)} Arms: "
            f"{', '.join(map(repr, rows.arms))}. Name one with control=."
        )
    first = rows.arms.index(control)
    order = [first, *(code for code in range(len(rows.arms)) if code != first)]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return order, place[rows.arm]


def _covariates(rows: CampaignRows, asked: Sequence[str] | None) -> tuple[tuple[str, ...], Floats, list[str]]:
    """Those that vary, with holes filled by the mean of the others: known before, whatever stands for them."""
    names = list(DEFAULT_COVARIATES if asked is None else asked)
    used, columns, notes = [], [], []
    for name in names:
        # a text column is there as one number for each category but the first
        found = [each for each in rows.pre if each == name or each.startswith(f"{name}: ")]
        if not found:
            raise InputError(
                f"there is no covariate {name!r}.{did_you_mean(name, rows.pre)} There are "
                f"{', '.join(map(repr, rows.pre))}; with CampaignRows, read further ones with them."
            )
        for each in found:
            values = rows.pre[each]
            missing = np.isnan(values)
            if missing.all():
                continue
            if missing.any():
                values = np.where(missing, values.mean(where=~missing), values)
                notes.append(f"{each} is missing for {counted(int(missing.sum()), 'row')}: the mean stands in.")
            if np.ptp(values) > 0:
                used.append(each)
                columns.append(values)
    X = np.column_stack(columns) if columns else np.zeros((rows.n, 0))
    return tuple(used), X, notes


def _clusters(rows: CampaignRows, cluster: str | None) -> tuple[Ints | None, int]:
    if cluster is None:
        return None, 0
    values, codes = np.unique(rows.cluster, return_inverse=True)
    return (None, 0) if values.size == rows.n else (codes.astype(np.int64), int(values.size))


def _cells(rows: CampaignRows) -> tuple[Ints, list[tuple[int, int]]]:
    """Cell of arm and stratum of each row, and what the cells are."""
    keys = [(arm, stratum) for stratum in range(len(rows.strata)) for arm in range(len(rows.arms))]
    return rows.stratum * np.int64(len(rows.arms)) + rows.arm, keys


def _outcome_value(rows: CampaignRows, outcome: str, margin: float) -> Floats:
    """W, and the means of its days, turned into complete outcomes."""
    cell, keys = _cells(rows)
    lacking = [key for key in keys if key not in rows.weights]
    if lacking:
        arm, stratum = lacking[0]
        raise InputError(
            f"arm {rows.arms[arm]!r} has nobody in stratum {rows.strata[stratum]!r}: what it does there cannot be "
            "known. Leave such strata out, or join them with others."
        )
    weights = [rows.weights[key] for key in keys]
    if outcome == "return_probability":
        W, by_day = _returns(rows, cell, weights)
    else:
        W, by_day = _sums(rows, _parts(rows, outcome, margin), keys)
    return complete_outcomes(W, rows.followed, cell, by_day, weights)


def _returns(rows: CampaignRows, cell: Ints, weights: Sequence[Floats]) -> tuple[Floats, list[Floats]]:
    """A return on day u weighs 1 / G(u-), so that users followed for a shorter time are made up for."""
    G = np.array(weights)
    W = np.where(rows.returned, 1 / G[cell, rows.time - 1], 0.0)
    size = np.bincount(cell, minlength=len(weights))
    at = cell * np.int64(rows.horizon) + rows.time - 1
    count = np.bincount(at[rows.returned], minlength=G.size).reshape(G.shape)
    return W, list(count / (G * size[:, None]))


def _sums(
    rows: CampaignRows, parts: Sequence[tuple[float, str]], keys: Sequence[tuple[int, int]]
) -> tuple[Floats, list[Floats]]:
    W = np.zeros(rows.n)
    for factor, name in parts:
        W += factor * getattr(rows, name)
    return W, [np.sum([factor * rows.by_day[name][key] for factor, name in parts], axis=0) for key in keys]


def _parts(rows: CampaignRows, outcome: str, margin: float) -> tuple[tuple[float, str], ...]:
    """Columns of the rows that an outcome is the sum of."""
    if outcome in ("reinvested", "net_value") and "amount" not in rows.given:
        raise InputError(f"{outcome} needs the amounts of investments, which the events of this log have not.")
    if outcome == "days_live" and rows.horizon < 2 * rows.idle_days:
        raise InputError(
            f"days_live needs a horizon of at least {2 * rows.idle_days} days, twice the idle days of the rule; it is "
            f"{rows.horizon}."
        )
    if outcome == "net_value":
        if not np.isfinite(margin):
            raise InputError(f"margin must be a number: what a unit of re-invested money is worth; not {margin!r}.")
        return (float(margin), "reinvested"), (-1.0, "rewards"), (-1.0, "liability"), (-1.0, "cost")
    return ((1.0, outcome),)
