from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError
from churnsurv.tables import SCHEMAS, Result, plain, schema

KINDS = {"text", "integer", "number", "boolean", "date", "any"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Medians(Result):
    _schema: ClassVar[str] = "quantiles"
    groups: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        n = len(self.groups)
        return pd.DataFrame({"group": self.groups, "probability": [0.5] * n, "time": [31.0] + [np.nan] * (n - 1)})

    def _headline(self) -> str:
        return f"{len(self.groups)} medians of {self.groups[0]}"

    def _facts(self) -> dict[str, Any]:
        return {"level": np.float64(0.95)}


def test_every_schema_is_well_formed() -> None:
    for name, layout in SCHEMAS.items():
        assert layout.name == name
        assert layout.version >= 1
        assert len(set(layout.names)) == len(layout.names)
        assert {column.kind for column in layout.columns} <= KINDS
        assert all(column.meaning for column in layout.columns)


def test_an_unknown_schema_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no table 'curve'. Did you mean 'curves'\?"):
        schema("curve")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("inf"), None),
        (2 / 3, 0.666666667),
        (pd.Timestamp("2024-05-01"), "2024-05-01T00:00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        ({1: (None, "a")}, {"1": [None, "a"]}),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    assert plain(value) == expected


def test_a_result_shows_itself_without_computing() -> None:
    result = Medians(("a", "<b>"))
    assert repr(result) == "<Medians: 2 medians of a>"
    assert "&lt;b&gt;" in result._repr_html_()
    assert "<b>" not in result._repr_html_()


def test_a_result_as_json() -> None:
    told = json.loads(Medians(("a", "b")).to_json())
    assert told["kind"] == "Medians"
    assert told["schema"] == {"name": "quantiles", "version": 1}
    assert told["facts"] == {"level": 0.95}
    assert told["table"]["time"] == [31.0, None]


def test_a_result_without_a_plot_says_so() -> None:
    with pytest.raises(InputError, match="Medians has no plot"):
        Medians(("a",)).plot()
