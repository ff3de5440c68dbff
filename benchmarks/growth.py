"""How time and memory grow with the log: one page with a table and a plot."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.measure import Measurement, in_fresh_process

SIZES = (1_000_000, 10_000_000, 100_000_000)
TABLES = {
    "spells": "all spells",
    "gaps": "gaps with their states",
    "history": "history of four features",
    "landmark_panel": "panel every 28 days",
}


def growth(folder: Path, *, most: int) -> None:
    """Measure each table at each size up to `most`, and write growth.md and growth.svg into a folder."""
    found: dict[str, dict[int, Measurement]] = {}
    lines = [
        "| table | events | seconds | events a second | growth | peak MB over load |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, title in TABLES.items():
        found[name] = {}
        for events in (size for size in SIZES if size <= most):
            got = in_fresh_process(name, "churnsurv", events)
            if isinstance(got, str):
                lines.append(f"| {title} | {events:,} | {got} | | | |")
                continue
            before = found[name].get(events // 10)
            # The power of the number of events by which the time grew: 1 is linear.
            power = "" if before is None else f"n^{math.log10(got.seconds / before.seconds):.2f}"
            found[name][events] = got
            lines.append(
                f"| {title} | {events:,} | {got.seconds:.2f} | {events / got.seconds:,.0f} | {power} |"
                f" {got.peak_mb_over_load:,.0f} |"
            )
            print(lines[-1], flush=True)
    (folder / "growth.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(found, folder / "growth.svg")


def _plot(found: dict[str, dict[int, Measurement]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "churnsurv"
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for marker, (name, sizes) in zip("os^D", found.items(), strict=True):
        ax.plot(list(sizes), [got.seconds for got in sizes.values()], marker=marker, label=TABLES[name])
    first = next(iter(found["spells"].items()), None)
    if first is not None:
        start, got = first
        ends = [start, max(found["spells"])]
        ax.plot(ends, [got.seconds * end / start for end in ends], color="0.6", linestyle=":", label="linear")
    ax.set(xscale="log", yscale="log", xlabel="events in the log", ylabel="seconds")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
