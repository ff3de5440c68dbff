"""Why users left: reasons known for a part of the churned, weighted for who answers, and bounds without assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np

from churnsurv.data.arrow import to_pandas
from churnsurv.data.feedback import AskedChurns, asked_churns
from churnsurv.diagnosis.naming import both, called
from churnsurv.diagnosis.reasons_answers import APART, Reasons, agreement, apart, chosen, read_mapping
from churnsurv.diagnosis.reasons_inputs import (
    Settings,
    check_models,
    known_at_origin,
    read_settings,
    split_by,
    weighed_on,
    with_reasons,
)
from churnsurv.diagnosis.reasons_models import ReasonModels, reason_models
from churnsurv.diagnosis.reasons_response import ResponseModel, overlap_rows, response_model
from churnsurv.diagnosis.reasons_tables import Explained, explained, incidence_rows, share_rows
from churnsurv.diagnosis.reasons_words import headline, outside, reason_notes
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.survival.competing import CumulativeIncidence, cumulative_incidence
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule
    from churnsurv.survival.cox_fit import CoxFit
    from churnsurv.survival.fine_gray_fit import FineGrayFit

__all__ = ["ChurnReasons", "churn_reasons"]

Pairs: TypeAlias = "Mapping[str, tuple[CoxFit, FineGrayFit]]"
Kind: TypeAlias = Literal["incidence", "weighted", "shares"]

_KINDS = ("incidence", "weighted", "shares")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChurnReasons(Result):
    """Why users left. Made by `churn_reasons`.

    Attributes
    ----------
    reasons : tuple of str
    within : int
        Days after a churn in which an answer counts.
    until : date
        Churns up to this day are looked at.
    horizon : int or None
        Last day of the incidences.
    spells : {"first", "all"}
    by, weights_on : tuple of str
        What splits the output; what the chance of an answer depends on.
    incidence : CumulativeIncidence
        By reason (Aalen and Johansen 1978), with "unknown" as a cause of its own.
    models, later_models : mapping of str to (CoxFit, FineGrayFit)
        By reason: of what is known at the origin of the spell; of behaviour in its first `idle_days` days, from
        twice that day on.
    level : float
    rule : ChurnRule
    counts : mapping of str to int
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "churn_reasons"

    reasons: tuple[str, ...]
    within: int
    until: date
    horizon: int | None
    spells: str
    by: tuple[str, ...]
    weights_on: tuple[str, ...]
    incidence: CumulativeIncidence
    models: Pairs
    later_models: Pairs
    level: float
    rule: ChurnRule
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _weighted: pd.DataFrame
    _response: pd.DataFrame
    _overlap: pd.DataFrame
    _agreement: pd.DataFrame
    _answers: pd.DataFrame
    _unmapped: pd.DataFrame
    _apart: pd.DataFrame
    _model_table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group and reason: shares among respondents, weighted shares, bounds."""
        return self._table.copy()

    @property
    def weighted_incidence(self) -> pd.DataFrame:
        """Incidence by reason with the unknown ones shared out by weights; schema "weighted_incidence"."""
        return self._weighted.copy()

    @property
    def response(self) -> pd.DataFrame:
        """Who answers: odds ratios of having a reason known; schema "reason_response"."""
        return self._response.copy()

    @property
    def overlap(self) -> pd.DataFrame:
        """How far the estimated chances carry, by group; schema "reason_overlap"."""
        return self._overlap.copy()

    @property
    def answers(self) -> pd.DataFrame:
        """Every usable answer, whether it counts, and its weight; schema "reason_answers"."""
        return self._answers.copy()

    @property
    def agreement(self) -> pd.DataFrame:
        """How far several answers about one churn agree; schema "reason_agreement"."""
        return self._agreement.copy()

    @property
    def unmapped(self) -> pd.DataFrame:
        """Codes without a reason; schema "reason_codes"."""
        return self._unmapped.copy()

    @property
    def apart(self) -> pd.DataFrame:
        """Answers kept apart, counted by why; schema "reasons_apart"."""
        return self._apart.copy()

    @property
    def model_table(self) -> pd.DataFrame:
        """Hazard ratios of all models, p-values adjusted over all of them; schema "reason_models"."""
        return self._model_table.copy()

    def plot(self, ax: Axes | None = None, *, kind: Kind = "incidence", group: str | None = None) -> Axes:
        """Draw one group.

        Parameters
        ----------
        ax : Axes, optional
        kind : {"incidence", "weighted", "shares"}
            The incidences stacked, with those unknown on top; the weighted ones stacked; or the shares with their
            limits, and the bounds behind them.
        group : str, optional
            Not needed where there is one.
        """
        if kind not in _KINDS:
            raise InputError(f"kind must be one of {', '.join(map(repr, _KINDS))}; it is {kind!r}.")
        axes: Axes
        if kind == "shares":
            from churnsurv.plots.reasons import reason_shares

            axes = reason_shares(self.table, ax, group=group, level=self.level)
            return axes
        from churnsurv.plots.incidence import stacked_incidence

        table = self.incidence.table if kind == "incidence" else self._weighted
        axes = stacked_incidence(table, ax, group=group, horizon=self.horizon)
        return axes

    def _headline(self) -> str:
        first = self._table[self._table["group"] == self._table["group"].iloc[0]]
        ordered = first.sort_values("weighted_share", ascending=False, kind="stable")
        columns = ["reason", "weighted_share", "weighted_lower", "weighted_upper"]
        one = self._overlap.iloc[0]
        said = headline(
            list(ordered[columns].itertuples(index=False, name=None)), int(one["n"]), int(one["n_answered"])
        )
        more = len(self._overlap) - 1
        return f"{one['group']}: {said}; {more} more group{'s' * (more > 1)}" if more else said

    def _facts(self) -> dict[str, Any]:
        tables = {
            "weighted_incidence": self._weighted, "response": self._response, "overlap": self._overlap,
            "agreement": self._agreement, "unmapped": self._unmapped, "apart": self._apart,
            "model_table": self._model_table,
        }  # fmt: skip
        return {
            "reasons": list(self.reasons),
            "within": self.within,
            "until": self.until,
            "horizon": self.horizon,
            "spells": self.spells,
            "by": list(self.by),
            "weights_on": list(self.weights_on),
            "level": self.level,
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "counts": dict(self.counts),
            "notes": list(self.notes),
            **{what: {str(name): t[name].tolist() for name in t.columns} for what, t in tables.items()},
        }


def churn_reasons(
    log: ActivityLog,
    *,
    feedback: Any = None,
    mapping: Any = None,
    within: int | str = 30,
    spells: Literal["first", "all"] = "first",
    by: str | Sequence[str] | None = None,
    horizon: int | str | None = 365,
    weights_on: str | Sequence[str] | None = None,
    models: bool | str = True,
    adjust: str = "holm",
    level: float = 0.95,
) -> ChurnReasons:
    """Say why users left, from what a part of them answered.

    Parameters
    ----------
    log : ActivityLog
    feedback : table, optional
        `user_id, date, reason` and perhaps `route`; the log's own by default.
    mapping : mapping or table, optional
        Of codes to reasons, such as rigid, frustrated, policy and natural; a table has the columns code and reason. Of
        a code mapped to None, or not mapped, there is no reason. Without a mapping codes are reasons.
    within : int or text such as "30d"
        An answer belongs to a churn if it comes from the day of the last activity to so many days after the churn, and
        not after the day of a return: what is said in the app on its last day tells why users leave, what is said on
        the day of a return is about the time away. Churns of the last `within` days of the log are not looked at, since
        their answers may be to come.
    spells : {"first", "all"}
        With "all", errors are by user.
    by : str or sequence of str, optional
        Attributes of the users; for shares also features as of the day of churn, such as "stage".
    horizon : int or text such as "365d", optional
        The last day of the incidences; None: as far as users were followed.
    weights_on : str or sequence of str, optional
        What the chance of an answer depends on: attributes, "tenure" (days from registration to the last activity),
        "stage" and "n_investments" on the day of churn. By default those of channel, tenure, stage and n_investments
        that the tables can answer; ``()``: no weights.
    models : bool or str
        Fit regressions by reason. A text is the formula of what is known at the origin of the spell: attributes and
        the cohort; what is known on the day of churn (tenure, stage, n_investments) is refused.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        For the number of hazard ratios in `model_table`.
    level : float
        Of all limits.

    Returns
    -------
    ChurnReasons
        ``.table``: shares among respondents, with Wilson's limits; weighted by the inverse chance of an answer
        (logistic, by statsmodels; Hajek's estimate; variance with the chances estimated); and bounds that hold whoever
        is silent for whatever reason, with limits of Imbens and Manski (2004).

    Raises
    ------
    InputError
        If nobody churned or no churn has a reason, there is no feedback, a formula names what is not known at the
        origin, or an argument is not understood.
    SchemaError
        If a table lacks a column, or an attribute of the users has the name of one of ours.

    Notes
    -----
    Weights make up for what is known of users. If those who stay silent left for other reasons than users like them
    who answered, only the bounds hold.

    Examples
    --------
    >>> import churnsurv as ch
    >>> found = churn_reasons(ch.simulate_app(n_users=600, seed=1).log, models=False)
    >>> found.reasons
    ('frustrated', 'natural', 'policy', 'rigid')
    >>> bool((found.table["bound_lower"] <= found.table["weighted_share"]).all())
    True
    """
    settings = read_settings(within=within, spells=spells, horizon=horizon, models=models, adjust=adjust, level=level)
    codes = read_mapping(mapping)
    asked = asked_churns(log, feedback=feedback, within=settings.within, spells=spells)
    reasons = chosen(to_pandas(asked.answers), codes)
    rows = with_reasons(to_pandas(asked.spells), reasons)
    split, on = split_by(by, rows, asked), weighed_on(weights_on, rows)
    check_models(settings.models, rows, asked)
    found = explained(rows, split, reasons.labels, clustered=spells == "all")
    model = response_model(found.churns, found.known, on, cluster=found.cluster, level=settings.level)
    return _result(log, settings, asked, reasons, rows, found, model)


def _result(
    log: ActivityLog,
    settings: Settings,
    asked: AskedChurns,
    reasons: Reasons,
    rows: pd.DataFrame,
    found: Explained,
    model: ResponseModel,
) -> ChurnReasons:
    level, last, split = settings.level, settings.horizon, _split_by(found)
    overlap = frame_of("reason_overlap", overlap_rows(model.units, found.groups))
    at_origin = [name for name in split if name not in asked.features]
    counts = _counts(asked, reasons, found)
    table = share_rows(found, model.units, level=level)
    notes = reason_notes(counts, reasons, model, overlap, until=asked.until, within=settings.within) + outside(table)
    if len(at_origin) < len(split):
        behind = _behind(split, at_origin)
        notes.append(note("Incidences are not split by {columns}: it is known of the churned only.", columns=behind))
    fits = _models(log, settings, rows, model, reasons, asked)
    return ChurnReasons(
        reasons=reasons.labels,
        within=settings.within,
        until=asked.until,
        horizon=last,
        spells=settings.spells,
        by=tuple(split),
        weights_on=model.variables,
        incidence=_incidence(rows, at_origin, last, clustered=settings.spells == "all", level=level),
        models=MappingProxyType(dict(fits.at_origin)),
        later_models=MappingProxyType(dict(fits.later)),
        level=level,
        rule=log.rule,
        counts=MappingProxyType(counts),
        notes=(*notes, *fits.notes),
        _table=table,
        _weighted=incidence_rows(rows, found, model.units, by=at_origin, horizon=last, level=level),
        _response=model.table,
        _overlap=overlap,
        _agreement=agreement(reasons.answers, level=level),
        _answers=_answers(reasons.answers, found, model),
        _unmapped=reasons.unmapped,
        _apart=apart(reasons.answers),
        _model_table=fits.table,
    )


def _split_by(found: Explained) -> list[str]:
    groups: pd.DataFrame = found.by.values  # noqa: PD011 - a field of that name, not the array of a frame
    return [str(name) for name in groups.columns]


def _models(
    log: ActivityLog,
    settings: Settings,
    rows: pd.DataFrame,
    model: ResponseModel,
    reasons: Reasons,
    asked: AskedChurns,
) -> ReasonModels:
    if not settings.models:
        return ReasonModels({}, {}, frame_of("reason_models", []), ())
    return reason_models(
        log,
        rows,
        _weights(rows, model),
        reasons.labels,
        known=known_at_origin(rows, asked),
        behaviour=asked.features,
        formula=settings.models if isinstance(settings.models, str) else None,
        kind=settings.spells,
        adjust=settings.adjust,
        level=settings.level,
    )


def _behind(split: Sequence[str], at_origin: Sequence[str]) -> str:
    return both([called(name) for name in split if name not in at_origin])


def _counts(asked: AskedChurns, reasons: Reasons, found: Explained) -> dict[str, int]:
    status = reasons.answers["status"].value_counts()
    return {
        "spells": asked.spells.num_rows,
        "churns": found.known.size,
        "known": int(found.known.sum()),
        "silent": int((~found.known).sum()),
        **{name: int(status.get(name, 0)) for name in ("counts", *APART)},
        **asked.counts,
        "tied_answers": reasons.ties,
    }


def _weights(rows: pd.DataFrame, model: ResponseModel) -> Any:
    """1 for spells that did not end, 1 / chance for churns with a reason, 0 for the others."""
    weight = np.ones(len(rows))
    weight[rows["churned"].to_numpy()] = model.units.weight
    return weight


def _incidence(
    rows: pd.DataFrame, by: Sequence[str], horizon: int | None, *, clustered: bool, level: float
) -> CumulativeIncidence:
    if horizon is not None:
        rows = rows[rows["entry"] < horizon]
        short = rows["duration"].clip(upper=horizon)
        rows = rows.assign(churned=rows["churned"] & (rows["duration"] <= horizon), duration=short)
        if not rows["churned"].any():
            raise InputError(f"horizon: nobody churned by day {horizon}. Take a later one.")
    entry = "entry" if (rows["entry"] > 0).any() else None
    cluster = "user_id" if clustered else None
    return cumulative_incidence(rows, cause="reason", by=list(by) or None, entry=entry, cluster=cluster, level=level)


def _answers(answers: pd.DataFrame, found: Explained, model: ResponseModel) -> pd.DataFrame:
    """Every answer with the chance and the weight of the churn that it tells the reason of."""
    import pandas as pd

    chance = pd.Series(model.units.chance, index=found.churns["place"].to_numpy())
    counts = (answers["status"] == "counts").to_numpy()
    own = np.full(len(answers), np.nan)
    own[counts] = chance.loc[answers.loc[counts, "place"].to_numpy(dtype=np.int64)].to_numpy()
    made = answers.assign(chance=own, weight=1 / own, spell=answers["spell"].astype("Int64"))
    return made[list(schema("reason_answers").names)].reset_index(drop=True)
