"""Groups of rows: order, labels, and values that are hard to name."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.survival import factors
from churnsurv.survival.factors import factor, group_columns, joined

VALUES = st.lists(st.sampled_from(["b", "a", None, "分銷", "<script>"]), min_size=1, max_size=30)


@given(VALUES, st.booleans())
def test_codes_and_levels_give_the_values_back(values: list[str | None], categorical: bool) -> None:
    column = pd.Series(values, dtype=object)
    if categorical:
        column = column.astype(pd.CategoricalDtype(["分銷", "unused", "b", "<script>", "a"]))
    codes, levels = factor(column)
    assert [levels[code] for code in codes] == ["(missing)" if value is None else value for value in values]
    named = [level for level in levels if level != "(missing)"]
    order = ["分銷", "b", "<script>", "a"] if categorical else sorted(named)
    assert named == [level for level in order if level in named]
    assert "(missing)" not in levels[:-1]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz")), min_size=1, max_size=30))
def test_two_columns_make_the_pairs_that_occur_in_order(pairs: list[tuple[int, str]]) -> None:
    groups = joined(pd.DataFrame(pairs, columns=["n", "s"]), ["n", "s"])
    assert list(groups.labels) == [f"{n} | {s}" for n, s in sorted(set(pairs))]
    codes = np.zeros(len(pairs), dtype=int) if groups.codes is None else groups.codes
    assert [groups.labels[code] for code in codes] == [f"{n} | {s}" for n, s in pairs]
    assert groups.values["n"].tolist() == [n for n, _ in sorted(set(pairs))]


def test_many_possible_pairs_need_no_table_of_them() -> None:
    n = 1_200
    frame = pd.DataFrame({"a": np.arange(n), "b": np.arange(n)[::-1]})
    groups = joined(frame, ["a", "b"])
    assert len(groups.labels) == n
    assert groups.codes is not None
    assert groups.codes.tolist() == list(range(n))


def test_dates_are_written_as_days_and_mixed_types_have_an_order() -> None:
    days = joined(pd.DataFrame({"d": pd.to_datetime(["2024-05-02", "2024-05-01"])}), ["d"])
    assert days.labels == ("2024-05-01", "2024-05-02")
    assert joined(pd.DataFrame({"d": [datetime.date(2024, 5, 1)]}), ["d"]).labels == ("2024-05-01",)
    assert joined(pd.DataFrame({"m": [2, "b", 1, "a"]}, dtype=object), ["m"]).labels == ("1", "2", "a", "b")
    assert joined(pd.DataFrame({"x": [True, False]}), ["x"]).labels == ("False", "True")


def test_a_level_seen_only_in_the_last_rows_is_seen() -> None:
    n = factors._CHUNK + 3
    column = pd.Series(pd.Categorical.from_codes(np.r_[np.zeros(n, dtype=np.int8), 1], ["common", "rare"]))
    codes, levels = factor(column)
    assert levels == ["common", "rare"]
    assert codes.dtype == np.int8
    assert np.flatnonzero(codes).tolist() == [n]


def test_numbers_stay_numbers_unless_one_is_missing() -> None:
    assert joined(pd.DataFrame({"n": [3, 1]}), ["n"]).values["n"].tolist() == [1, 3]
    assert joined(pd.DataFrame({"n": [3, 1]}), ["n"]).values["n"].dtype == np.int64
    assert joined(pd.DataFrame({"n": [3, None]}), ["n"]).values["n"].tolist() == [3.0, "(missing)"]


def test_two_groups_of_one_label_are_refused() -> None:
    with pytest.raises(InputError, match=r"two groups of 'n' carry the same label '1'\. Rename a value"):
        joined(pd.DataFrame({"n": [1, "1"]}, dtype=object), ["n"])
    with pytest.raises(InputError, match=r"carry the same label '\(missing\)'"):
        joined(pd.DataFrame({"n": ["(missing)", None]}), ["n"])
    with pytest.raises(InputError, match=r"two groups of 'a', 'b' carry the same label 'x \| y \| z'"):
        joined(pd.DataFrame({"a": ["x | y", "x"], "b": ["z", "y | z"]}), ["a", "b"])


def test_columns_named_like_the_results_own() -> None:
    assert list(group_columns(pd.DataFrame({"group": ["a"]}), "curves")) == []
    with pytest.raises(InputError, match="by: 'time' is also the name of a column of the result"):
        group_columns(pd.DataFrame({"time": [1]}), "curves")
    with pytest.raises(InputError, match="'group' is also"):
        group_columns(pd.DataFrame({"group": [1], "plan": [2]}), "test")
