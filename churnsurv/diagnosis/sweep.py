"""How the answers move with the churn rule: the same study under several numbers of idle days."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from churnsurv.errors import ChurnsurvError, ChurnsurvWarning, InputError, SchemaError
from churnsurv.notes import note
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, Feature
    from churnsurv.survival import CoxFit, SurvivalCurves

__all__ = ["RuleSweep", "rule_sweep"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RuleSweep(Result):
    """The study's figures under several churn rules. Made by `rule_sweep`.

    Attributes
    ----------
    idle_days : tuple of int
        The rules tried, rising.
    chosen : int
        The idle days of the log's own rule.
    by : tuple of str
        The columns that split the survival and the median.
    formula : str or None
        The Cox model of the hazard ratios.
    horizon : int
        Days: survival is read on this day of the spell, returns are counted up to this day after churn.
    level : float
        Confidence level of `lower` and `upper`.
    """

    idle_days: tuple[int, ...]
    chosen: int
    by: tuple[str, ...]
    formula: str | None
    horizon: int
    level: float
    _rows: tuple[Row, ...]

    _schema: ClassVar[str] = "rule_sweep"

    @property
    def table(self) -> pd.DataFrame:
        """One row for each rule, quantity and group; `note` says why a figure is null."""
        import pandas as pd

        frame = pd.DataFrame(self._rows, columns=list(schema(self._schema).names))
        numbers = ["estimate", "lower", "upper"]
        return frame.astype({"idle_days": "int64", **dict.fromkeys(numbers, "float64")})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each quantity against the idle days of the rule; see `churnsurv.plots.rule_sweep`."""
        from churnsurv.plots import rule_sweep as draw

        axes: Axes = draw(self.table, ax, chosen=self.chosen)
        return axes

    def _facts(self) -> dict[str, Any]:
        return {
            "idle_days": self.idle_days,
            "chosen": self.chosen,
            "by": self.by,
            "formula": self.formula,
            "horizon": self.horizon,
            "level": self.level,
        }

    def _headline(self) -> str:
        shares = {row["idle_days"]: row["estimate"] for row in self._rows if row["quantity"] == "churned"}
        text = ", ".join(
            f"{days} days: {'no spells' if share is None else format(share, '.1%')}" for days, share in shares.items()
        )
        return f"share of first spells that churned under {text}"


def rule_sweep(
    log: ActivityLog,
    idle_days: Sequence[int] = (14, 21, 30, 45, 60),
    *,
    by: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, object] | None = None,
    horizon: int = 90,
    level: float = 0.95,
    strata: str | Sequence[str] | None = None,
    ties: Literal["efron", "breslow", "grouped"] = "efron",
    features: Sequence[str | Feature] = (),
    baseline_day: int | None = None,
    progress: bool = False,
) -> RuleSweep:
    """Repeat the study's figures under several churn rules.

    Parameters
    ----------
    log : ActivityLog
        Its tables are read once for all rules; `log.rule` gives the kinds of activity.
    idle_days : sequence of int
        The rules to try.
    by : str or sequence of str, optional
        Columns that split the survival at `horizon` and the median.
    formula : str, optional
        A Cox model (see `churnsurv.cox`) whose hazard ratios are followed.
    reference, strata, ties : optional
        As in `churnsurv.cox`.
    horizon : int
        Days; the same under every rule, so that figures can be compared.
    level : float
        Confidence level of all intervals.
    features, baseline_day : optional
        As in `ActivityLog.churn_spells`: features of behaviour for the formula.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    RuleSweep
        `.table` has schema "rule_sweep". Quantities, all on first spells:

        * n_spells: number of first spells; users registered before the log are left out.
        * churned: share of them seen to churn in the log, with Wilson's interval. Spells of all ages are in the
          denominator, so it describes the log; `survival` is the figure that accounts for follow-up.
        * survival: P(T > horizon), Kaplan-Meier with its log-log interval, by group.
        * median: day by which half have churned, by group.
        * hazard_ratio: from the Cox model, by term.
        * return_share: share of churned users active again within `horizon` days after churn, from Kaplan-Meier of
          the time from churn to return: a user whom the log leaves earlier is censored, not counted as lost.

        What cannot be estimated under a rule is null with a `note`.

    Raises
    ------
    InputError
        If no rule is given, or the columns or the formula are at fault.
    ConvergenceError
        If the model can be fitted under no rule.

    Examples
    --------
    >>> import churnsurv as ch
    >>> sweep = ch.rule_sweep(ch.simulate_app(500).log, (30, 60))
    >>> sweep.table.query("quantity == 'n_spells'").estimate.tolist()
    [500.0, 500.0]
    """
    rules = _check_rules(idle_days, horizon)
    columns = (by,) if isinstance(by, str) else tuple(by or ())
    model = _Model(formula, reference, strata, ties, tuple(features), baseline_day, level)
    rows: list[Row] = []
    faults: list[ChurnsurvError] = []
    for days in _with_progress(rules, progress):
        with _said_of(days):
            tried = log.with_rule(idle_days=days)
            every = tried.churn_spells(spells="all").table
            first = every[(every["spell"] == 1) & every["origin_known"]]
            found = _counts(first, level)
            found += _curve_rows(first, columns, horizon, level)
            if formula is not None:
                found += _ratio_rows(tried, first, model, faults)
            found += _return_rows(every, tried.observed_until, horizon, level)
        rows += [{"idle_days": days} | row for row in found]
    if len(faults) == len(rules):
        raise faults[0]
    return RuleSweep(rules, log.rule.idle_days, columns, formula, horizon, level, tuple(_spread_notes(rows)))


