"""A ledger whose writers are killed in the middle, for real: a script of its own, as tests/killed.py is.

    python -m tests.action.killed_ledger [first | next | two | ten] FOLDER

The engine touches the disk from C++, where Python's audit hooks see nothing. So the child is traced: it stops before
each system call that changes a file, and is killed there by SIGKILL. Where a process can't be traced, it is killed by
the clock, at equal parts of the time that it takes. What is left is looked at by another child, and the days are run
again. One line of JSON tells what was found.

first: killed at every moment of making the ledger and recording its first day. next: of recording the second day.
ten: so many days, killed while the ledger is made and at random moments until all of them are recorded.
two: so many days, killed once while the ledger is made, once while a day is recorded, and then no more.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb  # noqa: F401 - what children need is there before they are made
import pandas as pd
import pyarrow.compute  # noqa: F401

from churnsurv.action.ledger import Ledger
from tests.action.planned import FIRST, run_days

# Of <sys/ptrace.h>; the kernel tells a call in the same words on every machine.
TRACE_ME, NEXT_CALL, OPTIONS, CALL_INFO = 0, 24, 0x4200, 0x420E
CALLS_MARKED, THREADS, GO_WITH_ME, ALL = 1, 8, 0x100000, 0x40000000
CREATE = 0o100
#: Numbers of the calls that change files.
CHANGES = {
    "x86_64": {
        **{1: "write", 18: "pwrite", 20: "writev", 296: "pwritev", 74: "fsync", 75: "fdatasync", 76: "truncate"},
        **{77: "ftruncate", 285: "fallocate", 82: "rename", 264: "rename", 316: "rename", 86: "link", 265: "link"},
        **{87: "unlink", 263: "unlink", 83: "mkdir", 258: "mkdir", 84: "rmdir", 257: "openat"},
    },
    "aarch64": {
        **{64: "write", 68: "pwrite", 66: "writev", 70: "pwritev", 82: "fsync", 83: "fdatasync", 45: "truncate"},
        **{46: "ftruncate", 47: "fallocate", 38: "rename", 276: "rename", 37: "link", 35: "unlink", 34: "mkdir"},
        **{56: "openat"},
    },
}
CALLS = CHANGES.get(os.uname().machine, {})


class _Info(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64), ("nr", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6),
    )  # fmt: skip


def _ptrace(request: int, process: int, address: object = None, data: object = None) -> int:
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.argtypes, call.restype = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p), ctypes.c_long
    return int(call(request, process, address, data))


def _changes_a_file(thread: int) -> bool:
    info = _Info()
    _ptrace(CALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
    name = CALLS.get(info.nr) if info.op == 1 else None  # 1: about to be made
    return name is not None and (name != "openat" or bool(info.args[2] & CREATE))


@dataclass
class Ended:
    """How a child came to its end: how many moments it had, whether it was killed."""

    moments: int
    killed: bool


def traced(moment: int, work: Callable[[], object]) -> Ended:
    """Do the work in a child that is killed just before this change of a file; 0 for never."""
    child = os.fork()
    if child == 0:
        _ptrace(TRACE_ME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _quietly(work)
    os.waitpid(child, 0)
    _ptrace(OPTIONS, child, None, CALLS_MARKED | THREADS | GO_WITH_ME)
    _ptrace(NEXT_CALL, child)
    seen = 0
    while True:
        thread, status = os.waitpid(-1, ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if thread == child:
                if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                    raise SystemExit(f"the writer failed by itself, at moment {moment}")
                return Ended(seen, os.WIFSIGNALED(status))
            continue
        sent = os.WSTOPSIG(status)
        if sent == signal.SIGTRAP | 0x80:
            seen += _changes_a_file(thread)
            if seen == moment > 0:
                os.kill(child, signal.SIGKILL)
                moment = -1
        _ptrace(NEXT_CALL, thread, None, 0 if sent in (signal.SIGTRAP | 0x80, signal.SIGTRAP, signal.SIGSTOP) else sent)


def clocked(moment: int, work: Callable[[], object], *, seconds: float = 0.6, parts: int = 60) -> Ended:
    """The same where nothing can be traced: killed at one of equal parts of the time."""
    child = os.fork()
    if child == 0:
        if 0 < moment <= parts:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds * moment / parts)
        _quietly(work)
    _, status = os.waitpid(child, 0)
    return Ended(parts, os.WIFSIGNALED(status))


def _quietly(work: Callable[[], object]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - a child must not go on as its parent
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def can_trace() -> bool:
    """Whether this system lets a process trace its child."""
    if not CALLS:
        return False
    try:
        return traced(0, lambda: Path(os.devnull).open("w").close()).moments > 0
    except (OSError, AttributeError):
        return False


def told(place: Path, *, then: int = 0) -> list[dict[str, str]]:
    """What a ledger holds, a digest of each day's rows; again after so many days have been run. A child reads it."""

    def look() -> list[dict[str, str]]:
        found = [_content(Ledger(place))]
        if then:
            run_days(Ledger(place), then)
            found.append(_content(Ledger(place)))
        return found

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _quietly(lambda: os.write(writer, json.dumps(look()).encode()))
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the ledger does not open")
    found: list[dict[str, str]] = json.loads(text)
    return found


