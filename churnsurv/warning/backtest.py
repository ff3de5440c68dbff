"""Warning rules judged on days that they had not seen: learn up to an origin, judge what comes after, and move on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from churnsurv.errors import InputError
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result
from churnsurv.warning.backtest_origin import FITTED, Asked, Judged, check_spec, judge
from churnsurv.warning.backtest_scores import Coverage, ScoredLog
from churnsurv.warning.backtest_tables import (
    accuracy_row,
    changes_per_1000,
    difference_rows,
    gains_rows,
    rule_rows,
    sums_row,
)
from churnsurv.warning.backtest_windows import Window, windows
from churnsurv.warning.backtest_words import headline, held_notes, notes_of
from churnsurv.warning.frames import frame_of
from churnsurv.warning.given_score import GivenScore
from churnsurv.warning.hysteresis import check_hysteresis, check_widths
from churnsurv.warning.objectives import Value
from churnsurv.warning.rules import Rule

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule
    from churnsurv.warning.scheme import TierScheme

__all__ = ["Backtest", "backtest"]

#: A week, within which it is easy to be right: hardly anybody churns.
_WEEK = 7


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Backtest(Result):
    """How warning rules did on later days. Made by `backtest`.

    Attributes
    ----------
    origins : tuple of date
        Last days that the rules could know.
    test_days : int
        Days after an origin on which the gaps begin that are judged.
    tiers : tuple of str
        Highest first.
    policies : tuple of str
        "fitted", and what it is compared with.
    schemes : tuple of TierScheme
        The rules of each origin; the same one where a ready scheme is judged.
    frozen : bool
        Whether a ready scheme is judged.
    capacities : tuple of float
    n_gaps, n_churned, n_users : int
        Gaps judged, those that ended in churn, and users of the log.
    level : float
        Confidence level of all limits.
    churn_rule : ChurnRule
    notes : tuple of str
        What a reader must know.
    hysteresis : Mapping of str to float
        Relative widths by what rules compare; empty where users leave a tier as soon as its rule holds no more.
    tier_changes : Mapping of str to float
        With hysteresis: changes of tier within a silence per 1,000 gaps ("changes"), those of them to a lower tier or
        none ("falls"), and what both would be without ("changes_without", "falls_without").
    """

    _schema: ClassVar[str] = "backtest"

    origins: tuple[date, ...]
    test_days: int
    tiers: tuple[str, ...]
    policies: tuple[str, ...]
    schemes: tuple[TierScheme, ...]
    frozen: bool
    capacities: tuple[float, ...]
    n_gaps: int
    n_churned: int
    n_users: int
    level: float
    churn_rule: ChurnRule
    notes: tuple[str, ...]
    hysteresis: Mapping[str, float]
    tier_changes: Mapping[str, float]
    _table: pd.DataFrame
    _accuracy: pd.DataFrame
    _differences: pd.DataFrame
    _stability: pd.DataFrame
    _gains: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each origin (null: all), policy and tier (null: any); schema "backtest"."""
        return self._table.copy()

    @property
    def accuracy(self) -> pd.DataFrame:
        """Accuracy beside that of always saying no, for two horizons; schema "backtest_accuracy"."""
        return self._accuracy.copy()

    @property
    def differences(self) -> pd.DataFrame:
        """Net benefit of the fitted tiers against the other policies; schema "backtest_differences"."""
        return self._differences.copy()

    @property
    def stability(self) -> pd.DataFrame:
        """The thresholds of each origin; schema "backtest_rules"."""
        return self._stability.copy()

    @property
    def gains(self) -> pd.DataFrame:
        """What the most urgent alerts of a day catch; schema "backtest_gains"."""
        return self._gains.copy()

    def plot(
        self, ax: Axes | None = None, *, figure: Literal["value", "precision", "gains", "rules"] | None = None
    ) -> Axes:
        """Draw the value (or the precision) by origin, the gains curve, or the rules over time.

        By default the value where it is known, else the precision; see `churnsurv.plots.backtests`.

        Raises
        ------
        InputError
            If there is no such figure, or it has nothing to show.
        """
        from churnsurv.plots import backtests as draw

        axes: Axes
        if figure == "gains":
            axes = draw.backtest_gains(self.gains, ax, points=self.table)
        elif figure == "rules":
            axes = draw.backtest_rules(self.stability, ax, test_days=self.test_days, idle_days=self._idle_days)
        else:
            known = self._table["value"].notna().any()
            quantity = figure or ("value" if known else "precision")
            axes = draw.backtest(self.table, ax, quantity=quantity, test_days=self.test_days, level=self.level)
        return axes

    @property
    def _idle_days(self) -> int:
        return int(self.churn_rule.idle_days)

    def _headline(self) -> str:
        return headline(self._table, self._accuracy, self._differences, self.origins, self.test_days)

    def _facts(self) -> dict[str, Any]:
        plain = ("origins", "test_days", "tiers", "policies", "frozen", "capacities", "n_gaps", "n_churned", "n_users")
        tables = {
            "accuracy": self._accuracy,
            "differences": self._differences,
            "stability": self._stability,
            "gains": self._gains,
        }
        return {
            **{name: getattr(self, name) for name in plain},
            "rule": {"idle_days": self.churn_rule.idle_days, "activity": self.churn_rule.activity},
            "level": self.level,
            "notes": list(self.notes),
            **(
                {"hysteresis": dict(self.hysteresis), "tier_changes": dict(self.tier_changes)}
                if self.hysteresis
                else {}
            ),
            **{what: {str(name): t[name].tolist() for name in t.columns} for what, t in tables.items()},
        }


