"""New rows for a fitted model: its columns in the coding of the fit, its strata, and who the rows are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.design import Design, Indicators
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.covariates import Encoding, FactorCode, Row, cells_of, joint_codes, known_codes, products
from churnsurv.survival.factors import joined
from churnsurv.survival.formula import Values, evaluate
from churnsurv.survival.frames import as_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fitted", "NewData", "Part", "design_order", "encoded_parts", "model_matrix", "new_data"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

# rows times numbers per row that a part of the table may hold at once: it stays in the caches
_PART = 1 << 19
_FEWEST_ROWS, _MOST_ROWS = 256, 65_536


class Fitted(Protocol):
    """What a prediction asks of a fit."""

    @property
    def strata(self) -> tuple[str, ...]:
        """Columns whose values have a baseline hazard each."""
        ...

    @property
    def offset(self) -> str | None:
        """Column that is added to the linear predictor."""
        ...

    @property
    def level(self) -> float:
        """Confidence level."""
        ...

    @property
    def covariance(self) -> Floats:
        """Of the estimates, in the order of the formula."""
        ...

    @property
    def _rows(self) -> tuple[Row, ...]: ...
    @property
    def _estimates(self) -> Floats: ...
    @property
    def _encoding(self) -> Encoding: ...
    @property
    def _moments(self) -> BaselineMoments: ...
    @property
    def _strata_labels(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class NewData:
    """A table of new rows.

    Attributes
    ----------
    frame : DataFrame
    stratum : (n,) int32
        Position of each row's stratum among those of the fit.
    ids : Series or None
        `user_id`, where the table has it.
    """

    frame: pd.DataFrame
    stratum: Codes
    ids: pd.Series[Any] | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some consecutive rows of a table, encoded.

    Attributes
    ----------
    rows : slice
    design : Design
        With the centre and the scale of the fitted rows, or with none.
    offset : (n_rows,) float64, or None
    """

    rows: slice
    design: Design
    offset: Floats | None


def model_matrix(fit: Fitted, newdata: Any) -> pd.DataFrame:
    """Return rows as the model sees them: x of the linear predictor x'b, in the units of the covariates.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        With the columns of the formula; outcome, strata and offset are not needed.

    Returns
    -------
    DataFrame
        float64, one row per row of `newdata` in its order (index 0, 1, ...), one column per term in the order of
        ``fit.table``. Categories have a column of 0 and 1 each, but for the reference; splines and the like have the
        knots of the fit. So ``fit.model_matrix(newdata) @ fit.table["estimate"].to_numpy()`` is the risk, less the
        offset.

    Raises
    ------
    SchemaError, InputError
        If a column is missing, or a row has a category or a value that the fit cannot place.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
    >>> model_matrix(cox("g", data), pd.DataFrame({"g": ["a", "b"]}))
       g: b
    0   0.0
    1   1.0
    """
    import pandas as pd

    new = new_data(fit, newdata, stratified=False, with_offset=False)
    order = design_order(fit._encoding)
    values = np.empty((new.n, order.size))
    for part in encoded_parts(fit, new, per_row=2 * order.size, scaled=False):
        values[part.rows, order] = part.design.rows(slice(None))
    return pd.DataFrame(values, columns=[row.term for row in fit._rows])


def new_data(
    fit: Fitted, newdata: Any, *, columns: tuple[str, ...] = (), stratified: bool = True, with_offset: bool = True
) -> NewData:
    """Read a table of new rows and find their strata.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        With the columns of the formula, the strata and the offset; the outcome is not needed.
    columns : tuple of str
        Further columns that must be there.
    stratified, with_offset : bool
        Whether the question depends on the stratum, and on the offset.

    Raises
    ------
    SchemaError
        If a column is missing; the nearest name is given.
    InputError
        If a row is of a stratum that the model was not fitted to.
    """
    names = fit.strata if stratified else ()
    offset = (fit.offset,) if with_offset and fit.offset is not None else ()
    needed = [*fit._encoding.variables, *names, *columns, *offset]
    needed = list(dict.fromkeys(needed))
    frame = as_frame(newdata, columns=(), needed=needed, optional=("user_id",), what="newdata")
    ids = frame["user_id"].reset_index(drop=True).copy() if "user_id" in frame.columns else None
    return NewData(frame, _stratum_codes(frame, names, fit._strata_labels), ids)


def _stratum_codes(frame: pd.DataFrame, names: tuple[str, ...], known: tuple[str, ...]) -> Codes:
    if not names or len(frame) == 0:
        return np.zeros(len(frame), dtype=np.int32)
    found = joined(frame, names)
    position = {label: i for i, label in enumerate(known)}
    for label in found.labels:
        if label not in position:
            shown = ", ".join(map(repr, known[:20])) + (" ..." if len(known) > 20 else "")
            raise InputError(
                f"strata: {' | '.join(names)} has the value {label!r}, which the model was not fitted to: it has no "
                f"baseline hazard.{did_you_mean(label, known)} It knows {shown}. Leave these rows out, and say so."
            )
    to = np.array([position[label] for label in found.labels], dtype=np.int32)
    return np.full(len(frame), to[0]) if found.codes is None else np.asarray(to[found.codes])


