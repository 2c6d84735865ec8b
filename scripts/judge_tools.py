#!/usr/bin/env python3
"""Scores tools that people use, on workloads of the kinds that people run, and writes the table into
docs/judge.md, between its two markers. Needs what memtrace needs, a C compiler and make.

    cargo build --release && cargo build --release -p tests
    python3 -m venv target/tools-venv
    target/tools-venv/bin/pip install memory_profiler psrecord psutil numpy scipy ./python
    sudo target/tools-venv/bin/python scripts/judge_tools.py [MEMTRACE [FOLDER OF WORKLOADS]]

Samplers of memtrace's own (`--tools`) look beside one run of each workload. Real tools (`--wrap`)
run a workload each; those that are not installed are left out, and named.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "judge.md"
BEGIN, END = "<!-- judge tools: begin -->\n", "<!-- judge tools: end -->\n"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
MEMTRACE = sys.argv[1] if len(sys.argv) > 1 else str(TARGET / "memtrace")
FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
MIB = 1 << 20

TOOLS = "psutil@10ms,psutil@100ms,psutil@500ms,statm@10ms,ps@1s,smaps@100ms,vmhwm,rusage,cgroup@100ms"
WRAPS = {
    "`time -v`": ("time", "{exe} -v -o {file} {{}}"),
    "`mprof run`": ("mprof", "{exe} run -o {file} {{}}"),
    "`mprof run -C`": ("mprof", "{exe} run -C -o {file} {{}}"),
    "`psrecord`": ("psrecord", '{exe} "{{}}" --log {file}'),
    "`psrecord --include-children`": ("psrecord", '{exe} "{{}}" --include-children --log {file}'),
}
PACKAGES = {"memory_profiler": "memory_profiler", "psrecord": "psrecord", "psutil": "psutil"}

CHURN = """
import json
kept = []
for turn in range(40):
    rows = [{"id": n, "name": str(n) * 4, "values": list(range(20))} for n in range(4000)]
    kept = json.loads(json.dumps(rows))
    del rows
"""


def workloads(disk):
    """Name, what it is, and command of each."""

    def at(name, *arguments):
        return [str(FOLDER / name), *arguments]

    spike = at("spike", "--mib", "300", "--before-ms", "700", "--after-ms", "700", "--hold-ms")
    study = [sys.executable, str(ROOT / "scripts" / "step_study.py"), "--work", "--size", "160"]
    units = compile_units(disk)
    churn = Path(disk) / "churn.py"
    churn.write_text(CHURN)
    shell = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done"
    return [
        ("W1", "128 MiB mapped, touched and unmapped eight times", at("storm", "--threads", "1", "--mib", "128", "--rounds", "8")),
        ("W2", "the same by four threads at once", at("storm", "--threads", "4", "--mib", "128", "--rounds", "4")),
        ("W3", "one spike of 300 MiB, held for 1 ms", [*spike, "1"]),
        ("W3l", "the same, held for 200 ms", [*spike, "200"]),
        ("W4", "a scipy pipeline (`scripts/step_study.py`)", study),
        ("W5", "8 forked workers that share 200 MiB copy-on-write", at("forkpool", "--workers", "8", "--mib", "200")),
        ("W6t", "300 times `/bin/true`", ["sh", "-c", shell]),
        ("W6c", "24 C files compiled, two at a time", ["make", "-s", "-B", "-j", "2", "-C", units]),
        ("W7", "Python that makes and parses JSON", [sys.executable, str(churn)]),
        ("child", "a child that has 200 MiB for a moment", at("burst", "--mib", "200", "--before-ms", "300")),
        ("file", "200 MiB written to a file", at("cacher", "--mib", "200", "--hold-ms", "500", disk)),
    ]


def compile_units(disk):
    folder = Path(disk) / "units"
    folder.mkdir()
    objects = " ".join(f"unit{unit}.o" for unit in range(24))
    (folder / "Makefile").write_text(f"all: {objects}\n%.o: %.c\n\t$(CC) -O1 -c $< -o $@\n")
    for unit in range(24):
        text = "".join(
            f"int f{unit}_{n}(int *a, int n) {{ int s = {n}; for (int i = 0; i < n; i++) "
            f"{{ s += a[i] * {unit}; if (s & 1) a[i] ^= s; }} return s; }}\n"
            for n in range(300)
        )
        (folder / f"unit{unit}.c").write_text(text)
    return str(folder)


def judge(options, command, folder):
    path = os.path.join(folder, "judgement.json")
    argv = [MEMTRACE, "judge", "--json", path, *options, "--", *command]
    ran = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if ran.returncode != 0:
        sys.exit(f"{' '.join(argv)}\nended with {ran.returncode}: {ran.stderr}")
    with open(path) as file:
        return json.load(file)


def scores(columns, folder):
    """Rows by tool, exact peaks by workload, and the tools that are not here."""
    rows, peaks, absent = {}, {}, []
    for name, _, command in columns:
        judged = judge(["--tools", TOOLS], command, folder)
        peaks[name] = judged["peak_bytes"]
        for tool in judged["tools"]:
            rows.setdefault(tool["name"], {})[name] = tool
        for row, (program, line) in WRAPS.items():
            exe = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
            if exe is None:
                absent += [row] if row not in absent else []
                continue
            file = os.path.join(folder, f"{program}.{len(os.listdir(folder))}")
            wrap = line.format(exe=exe, file=file)
            judged = judge(["--wrap", wrap, "--import", file], command, folder)
            rows.setdefault(row, {})[name] = judged["tools"][0]
    return rows, peaks, absent


def lines(columns, rows, peaks, absent):
    letters = {}

    def cell(score):
        if score is None:
            return "–"
        text = f"{score['error_pct']:+.1f}"
        if score["kind"] == "none":
            return text
        letter = letters.setdefault(score["kind"], chr(ord("a") + len(letters)))
        return f"{text} {letter}"

    tools = []
    for name, package in PACKAGES.items():
        try:
            tools.append(f"{name} {version(package)}")
        except PackageNotFoundError:
            pass
    cpus = len(os.sched_getaffinity(0))
    yield "Written by `scripts/judge_tools.py`; run it again instead of editing.\n"
    yield (
        f"{platform.system()} {platform.release()}, {cpus} CPUs, Python {platform.python_version()}, "
        f"{', '.join(tools)}. One run of each; errors in percent of the exact peak, with the kind "
        "where the run shows it.\n"
    )
    yield f"| | {' | '.join(name for name, _, _ in columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    exact = (f"{peaks[name] / MIB:.1f}" for name, _, _ in columns)
    yield f"| exact peak, MiB | {' | '.join(exact)} |"
    for tool, row in rows.items():
        # Of each process by itself: the whole's is the row above it.
        if not tool.startswith("rusage, PID"):
            yield f"| {tool} | {' | '.join(cell(row.get(name)) for name, _, _ in columns)} |"
    yield ""
    yield "Workloads: " + "; ".join(f"**{name}** {what}" for name, what, _ in columns) + ".\n"
    kinds = (f"**{letter}** {kind.replace('_', ' ')}" for kind, letter in letters.items())
    yield "Kinds of error: " + ", ".join(kinds) + "."
    if absent:
        yield f"\nNot installed here: {', '.join(absent)}."


def write(table):
    before, rest = DOCS.read_text().split(BEGIN)
    _, after = rest.split(END)
    DOCS.write_text(before + BEGIN + "".join(f"{line}\n" for line in table) + END + after)


def main():
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        columns = workloads(folder)
        write(lines(columns, *scores(columns, folder)))


if __name__ == "__main__":
    main()