def _content(ledger: Ledger) -> dict[str, str]:
    """The rows of each day that has any; those of a day that is not recorded as done would be there, too."""
    view, days = ledger.before(FIRST + pd.Timedelta(days=365)), ledger.days
    if view.contacts.duplicated(["user_id", "campaign", "step"]).any():
        raise AssertionError("a contact is there twice")
    moments = sorted({*days["date"], *view.contacts["date"], *view.enrolled["assigned_on"]})
    parts = {
        day: [
            days[days["date"] == day], view.contacts[view.contacts["date"] == day],
            view.enrolled[view.enrolled["assigned_on"] == day],
        ]
        for day in moments
    }  # fmt: skip
    return {
        str(day.date()): hashlib.sha256("\n".join(part.to_csv(index=False) for part in each).encode()).hexdigest()
        for day, each in parts.items()
    }


def _same_so_far(found: dict[str, str], whole: dict[str, str]) -> bool:
    return list(found.items()) == list(whole.items())[: len(found)]


def every_moment(folder: Path, kill: Callable[..., Ended], *, days_before: int) -> dict[str, object]:
    """Kill the recording of one day at each of its moments, from the same start; look; run it again; look."""
    start, place = folder / "start.duckdb", folder / "ledger.duckdb"
    expected = told(folder / "whole.duckdb", then=days_before + 1)[1]
    if days_before:
        told(start, then=days_before)
    found, wrong, moment = {"before": 0, "after": 0}, 0, 0
    while True:
        moment += 1
        for left in folder.glob("*ledger.duckdb*"):
            left.unlink()
        if days_before:
            shutil.copy(start, place)
        if not kill(moment, lambda: run_days(Ledger(place), days_before + 1)).killed:
            break
        seen, again = told(place, then=days_before + 1)
        wrong += len(seen) not in (days_before, days_before + 1) or not _same_so_far(seen, expected)
        found["before" if len(seen) == days_before else "after"] += 1
        wrong += again != expected
    return {
        "moments": moment - 1, "found": found, "wrong": wrong, "at_the_end": told(place)[0] == expected,
        "beside": sorted(path.name for path in folder.iterdir()),
    }  # fmt: skip


def several_days(folder: Path, kill: Callable[..., Ended], *, days: int, spaced: int) -> dict[str, object]:
    """Run some days; the run is killed at two moments, then at random ones up to `spaced`, until it ends by itself."""
    place, lots = folder / "ledger.duckdb", random.Random(10)  # noqa: S311
    expected = told(folder / "whole.duckdb", then=days)[1]
    kills, wrong, stages, moments = 0, 0, list[int](), [36, 45]
    while kill(
        moments.pop(0) if moments else spaced and lots.randint(1, spaced), lambda: run_days(Ledger(place), days)
    ).killed:
        seen = told(place)[0]
        kills += 1
        wrong += not _same_so_far(seen, expected)
        stages.append(len(seen))
    return {
        "kills": kills, "wrong": wrong, "at_the_end": told(place)[0] == expected, "stages": stages,
        "beside": sorted(path.name for path in folder.iterdir()),
    }  # fmt: skip


def main(what: str, folder: Path) -> dict[str, object]:
    """Do one of the four."""
    folder.mkdir(parents=True, exist_ok=True)
    kill = traced if can_trace() else clocked
    begun = time.perf_counter()
    if what in {"two", "ten"}:
        answer = several_days(folder, kill, days=2 if what == "two" else 10, spaced=0 if what == "two" else 60)
    else:
        answer = every_moment(folder, kill, days_before={"first": 0, "next": 1}[what])
    sys.stderr.write(f"{time.perf_counter() - begun:.1f} s\n")
    return answer | {"by": kill.__name__}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
