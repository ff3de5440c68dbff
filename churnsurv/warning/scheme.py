"""A tier scheme: for each warning tier the rule that the data support, how it did in training, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.errors import InputError
from churnsurv.tables import Result

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ChurnRule, Feature
    from churnsurv.warning.assign import TierAssignment
    from churnsurv.warning.explaining import Explanation
    from churnsurv.warning.given_score import GivenScore
    from churnsurv.warning.rules import Rule
    from churnsurv.warning.scores import GapScore

__all__ = ["TierRule", "TierScheme"]


@dataclass(frozen=True, slots=True, eq=False)
class TierRule:
    """One warning tier.

    Attributes
    ----------
    name : str
    rule : Rule
        A user is in the tier while it holds and no higher tier's does; empty: nobody is.
    objective : Mapping
        What the rule was fitted for, as plain data; see `objective_from_plain`.
    fitted : Rule
        The rule before its thresholds were rounded.
    figures : Mapping
        How the rule did in training: the numbers of its row of `TierScheme.table`, and `value_optimism`.
    """

    name: str
    rule: Rule
    objective: Mapping[str, Any]
    fitted: Rule
    figures: Mapping[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """As nested dicts and lists that JSON can hold."""
        return {
            "name": self.name,
            "rule": self.rule.to_plain(),
            "objective": dict(self.objective),
            "fitted": self.fitted.to_plain(),
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TierScheme(Result):
    """Warning tiers with their rules. Made by `fit_tiers`.

    Attributes
    ----------
    tiers : tuple of TierRule
        Highest first; a user has the highest tier that holds.
    variables : tuple of str or Feature
        What the rules may look at besides the idle days.
    grids : Mapping of str to tuple of float
        The thresholds that were tried for each variable.
    missing : Mapping of str to float
        What stands in where a variable has no value, see `filled`; of other variables a missing value fulfils no
        condition.
    churn_rule : ChurnRule
    window : (date, date)
        First and last day on which a gap of the training data begins.
    known_until : date
        The last day that training looked at.
    n_users, n_gaps, n_churned, n_days
        Of the training data: users, gaps, gaps that ended in churn, days of the window.
    data_hash : str
        SHA-256 of the training counts.
    bootstrap, blocks, seed : int
    level : float
        Confidence level of all limits.
    version : str
        Of churnsurv that fitted it.
    notes : tuple of str
        What a reader must know.
    score : GapScore, GivenScore or None
        What the rules cut, with ``family="score"``; of a `GivenScore` a snapshot has the column `score`.
    """

    _schema: ClassVar[str] = "tier_rules"

    tiers: tuple[TierRule, ...]
    variables: tuple[str | Feature, ...]
    grids: Mapping[str, tuple[float, ...]]
    missing: Mapping[str, float]
    churn_rule: ChurnRule
    window: tuple[date, date]
    known_until: date
    n_users: int
    n_gaps: int
    n_churned: int
    n_days: int
    data_hash: str
    bootstrap: int
    blocks: int
    seed: int
    level: float
    version: str
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _thresholds: pd.DataFrame
    _alternatives: pd.DataFrame
    _sensitivity: pd.DataFrame
    score: GapScore | GivenScore | None = None

    @property
    def idle_days(self) -> int:
        """Idle days that make a churn."""
        return int(self.churn_rule.idle_days)

    @property
    def features(self) -> list[str | Feature]:
        """The features that the rules look at, for ``log.snapshot(day, features=scheme.features)``.

        Attributes of the users and their activity are columns of a snapshot anyway.
        """
        from churnsurv.data.feature import BUILT_IN, SPECIAL

        used = {name for tier in self.tiers for name in tier.rule.variables}
        used |= set() if self.score is None else set(self.score.variables)
        named = [each for each in self.variables if isinstance(each, str) and (each in BUILT_IN or each in SPECIAL)]
        own = [each for each in self.variables if not isinstance(each, str)]
        return [each for each in (*named, *own) if (each if isinstance(each, str) else each.name) in used]

    def filled(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of users with a number where `missing` says what stands in for no value: what rules are held to."""
        there = {name: value for name, value in self.missing.items() if name in table}
        return table.fillna(there) if there else table

    @property
    def table(self) -> pd.DataFrame:
        """One row a tier, highest first: its rule and how it did in training; schema "tier_rules"."""
        return self._table.copy()

    @property
    def thresholds(self) -> pd.DataFrame:
        """Each threshold of each rule and how often resampled users give the same; schema "tier_thresholds"."""
        return self._thresholds.copy()

    @property
    def alternatives(self) -> pd.DataFrame:
        """The rules that may be the best as far as the data can tell, by form; schema "tier_confidence_set"."""
        return self._alternatives.copy()

    @property
    def sensitivity(self) -> pd.DataFrame:
        """The best rule if contacts save more, less, earlier or later; schema "tier_sensitivity"."""
        return self._sensitivity.copy()

    def assign(self, snapshot: Any) -> TierAssignment:
        """Put users into tiers by their state today: the highest tier whose rule holds, or none.

        The past does not matter: a user leaves a tier as soon as its rule holds no more.

        Parameters
        ----------
        snapshot : Snapshot, Panel, table or relation
            What ``log.snapshot(day, features=scheme.features)`` gives; or a table (pandas, polars, pyarrow, a path, a
            relation of an engine) with the columns `user_id, idle_days` and the variables of the rules. Of a relation
            these columns are fetched; `to_sql` leaves everything where it is.

        Returns
        -------
        TierAssignment
            ``.table`` with `user_id, date, idle_days, tier` and the variables, rows as they came. `tier` is an ordered
            categorical, lowest tier first, null for none. A missing value fulfils no condition, unless the scheme says
            what stands in for it; who has churned already is in no tier. Both are counted and noted.

        Raises
        ------
        SchemaError
            If a column is missing (the nearest name is given) or holds no numbers.
        InputError
            If the snapshot was taken under another churn rule, or idle days are below 0.

        Examples
        --------
        >>> import churnsurv as ch
        >>> from churnsurv.warning import Precision, fit_tiers
        >>> log = ch.simulate_app(300, seed=1).log
        >>> scheme = fit_tiers(log, variables=["balance"], objective={"high": Precision(target=0.5)}, bootstrap=0)
        >>> scheme.assign(log.snapshot("2025-05-01", features=scheme.features)).table["tier"].cat.categories.tolist()
        ['high']
        """
        from churnsurv.warning.assign import assign

        return assign(self, snapshot)

    def explain(self, snapshot: Any, user_id: object) -> Explanation:
        """Say why a user is in a tier: each condition, the user's value, and how many days are left until churn.

        Parameters
        ----------
        snapshot : Snapshot, table or relation
            As for `assign`, of one day.
        user_id : object
            Compared as it prints: 17 and "17" are the same user.

        Returns
        -------
        Explanation
            ``.text``, one paragraph in plain words; ``.table``, one row a condition; `tier`, `days_left`.

        Raises
        ------
        InputError
            If the snapshot has no such user (the nearest ids are given), or has the user in several rows.
        """
        from churnsurv.warning.explaining import explain

        return explain(self, snapshot, user_id)

    def to_sql(
        self,
        table: str | Sequence[str],
        *,
        keep: str | Sequence[str] | None = None,
        dialect: str = "duckdb",
    ) -> str:
        """Write one SELECT that gives every row of a table its tier, as `assign` does.

        Parameters
        ----------
        table : str or sequence of str
            A table with `idle_days` and the variables of the rules as numbers; of a score the columns of its formula,
            or the column `score`. A dot separates schema and table; the
            parts of a name that holds a dot itself come as a sequence: ``("main", "users.v2")``.
        keep : str or sequence of str, optional
            Columns of the table that the result has before `tier`; all by default. A table that has a column `tier`
            of its own needs it, and SQLite does for tiers of a Cox score.
        dialect : {"duckdb", "spark", "sqlite"}
            Logarithms, powers and roots of a formula need SQLite's mathematical functions.

        Returns
        -------
        str
            A statement without a semicolon at its end.

        Raises
        ------
        InputError
            If a name cannot be used or occurs twice, there is no such dialect or it lacks what a formula needs, or
            SQLGlot is needed and not installed.

        Notes
        -----
        Of a Cox score the statement computes the linear predictor: on each idle day a tier is where that is below a
        bound. Scores within rounding (about 1e-12) of a cut may fall to the other side. A category that the fit has not
        seen, which `assign` refuses, is in no tier.
        """
        from churnsurv.warning.scheme_sql import to_sql

        return to_sql(self, table, keep=keep, dialect=dialect)

    def to_json(self) -> str:
        """The scheme as JSON text, from which `from_json` makes it again, to the last bit."""
        from churnsurv.warning.scheme_saving import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> TierScheme:
        """Read what `to_json` wrote."""
        from churnsurv.warning.scheme_saving import from_json

        return from_json(text)

    def save(self, path: str | Path) -> Path:
        """Write the scheme into a JSON file, whole or not at all; ``ch.load(path)`` reads it.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        InputError
            If the file cannot be written, or a file that is no saved result stands in its place.
        """
        from churnsurv.warning.scheme_saving import save

        return save(self, path)

    def bands(self, variable: str | None = None) -> pd.DataFrame:
        """Say for each band of a variable on which idle days each tier holds; schema "tier_bands".

        Parameters
        ----------
        variable : str, optional
            By default the balance, where the rules look at it, else the first variable that they look at.

        Raises
        ------
        InputError
            If the scheme has no such variable; the nearest is given. If its tiers are cuts of a score.
        """
        if self.score is not None:
            raise InputError(
                "These tiers are cuts of a score, which bands of a variable do not show. "
                "scheme.assign(snapshot) puts users into them, scheme.explain(snapshot, user_id) says why."
            )
        from churnsurv.warning.tier_bands import bands

        return bands(self, variable)

    def plot(self, ax: Axes | None = None, *, variable: str | None = None) -> Axes:
        """Draw the tiers over idle days and the bands of a variable; see `churnsurv.plots.tiers`."""
        from churnsurv.plots.tiers import tier_bands

        axes: Axes = tier_bands(self.bands(variable), ax, idle_days=self.idle_days)
        return axes

    def _headline(self) -> str:
        parts = [f"{row.tier}: {row.rule}{_said(row)}" for row in self._table.itertuples()]
        first, last = self.window
        return f"{'; '.join(parts)}; {self.n_gaps:,} gaps of {self.n_users:,} users, {first} to {last}"

    def _facts(self) -> dict[str, Any]:
        return {
            "tiers": [tier.to_plain() for tier in self.tiers],
            "variables": [each if isinstance(each, str) else each.name for each in self.variables],
            "grids": {name: list(cuts) for name, cuts in self.grids.items()},
            "missing": dict(self.missing),
            "rule": {"idle_days": self.churn_rule.idle_days, "activity": self.churn_rule.activity},
            "window": list(self.window),
            **{
                name: getattr(self, name)
                for name in ("known_until", "n_users", "n_gaps", "n_churned", "n_days", "data_hash")
            },
            **{name: getattr(self, name) for name in ("bootstrap", "blocks", "seed", "level", "version")},
            "notes": list(self.notes),
            **({} if self.score is None else self.score.told),
            **{
                what: {str(name): table[name].tolist() for name in table.columns}
                for what, table in (
                    ("thresholds", self._thresholds),
                    ("alternatives", self._alternatives),
                    ("sensitivity", self._sensitivity),
                )
            },
        }


def _said(row: Any) -> str:
    """The figures of a tier that the headline tells."""
    if row.alerts == 0:
        return ""
    value = f", {row.value:,.4g} per 1,000 gaps" if row.value == row.value else ""
    return f" ({row.alerts_per_day:,.1f} alerts a day, {row.precision:.0%} right{value})"