@dataclass(frozen=True, slots=True)
class _Model:
    """The Cox model to repeat, with the words of `churnsurv.cox`."""

    formula: str | None
    reference: Mapping[str, object] | None
    strata: str | Sequence[str] | None
    ties: Literal["efron", "breslow", "grouped"]
    features: tuple[str | Feature, ...]
    baseline_day: int | None
    level: float

    def fit(self, log: ActivityLog, first: pd.DataFrame) -> CoxFit:
        from churnsurv.survival.cox import cox

        data: Any = first
        if self.baseline_day is not None:
            data = log.churn_spells(features=self.features, baseline_day=self.baseline_day).table
        return cox(
            str(self.formula),
            data,
            strata=self.strata,
            reference=self.reference,
            ties=self.ties,
            entry="entry",
            level=self.level,
        )


def _check_rules(idle_days: Sequence[int], horizon: int) -> tuple[int, ...]:
    rules = tuple(sorted(set(idle_days)))
    if not rules:
        raise InputError("idle_days is empty. Name the rules to try, such as (14, 21, 30, 45, 60).")
    for name, value in [("idle_days", days) for days in rules] + [("horizon", horizon)]:
        if isinstance(value, bool) or int(value) != value or value < 1:
            raise InputError(f"{name} must be whole days of at least 1; found {value!r}.")
    return tuple(int(days) for days in rules)


def _with_progress(rules: tuple[int, ...], progress: bool) -> Iterable[int]:
    if not progress:
        return rules
    from tqdm import tqdm

    bar: Iterable[int] = tqdm(rules, desc="churn rules", unit="rule", disable=None, delay=1, leave=False)
    return bar


