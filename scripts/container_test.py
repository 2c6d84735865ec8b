#!/usr/bin/env python3
"""Traces real containers, run by podman, from outside and from within, and holds the peaks against
what the workload knows.

usage: container_test.py MEMTRACE WORKLOAD    (as root; WORKLOAD is the tests' program `pages`)

The image is the workload and memtrace with the libraries that they need, and nothing else. Prints `ok NAME` or
`FAIL NAME: why` for each case; the exit code is 1 if one failed. Where podman cannot run a container
at all, it says so and tries nothing.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "--storage-driver=vfs"]
RUN = ["--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "-m", "128m"]
IMAGE = "memtrace-test-pages"
NAME = "memtrace-test"
#: What the workload waits before it begins: time to find the container, milliseconds.
PAUSE_MS = 4000
#: Name of the case, pages of the workload, whether it is named by its id.
CASES = [
    ("by name, waited for", 5000, False),
    ("by name, a second one of that name", 9000, False),
    ("by id, running already", 3000, True),
]
#: What containers may call, unless they are told otherwise, as Debian's podman has it.
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
#: Calls that Docker's own profile allows by these capabilities alone, and podman's does not.
BY_CAPABILITY = {"bpf": "CAP_BPF", "perf_event_open": "CAP_PERFMON"}
#: Longest wait for a container or a report, seconds.
LIMIT = 60


def podman(*words, **options):
    return subprocess.run(
        [*PODMAN, *words], capture_output=True, text=True, timeout=LIMIT, **options
    )


def build_image(programs, folder):
    """Makes the image from programs, by their names in it, and the files that the loader would open
    for them."""
    root = folder / "root"
    root.mkdir()
    for name, program in programs.items():
        shutil.copy(program, root / name)
        found = subprocess.run(["ldd", program], capture_output=True, text=True)
        # One that needs none is no error, but for ldd.
        for library in re.findall(r"(/[^ ]+) \(", found.stdout):
            place = root / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
    for name in ("truth", "tmp", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    archive = folder / "image.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    podman("import", str(archive), IMAGE, check=True)


def remove():
    """memtrace ends when the container is empty; podman removes it a little later."""
    podman("rm", "--force", "--ignore", NAME)


def workload(folder, pages, pause_ms):
    """What podman has to be told to run it, after `run` or `create`."""
    (folder / "truth.json").unlink(missing_ok=True)
    words = ["--name", NAME, *RUN, "-v", f"{folder}:/truth", IMAGE]
    words += ["/pages", "--anon", str(pages), "--start-after-ms", str(pause_ms), "--hold-ms", "1"]
    return [*words, "--truth", "/truth/truth.json", "--dir", "/truth"]


def start(folder, pages):
    """Starts a container whose workload waits a while before it begins; gives the container's id."""
    return podman("run", "-d", "--rm", *workload(folder, pages, PAUSE_MS), check=True).stdout.strip()


