"""Measures what a phase costs: `python -m memtrace.bench`.

Each figure is for one begin and its end together, in CPU time: the median of several rounds in
which all variants take turns, and the least. Run it without MEMTRACE=1 in the environment, so that
markers are off at first.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import timeit

import memtrace

ROUNDS = 25
TIMES = 10_000


class Empty:
    """A context manager that does nothing."""

    def __enter__(self) -> Empty:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        pass


Variants = dict[str, str]
OFF: Variants = {
    "empty class, made anew": "Empty()",
    "markers off, made anew": 'phase("load")',
    "empty class, used again": "empty",
    "markers off, used again": "load",
}
ON: Variants = {
    "markers on, made anew": 'phase("load")',
    "markers on, used again": "load",
}


def measure(variants: Variants) -> dict[str, float]:
    """Prints the times of entering and leaving each manager, and returns the medians in ns."""
    phase = memtrace.phase
    names = {"Empty": Empty, "empty": Empty(), "phase": phase, "load": phase("load")}
    timers = {
        what: timeit.Timer(f"with {made}: pass", timer=time.process_time, globals=names)
        for what, made in variants.items()
    }
    times: dict[str, list[float]] = {what: [] for what in variants}
    for _ in range(ROUNDS):
        for what, timer in timers.items():
            times[what].append(timer.timeit(TIMES) / TIMES * 1e9)
    for what, rounds in times.items():
        print(f"  {what:<26}{statistics.median(rounds):>7.0f} ns{min(rounds):>9.0f} ns")
    return {what: statistics.median(rounds) for what, rounds in times.items()}


async def measure_in_task() -> None:
    measure(ON)


def main() -> int:
    if memtrace._prctl is not None:
        print("markers are on already: run it without MEMTRACE=1", file=sys.stderr)
        return 2
    print(f"{'a begin and its end':<28}{'median':>10}{'least':>12}")
    off = measure(OFF)
    for kind in ("made anew", "used again"):
        ratio = off[f"markers off, {kind}"] / off[f"empty class, {kind}"]
        print(f"  markers off, {kind}: {ratio:.2f} of an empty class")
    if memtrace.enable():
        measure(ON)
        print("in an asyncio task")
        asyncio.run(measure_in_task())
    else:
        print("  this platform has no markers to turn on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
