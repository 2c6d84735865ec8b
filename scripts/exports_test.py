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
import ctypes, subprocess, sys, threading, time
prctl = ctypes.CDLL(None).prctl
prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
def mark(op, name=b"", track=0):
    prctl(0x4D545243, op, name or None, len(name), track)
def work():
    mark(1, b"in a thread")
    other = bytearray(6 << 20)
    time.sleep(0.03)
    mark(2)
mark(4, b"all, of it")
mark(1, b"load")
big = bytearray(24 << 20)
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(12 << 20); time.sleep(0.1)"])
mark(1, b"wait <b>")
time.sleep(0.05)
mark(2)
mark(2)
thread = threading.Thread(target=work)
thread.start()
subprocess.run(["sh", "-c", "ls / > /dev/null; exec true"])
thread.join()
mark(1, b"task a", 1 << 60)
mark(1, b"task b", 1 << 60)
more = bytearray(3 << 20)
time.sleep(0.01)
mark(2, b"task a", 1 << 60)
time.sleep(0.01)
mark(2, b"task b", 1 << 60)
child.wait()
for i in range(300):
    mark(1, b"step" if i % 3 else b"check")
    less = bytearray(i << 10)
    mark(2)
mark(5)
del big
mark(1, b"load")
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
        # With a capture the page tells how wrong pollers are, too.
        kept = ["-o", str(folder / "run.mtr")]
        command = [memtrace, "-q", *kept, *exports, "--", sys.executable, "-c", WORK]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    expect(done.returncode == 0, f"memtrace ends with 0: {done.returncode}")
    return json.loads((folder / FORMATS["json"]).read_text())


def test_csv(report, path):
    import pandas

    frame = pandas.read_csv(path)
    expect(
        list(frame.columns) == ["ns", "pid", "image", "space", "comm", "class", "bytes", "phase"],
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
    names = {phase["name"] for phase in report["phases"]}
    expect(set(frame["phase"].dropna()) <= names, f"csv: only names of the {len(names)} phases")
    for phase in report["phases"]:
        if phase["name"] not in ("in a thread", "all, of it"):
            continue
        of = frame["pid"].isna() if phase["scope"] == "target" else frame["pid"] == phase["pid"]
        within = frame[of & (frame["ns"] >= phase["start_ns"]) & (frame["ns"] < phase["end_ns"])]
        expect(len(within) and (within["phase"] == phase["name"]).all(), f"csv: {len(within)} lines within {phase['name']}")
        levels = frame[of & (frame["phase"] == phase["name"]) & (frame["class"] == "rss")]["bytes"]
        slack = report["certainty"]["quantum_bytes"] + report["peak"]["rss_bytes"] // 1024
        expect(phase["peak_rss_bytes"] - slack <= levels.max() <= phase["peak_rss_bytes"], f"csv: the highest of {phase['name']} is its peak, as far as the stream tells")


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
    longest = sorted(report["phases"], key=lambda phase: phase["start_ns"] - phase["end_ns"])[:24]
    told = sum(len(times) for times in read["func_timestamp"].values())
    names = {"".join("_" if letter.isspace() or letter == "." else letter for letter in phase["name"]) for phase in longest}
    expect((told, set(read["func_timestamp"])) == (len(longest), names), f"mprof: {told} phases as functions")
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
    for family, key in [("peak", "peak_max"), ("growth", "growth_max"), ("peak_target", "peak_target_max")]:
        read = {sample.labels["phase"]: sample.value for sample in families[f"memtrace_phase_{family}_bytes"].samples}
        expect(read == {of["name"]: of[f"{key}_bytes"] for of in report["phase_summary"]}, f"prom: {family} of {len(read)} phases by name")


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
    processes = {uuid for uuid, track in tracks.items() if track.HasField("process")}
    begun = [event for _, event in events if event.type == TrackEvent.TYPE_SLICE_BEGIN and event.track_uuid in processes]
    ended = [event for _, event in events if event.type == TrackEvent.TYPE_SLICE_END and event.track_uuid in processes]
    expect(len(begun) == len(ended) == len(report["processes"]), "perfetto: a slice for each program")
    names = sorted(event.name for event in begun)
    expect(names == sorted(row["comm"] for row in report["processes"]), "perfetto: with its name")
    slices = phase_slices(TrackEvent, [(ns, event) for ns, event in events if event.track_uuid not in processes])
    told = lambda phase: (phase["name"], phase["start_ns"], phase["end_ns"], phase["peak_rss_bytes"], phase["peak_rss_bytes"] - phase["start_rss_bytes"], phase["peak_target_bytes"])
    expect(sorted(of for of, _ in slices) == sorted(told(phase) for phase in report["phases"]), f"perfetto: {len(slices)} slices are the phases, with times, peaks and growth")
    for name, scope in [("all, of it", "target"), ("in a thread", "thread"), ("task b", "track")]:
        phase = next((phase for phase in report["phases"] if phase["name"] == name), None)
        if not phase:
            continue
        track = tracks[next(uuid for of, uuid in slices if of == told(phase))]
        around = tracks[track.parent_uuid]
        if track.name == "overlapping phases":
            track, around = around, tracks[around.parent_uuid]
        right = {
            "target": track.name == "phases of the target" and around.name == "target of memtrace",
            "thread": (track.thread.pid, track.thread.tid, around.process.pid) == (phase["pid"], phase["thread"], phase["pid"]),
            "track": track.name == f"track {phase['track']}" and around.process.pid == phase["pid"],
        }[scope]
        expect(right, f"perfetto: {name} is on a track of its {scope}")
    processor(path, report)


def phase_slices(TrackEvent, events):
    """Slices as the trace processor makes them: an end closes what was begun last on its track."""
    slices, open_slices = [], {}
    for ns, event in sorted(events, key=lambda of: of[0]):
        stack = open_slices.setdefault(event.track_uuid, [])
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            stack.append((ns, event))
        elif event.type == TrackEvent.TYPE_SLICE_END:
            begun_ns, begun = stack.pop()
            values = {of.name: of.int_value for of in begun.debug_annotations}
            figures = (values["peak_rss_bytes"], values["growth_bytes"], values["peak_target_bytes"])
            slices.append(((begun.name, begun_ns, ns, *figures), event.track_uuid))
    expect(not any(open_slices.values()), "perfetto: every slice of a phase ends")
    return slices


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
    phases = {f"[{phase['name'].replace(';', '?')}]" for phase in report["phases"]}
    found = {frame for frame in frames if frame.startswith("[")}
    expect(found <= phases and bool(found) == bool(phases), f"folded-time: frames of {len(found)} phases")
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
