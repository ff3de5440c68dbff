"""The settings of a backtest that are no arguments of `fit_tiers`."""

from __future__ import annotations

import pytest

from churnsurv.errors import InputError
from churnsurv.warning.backtest_origin import check_spec


def test_a_misspelt_setting_is_told_with_the_nearest_one() -> None:
    check_spec({"objective": {}, "variables": [], "missing": {}, "family": "score", "formula": "x"})
    with pytest.raises(InputError, match=r"spec: 'objectiv' is no argument of fit_tiers. Did you mean 'objective'\?"):
        check_spec({"objectiv": {}})
    with pytest.raises(InputError, match="spec: 5 is no argument"):
        check_spec({5: {}})  # type: ignore[dict-item]
