#!/usr/bin/env python3
"""Opens each export of one run with the tool that it is made for, and holds what that tool reads
against the JSON report of the same run.

    target/consumers/venv/bin/python scripts/exports_test.py MEMTRACE

`cargo xtask test` runs it, and has made that Python from scripts/exports_requirements.txt.
MEMTRACE is the binary; it traces a small tree of processes (so it needs what memtrace needs), or,
with --capture FILE, reads a run from a capture. Ends with 1 if anything is not as it should be.
The page (`--html`) has a test of its own, scripts/html_test.mjs; --keep FOLDER leaves one there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FORMATS = {
    "json": "run.json",
    "csv": "run.csv",
    "mprof": "run.dat",
    "prom": "run.prom",
    "perfetto": "run.pftrace",
    "folded-time": "run.folded",
    "html": "run.html",
}

WORK = """
import subprocess, sys, time
big = bytearray(24 << 20)
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(12 << 20); time.sleep(0.1)"])
time.sleep(0.05)
subprocess.run(["sh", "-c", "ls / > /dev/null; exec true"])
child.wait()
del big
time.sleep(0.05)
"""

failed = 0


def expect(holds, what):
    global failed
    print(("ok   " if holds else "FAIL ") + what, flush=True)
    failed += not holds


def make(memtrace, capture, folder):
    exports = [f"--export={name}={folder / file}" for name, file in FORMATS.items()]
    if capture:
        command = [memtrace, "report", *exports, capture]
    else:
        command = [memtrace, "-q", *exports, "--", sys.executable, "-c", WORK]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    expect(done.returncode == 0, f"memtrace ends with 0: {done.returncode}")
    return json.loads((folder / FORMATS["json"]).read_text())


def test_csv(report, path):
    import pandas

    frame = pandas.read_csv(path)
    expect(
        list(frame.columns) == ["ns", "pid", "image", "space", "comm", "class", "bytes"],
        "csv: pandas reads its columns",
    )
    expect(frame["bytes"].dtype == "int64" and frame["ns"].dtype == "int64", "csv: times and sizes are whole numbers")
    target = frame[frame["space"].isna() & (frame["class"] == "rss")]
    expect(target["bytes"].max() == report["peak"]["rss_bytes"], "csv: the highest level is the peak")
    peaks = frame[frame["class"] == "rss"].groupby("space")["bytes"].max()
    rows = {row["space"]: row["peak"]["rss_bytes"] for row in report["processes"] if row["peak"]}
    expect(peaks.to_dict() == rows, f"csv: so is that of each of {len(rows)} spaces")
    wide = frame[frame["space"].notna()].pivot_table(index=["space", "ns"], columns="class", values="bytes", aggfunc="last")
    parts = wide["anon"] + wide["file"] + wide["shmem"]
    expect((parts == wide["rss"]).all(), "csv: anon + file + shmem = rss in every line")


def test_mprof(report, path, folder):
    import matplotlib

    matplotlib.use("Agg")
    import mprof

    picture = folder / "mprof.png"
    mprof_main = [sys.executable, "-m", "mprof", "plot", "--backend", "agg", "-o", str(picture), str(path)]
    done = subprocess.run(mprof_main, capture_output=True, text=True)
    drawn = picture.exists() and picture.read_bytes().startswith(b"\x89PNG")
    expect(done.returncode == 0 and drawn, f"mprof: mprof plot draws it{done.stderr if done.returncode else ''}")
    read = mprof.read_mprofile_file(str(path))
    peak = max(read["mem_usage"]) * (1 << 20)
    expect(abs(peak - report["peak"]["rss_bytes"]) < 1, "mprof: the highest level is the peak")
    pids = {str(row["pid"]) for row in report["processes"] if row["timeline"]["points"]}
    expect({str(pid) for pid in read["children"]} == pids, f"mprof: {len(pids)} processes beside it")


def test_prom(report, path):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    expect(families["memtrace_peak_rss_bytes"].unit == "bytes", "prom: the parser takes it, units too")
    value = families["memtrace_peak_rss_bytes"].samples[0].value
    expect(value == report["peak"]["rss_bytes"], "prom: the peak")
    lost = families["memtrace_events_lost"].samples[0].value
    expect(lost == report["certainty"]["events_lost"], "prom: the records lost")
    peaks = sorted(sample.value for sample in families["memtrace_process_peak_rss_bytes"].samples)
    rows = sorted(row["peak"]["rss_bytes"] for row in report["processes"] if row["peak"])
    expect(peaks == rows[-100:], "prom: the peaks of processes")


def test_perfetto(report, path):
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

    trace = Trace()
    trace.ParseFromString(path.read_bytes())
    unknown = [packet for packet in trace.packet if not packet.HasField("track_descriptor") and not packet.HasField("track_event") and not packet.sequence_flags]
    expect(not unknown, f"perfetto: its definitions decode all {len(trace.packet)} packets")
    tracks = {packet.track_descriptor.uuid: packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")}
    events = [(packet.timestamp, packet.track_event) for packet in trace.packet if packet.HasField("track_event")]
    expect(all(event.track_uuid in tracks for _, event in events), "perfetto: every event is on a track that is described")
    parents = {track.parent_uuid for track in tracks.values() if track.parent_uuid}
    expect(parents <= set(tracks), "perfetto: every track's parent is described")

    def highest(track):
        return max((event.counter_value for _, event in events if event.track_uuid == track.uuid), default=0)

    target = next(track for track in tracks.values() if track.name == "mem.rss of the target")
    expect(highest(target) == report["peak"]["rss_bytes"], "perfetto: the highest level is the peak")
    pids = {track.process.pid for track in tracks.values() if track.HasField("process")}
    expect(pids == {row["pid"] for row in report["processes"]}, f"perfetto: {len(pids)} processes")
    begun = [event for _, event in events if event.type == TrackEvent.TYPE_SLICE_BEGIN]
    ended = [event for _, event in events if event.type == TrackEvent.TYPE_SLICE_END]
    expect(len(begun) == len(ended) == len(report["processes"]), "perfetto: a slice for each program")
    names = sorted(event.name for event in begun)
    expect(names == sorted(row["comm"] for row in report["processes"]), "perfetto: with its name")
    processor(path, report)


def processor(path, report):
    """The trace processor itself, where its binary is at hand; the package would download it."""
    import os

    binary = os.environ.get("TRACE_PROCESSOR_SHELL")
    if not binary:
        print("left out: perfetto's trace processor (TRACE_PROCESSOR_SHELL does not name its binary)")
        return
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig

    with TraceProcessor(trace=str(path), config=TraceProcessorConfig(bin_path=binary)) as opened:
        query = "select max(value) as most from counter join track on track.id = track_id where name = 'mem.rss of the target'"
        most = next(iter(opened.query(query))).most
        expect(most == report["peak"]["rss_bytes"], "perfetto: the trace processor finds the peak")


def test_folded(report, path):
    import re

    lines = path.read_text().splitlines()
    # As stackcollapse and flamegraph.pl have it.
    expect(lines and all(re.fullmatch(r"(.+?) (\d+)", line) for line in lines), f"folded-time: {len(lines)} stacks with weights")
    frames = {frame for line in lines for frame in line.rsplit(" ", 1)[0].split(";")}
    largest = max(row["peak"]["rss_bytes"] for row in report["processes"] if row["peak"])
    step = 1 << max(20, largest.bit_length() - 1)
    name = f"{step >> 20}MiB+" if step < 1 << 30 else f"{step >> 30}GiB+"
    expect(name in frames, f"folded-time: the largest process reaches {name}")
    us = sum(int(line.rsplit(" ", 1)[1]) for line in lines)
    held = sum((row["time_at_level"] or {"total_ns": 0})["total_ns"] for row in report["processes"]) / 1000
    expect(abs(us - held) <= 0.02 * held + len(lines), "folded-time: the weights are the time that memory was held")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("memtrace")
    parser.add_argument("--capture")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = make(arguments.memtrace, arguments.capture, folder)
        test_csv(report, folder / FORMATS["csv"])
        test_mprof(report, folder / FORMATS["mprof"], folder)
        test_prom(report, folder / FORMATS["prom"])
        test_perfetto(report, folder / FORMATS["perfetto"])
        test_folded(report, folder / FORMATS["folded-time"])
    print(f"{failed} failed" if failed else "all well")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
