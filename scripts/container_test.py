#!/usr/bin/env python3
"""Traces real containers, run by podman, and holds the peaks against what the workload knows.

usage: container_test.py MEMTRACE WORKLOAD    (as root; WORKLOAD is the tests' program `pages`)

The image is the workload with the libraries that it needs, and nothing else. Prints `ok NAME` or
`FAIL NAME: why` for each case; the exit code is 1 if one failed. Where podman cannot run a container
at all, it says so and tries nothing.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

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
#: Longest wait for a container or a report, seconds.
LIMIT = 60


def podman(*words, **options):
    return subprocess.run(
        [*PODMAN, *words], capture_output=True, text=True, timeout=LIMIT, **options
    )


def build_image(workload, folder):
    """Makes the image from the workload and the files that the loader would open for it."""
    root = folder / "root"
    needed = subprocess.run(["ldd", workload], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/[^ ]+)", needed):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    for name in ("truth", "tmp", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(workload, root / "pages")
    archive = folder / "image.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    podman("import", str(archive), IMAGE, check=True)


def start(folder, pages):
    """Starts a container whose workload waits a while before it begins; gives the container's id."""
    words = ["run", "-d", "--rm", "--name", NAME, *RUN, "-v", f"{folder}:/truth", IMAGE]
    words += ["/pages", "--anon", str(pages), "--start-after-ms", str(PAUSE_MS)]
    started = podman(*words, "--truth", "/truth/truth.json", "--dir", "/truth", check=True)
    return started.stdout.strip()


def traced(memtrace, folder, pages, by_id):
    """Traces one container; gives what is wrong, or nothing."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    # memtrace ends when the container is empty; podman removes it a little later.
    podman("rm", "--force", "--ignore", NAME)
    words = [memtrace, "-q", "--json", report, "--container"]
    if by_id:
        container = start(folder, pages)[:12]
        tracer = subprocess.Popen([*words, container])
    else:
        # Before the container is there: it is waited for.
        container = NAME
        tracer = subprocess.Popen([*words, container, "--wait"])
        start(folder, pages)
    try:
        code = tracer.wait(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        tracer.kill()
        return "memtrace did not end with the container"
    if code != 0:
        return f"memtrace ended with {code}"
    found = json.loads(report.read_text())
    if not found["certainty"]["exact"] or found["certainty"]["events_lost"]:
        return f"not exact: {found['certainty']}"
    if found["target"]["container"] != container:
        return f"of {found['target']['container']}"
    peaks = [row["peak"]["rss_bytes"] for row in found["processes"] if row["comm"] == "pages"]
    truth = json.loads((folder / "truth.json").read_text())["peak"]["rss_bytes"]
    if peaks != [truth]:
        return f"peaks {peaks}, and the workload knows {truth}"
    if found["cgroup"]["limit_bytes"] != 128 << 20:
        return f"limit {found['cgroup']['limit_bytes']}"
    return None


def main():
    memtrace, workload = sys.argv[1:]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        build_image(workload, folder)
        try:
            probe = podman("run", "--rm", *RUN, IMAGE, "/pages", "--anon", "1", "--dir", "/tmp")
            if probe.returncode != 0:
                why = (probe.stderr.strip().splitlines() or ["no reason given"])[-1]
                print(f"left out: containers: podman cannot run one here: {why}")
                return
            for name, pages, by_id in CASES:
                wrong = traced(memtrace, folder, pages, by_id)
                print(f"FAIL container {name}: {wrong}" if wrong else f"ok container {name}")
                failed |= bool(wrong)
        finally:
            podman("rm", "--force", NAME)
            podman("rmi", "--force", IMAGE)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
