"""The alerts of a day: who is in a warning tier, since when and why, how likely churn is and what it would cost."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.alert_scores import silent_margins, silent_scores
from churnsurv.data.alert_states import SilentStates, known_columns, silent_users
from churnsurv.data.feature import BUILT_IN, Feature, resolve
from churnsurv.data.rule import calendar_day
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.frames import first_of, numeric_column
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema
from churnsurv.warning.alerts_replay import TENURE, Replay, replay
from churnsurv.warning.alerts_risk import Chances, chances_by_gaps, chances_by_score, unknown
from churnsurv.warning.alerts_table import Found, alert_counts, alert_table
from churnsurv.warning.alerts_words import margin_notes, scheme_notes, score_notes, state_notes
from churnsurv.warning.backtest_material import check_rule
from churnsurv.warning.given_score import SCORE, GivenScore
from churnsurv.warning.hysteresis import check_hysteresis
from churnsurv.warning.rules import IDLE_DAYS
from churnsurv.warning.scores import GapScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog, ChurnRule
    from churnsurv.warning.scheme import TierScheme

__all__ = ["Alerts", "alerts"]

Floats: TypeAlias = NDArray[np.float64]

_FILES = (".csv", ".tsv", ".txt", ".gz", ".zst", ".parquet", ".pq", ".parq")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Alerts(Result):
    """Who is in a warning tier at the end of a day, and who is no longer; made by `alerts`.

    Attributes
    ----------
    as_of : date
        At whose end all is as it was known.
    tiers : tuple of str
        Highest first.
    level : float
        Confidence level of all limits.
    churn_rule : ChurnRule
    hysteresis : Mapping of str to float
        Relative widths by what rules compare; empty without.
    counts : Mapping of str to int
        `in_tier`, of them `new`, `continued`, `upgraded`, `lowered` and `held` (by hysteresis alone); `resolved`, of
        them `resolved_by_activity`, `resolved_by_churn`, `resolved_by_state`; ``tier NAME`` for each tier; `living`
        users, those of them that are `silent` (idle for a day or more); `without_margin`, rows in a tier of users whose
        margin is not known.
    in_tier : Mapping of str to int
        Users in each tier, highest first.
    features : tuple of str
        Columns that were asked for.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "alerts"

    as_of: datetime.date
    tiers: tuple[str, ...]
    level: float
    churn_rule: ChurnRule
    hysteresis: Mapping[str, float]
    counts: Mapping[str, int]
    in_tier: Mapping[str, int]
    features: tuple[str, ...]
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _states: pd.DataFrame
    _scheme: TierScheme

    def __post_init__(self) -> None:
        for each in ("hysteresis", "counts", "in_tier"):
            object.__setattr__(self, each, MappingProxyType(dict(getattr(self, each))))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table, schema "alerts" and the features asked for: highest tier first, resolved ones last."""
        return self._table.copy()

    def explain(self, user_id: object) -> str:
        """Say in words why a user has an alert, since when, how likely churn is and when it would come.

        Parameters
        ----------
        user_id : object
            Compared as it prints: 17 and "17" are the same user.

        Raises
        ------
        InputError
            If the user has no row; the nearest ids are given.
        """
        from churnsurv.warning.alerts_text import explained

        return explained(self, user_id)

    def to_text(self, limit: int = 30) -> str:
        """The alerts as a printed list, at most `limit` of them, the most urgent first.

        Raises
        ------
        InputError
            If `limit` is not a whole number, 1 or more.
        """
        from churnsurv.warning.alerts_text import listed

        return listed(self, limit)

    def __str__(self) -> str:
        return self.to_text()

    def _headline(self) -> str:
        from churnsurv.warning.alerts_text import headline

        return headline(self)

    def _facts(self) -> dict[str, Any]:
        return {
            "as_of": self.as_of,
            "tiers": self.tiers,
            "level": self.level,
            "rule": {"idle_days": self.churn_rule.idle_days, "activity": self.churn_rule.activity},
            "hysteresis": dict(self.hysteresis),
            "counts": dict(self.counts),
            "in_tier": dict(self.in_tier),
            "features": self.features,
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        from churnsurv.warning.alerts_text import as_html

        return as_html(self)


def alerts(
    scheme: TierScheme,
    log: ActivityLog,
    *,
    as_of: datetime.date | str,
    margin: Any = None,
    hysteresis: Mapping[str, float] | None = None,
    score: Any = None,
    features: Sequence[str | Feature] = (),
    level: float = 0.95,
) -> Alerts:
    """List who is in a warning tier at the end of a day, what is new since the day before, and why.

    A pure function of what was known at the end of the day: silences are replayed from the log, not from an earlier
    run, so that days may be computed in any order and any number of times.

    Parameters
    ----------
    scheme : TierScheme
    log : ActivityLog
        What it holds of later days is not looked at.
    as_of : date or ISO text
    margin : table or str, optional
        What users are worth: a table `user_id, margin`, or the name of a column of the users or of a feature. Without
        it no value at risk is told.
    hysteresis : Mapping of str to float, optional
        A user stays in a tier while its rule holds with thresholds moved by this share of them, up to the next
        activity: ``{"balance": 0.1}`` keeps "balance < 100" up to 110. For the balance and for scores alone. A higher
        tier is entered on the day on which its own rule holds.
    score : table, optional
        `user_id, date, score` where the tiers are cuts of a score that is given, as for `backtest`; of all days of a
        silence. On a day without a row the last score before holds.
    features : sequence of str or Feature
        What else to tell of each user at the end of the day: features, attributes of the users, `tenure`,
        `active_days`, `mean_interval`, `last_interval`.
    level : float
        Confidence level of all limits.

    Returns
    -------
    Alerts
        ``.table``, schema "alerts". `risk` is P(churn | idle days, what the rules look at): for rules the share that
        ended in churn of the mature gaps known by then (drawn to that of all of them as if 10 more gaps had it), for a
        Cox score its own chance, each with limits that take users as independent; not known for a score that is given.

    Raises
    ------
    InputError
        If the log does not cover the day or has another churn rule than the scheme, a rule holds on the day of an
        activity, a margin is negative or no number, or an argument is not understood.
    SchemaError
        If a table lacks a column, or a column has the wrong type.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(300, seed=1).log
    >>> scheme = ch.fit_tiers(log, variables=["balance"], objective={"high": ch.Precision(target=0.5)}, bootstrap=0)
    >>> found = alerts(scheme, log, as_of="2025-05-01", hysteresis={"balance": 0.1})
    >>> {each: found.counts[each] for each in ("in_tier", "new", "resolved", "living")}
    {'in_tier': 6, 'new': 1, 'resolved': 1, 'living': 54}
    """
    level, widths = check_level(level), check_hysteresis(hysteresis, scheme)
    day = calendar_day(as_of, "as_of")
    _check(scheme, log, score)
    known = log.as_of(day)
    asked = _asked(scheme, known, features, margin)
    with silent_users(known) as users:
        states = users.states(asked.named, replayed=asked.variables, own=asked.own)
        scores = silent_scores(known, users, score) if isinstance(scheme.score, GivenScore) else None
        given = None if asked.margins is None else silent_margins(known, users, asked.margins)
    last = (day - datetime.date(1970, 1, 1)).days
    everybody = replay(scheme, widths, states, last, scores=scores, tenure=asked.tenure)
    today = states.table.iloc[states.last].reset_index(drop=True)
    margin_of = _margins(today, asked.worth) if given is None else given.margin
    found = _found(scheme, known, states, today, everybody, margin_of, level)
    table = alert_table(found, scheme, widths, day, extra=asked.extra)
    silent = everybody.silent(scheme.idle_days)
    notes = (
        *scheme_notes(scheme, widths, day),
        *state_notes(scheme, today[silent], asked.variables),
        *(() if scores is None else score_notes(scores, everybody.idle, silent)),
        *found.chances.notes,
        *margin_notes(table, given, asked.worth),
    )
    numbers = {name: values for name, values in found.tiers.numbers.items() if name not in found.state}
    return Alerts(
        as_of=day,
        tiers=tuple(tier.name for tier in scheme.tiers),
        level=level,
        churn_rule=scheme.churn_rule,
        hysteresis=widths,
        counts=alert_counts(table, scheme, living=users.living, silent=int(np.count_nonzero(silent))),
        in_tier={tier.name: int((table["tier"] == tier.name).sum()) for tier in scheme.tiers},
        features=asked.extra,
        notes=notes,
        _table=table,
        _states=found.state.assign(**numbers),
        _scheme=scheme,
    )


# ------------------------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is needed of users.

    `variables`: columns that the tiers look at on each day of a silence; `extra`: columns for the reader; `worth`: the
    column, and `margins` the table, of what users are worth; `own`: features among them that are no built-in ones;
    `tenure`: whether the tenure is counted from the registration.
    """

    variables: tuple[str, ...]
    extra: tuple[str, ...]
    worth: str | None
    margins: Any
    own: tuple[Feature, ...]
    tenure: bool

    @property
    def named(self) -> list[str]:
        """All columns, each once."""
        return list(dict.fromkeys([*self.variables, *self.extra, *([] if self.worth is None else [self.worth])]))


