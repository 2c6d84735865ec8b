"""Scores tools that people use on workloads that know their truth, and prints the table of
docs/judge.md: one column for each workload, one row for each tool. Needs root.

    cargo build --release && cargo build --release -p tests
    sudo python3 scripts/judge_tools.py [MEMTRACE [FOLDER OF WORKLOADS]]

Samplers of memtrace's own (`--tools`) look beside one run of each workload. Real tools (`--wrap`)
run a workload each; those that are not installed are left out, and named.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
MEMTRACE = sys.argv[1] if len(sys.argv) > 1 else os.path.join(TARGET, "memtrace")
FOLDER = sys.argv[2] if len(sys.argv) > 2 else TARGET

TOOLS = "psutil@10ms,psutil@100ms,psutil@500ms,statm@10ms,ps@1s,smaps@100ms,vmhwm,rusage,cgroup@100ms"
WRAPS = {
    "time -v": ("time", "{exe} -v -o {file} {{}}"),
    "mprof run": ("mprof", "{exe} run -o {file} {{}}"),
    "mprof run -C": ("mprof", "{exe} run -C -o {file} {{}}"),
    "psrecord": ("psrecord", '{exe} "{{}}" --log {file}'),
    "psrecord --include-children": ("psrecord", '{exe} "{{}}" --include-children --log {file}'),
}


def workloads(disk):
    at = lambda name: os.path.join(FOLDER, name)
    spike = [at("spike"), "--mib", "300", "--before-ms", "700", "--after-ms", "700", "--hold-ms"]
    return {
        "one spike, held 1 ms": spike + ["1"],
        "one spike, held 200 ms": spike + ["200"],
        "8 workers, copy-on-write": [at("forkpool"), "--workers", "8", "--mib", "100"],
        "a child for a moment": [at("burst"), "--mib", "200", "--before-ms", "300"],
        "a file written": [at("cacher"), "--mib", "200", "--hold-ms", "500", disk],
    }


def judge(options, command, folder):
    path = os.path.join(folder, "judgement.json")
    argv = [MEMTRACE, "judge", "--json", path, *options, "--", *command]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(argv)}\nended with {ran.returncode}: {ran.stderr}")
    with open(path) as file:
        return json.load(file)


def main():
    table, peaks, absent = {}, {}, []
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        columns = workloads(folder)
        for column, command in columns.items():
            judged = judge(["--tools", TOOLS], command, folder)
            peaks[column] = judged["peak_bytes"]
            for tool in judged["tools"]:
                table.setdefault(tool["name"], {})[column] = tool
            for name, (program, line) in WRAPS.items():
                exe = shutil.which(program)
                if exe is None:
                    absent += [name] if name not in absent else []
                    continue
                file = os.path.join(folder, f"{program}.{len(os.listdir(folder))}")
                wrap = line.format(exe=exe, file=file)
                judged = judge(["--wrap", wrap, "--import", file], command, folder)
                table.setdefault(f"`{name}`", {})[column] = judged["tools"][0]
    print("| tool |", " | ".join(f"{of}: {peaks[of] / 2**20:.1f} MiB" for of in columns), "|")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in table.items():
        if name.startswith("rusage, PID"):
            continue
        cells = [row.get(column) for column in columns]
        cells = [f"{of['error_pct']:+.1f} %, {of['kind'].replace('_', ' ')}" if of else "-" for of in cells]
        print("|", name, "|", " | ".join(cell.replace(", none", "") for cell in cells), "|")
    if absent:
        print(f"\nNot installed here: {', '.join(absent)}.")


main()
