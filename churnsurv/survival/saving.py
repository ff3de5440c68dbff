"""A Cox fit as JSON text and back: everything but its rows, no code, with a format version.

The text begins with what every result writes (kind, schema, facts, table), so that readers of results find the same
keys. Then come ``"format": {"kind": "CoxFit", "version": 1}`` and ``"fit"``, the fields of the fit one by one. What
JSON doesn't know is an object with one key that begins with ``$``:

    {"$tuple": [...]}  {"$map": [[key, value], ...]}  {"$float": "nan"}  {"$date": "2024-05-01"}  ...
    {"$array": {"dtype": "<f8", "shape": [730], "data": "..."}}     base64 of zlib of the bytes, like bytes side by side
    {"$table": {name: column, ...}}   {"$repeated": {"values": [...], "codes": array}}
    {"$object": "FactorCode", "fields": {...}}                      one of the dataclasses named below, field by field

Numbers come back to the last bit, but for the gradient of the baseline, which only the limits of predictions use: it
keeps 36 binary digits, a relative error of 1e-11, and takes two thirds of the room. With 730 days and 20 coefficients
the text is 130 kB, 90 of them the gradient; without strata it grows with days times coefficients.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.covariates import Encoding, FactorCode, Row, TermCode
from churnsurv.survival.cox_fit import CoxFit
from churnsurv.survival.newdata import design_order

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_json", "load", "to_json"]

Floats: TypeAlias = NDArray[np.float64]

KIND, VERSION = "CoxFit", 1
_ROWS = "_training"  # stays behind
_KNOWN: Mapping[str, type] = {one.__name__: one for one in (Encoding, FactorCode, TermCode, Row, BaselineMoments)}
_KEPT_BITS = 36
_ROUNDED = {("BaselineMoments", "gradient")}
_DTYPES = ("<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1")
_LARGEST = 1 << 32  # bytes of one array


# --- writing ---


def to_json(fit: CoxFit) -> str:
    """Write a fit as JSON text, without the rows that it was fitted to.

    Parameters
    ----------
    fit : CoxFit

    Returns
    -------
    str
        Everything that the table, tests, contrasts, predictions and `to_sql` need.

    Raises
    ------
    InputError
        If a category or another value is of a type that cannot be written; it is named.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, True], "x": [0.0, 1.0, 0.0]})
    >>> fit = cox("x", data)
    >>> again = from_json(to_json(fit))
    >>> bool((again.risk(data).values == fit.risk(data).values).all())
    True
    """
    written = {
        field.name: _written(getattr(fit, field.name), field.name) for field in fields(fit) if field.name != _ROWS
    }
    whole = {**fit._to_plain(), "format": {"kind": KIND, "version": VERSION}, "fit": written}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False)


def _written(value: Any, where: str) -> Any:
    """Turn a value into what JSON holds; `where` names it in errors."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, np.ndarray):
        return _array_written(value, where)
    if isinstance(value, tuple):
        return {"$tuple": [_written(item, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [_written(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _mapping_written(value, where)
    if is_dataclass(value) and _KNOWN.get(type(value).__name__) is type(value):
        return _object_written(value, where)
    return _other_written(value, where)


def _mapping_written(value: Mapping[Any, Any], where: str) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _written(item, f"{where}[{key!r}]") for key, item in value.items()}
    return {"$map": [[_written(k, where), _written(item, f"{where}[{k!r}]")] for k, item in value.items()]}


def _object_written(value: Any, where: str) -> Any:
    name = type(value).__name__
    written = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if (name, field.name) in _ROUNDED:
            item = _rounded(item)
        written[field.name] = _written(item, f"{where}.{field.name}")
    return {"$object": name, "fields": written}


def _other_written(value: Any, where: str) -> Any:
    import pandas as pd

    match value:
        case pd.DataFrame():
            return {"$table": {str(name): _column_written(value[name], f"{where}[{name!r}]") for name in value}}
        case pd.Timestamp():
            return {"$timestamp": value.isoformat()}
        case pd.Timedelta():
            return {"$timedelta": value.isoformat()}
        case pd.Interval():
            return {
                "$interval": [_written(value.left, where), _written(value.right, where), value.closed],
            }
        case datetime.datetime():
            return {"$datetime": value.isoformat()}
        case datetime.date():
            return {"$date": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
    raise InputError(
        f"the fit cannot be written as JSON: {where.removeprefix('_')} holds {value!r}, a {type(value).__name__}. Turn "
        "categories into text, numbers, booleans or dates before the fit."
    )


def _column_written(column: pd.Series[Any], where: str) -> Any:
    """Write numbers as an array, others as values and their places: labels of strata repeat."""
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return _array_written(values, where)
    found = list(dict.fromkeys(values.tolist()))
    place = {value: i for i, value in enumerate(found)}
    codes = np.array([place[value] for value in values.tolist()], dtype=np.int32)
    return {"$repeated": {"values": [_written(v, where) for v in found], "codes": _array_written(codes, where)}}


def _array_written(array: NDArray[Any], where: str) -> Any:
    kind = array.dtype.newbyteorder("<").str
    if kind not in _DTYPES:
        raise InputError(f"the fit cannot be written as JSON: {where.removeprefix('_')} is an array of {array.dtype}.")
    small = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    # the first byte of every number, then the second of every number ...: like stands by like, and packs well
    shuffled = small.reshape(-1).view(np.uint8).reshape(-1, small.dtype.itemsize).T.tobytes()
    data = base64.b64encode(zlib.compress(shuffled, 9)).decode("ascii")
    return {"$array": {"dtype": kind, "shape": list(array.shape), "data": data}}


def _rounded(array: Floats) -> Floats:
    """Round to `_KEPT_BITS` binary digits."""
    fraction, exponent = np.frexp(array)
    kept: Floats = np.ldexp(np.rint(np.ldexp(fraction, _KEPT_BITS)), exponent - _KEPT_BITS)
    return kept


# --- reading ---


class _DamagedError(Exception):
    """Something in the text is not what was written; says what."""


def from_json(text: str) -> CoxFit:
    """Read what `to_json` wrote.

    Parameters
    ----------
    text : str

    Returns
    -------
    CoxFit
        Without rows: residuals and the like take ``data=``. Nothing in the text is executed.

    Raises
    ------
    InputError
        If the text is no saved fit, is damaged, or comes from a newer version.
    """
    return _fit_of(_parsed(text, "the text"), "the text")


def load(path: str | Path) -> CoxFit:
    """Read a fit from a file that holds what `to_json` wrote.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        If there is no such file, or it holds something else.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, True], "x": [0.0, 1.0, 0.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "fit.json").write_text(to_json(cox("x", data)), encoding="utf-8")
    ...     load(Path(folder, "fit.json")).formula
    'x'
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        beside = [str(one.name) for one in place.parent.iterdir()] if place.parent.is_dir() else []
        raise InputError(f"there is no file {str(path)!r}.{did_you_mean(place.name, beside)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is no text: a saved fit is what to_json() wrote.") from error
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    return _fit_of(_parsed(text, repr(str(path))), repr(str(path)))


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    if not isinstance(text, str):
        raise InputError(f"a saved fit is text; got {type(text).__name__}.")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is no JSON ({error}): it is cut off, or is no saved fit.") from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply to be a saved fit.") from error
    if not isinstance(found, dict):
        raise InputError(f"{name} holds no saved fit: it is a JSON {type(found).__name__}, not an object.")
    return found


def _fit_of(whole: Mapping[str, Any], name: str) -> CoxFit:
    form = whole.get("format")
    if not isinstance(form, dict):
        kind = whole.get("kind")
        what = f"the result of a {kind}" if isinstance(kind, str) else "something else"
        raise InputError(
            f"{name} holds {what}, not a saved fit: it has no 'format'. What {KIND}.to_json() writes can be read."
        )
    kind, version = form.get("kind"), form.get("version")
    if kind != KIND:
        raise InputError(f"{name} holds a {kind}; this version reads a {KIND}. Update churnsurv.")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{name} is damaged: its format version is {version!r}. Write the fit again by to_json().")
    if version > VERSION:
        raise InputError(
            f"{name} was written by a newer churnsurv (format {version}; this one reads up to {VERSION}). Update it."
        )
    try:
        return _checked(_fields(CoxFit, whole.get("fit"), "fit", but=_ROWS))
    except _DamagedError as error:
        raise InputError(
            f"{name} is damaged, or was changed: {error}. Write the fit again by to_json(), with the churnsurv of now."
        ) from error
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply to be a saved fit.") from error


def _fields(cls: Any, found: Any, where: str, *, but: str | None = None) -> Any:
    """Make a dataclass from its fields: every one of them, and no others, each of its type."""
    if not isinstance(found, dict):
        raise _DamagedError(f"{where} is missing")
    wanted = {field.name: str(field.type) for field in fields(cls) if field.name != but}
    missing, more = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    if missing:
        raise _DamagedError(f"{where} lacks {', '.join(map(repr, missing))}")
    if more:
        raise _DamagedError(f"{where} has {', '.join(map(repr, more))}, which this version doesn't know")
    values = {}
    for name, annotation in wanted.items():
        values[name] = value = _read(found[name], f"{where}.{name}")
        if not _is_of(value, annotation):
            raise _DamagedError(f"{where}.{name} is no {annotation}")
    return cls(**values, **({} if but is None else {but: None}))


_SIMPLE: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float | int) and not isinstance(value, bool),
    "None": lambda value: value is None,
    "Floats": lambda value: isinstance(value, np.ndarray) and value.dtype == np.float64,
    "Ints": lambda value: isinstance(value, np.ndarray) and value.dtype == np.int64,
    "NDArray[Any]": lambda value: isinstance(value, np.ndarray),
    "pd.DataFrame": lambda value: hasattr(value, "columns"),
    "tuple[Any, ...]": lambda value: isinstance(value, tuple),
}


def _is_of(value: Any, annotation: str) -> bool:
    """Whether a value is of a field's type, as far as annotations of the saved classes go; others are not checked."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation](value)
    if annotation in _KNOWN:
        return isinstance(value, _KNOWN[annotation])
    if " | " in annotation and "[" not in annotation:
        return any(_is_of(value, one) for one in annotation.split(" | "))
    if annotation.endswith(" | None"):
        return value is None or _is_of(value, annotation.removesuffix(" | None"))
    if annotation.startswith("tuple[") and annotation.endswith(", ...]"):
        inner = annotation[len("tuple[") : -len(", ...]")]
        return isinstance(value, tuple) and all(_is_of(item, inner) for item in value)
    if annotation.startswith("Mapping["):
        inner = annotation[len("Mapping[") : -1].split(", ", 1)[1]
        return isinstance(value, Mapping) and all(_is_of(item, inner) for item in value.values())
    return True


def _read(value: Any, where: str) -> Any:
    """Turn what JSON holds into the value that was written."""
    if isinstance(value, list):
        return [_read(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    tags = [key for key in value if key.startswith("$")]
    if not tags:
        return {key: _read(item, f"{where}[{key!r}]") for key, item in value.items()}
    tag, held = tags[0], value[tags[0]]
    if tag == "$object" and set(value) == {"$object", "fields"} and held in _KNOWN:
        return _fields(_KNOWN[held], value["fields"], where)
    if len(value) > 1 or tag not in _READERS:
        raise _DamagedError(f"{where} holds {tag!r}, which this version doesn't know")
    try:
        return _READERS[tag](held, where)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, zlib.error, binascii.Error) as error:
        raise _DamagedError(f"{where} cannot be read ({error})") from error


def _list(held: Any) -> list[Any]:
    if not isinstance(held, list):
        raise TypeError("no list")
    return held


def _read_array(held: Any, where: str) -> NDArray[Any]:
    kind, shape = held["dtype"], held["shape"]
    if kind not in _DTYPES or not all(isinstance(n, int) and n >= 0 for n in _list(shape)):
        raise _DamagedError(f"{where} is an array of {kind!r} with the shape {shape}")
    dtype = np.dtype(kind)
    size = math.prod(shape) * dtype.itemsize
    if size > _LARGEST:
        raise _DamagedError(f"{where} would take {size:,} bytes")
    unpacked = zlib.decompressobj()
    shuffled = unpacked.decompress(base64.b64decode(held["data"], validate=True), size + 1)  # never more than is due
    if len(shuffled) != size:
        raise _DamagedError(f"{where} does not have the {math.prod(shape):,} numbers that it says")
    by_byte = np.frombuffer(shuffled, dtype=np.uint8).reshape(dtype.itemsize, -1)
    flat = np.ascontiguousarray(by_byte.T).reshape(-1).view(dtype)
    array: NDArray[Any] = flat.astype(dtype.newbyteorder("=")).reshape(shape)
    array.setflags(write=False)
    return array


def _read_repeated(held: Any, where: str) -> NDArray[Any]:
    codes = _read(held["codes"], where)
    values = _list(held["values"])
    column = np.empty(len(values), dtype=object)
    column[:] = [_read(value, where) for value in values]
    if not isinstance(codes, np.ndarray) or codes.dtype.kind != "i" or (codes < 0).any():
        raise _DamagedError(f"{where} has no places of its values")
    return np.asarray(column[codes])


def _read_table(held: Any, where: str) -> pd.DataFrame:
    import pandas as pd

    columns = {name: _read(column, f"{where}[{name!r}]") for name, column in held.items()}
    return pd.DataFrame({name: np.array(column) for name, column in columns.items()})


def _pandas(name: str) -> Callable[[Any, str], Any]:
    def read(held: Any, _: str) -> Any:
        import pandas as pd

        return getattr(pd, name)(held)

    return read


def _read_interval(held: Any, where: str) -> Any:
    import pandas as pd

    left, right, closed = _list(held)
    return pd.Interval(_read(left, where), _read(right, where), closed)


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "$tuple": lambda held, where: tuple(_read(item, f"{where}[{i}]") for i, item in enumerate(_list(held))),
    "$map": lambda held, where: {_read(key, where): _read(item, where) for key, item in _list(held)},
    "$float": lambda held, _: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[held],
    "$array": _read_array,
    "$table": _read_table,
    "$repeated": _read_repeated,
    "$timestamp": _pandas("Timestamp"),
    "$timedelta": _pandas("Timedelta"),
    "$interval": _read_interval,
    "$date": lambda held, _: datetime.date.fromisoformat(held),
    "$datetime": lambda held, _: datetime.datetime.fromisoformat(held),
    "$decimal": lambda held, _: Decimal(held),
}


def _checked(fit: CoxFit) -> CoxFit:
    """Check that the parts of a fit belong together, so that nothing is predicted from half of one."""
    p, moments = len(fit._rows), fit._moments
    n_slots, n_strata = moments.time.shape[0], len(fit._strata_labels)
    shapes: dict[str, tuple[NDArray[Any], tuple[int, ...]]] = {
        "covariance": (fit.covariance, (p, p)),
        "_model_covariance": (fit._model_covariance, (p, p)),
        "_estimates": (fit._estimates, (p,)),
        **{f"_moments.{n}": (getattr(moments, n), (n_slots,)) for n in ("hazard", "variance")},
        **{f"_moments.{n}": (getattr(moments, n), (p,)) for n in ("centre", "scale")},
        "_moments.gradient": (moments.gradient, (n_slots, p)),
        "_moments.last_day": (moments.last_day, (n_strata,)),
        "_moments.strata": (moments.strata, (n_strata + 1,)),
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise _DamagedError(f"fit.{name} has the shape {array.shape}, not {shape}")
    if len(fit._known_at) != p or not np.isfinite(fit._estimates).all():
        raise _DamagedError("the estimates are not those of the terms")
    unknown = {part for term in fit._encoding.terms for part in (*term.numeric, *term.categories)} - {
        *fit._encoding.factors
    }
    if unknown:
        raise _DamagedError(f"fit._encoding has no factor {sorted(unknown)[0]!r}")
    if design_order(fit._encoding).shape != (p,):
        raise _DamagedError("fit._encoding makes another number of columns than there are estimates")
    if moments.strata[0] != 0 or moments.strata[-1] != n_slots or (np.diff(moments.strata) < 0).any():
        raise _DamagedError("fit._moments.strata does not divide the days with churn")
    return fit
