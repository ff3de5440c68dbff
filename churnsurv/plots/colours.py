"""The colours of every figure, on white and on dark paper.

The eight series colours keep at least 8 units (OKLab distance x 100) between any two of them, for normal sight and
for simulated protanopia, deuteranopia and tritanopia (Machado, Oliveira and Fernandes 2009), and at least 2.6 : 1
contrast with white. Texts are drawn in ink beside a stroke of the colour, so that no word depends on a light hue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["DARK", "FAINT", "GRID", "INK", "MUTED", "PAPER", "SERIES", "TIER", "ramp"]

INK = "#1c2530"
MUTED = "#5c6773"
FAINT = "#b6bfc9"
GRID = "#e4e8ed"
PAPER = "#ffffff"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#a76ef8", "#963f70", "#84a1c3", "#5d4a24", "#3a3ca2")

# Areas of warning tiers: orange as the second series, but on dark paper darker, so that names on them stay legible.
TIER = "#d45e00"

# The same colours on a dark page, chosen by the same distances against #1a1f27.
DARK: Mapping[str, str] = MappingProxyType(
    {
        INK: "#e8ecf1",
        MUTED: "#a4afbb",
        FAINT: "#56606c",
        GRID: "#2e3640",
        PAPER: "#1a1f27",
        TIER: "#d06020",
        **dict(
            zip(
                SERIES,
                ("#4a9fe0", "#ff8243", "#2cc296", "#fedd4d", "#b1c4ec", "#7cface", "#9a6c71", "#5f66ed"),
                strict=True,
            )
        ),
    }
)
# The ramp for ordered groups: blue, magenta, amber, each lighter than the one before, on white and on dark paper.
RAMP = ("#5b55d0", "#c8478b", "#f0a63c")


def ramp(n: int) -> list[str]:
    """Return n colours in order, evenly spaced along the ramp in OKLab.

    Examples
    --------
    >>> ramp(3)
    ['#5b55d0', '#c8478b', '#f0a63c']
    """
    knots = np.stack([_oklab(_rgb(colour)) for colour in RAMP])
    places = np.linspace(0, len(knots) - 1, n) if n > 1 else np.zeros(n)
    labs = np.stack([np.interp(places, np.arange(len(knots)), knots[:, i]) for i in range(3)], axis=1)
    return [_hex(_from_oklab(lab)) for lab in labs]


def _rgb(colour: str) -> NDArray[np.float64]:
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear: NDArray[np.float64] = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear


def _hex(linear: NDArray[np.float64]) -> str:
    held = np.clip(linear, 0, 1)
    share = np.where(held <= 0.0031308, held * 12.92, 1.055 * held ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(float(x) * 255):02x}" for x in share)


# Linear sRGB to cone response and on to OKLab (Ottosson 2020).
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _oklab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    lab: NDArray[np.float64] = _LAB @ np.cbrt(_CONES @ linear)
    return lab


def _from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    linear: NDArray[np.float64] = np.linalg.solve(_CONES, np.linalg.solve(_LAB, lab) ** 3)
    return linear
