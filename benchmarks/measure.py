"""Run each contestant in a process of its own, so that peak memory is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measurement:
    """Best wall time and the memory a run needed above what its loaded data held."""

    seconds: float
    peak_mb_over_load: float
    data_mb: float
    answer: float


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class _Peak:
    """The highest resident size seen while the block runs."""

    def __enter__(self) -> _Peak:
        self.mb = self._start = _resident_mb()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()
        return self

    def _sample(self) -> None:
        while not self._stop.wait(0.005):
            self.mb = max(self.mb, _resident_mb())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()
        self.mb = max(self.mb, _resident_mb())

    @property
    def over_start(self) -> float:
        return self.mb - self._start


def measure(prepare: Callable[[], tuple[Callable[[], float], float]], repeats: int) -> Measurement:
    """Time the callable that `prepare` returns; the first run warms up and gives the memory."""
    run, data_mb = prepare()
    with _Peak() as peak:
        start = time.perf_counter()
        answer = run()
        first = time.perf_counter() - start
    times = [first]
    # A contestant that takes half a minute is not measured better by taking two.
    while len(times) < repeats and first < 30:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return Measurement(min(times), peak.over_start, data_mb, float(answer))


def in_fresh_process(case: str, contestant: str, rows: int) -> Measurement | str:
    """Measure one contestant; what went wrong comes back as text."""
    command = [sys.executable, "-m", "benchmarks", "--one", case, contestant, "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def as_json(measurement: Measurement) -> str:
    """One line for the parent process."""
    return json.dumps(asdict(measurement))
