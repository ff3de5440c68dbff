"""The simulated app straight to Parquet: speed, memory and size by number of users, each in a process of its own.

``python -m benchmarks simulation [--rows USERS]``. CPU time says what the work costs; wall time also what else the
machine had to do, for which the load is told. Peak memory is that of the whole process, imports included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

SIZES = (100_000, 1_000_000)
MOST_SECONDS, MOST_GB = 180, 6


@dataclass(frozen=True, slots=True)
class Written:
    """What one process measured of itself; load is that of the last minute at its end."""

    users: int
    events: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    file_mb: float
    load: float


def simulation(users: int | None = None) -> Iterator[str]:
    """Lines of a Markdown table; of the usual sizes, or of one number of users."""
    yield f"\n**The simulated app to Parquet; goal: a million users within {MOST_SECONDS} seconds and {MOST_GB} GB**\n"
    yield "| users | events | seconds | CPU seconds | users/s | events/s | peak MB | files MB | load |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for size in SIZES if users is None else (users,):
        got = _in_fresh_process(size)
        yield (
            f"| {got.users:,} | {got.events:,} | {got.seconds:.1f} | {got.cpu_seconds:.1f} |"
            f" {got.users / got.seconds:,.0f} | {got.events / got.seconds:,.0f} | {got.peak_mb:,.0f} |"
            f" {got.file_mb:,.0f} | {got.load:.1f} |"
        )


def _in_fresh_process(users: int) -> Written:
    command = [sys.executable, "-m", "benchmarks.simulation", str(users)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Written(**json.loads(done.stdout))


def _write(users: int) -> Written:
    from pyarrow.parquet import read_metadata

    from churnsurv.simulation import simulate_app

    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        simulate_app(users, seed=0).write(folder)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
        return Written(
            users,
            read_metadata(Path(folder) / "events.parquet").num_rows,
            seconds,
            cpu_seconds,
            peak_mb(),
            sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20,
            os.getloadavg()[0],
        )


def peak_mb() -> float:
    """The highest resident size so far of this program; `getrusage` would count what started it, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(asdict(_write(int(sys.argv[1])))))