def _check(scheme: TierScheme, log: ActivityLog, score: Any) -> None:
    """Raise what keeps a scheme from being applied to a log."""
    if scheme.churn_rule != log.rule:
        raise InputError(
            f"The scheme was fitted under another churn rule ({scheme.churn_rule}) than that of the log ({log.rule})."
        )
    if isinstance(scheme.score, GivenScore):
        if score is None:
            raise InputError(
                "The tiers are cuts of a score that was given: pass it as score=, a table with user_id, date, score, "
                "for the day and those of the silences before it."
            )
        return
    if score is not None:
        raise InputError("score= is for tiers that are cuts of a score that was given. Leave it out.")
    if scheme.score is None:
        for tier in scheme.tiers:
            check_rule(tier.rule, [*tier.rule.variables], f"tier {tier.name}")


def _asked(scheme: TierScheme, log: ActivityLog, features: Sequence[str | Feature], margin: Any) -> _Asked:
    own = {each.name: each for each in resolve(log.features) if isinstance(each, Feature) and each.name not in BUILT_IN}
    own |= {each.name: each for each in scheme.variables if isinstance(each, Feature)}
    if isinstance(features, (str, Feature)) or not isinstance(features, Sequence):
        raise InputError(f"features is a list of names and ch.Feature, such as ['n_investments']; it is {features!r}.")
    for each in features:
        if not isinstance(each, (str, Feature)):
            raise InputError(f"features is a list of names and ch.Feature, such as ['n_investments']; it has {each!r}.")
        if isinstance(each, Feature) and own.setdefault(each.name, each) != each:
            raise InputError(f"features: the log or the tiers have another feature {each.name!r}. Rename yours.")
    extra = tuple(dict.fromkeys(each.name if isinstance(each, Feature) else each for each in features))
    known = known_columns(log, tuple(own.values()))
    taken = (*schema("alerts").names, *((SCORE,) if isinstance(scheme.score, GivenScore) else ()))
    for each in extra:
        if each not in known:
            raise InputError(f"features: there is no {each!r}.{did_you_mean(str(each), known)}")
        if each.lower() in taken:
            raise InputError(f"features: the table of alerts has a column {each!r} of its own. Rename the feature.")
    found = dict.fromkeys(name for tier in scheme.tiers for name in tier.rule.variables if name != IDLE_DAYS)
    if scheme.score is not None:
        found = dict.fromkeys(() if isinstance(scheme.score, GivenScore) else scheme.score.variables)
    for each in found:
        if each not in known:
            raise InputError(f"The tiers look at {each!r}, which the log does not have.{did_you_mean(each, known)}")
    tenure = known.get(TENURE) == known_columns(log)[TENURE] and TENURE not in log._reading.users_read.attributes
    worth, margins = _worth(margin, known)
    variables = tuple(each for each in found if each != TENURE or not tenure)
    return _Asked(variables, extra, worth, margins, tuple(own.values()), tenure)


