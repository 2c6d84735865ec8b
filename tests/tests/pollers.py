"""Real pollers of real runs: starts a command again and again, and looks at it with psutil every
so many milliseconds, each time from another offset. Prints, for each interval, how many of the
runs it reported a peak below the least that counts as seen.

    pollers.py RUNS LEAST_BYTES MS,MS,... CMD [ARG...]
"""

import random
import subprocess
import sys
import time

import psutil


def highest(command, intervals):
    """The highest that each poller saw of one run."""
    offsets = [random.uniform(0, every) for every in intervals]
    seen = [0] * len(intervals)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    process = psutil.Process(child.pid)
    due = [began + offset for offset in offsets]
    while child.poll() is None:
        which = min(range(len(due)), key=due.__getitem__)
        # Never longer than until the next look, and often enough to see the end.
        wait = due[which] - time.monotonic()
        if wait > 0.005:
            time.sleep(0.004)
            continue
        if wait > 0:
            time.sleep(wait)
        try:
            rss = process.memory_info().rss
        except psutil.Error:
            break
        seen[which] = max(seen[which], rss)
        due[which] += intervals[which]
    child.wait()
    assert child.returncode == 0, child.returncode
    return seen


def main():
    runs, least = int(sys.argv[1]), int(sys.argv[2])
    intervals = [float(ms) / 1000 for ms in sys.argv[3].split(",")]
    missed = [0] * len(intervals)
    for _ in range(runs):
        for i, bytes in enumerate(highest(sys.argv[4:], intervals)):
            missed[i] += bytes < least
    print(*missed)


main()