def finished(tracer):
    """What is wrong with how memtrace ended, or nothing."""
    try:
        code = tracer.wait(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        tracer.kill()
        return "memtrace did not end with the container"
    return f"memtrace ended with {code}" if code != 0 else None


def found(folder):
    return json.loads((folder / "report.json").read_text())


def wrong_of(report, folder, pid_key="pid_inside"):
    """What is wrong with the rows of the workload: its peak, and its PID in the container, which has
    another key where memtrace is in there too."""
    if not report["certainty"]["exact"] or report["certainty"]["events_lost"]:
        return f"not exact: {report['certainty']}"
    rows = [row for row in report["processes"] if row["comm"] == "pages"]
    peaks = [row["peak"]["rss_bytes"] for row in rows]
    truth = json.loads((folder / "truth.json").read_text())
    if peaks != [truth["peak"]["rss_bytes"]]:
        return f"peaks {peaks}, and the workload knows {truth['peak']}"
    inside = [row[pid_key] for row in rows]
    if inside != [truth["pid"]]:
        return f"PIDs {inside} in the container, and the workload knows {truth['pid']}"
    return None


def traced(memtrace, folder, pages, by_id):
    """Traces one container; gives what is wrong, or nothing."""
    remove()
    words = [memtrace, "-q", "--json", folder / "report.json", "--container"]
    if by_id:
        container = start(folder, pages)[:12]
        tracer = subprocess.Popen([*words, container])
    else:
        # Before the container is there: it is waited for.
        container = NAME
        tracer = subprocess.Popen([*words, container, "--wait"])
        start(folder, pages)
    wrong = finished(tracer)
    if wrong:
        return wrong
    report = found(folder)
    if report["target"]["container"] != container:
        return f"of {report['target']['container']}"
    if report["cgroup"]["limit_bytes"] != 128 << 20:
        return f"limit {report['cgroup']['limit_bytes']}"
    return wrong_of(report, folder)


def traced_brief(memtrace, folder):
    """One that is over in less time than podman takes for an answer, made before it is started."""
    remove()
    podman("create", *workload(folder, 5000, 0), check=True)
    words = [memtrace, "-q", "--json", folder / "report.json", "--container", NAME, "--wait"]
    tracer = subprocess.Popen(words)
    # It looks for the cgroup once it has the id, which it has at its first look.
    time.sleep(PAUSE_MS / 1000)
    podman("start", "--attach", NAME, check=True)
    wrong = finished(tracer)
    remove()
    return wrong or wrong_of(found(folder), folder)


def traced_engine(memtrace, folder):
    """The engine as the command: the workload is started by another process, and found."""
    remove()
    words = [memtrace, "-q", "--json", folder / "report.json", "--", *PODMAN, "run", "--rm"]
    tracer = subprocess.Popen([*words, *workload(folder, 3000, 0)], stdout=subprocess.DEVNULL)
    wrong = finished(tracer)
    if wrong:
        return wrong
    report = found(folder)
    doubts = [doubt["id"] for doubt in report["certainty"]["doubts"]]
    if "engine-included" not in doubts:
        return f"it does not tell of the engine: {doubts}"
    return wrong_of(report, folder)


def traced_killed(memtrace, folder):
    """One that outgrows its limit: every process of the target is dead, and the report whole."""
    remove()
    words = [memtrace, "-q", "--json", folder / "report.json", "--container", NAME, "--wait"]
    tracer = subprocess.Popen(words)
    container = start(folder, 60000)
    wrong = finished(tracer)
    if wrong:
        return wrong
    report = found(folder)
    kills = [kill for kill in report["oom"] if kill["of_target"]]
    if [(kill["comm"], kill["killed"]) for kill in kills] != [("pages", True)]:
        return f"kills {kills}"
    kill = kills[0]
    if container not in (kill["limit_cgroup"] or "") or kill["limit_bytes"] != 128 << 20:
        return f"limit {kill['limit_bytes']} of {kill['limit_cgroup']}: {kill['log_why']}"
    rows = [row for row in report["processes"] if row["comm"] == "pages"]
    if not rows[-1]["peak"]["rss_bytes"] >= kill["rss_bytes"] > 100 << 20:
        return f"{kill['rss_bytes']} at the kill, {rows[-1]['peak']} at most"
    return None


def profile_of_docker(folder):
    """podman's profile with what Docker's adds for memtrace."""
    profile = json.loads(PROFILE.read_text())
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in BY_CAPABILITY]
    for call, capability in BY_CAPABILITY.items():
        rule = {"names": [call], "action": "SCMP_ACT_ALLOW", "args": [], "comment": ""}
        profile["syscalls"].append({**rule, "includes": {"caps": [capability]}, "excludes": {}})
    path = folder / "seccomp.json"
    path.write_text(json.dumps(profile))
    return path


def run_inside(folder, *options):
    """memtrace in a container, with the capabilities that it names and no others."""
    for name in ("truth.json", "report.json"):
        (folder / name).unlink(missing_ok=True)
    words = ["run", "--rm", *RUN, "--cap-drop=all", "--cap-add=BPF", "--cap-add=PERFMON", *options]
    words += ["-v", f"{folder}:/truth", IMAGE, "/memtrace", "-q", "--json", "/truth/report.json"]
    words += ["--", "/pages", "--anon", "5000", "--truth", "/truth/truth.json", "--dir", "/truth"]
    return podman(*words)


def traced_inside(folder):
    """From within a container, under Docker's default profile."""
    ran = run_inside(folder, "--security-opt", f"seccomp={profile_of_docker(folder)}")
    if ran.returncode != 0:
        return f"it ended with {ran.returncode}: {ran.stderr.strip()}"
    return wrong_of(found(folder), folder, pid_key="pid")


def refused_inside(folder):
    """podman's profile forbids the call whatever the capabilities: the message must name the cause."""
    ran = run_inside(folder, "--security-opt", f"seccomp={PROFILE}")
    if ran.returncode != 125 or "seccomp" not in ran.stderr or (folder / "truth.json").exists():
        return f"it ended with {ran.returncode}: {ran.stderr.strip()}"
    return None


def told(name, wrong):
    print(f"FAIL container {name}: {wrong}" if wrong else f"ok container {name}")
    return bool(wrong)


def main():
    memtrace, workload = (os.path.abspath(path) for path in sys.argv[1:])
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # An engine leaves a file `oom` where it was started.
        os.chdir(folder)
        build_image({"pages": workload, "memtrace": memtrace}, folder)
        try:
            probe = podman("run", "--rm", *RUN, IMAGE, "/pages", "--anon", "1", "--dir", "/tmp")
            if probe.returncode != 0:
                why = (probe.stderr.strip().splitlines() or ["no reason given"])[-1]
                print(f"left out: containers: podman cannot run one here: {why}")
                return
            for name, pages, by_id in CASES:
                failed |= told(name, traced(memtrace, folder, pages, by_id))
            failed |= told("shorter than an answer of podman", traced_brief(memtrace, folder))
            failed |= told("by the engine as the command", traced_engine(memtrace, folder))
            failed |= told("killed at its limit", traced_killed(memtrace, folder))
            failed |= told("from within, as Docker allows", traced_inside(folder))
            failed |= told("from within, as podman forbids", refused_inside(folder))
        finally:
            podman("rm", "--force", NAME)
            podman("rmi", "--force", IMAGE)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
