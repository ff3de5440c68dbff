"""Cox regression as a scikit-learn estimator: pipelines, cross-validation, grid search. No formula is added here.

scikit-learn has no word for censored targets, so that `y` carries the days and whether they ended in churn; the
estimator is neither a classifier nor a regressor, and its score is Harrell's C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.survival.concordance import concordance
from churnsurv.survival.cox import cox
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.frames import as_frame
from churnsurv.survival.inputs import column_list

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_array, check_consistent_length, column_or_1d
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "churnsurv.integrations.sklearn needs scikit-learn 1.6 or later. Install it: pip install 'churnsurv[sklearn]'."
    ) from error

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CoxRegression"]

Floats: TypeAlias = NDArray[np.float64]

_DURATION, _EVENT, _ENTRY = "duration", "churned", "entry"


class CoxRegression(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Cox's proportional hazards model.

    Parameters
    ----------
    formula : str, optional
        Covariates by the names of the columns of X, as in `churnsurv.cox`: ``"channel + log1p(amount)"``. None: all
        columns that are not strata, side by side; text, categorical and boolean ones are categories.
    ties : {"efron", "breslow", "grouped"}
    penalty : float or "firth"
    l1_ratio : float
        0 is ridge, 1 is lasso.
    unpenalised : str or sequence of str
        Columns without penalty.
    strata : str or sequence of str, optional
        Columns of X whose values have a baseline hazard each.

    Attributes
    ----------
    fit_ : CoxFit
        The fit itself: its table, tests, residuals, predictions with intervals.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : (n_features,) array of str
        Their names, where X had names. Columns of an array are x0, x1, ...

    See Also
    --------
    churnsurv.cox : What it calls; each parameter is explained there.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"channel": ["search"] * 4 + ["friend"] * 4, "amount": [5, 3, 1, 2, 4, 1, 3, 1]})
    >>> y = pd.DataFrame({"duration": [30, 35, 60, 70, 33, 90, 95, 120], "churned": [1, 1, 1, 0, 1, 1, 1, 0]})
    >>> model = CoxRegression("channel").fit(X, y)
    >>> model.predict(X.tail(5)).round(3)
    array([1.28, 0.  , 0.  , 0.  , 0.  ])
    >>> model.predict_survival(X.iloc[[0, 4]], [30, 60]).round(3)
    array([[0.822, 0.349],
           [0.947, 0.746]])
    >>> round(model.score(X, y), 3)
    0.64
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        ties: Literal["efron", "breslow", "grouped"] = "efron",
        penalty: float | Literal["firth"] = 0.0,
        l1_ratio: float = 0.0,
        unpenalised: str | Sequence[str] = (),
        strata: str | Sequence[str] | None = None,
    ) -> None:
        self.formula = formula
        self.ties = ties
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.unpenalised = unpenalised
        self.strata = strata

    def fit(self, X: Any, y: Any) -> CoxRegression:
        """Fit the model.

        Parameters
        ----------
        X : table or (n, p) array
        y : structured array or table, or (n,), (n, 2) or (n, 3) array
            With `duration`, `churned` and optional `entry` by name, or as columns in that order. One column alone is
            durations, every one of them ending in churn.

        Raises
        ------
        ValueError
            Of which `InputError` and `SchemaError` are kinds: if X or y cannot be used.
        ConvergenceError
            If the maximum does not exist or is not reached.
        """
        frame = self._frame(X, y, reset=True)
        formula = _sum_of(frame, self.strata) if self.formula is None else self.formula
        data = _joined(frame, _outcome(y))
        self.fit_ = cox(
            formula, data, strata=self.strata, cluster=None, ties=self.ties, penalty=self.penalty,
            l1_ratio=self.l1_ratio, unpenalised=self.unpenalised, entry=_ENTRY if _ENTRY in data.columns else None,
        )  # fmt: skip
        return self

    def predict(self, X: Any) -> Floats:
        """Score rows by x'b, shape (n,): higher churns sooner. See `CoxFit.risk`."""
        check_is_fitted(self)
        return np.array(self.fit_.risk(self._frame(X)))

    def predict_survival(self, X: Any, times: ArrayLike) -> Floats:
        """Predict P(T > t) on given days, shape (n, n_times). See `CoxFit.survival`, which has limits too.

        Raises
        ------
        FollowUpError
            If nobody was followed to one of the days.
        """
        check_is_fitted(self)
        found = self.fit_.survival(self._frame(X), times)
        return found.values.copy()  # noqa: PD011 - an array of ours

    def score(self, X: Any, y: Any) -> float:
        """Return Harrell's C of the predicted risk, within strata where there are: 0.5 says nothing, 1 all.

        Raises
        ------
        InputError
            If no two rows can be compared, or X or y cannot be used.
        """
        check_is_fitted(self)
        frame = self._frame(X, y)
        data = _joined(frame, _outcome(y))
        found = concordance(
            data, score=np.array(self.fit_.risk(frame)), strata=self.strata, cluster=None,
            entry=_ENTRY if _ENTRY in data.columns else None,
        )  # fmt: skip
        return found.estimate

    def __sklearn_tags__(self) -> Any:
        """Say what scikit-learn should know: y is needed and positive, and X may hold text."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        tags.input_tags.string = True
        return tags

    def _frame(self, X: Any, y: Any = "not asked for", *, reset: bool = False) -> pd.DataFrame:
        """X as a table, once its number and names of columns are known to be right."""
        import pandas as pd

        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if _is_table(X):
            frame = as_frame(X, what="X").reset_index(drop=True)
            validate_data(self, frame, reset=reset, skip_check_array=True)
            if all(isinstance(name, str) for name in frame.columns):
                return frame
        else:
            fewest = 2 if reset else 1
            values = validate_data(self, X, reset=reset, dtype=None, ensure_min_samples=fewest)
            frame = pd.DataFrame(values).infer_objects()
        return frame.set_axis([f"x{i}" for i in range(frame.shape[1])], axis="columns")


def _sum_of(frame: pd.DataFrame, strata: str | Sequence[str] | None) -> str:
    """All columns but strata, joined by +."""
    apart = column_list("strata", strata)
    names = [str(name) for name in frame.columns if name not in apart]
    if not names:
        raise InputError("X has no column beside the strata. Add covariates.")
    text = " + ".join(f"`{name}`" for name in names)
    if not _says(text, names):
        wrong = [name for name in names if not _says(f"`{name}`", [name])]
        raise InputError(f"X: {', '.join(map(repr, wrong))} cannot stand in a formula. Rename the column.")
    return text


def _says(text: str, names: list[str]) -> bool:
    """Whether a formula is read as these columns: a backtick, a lone number or an operator as a name is not."""
    try:
        return parse_formula(text).variables == tuple(names)
    except InputError:
        return False


def _joined(frame: pd.DataFrame, outcome: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    check_consistent_length(frame, outcome)
    both = [name for name in outcome.columns if name in frame.columns]
    if both:
        raise InputError(
            f"X has the column {both[0]!r}, which is the outcome: the model would look ahead. Take it out of X, or "
            "rename it if it is something else."
        )
    return pd.concat([frame, outcome], axis="columns")


def _is_table(data: Any) -> bool:
    """Whether columns have names: pandas, polars or pyarrow."""
    return hasattr(data, "columns") or hasattr(data, "column_names")


def _named(outcome: pd.DataFrame) -> pd.DataFrame:
    require_columns("y", [_DURATION, _EVENT], outcome.columns)
    return outcome[[name for name in (_DURATION, _EVENT, _ENTRY) if name in outcome.columns]]


def _outcome(y: Any) -> pd.DataFrame:
    """The columns `duration`, `churned` and, where y has it, `entry`."""
    import pandas as pd

    if _is_table(y):
        return _named(as_frame(y, what="y").reset_index(drop=True))
    if getattr(getattr(y, "dtype", None), "names", None):
        return _named(pd.DataFrame({name: y[name] for name in y.dtype.names}))
    values = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    if values.ndim == 1 or values.shape[1] == 1:
        days = column_or_1d(values, warn=True)
        if np.isin(days, (0, 1)).all():
            raise InputError(
                "y holds 0 and 1 only: it seems to say who churned, not when. Pass two columns, duration and churned."
            )
        return pd.DataFrame({_DURATION: days, _EVENT: True})
    if values.shape[1] > 3:
        raise InputError(f"y must have the columns duration, churned and, if need be, entry; it has {values.shape[1]}.")
    return pd.DataFrame(values, columns=[_DURATION, _EVENT, _ENTRY][: values.shape[1]])
