from __future__ import annotations

import pytest

from churnsurv.errors import (
    ChurnsurvError,
    DataNotReadyError,
    InputError,
    SchemaError,
    did_you_mean,
    require_columns,
)


def test_every_error_is_one_family_with_an_exit_code() -> None:
    assert ChurnsurvError.exit_code == SchemaError.exit_code == 2
    assert DataNotReadyError.exit_code == 3
    assert issubclass(SchemaError, InputError)
    assert issubclass(InputError, ValueError)


def test_a_missing_column_names_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r"users: 'channel' is missing. Did you mean 'chanel'\?") as caught:
        require_columns("users", ["user_id", "channel"], ["user_id", "chanel"])
    assert "The table has 'user_id', 'chanel'." in str(caught.value)


def test_nothing_near_means_no_suggestion() -> None:
    assert did_you_mean("zebra", ["channel"]) == ""
    assert did_you_mean("CHANNEL", ["channel"]) == " Did you mean 'channel'?"


def test_present_columns_pass() -> None:
    assert require_columns("users", ["user_id"], ["user_id", "x"]) is None