@contextmanager
def _said_of(days: int) -> Iterator[None]:
    """Name the rule in our own warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChurnsurvWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, ChurnsurvWarning):
            said = warning.message.args[0] if isinstance(warning.message, Warning) else warning.message
            text = note("under {days} idle days: {said}", days=days, said=said)
            warnings.warn(text, ChurnsurvWarning, stacklevel=4)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _row(
    quantity: str,
    group: str,
    estimate: float | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    said: str | None = None,
) -> Row:
    return {
        "quantity": quantity,
        "group": group,
        "estimate": estimate,
        "lower": limits[0],
        "upper": limits[1],
        "note": said,
    }


def _counts(first: pd.DataFrame, level: float) -> list[Row]:
    from statsmodels.stats.proportion import proportion_confint

    n, churned = len(first), int(first["churned"].sum())
    rows = [_row("n_spells", "all", float(n))]
    if n == 0:
        return [*rows, _row("churned", "all", said=note("there is no first spell"))]
    lower, upper = proportion_confint(churned, n, alpha=1 - level, method="wilson")
    return [*rows, _row("churned", "all", churned / n, (float(lower), float(upper)))]


def _curve_rows(first: pd.DataFrame, by: tuple[str, ...], horizon: int, level: float) -> list[Row]:
    """Survival at the horizon and the median, overall and by group."""
    from churnsurv.survival.curves import kaplan_meier

    if first.empty:
        return [_row(quantity, "all", said=note("there is no first spell")) for quantity in ("survival", "median")]
    rows: list[Row] = []
    for columns in [None, list(by)] if by else [None]:
        curves = kaplan_meier(first, by=columns, entry="entry", level=level)
        rows += _survival_rows(curves, horizon)
        for point in curves.median.to_dict("records"):
            reached = point["time"] == point["time"]
            said = None
            if not reached:
                last = _last_day(curves, point["group"])
                said = note("more than half of the group stay to its last day, {last}", last=last)
            rows.append(_row("median", point["group"], point["time"], (point["lower"], point["upper"]), said))
    return rows


def _survival_rows(curves: SurvivalCurves, horizon: int) -> list[Row]:
    rows = []
    for group, curve in curves.table.groupby("group", sort=False):
        last = _last_day(curves, str(group))
        if last < horizon and curve["survival"].iloc[-1] > 0:
            rows.append(_row("survival", str(group), said=note("the group is followed to day {last} only", last=last)))
            continue
        seen = curve[curve["time"] <= horizon]
        at = seen.iloc[-1] if len(seen) else {"survival": 1.0, "lower": 1.0, "upper": 1.0}
        rows.append(_row("survival", str(group), at["survival"], (at["lower"], at["upper"])))
    return rows


def _ratio_rows(log: ActivityLog, first: pd.DataFrame, model: _Model, faults: list[ChurnsurvError]) -> list[Row]:
    """Hazard ratios by term; a model that cannot be fitted under this rule leaves one row with the reason."""
    try:
        table = model.fit(log, first).table
    except SchemaError:
        raise
    except ChurnsurvError as fault:
        faults.append(fault)
        return [_row("hazard_ratio", "", said=str(fault))]
    return [
        _row("hazard_ratio", term["term"], term["hazard_ratio"], (term["hr_lower"], term["hr_upper"]))
        for term in table.to_dict("records")
    ]


def _spread_notes(rows: list[Row]) -> Iterable[Row]:
    """Where a model failed under one rule, name its terms as they are under the other rules."""
    terms = dict.fromkeys(row["group"] for row in rows if row["quantity"] == "hazard_ratio" and row["group"])
    for row in rows:
        if row["quantity"] == "hazard_ratio" and not row["group"]:
            yield from (row | {"group": term} for term in terms)
        else:
            yield row


def _return_rows(every: pd.DataFrame, observed_until: date, horizon: int, level: float) -> list[Row]:
    """Share of users churned in their first spell who are active again within `horizon` days."""
    import pandas as pd

    from churnsurv.survival.curves import kaplan_meier

    first = every.loc[(every["spell"] == 1) & every["origin_known"] & every["churned"], ["user_id", "end_date"]]
    if first.empty:
        return [_row("return_share", "all", said=note("nobody churned"))]
    second = every.loc[every["spell"] == 2, ["user_id", "origin"]]
    pairs = first.merge(second, on="user_id", how="left")
    churn, back = pd.to_datetime(pairs["end_date"]), pd.to_datetime(pairs["origin"])
    days = (back.fillna(pd.Timestamp(observed_until)) - churn).dt.days
    waiting = pd.DataFrame({"duration": days, "churned": back.notna()})
    curve = kaplan_meier(waiting, level=level)
    (row,) = _survival_rows(curve, horizon)
    if row["note"]:
        last = _last_day(curve, "all")
        said = note(
            "no churned user is followed for {horizon} days after churn, only {last}", horizon=horizon, last=last
        )
        return [_row("return_share", "all", said=said)]
    return [_row("return_share", "all", 1 - row["estimate"], (1 - row["upper"], 1 - row["lower"]))]


def _last_day(curves: SurvivalCurves, group: str) -> int:
    return int(curves.last_day[group])
