"""``python -m benchmarks [CASE ...] [--rows N] [--output FILE]``: ratios of one run on one machine."""

from __future__ import annotations

import argparse
import atexit
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.case import Case
from benchmarks.cases import CASES
from benchmarks.goals import goals
from benchmarks.growth import growth
from benchmarks.measure import Measurement, Own, as_json, in_fresh_process, measure
from benchmarks.scale_cases import clear
from benchmarks.simulation import simulation

APART = {"simulation": simulation, "goals": goals}


def _one(case: Case, contestant: str, rows: int) -> Measurement:
    def prepare() -> tuple[Callable[[], float | Own], float]:
        if case.warm_up:
            case.contestants[contestant](case.table(case.warm_up))()
        table = case.table(rows)
        return case.contestants[contestant](table), table.memory_usage(deep=True).sum() / 2**20

    return measure(prepare, case.repeats)


def _lines(key: str, rows: int | None, *, slow: bool) -> list[str]:
    case = CASES[key]
    rows = rows or case.rows
    found = {
        name: in_fresh_process(key, name, rows) if slow or name not in case.slow else "takes minutes: run with --slow"
        for name in case.contestants
    }
    ours = found["churnsurv"]
    lines = [
        f"\n**{case.title}, {rows:,} rows**\n",
        "| contestant | seconds | ratio | goal | peak MB over load |",
    ]
    lines.append("|---|---:|---:|---:|---:|")
    for name, got in found.items():
        if isinstance(got, str):
            lines.append(f"| {name} | {got} | | | |")
            continue
        ratio = ""
        if name != "churnsurv" and isinstance(ours, Measurement):
            # For a peer: how many times longer it takes. For the limit: how far above it we are.
            value = ours.seconds / got.seconds if name == "limit" else got.seconds / ours.seconds
            ratio = f"{value:.2f}x"
        goal = case.goals.get(name, "")
        lines.append(f"| {name} | {got.seconds:.3f} | {ratio} | {goal} | {got.peak_mb_over_load:.0f} |")
    for name in case.same:
        got = found[name]
        if isinstance(ours, Measurement) and isinstance(got, Measurement):
            alike = abs(got.answer - ours.answer) <= 1e-9 * abs(ours.answer)
            lines.append(f"\nThe answers of churnsurv and {name} are {'equal' if alike else 'NOT EQUAL'}.")
    if isinstance(ours, Measurement) and ours.data_mb >= 1:
        lines.append(f"\nThe table itself holds {ours.data_mb:.0f} MB.")
    return lines


def _versions() -> str:
    said = []
    for package in ("churnsurv", "lifelines", "statsmodels", "survival", "numpy", "pandas", "scipy"):
        try:
            said.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            said.append(f"{package} absent")
    return f"Python {platform.python_version()}, {', '.join(said)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", help=f"of {', '.join(CASES)} (all of these without a name), {', '.join(APART)}"
    )
    parser.add_argument("--rows", type=int, help="rows instead of each case's own number")
    parser.add_argument("--slow", action="store_true", help="with the contestants that take minutes")
    parser.add_argument("--growth", type=Path, help="measure growth up to 1e8 events; page and plot go here")
    parser.add_argument("--output", type=Path, help="write the tables here as well")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "CONTESTANT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        name, contestant = asked.one
        print(as_json(_one(CASES[name], contestant, asked.rows)))
        return
    if asked.growth:
        atexit.register(clear)
        growth(asked.growth, most=asked.rows or 100_000_000)
        return
    unknown = [name for name in asked.cases if name not in CASES and name not in APART]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    atexit.register(clear)
    said = [_versions()]
    print(said[0], flush=True)
    for name in asked.cases or CASES:
        lines = APART[name](asked.rows) if name in APART else _lines(name, asked.rows, slow=asked.slow)
        for line in lines:
            print(line, flush=True)
            said.append(line)
    if asked.output:
        asked.output.write_text("\n".join(said) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
