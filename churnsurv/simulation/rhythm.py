"""How long until the next activity: the laws of gaps, in whole days, of the living and of those who have left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GapLaws", "gap_laws"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A gap of this many days is longer than any log here: what is beyond it is not told apart.
_LONGEST = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class GapLaws:
    """The law of the gap G >= 1 after an activity, by hidden interval type and for the departed.

    The living of type k: G = ceil(X), X gamma with shape 3 and mean m_k, so P(G > g) = e^-x (1 + x + x^2 / 2) with
    x = 3 g / m_k. The departed: P(G > g) = (1 - return_hazard)^g. A contact answered with probability s on idle day d
    multiplies the latter by 1 - s R(g - d), R the distribution of the days until the answer.

    Attributes
    ----------
    survival : (n_types, days) float64
        P(G > g) for g = 0, 1, ...
    pmf : (n_types, days) float64
        P(G = g); 0 at g = 0.
    log_stay : float
        log(1 - return_hazard).
    answered : (days,) float64
        R(0) = 0, R(1), ..., 1.
    """

    survival: Floats
    pmf: Floats
    log_stay: float
    answered: Floats
    _inverse: Floats

    def draw_living(self, rhythm: NDArray[np.integer], uniform: Floats) -> Ints:
        """Gaps by inversion; what lies beyond any log comes as a gap longer than it."""
        found = np.searchsorted(self._inverse, rhythm + uniform, side="right")
        gaps: Ints = found - rhythm.astype(np.int64) * self.survival.shape[1]
        return np.maximum(gaps, 1)

    def draw_departed(self, uniform: Floats) -> Ints:
        """Gaps of those who have left, by inversion."""
        gaps: Ints = 1 + np.minimum(np.log1p(-uniform) / self.log_stay, _LONGEST).astype(np.int64)
        return gaps

    def departed_survival(self, gap: NDArray[np.integer]) -> Floats:
        """P(G > gap) of those who have left, nobody contacting them."""
        survival: Floats = np.exp(self.log_stay * gap)
        return survival

    def departed_pmf(self, gap: Ints, idle: Ints | None = None, chance: Floats | None = None) -> Floats:
        """P(G = gap) of those who have left.

        Parameters
        ----------
        gap : (n,) int64
        idle : (n, n_contacts) int64, optional
            Idle days of the contacts within the gap; 0 where there was none.
        chance : (n, n_contacts) float64, optional
            Probability that the contact is answered by one who has left; 0 where there was none.
        """
        if idle is None or chance is None:
            return self.departed_survival(gap - 1) - self.departed_survival(gap)
        longer = self.departed_survival(gap - 1) * self._unanswered(gap - 1, idle, chance)
        found: Floats = longer - self.departed_survival(gap) * self._unanswered(gap, idle, chance)
        return found

    def _unanswered(self, gap: Ints, idle: Ints, chance: Floats) -> Floats:
        unanswered: Floats = np.prod(1.0 - chance * self.answered_by(gap[:, None] - idle), axis=1)
        return unanswered

    def answered_by(self, days: NDArray[np.integer]) -> Floats:
        """R(days): an answer that comes at all has come by so many days after the contact."""
        answered: Floats = self.answered[np.clip(days, 0, self.answered.size - 1)]
        return answered


def gap_laws(means: tuple[float, ...], return_hazard: float, answers: tuple[float, ...]) -> GapLaws:
    """Tabulate the laws.

    Parameters
    ----------
    means : tuple of float
        Mean of the gamma law of each type, in days.
    return_hazard : float
        Daily probability that one who has left comes back by himself.
    answers : tuple of float
        Probability that an answer comes 1, 2, ... days after the contact.

    Examples
    --------
    >>> laws = gap_laws((8.0, 13.0), 0.002, (0.6, 0.4))
    >>> laws.survival[:, 30].round(4).tolist()
    [0.001, 0.0314]
    >>> bool(np.isclose(laws.departed_pmf(np.arange(1, 5_000)).sum(), 1 - 0.998**4_999))
    True
    """
    days = np.arange(_LONGEST)
    x = 3.0 * days / np.array(means)[:, None]
    survival = np.exp(-x) * (1.0 + x + x * x / 2.0)
    pmf = np.zeros_like(survival)
    pmf[:, 1:] = survival[:, :-1] - survival[:, 1:]
    # One rising array for all types: the distribution function of type k stands between k and k + 1.
    inverse = (np.arange(len(means))[:, None] + (1.0 - survival)).ravel()
    answered = np.minimum(np.append(0.0, np.cumsum(answers)), 1.0)
    for array in (survival, pmf, inverse, answered):
        array.setflags(write=False)
    return GapLaws(survival, pmf, float(np.log1p(-return_hazard)), answered, inverse)
