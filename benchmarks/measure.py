"""Run each contestant in a process of its own, so that peak memory is its own."""

from __future__ import annotations

import ctypes
import gc
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


@dataclass(frozen=True, slots=True)
class Own:
    """What a contestant in another language measured of itself: load and start left out."""

    seconds: float
    peak_mb_over_load: float
    answer: float


class AbsentError(Exception):
    """A contestant is not installed here."""


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


def measure(prepare: Callable[[], tuple[Callable[[], float | Own], float]], repeats: int) -> Measurement:
    """Time the callable that `prepare` returns; the first run warms up and gives the memory."""
    run, data_mb = prepare()
    _give_back()
    with _Peak() as peak:
        first, answer = _timed(run)
    times = [first]
    # A contestant that takes half a minute is not measured better by taking two.
    while len(times) < repeats and first < 30:
        times.append(_timed(run)[0])
    own = answer if isinstance(answer, Own) else Own(0.0, peak.over_start, float(answer))
    return Measurement(min(times), own.peak_mb_over_load, data_mb, own.answer)


def _give_back() -> None:
    """Return freed memory to the system, so that a run cannot live on what the load left behind."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def _timed(run: Callable[[], float | Own]) -> tuple[float, float | Own]:
    start = time.perf_counter()
    answer = run()
    seconds = time.perf_counter() - start
    return (answer.seconds if isinstance(answer, Own) else seconds), answer


def in_fresh_process(case: str, contestant: str, rows: int) -> Measurement | str:
    """Measure one contestant; what went wrong comes back as text."""
    command = [sys.executable, "-m", "benchmarks", "--one", case, contestant, "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if "AbsentError: " in done.stderr:
            return "absent: " + done.stderr.rsplit("AbsentError: ", 1)[1].strip()
        return "failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def as_json(measurement: Measurement) -> str:
    """One line for the parent process."""
    return json.dumps(asdict(measurement))