def design_order(encoding: Encoding) -> NDArray[np.intp]:
    """Return the place in the order of the formula of each column of the design: numeric columns first, then the rest.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.covariates import learn_encoding
    >>> from churnsurv.survival.formula import parse_formula
    >>> frame = pd.DataFrame({"channel": ["ads", "shop", "friend"], "x": [1.0, 2.0, 4.0]})
    >>> design_order(learn_encoding(parse_formula("channel + x"), frame)[0]).tolist()
    [2, 0, 1]
    """
    numeric: list[int] = []
    others: list[int] = []
    for term in encoding.terms:
        n = len(cells_of(term, encoding.factors)) * math.prod(len(encoding.factors[x].labels) for x in term.numeric)
        first = len(numeric) + len(others)
        (others if term.categories else numeric).extend(range(first, first + n))
    return np.array(numeric + others, dtype=np.intp)


def encoded_parts(fit: Fitted, new: NewData, *, per_row: int, scaled: bool = True) -> Iterator[Part]:
    """Encode the rows as those of the fit were, part by part: categories stay codes, and only one part is in memory.

    Parameters
    ----------
    fit : CoxFit
    new : NewData
    per_row : int
        Numbers that the caller holds for each row, which with the number of columns decides the size of a part.
    scaled : bool
        False: the columns as they are, and no offset.

    Raises
    ------
    InputError
        If a covariate is missing or not finite, or has a category that the model was not fitted to.
    """
    moments = fit._moments
    size = min(max(_PART // max(per_row, moments.scale.shape[0]), _FEWEST_ROWS), _MOST_ROWS)
    for first in range(0, new.n, size):
        rows = slice(first, min(first + size, new.n))
        try:
            yield _part(fit, new.frame.iloc[rows], rows, scaled=scaled)
        except InputError:
            # once more on the whole table: the message then counts its rows, and names the first of them
            _part(fit, new.frame, rows, scaled=scaled)
            raise


def _part(fit: Fitted, frame: pd.DataFrame, rows: slice, *, scaled: bool) -> Part:
    centre, scale = fit._moments.centre, fit._moments.scale
    if not scaled:
        centre, scale = np.zeros_like(centre), np.ones_like(scale)
    design = _design(fit._encoding, frame, centre, scale)
    return Part(rows, design, None if fit.offset is None or not scaled else _offset(fit.offset, frame))


def _offset(name: str, frame: pd.DataFrame) -> Floats:
    values = evaluate(f"`{name}`", frame, {})
    if values.category is not None:
        raise InputError(f"offset {name!r} must hold numbers; it holds {frame[name].dtype}. Convert it first.")
    return np.asarray(values.numeric[0], dtype=np.float64)


def _design(encoding: Encoding, frame: pd.DataFrame, centre: Floats, scale: Floats) -> Design:
    found: dict[str, Values] = {}
    coded: dict[str, Codes] = {}
    for expression, code in encoding.factors.items():
        found[expression] = values = evaluate(expression, frame, dict(code.state))
        _check_kind(code, values, frame)
        if values.category is not None:
            coded[expression] = known_codes(code, values.category)
    dense: list[NDArray[Any]] = []
    blocks: list[tuple[Codes, NDArray[Any] | None, int]] = []
    for term in encoding.terms:
        n_cells = len(cells_of(term, encoding.factors))
        for _, product in products(term, encoding.factors, found):
            if term.categories:
                blocks.append((joint_codes(term, encoding.factors, coded), product, n_cells))
            elif product is not None:
                dense.append(product)
    made = np.empty((len(frame), len(dense)))
    for j, column in enumerate(dense):
        np.multiply(np.subtract(column, centre[j], dtype=np.float64), 1 / scale[j], out=made[:, j])
    indicators, place = [], len(dense)
    for codes, product, n_cells in blocks:
        own = float(scale[place])
        indicators.append(Indicators(codes, ("",) * n_cells, None, None if product is None else product / own, own))
        place += n_cells
    return Design(made, centre, scale, tuple(indicators), ("",) * place)  # nobody reads the names of new rows


def _check_kind(code: FactorCode, values: Values, frame: pd.DataFrame) -> None:
    if (values.category is None) == (code.categories is None):
        return
    was, now = ("numbers", "categories") if code.categories is None else ("categories", "numbers")
    types = ", ".join(f"{name!r} is {frame[name].dtype}" for name in code.columns)
    known = "" if code.categories is None else f" It knows {', '.join(repr(str(c)) for c in code.categories)}."
    raise InputError(
        f"{code.name!r} held {was} where the model was fitted and holds {now} here ({types}).{known} Convert it."
    )
