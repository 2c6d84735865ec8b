#!/usr/bin/env python3
"""What each step of a real pipeline needs: a seismic cube, its Hilbert envelope, a 3-D Gaussian
filter, the gradient structure tensor. One phase a step.

    python3 -m venv target/study-venv
    target/study-venv/bin/pip install numpy scipy ./python
    target/study-venv/bin/python scripts/step_study.py MEMTRACE

MEMTRACE is the binary. It runs this script once more, with --work, and the table goes into
docs/phases.md, between its two markers. It needs what memtrace needs.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from memtrace import phase

DOCS = Path(__file__).parent.parent / "docs" / "phases.md"
BEGIN, END = "<!-- step study: begin -->\n", "<!-- step study: end -->\n"
MIB = 1 << 20
COLUMNS = (
    "step",
    "time, ms",
    "peak, MiB",
    "peak of the target, MiB",
    "growth, MiB",
    "growth, cubes",
    "kept, MiB",
    "minor faults",
)
# Of float32.
SAMPLE_BYTES = 4


def work(size):
    """The pipeline, on a cube of size x size traces of `size` samples."""
    # A step too: what the libraries need before there is any data.
    with phase("import"):
        import numpy as np
        from scipy.ndimage import gaussian_filter
        from scipy.signal import hilbert

    with phase("synthetic cube"):
        cube = synthetic(np, size)
    with phase("Hilbert envelope"):
        envelope = np.abs(hilbert(cube, axis=2))
    del cube
    with phase("Gaussian filter"):
        smooth = gaussian_filter(envelope, 2)
    del envelope
    with phase("structure tensor"):
        with phase("gradient"):
            slopes = np.gradient(smooth)
        with phase("products"):
            pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
            tensor = [gaussian_filter(slopes[one] * slopes[two], 1) for one, two in pairs]
        del slopes
    return tensor


def synthetic(np, size):
    """Dipping layers: one reflectivity, convolved with a Ricker wavelet, with noise."""
    random = np.random.default_rng(1)
    time = np.linspace(-1, 1, 41, dtype=np.float32)
    ricker = (1 - 2 * (8 * time) ** 2) * np.exp(-((8 * time) ** 2))
    trace = np.convolve(random.standard_normal(2 * size, dtype=np.float32), ricker, "same")
    cube = np.empty((size, size, size), dtype=np.float32)
    for inline in range(size):
        for crossline in range(size):
            down = (2 * inline + crossline) // 4
            cube[inline, crossline] = trace[down : down + size]
        cube[inline] += random.standard_normal((size, size), dtype=np.float32) / 10
    return cube


def traced(memtrace, size):
    """The report of one run."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "run.json"
        own = [sys.executable, __file__, "--work", "--size", str(size)]
        subprocess.run([memtrace, "-q", "--json", report, "--", *own], check=True)
        return json.loads(report.read_text())


def lines(report, size):
    cube = size**3 * SAMPLE_BYTES
    certainty = report["certainty"]
    doubts = ", ".join(doubt["id"] for doubt in certainty["doubts"]) or "none"
    yield "Written by `scripts/step_study.py`; run it again instead of editing.\n"
    yield (
        f"A cube of {size} × {size} × {size} samples of float32, {cube / MIB:.0f} MiB. "
        f"{platform.system()} {report['host']['kernel']}, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, scipy {version('scipy')}. Peak of the run: "
        f'{report["peak"]["rss_bytes"] / MIB:.1f} MiB in "{report["peak"]["phase"]}", '
        f"{'exact' if certainty['exact'] else 'not exact'}; doubts: {doubts}.\n"
    )
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for entry in report["phases"]:
        start, end, peak = (entry[f"{what}_rss_bytes"] for what in ("start", "end", "peak"))
        cells = [
            "– " * entry["depth"] + entry["name"],
            f"{(entry['end_ns'] - entry['start_ns']) / 1e6:.0f}",
            f"{peak / MIB:.1f}",
            f"{entry['peak_target_bytes'] / MIB:.1f}",
            f"{(peak - start) / MIB:.1f}",
            f"{(peak - start) / cube:.2f}",
            f"{(end - start) / MIB:+.1f}",
            f"{entry['faults']['minor']:,}",
        ]
        yield f"| {' | '.join(cells)} |"


def write(table):
    before, rest = DOCS.read_text().split(BEGIN)
    _, after = rest.split(END)
    DOCS.write_text(before + BEGIN + "".join(f"{line}\n" for line in table) + END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("memtrace", nargs="?", default="memtrace")
    parser.add_argument("--size", type=int, default=256, help="samples along each edge [256]")
    parser.add_argument("--work", action="store_true", help="only do the work")
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.size)
    else:
        write(lines(traced(arguments.memtrace, arguments.size), arguments.size))


if __name__ == "__main__":
    main()