def backtest(
    log: ActivityLog,
    *,
    scheme: TierScheme | None = None,
    spec: Mapping[str, Any] | None = None,
    origins: int | date | str | Sequence[date | str] = 4,
    test_days: int = 90,
    rules: Mapping[str, Rule] | None = None,
    capacity: float | Sequence[float] | None = None,
    value: Value | None = None,
    score: Any = None,
    hysteresis: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Backtest:
    """Judge warning rules on gaps that begin after everything they were learnt from.

    At each origin D the rules are fitted as if the log ended on that day, or a ready scheme is taken, and held against
    the gaps that begin on the `test_days` days after D. What became of these gaps is known for all of them.

    Parameters
    ----------
    log : ActivityLog
    scheme : TierScheme, optional
        A ready scheme. Either this or `spec`.
    spec : Mapping, optional
        Arguments of `fit_tiers` but for the log and `until`: fitted at each origin. Without ``bootstrap`` nothing is
        resampled.
    origins : int, date, or sequence of dates
        The origins, or how many: then the last windows that fit, one behind the other.
    test_days : int
    rules : Mapping of str to Rule, optional
        Rules to compare with, by name, besides contacting nobody, everybody on the first idle day, and, where the
        balance is a variable, users idle for more than 15 days with a balance below 100.
    capacity : float or sequence of float, optional
        First alerts a day that can be worked off: what the most urgent of each day catch is told.
    value : Value, optional
        What a contact is worth. By default each tier is judged by its own value objective, and policies by that of
        the tiers, if there is one.
    score : table, optional
        For a ready `scheme` that cuts a score of your own: `user_id, date, score` as in `fit_tiers`, for the days to be
        judged. With `spec` it stands there.
    hysteresis : Mapping of str to float, optional
        Relative widths, above 0 and below 1: ``{"balance": 0.1}`` keeps who entered a tier by "balance < 100" in it
        below 110. Of balance and score columns alone: "balance" of rules; "score" of a score that is given, and of a
        Cox score, where "P(churn)" and the names of its values may stand alone.
    level : float
        Confidence level of all limits.

    Returns
    -------
    Backtest
        ``.table`` with figures per first alert (a gap counts once in a tier) and per row (a user counts on each idle
        day in it), ``.accuracy``, ``.differences``, ``.stability`` and ``.gains``. Limits take users as independent
        and rules as given. A missing value is what the scheme says, for all policies.

    Raises
    ------
    InputError
        If both or neither of `scheme` and `spec` are given, an origin is too early to learn from or too late for
        complete outcomes, a score that is given has no table or none for the days judged, hysteresis is asked for
        another variable, or an argument is not understood.

    Notes
    -----
    The gains curve and the policies of a `capacity` rank users by P(churn | cell, idle day) (idle_days - d) /
    idle_days, P being the share among the gaps before the origin, with the cells of the grids of the rules; shares
    are drawn to that of all cells as if 10 more gaps had it. Where tiers are cuts of a Cox fit, P is the fit's; of a
    score that is given, the score itself ranks.

    A tier of a `Capacity` and the policies of `capacity` have no more than so many first alerts on any calendar day,
    the most urgent first; who is left waits for the next day while the rule holds. Gaps that begin before and after
    the days judged stand in line, too. Among equals lots are drawn: figures are means over them.

    With `hysteresis` a user who is in a tier by its own rule stays in it while the rule holds with each threshold t of
    the variable moved by h abs(t) to where more users are. A higher tier is entered on the day on which its own rule
    holds; at an activity, and on leaving the tier, all is forgotten. A held user waits in line like the others. First
    alerts in a tier or a higher one come on the same days with and without it, where nothing limits them. Policies
    that the tiers are compared with have none.

    Examples
    --------
    >>> import churnsurv as ch
    >>> from churnsurv.warning import Saving, Value, backtest
    >>> worth = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
    >>> spec = {"objective": {"high": worth}, "variables": ["balance"], "missing": {"balance": 0}}
    >>> later = backtest(ch.simulate_app(1_000, seed=1).log, spec=spec, origins=2)
    >>> later.differences[["compared_with", "estimate"]].round(0)
                          compared_with  estimate
    0                            nobody    1474.0
    1                         everybody    3395.0
    2  idle_days > 15 and balance < 100     422.0
    """
    level = check_level(level)
    _check_asked(log, scheme, spec, value, score)
    known_until = None if scheme is None else scheme.known_until
    spans = windows(log, origins, test_days, known_until=known_until)
    asked = Asked(rules or {}, _capacities(capacity), value, horizons(log.rule.idle_days), check_widths(hysteresis))
    scores = ScoredLog(log, score if spec is None else spec.get("score"))
    judged = [
        judge(log, span, scheme if scheme is not None else _fitted(log, spec or {}, span), asked, scores)
        for span in spans
    ]
    return _result(log, spans, judged, asked, scores.covered, level=level, frozen=scheme is not None)


def horizons(idle_days: int) -> tuple[int, ...]:
    """The horizons of the accuracy: a week, and the idle days of churn."""
    return (idle_days,) if idle_days <= _WEEK else (_WEEK, idle_days)


def _fitted(log: ActivityLog, spec: Mapping[str, Any], span: Window) -> TierScheme:
    from churnsurv.warning.fitting import fit_tiers

    try:
        return fit_tiers(log, until=span.origin, **{"bootstrap": 0, **spec})
    except InputError as error:
        raise InputError(f"The tiers cannot be fitted at the origin {span.origin}: {error}") from error


def _result(
    log: ActivityLog,
    spans: Sequence[Window],
    judged: Sequence[Judged],
    asked: Asked,
    covered: Sequence[Coverage],
    *,
    level: float,
    frozen: bool,
) -> Backtest:
    idle, pooled = log.rule.idle_days, Judged.pooled(judged)
    rows = [
        {"origin": origin, "policy": policy, "tier": tier, **sums_row(sums, idle_days=idle, level=level)}
        for origin, each in [*((span.origin, one) for span, one in zip(spans, judged, strict=True)), (None, pooled)]
        for (policy, tier), sums in each.sums.items()
    ]
    whole = pooled.sums[FITTED, None]
    schemes = tuple(each.scheme for each in judged)
    table = frame_of(rows, "backtest")
    widths = check_hysteresis(asked.hysteresis, schemes[0])
    changes = changes_per_1000(pooled.changes, float(whole.gaps.sum()))
    return Backtest(
        origins=tuple(span.origin for span in spans),
        test_days=spans[0].n_days,
        tiers=tuple(tier.name for tier in schemes[0].tiers),
        policies=tuple(dict.fromkeys(policy for policy, _ in pooled.sums)),
        schemes=schemes,
        frozen=frozen,
        capacities=asked.capacities,
        n_gaps=int(whole.gaps.sum()),
        n_churned=int(whole.churned.sum()),
        n_users=judged[0].n_users,
        level=level,
        churn_rule=log.rule,
        notes=(
            *notes_of(spans, judged, table, covered=covered, frozen=frozen, own_worth=asked.value is None, level=level),
            *held_notes([each.scheme for each in judged], widths, changes),
        ),
        hysteresis=MappingProxyType(widths),
        tier_changes=MappingProxyType(changes),
        _table=table,
        _accuracy=frame_of(
            [accuracy_row(hits, horizon=h, policy=policy) for (h, policy), hits in pooled.hits.items()],
            "backtest_accuracy",
        ),
        _differences=frame_of(
            difference_rows(pooled.values, whole.gaps, fitted=FITTED, level=level), "backtest_differences"
        ),
        _stability=frame_of(
            [row for span, each in zip(spans, judged, strict=True) for row in rule_rows(span.origin, each.scheme)],
            "backtest_rules",
        ),
        _gains=frame_of(gains_rows(pooled.curves, asked.capacities, idle_days=idle), "backtest_gains"),
    )


# ------------------------------------------------------------------------------------------------------- arguments


def _check_asked(
    log: ActivityLog, scheme: TierScheme | None, spec: Mapping[str, Any] | None, value: Value | None, score: object
) -> None:
    if (scheme is None) == (spec is None):
        both = "both are" if scheme is not None else "neither is"
        raise InputError(
            f"backtest judges a ready scheme= or fits by spec= at each origin; {both} given. spec is a dict of the "
            'arguments of fit_tiers, such as {"variables": ["balance"], "objective": {...}}.'
        )
    if value is not None and not isinstance(value, Value):
        raise InputError(f"value is a ch.Value, what a contact is worth; it is {value!r}.")
    if scheme is not None and scheme.churn_rule != log.rule:
        raise InputError(
            f"The scheme was fitted under another churn rule ({scheme.churn_rule}) than that of the log ({log.rule})."
        )
    if score is not None and not (scheme is not None and isinstance(scheme.score, GivenScore)):
        where = 'spec={..., "score": table}' if scheme is None else "none: its tiers do not cut a score that is given"
        raise InputError(f"score= is for a ready scheme that was fitted to such a table. Here it is {where}.")
    if spec is not None:
        if not isinstance(spec, Mapping):
            raise InputError(f"spec is a dict of the arguments of fit_tiers; it is {spec!r}.")
        if own := [name for name in ("until", "log") if name in spec]:
            raise InputError(f"spec: {own[0]!r} is set by backtest, origin by origin. Leave it out.")
        check_spec(spec)


def _capacities(capacity: float | Sequence[float] | None) -> tuple[float, ...]:
    given = () if capacity is None else (capacity,) if isinstance(capacity, (int, float)) else tuple(capacity)
    for each in given:
        fits = isinstance(each, (int, float, np.integer, np.floating)) and not isinstance(each, bool)
        if not fits or not 0 < float(each) < float("inf"):
            raise InputError(f"capacity is a number of first alerts a day above 0, or several; it is {capacity!r}.")
    return tuple(sorted({float(each) for each in given}))