def _worth(margin: Any, known: Mapping[str, str]) -> tuple[str | None, Any]:
    """The column of what users are worth, or else the table."""
    if not isinstance(margin, str):
        return None, margin
    if margin in known:
        return margin, None
    if margin.lower().endswith(_FILES):
        return None, margin
    raise InputError(
        f"margin is a table with user_id and margin, or the name of a column of the users or a feature; there is no "
        f"{margin!r}.{did_you_mean(margin, known)}"
    )


# --------------------------------------------------------------------------------------------------------- the answers


def _found(
    scheme: TierScheme,
    log: ActivityLog,
    states: SilentStates,
    today: pd.DataFrame,
    everybody: Replay,
    margin: Floats | None,
    level: float,
) -> Found:
    """Those who are in a tier, or were on the day before, the most urgent first."""
    n_tiers = len(scheme.tiers)
    chosen = np.flatnonzero((everybody.now < n_tiers) | (everybody.before < n_tiers))
    tiers, state = everybody.at(chosen), today.iloc[chosen].reset_index(drop=True)
    found = Found(
        user_id=states.user_id.iloc[chosen].reset_index(drop=True),
        tiers=tiers,
        active=states.active[chosen],
        chances=_chances(scheme, log, state, tiers, level),
        margin=None if margin is None else margin[chosen],
        state=state,
    )
    return found.in_order(scheme)


def _margins(today: pd.DataFrame, worth: str | None) -> Floats | None:
    """The column of what users are worth, as numbers."""
    if worth is None:
        return None
    found = numeric_column(today, worth, "numbers: what each user is worth").astype(np.float64)
    wrong = (found < 0) | np.isinf(found)
    if wrong.any():
        raise InputError(
            f"margin: {worth!r} is negative or infinite; {first_of(wrong, found)}. A margin is what a user is worth, 0 "
            "or more; leave it empty where that is not known."
        )
    return found


def _chances(scheme: TierScheme, log: ActivityLog, state: pd.DataFrame, tiers: Replay, level: float) -> Chances:
    """P(churn) of those who are still silent."""
    rows = np.flatnonzero(tiers.silent(scheme.idle_days))
    if isinstance(scheme.score, GivenScore):
        return unknown(tiers.idle.size, note("A score that is given is no chance: the risk is not told."))
    if not rows.size:
        return unknown(tiers.idle.size)
    state, idle = state.iloc[rows].reset_index(drop=True), tiers.idle[rows]
    if isinstance(scheme.score, GapScore):
        found = chances_by_score(scheme, scheme.score, state, idle, level=level)
    else:
        numbers = {name: values[rows] for name, values in tiers.numbers.items()}
        values = {
            name: numeric_column(state, name, "numbers").astype(np.float64) if name in state else numbers[name]
            for name in numbers
        }
        found = chances_by_gaps(log, scheme, idle, values, level=level)
    return found.spread(rows, tiers.idle.size)
