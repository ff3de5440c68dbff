"""A score that the user brings: a column of the snapshot, which rules compare as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError

if TYPE_CHECKING:
    from churnsurv.warning.objectives import Value

__all__ = ["SCORE", "GivenScore"]

Floats: TypeAlias = NDArray[np.float64]

#: What rules call it, and the column of a snapshot that holds it.
SCORE = "score"
_NO_WORTHS: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GivenScore:
    """A score of the user's own: nothing is computed, the snapshot's column `score` is compared.

    It has the parts of a `GapScore` that tiers ask for.

    Attributes
    ----------
    idle_days : int
        Days that make a churn.

    Examples
    --------
    >>> GivenScore(idle_days=30).names
    ('score',)
    """

    kind: ClassVar[str] = "given"

    idle_days: int

    @property
    def name(self) -> str:
        """The column of a snapshot."""
        return SCORE

    @property
    def told(self) -> dict[str, Any]:
        """What a scheme says of it in its JSON and repr."""
        return {"score": self.name}

    @property
    def names(self) -> tuple[str, ...]:
        """What rules may compare."""
        return (SCORE,)

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that a snapshot needs."""
        return (SCORE,)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those of them that hold numbers."""
        return (SCORE,)

    @property
    def worths(self) -> Mapping[str, Value]:
        """Values over waiting: there are none."""
        return _NO_WORTHS

    def added(self, table: Any, idle_days: Floats) -> dict[str, Floats]:  # noqa: ARG002
        """What rules compare besides the columns of the table: nothing."""
        return {}

    def to_plain(self) -> dict[str, Any]:
        """As a dict that JSON can hold."""
        return {"kind": self.kind, "idle_days": self.idle_days}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> GivenScore:
        """The score that `to_plain` wrote down.

        Raises
        ------
        InputError
            If it is none.
        """
        found = plain.get("idle_days")
        if set(plain) != {"kind", "idle_days"} or plain["kind"] != cls.kind or type(found) is not int:
            raise InputError(f"a score of the user's own has its kind and idle_days, a whole number; it is {plain!r}.")
        return cls(found)
