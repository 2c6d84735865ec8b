#!/usr/bin/env python3
"""Compiles scripts/memtrace_mark.h as C and as C++, without a warning, and checks its calls.

    python3 scripts/memtrace_mark_test.py

The program has a `prctl` of its own, which comes before the C library's and prints what it is
given. Needs gcc and g++. Ends with 1 if anything is not as it should be.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
#include "memtrace_mark.h"
#include <stdarg.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C"
#endif
int prctl(int option, ...)
{
    va_list rest;
    va_start(rest, option);
    unsigned long operation = va_arg(rest, unsigned long);
    const char *name = va_arg(rest, const char *);
    unsigned long length = va_arg(rest, unsigned long);
    unsigned long track = va_arg(rest, unsigned long);
    va_end(rest);
    printf("%x %lu %.*s %lx\\n", (unsigned)option, operation, (int)length, name ? name : "", track);
    errno = EINVAL;
    return -1;
}

int main(void)
{
    errno = 7;
    memtrace_begin("load");
    memtrace_instant("here");
    memtrace_end("load");
    memtrace_end(NULL);
    memtrace_begin_target("all");
    memtrace_end_target("all");
    memtrace_mark(MEMTRACE_BEGIN, "tracked", 0x123456789abUL);
    memtrace_begin("LONG\\u20ac");
    memtrace_begin("EXACT\\u20ac\\u20ac");
    memtrace_begin("");
    return errno;
}
""".replace("LONG", "x" * 61).replace("EXACT", "y" * 60)

EXPECTED = f"""4d545243 1 load 0
4d545243 3 here 0
4d545243 2 load 0
4d545243 2  0
4d545243 4 all 0
4d545243 5 all 0
4d545243 1 tracked 123456789ab
4d545243 1 {"x" * 61} 0
4d545243 1 {"y" * 60}€ 0
4d545243 1  0
"""

LANGUAGES = (
    ("c99", ["gcc", "-x", "c", "-std=c99"]),
    ("c17", ["gcc", "-x", "c", "-std=c17"]),
    ("c++98", ["g++", "-x", "c++", "-std=c++98"]),
    ("c++17", ["g++", "-x", "c++", "-std=c++17"]),
)


def check(folder, compiler):
    source, program = folder / "program", folder / "program.out"
    source.write_text(PROGRAM)
    here = Path(__file__).parent
    warnings = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run([*compiler, *warnings, "-O2", f"-I{here}", source, "-o", program], check=True)
    done = subprocess.run([program], stdout=subprocess.PIPE, encoding="utf-8")
    if done.stdout != EXPECTED:
        return f"calls are not as expected:\n{done.stdout}"
    return None if done.returncode == 7 else "errno is not as it was"


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, compiler in LANGUAGES:
            trouble = check(Path(folder), compiler)
            print(f"FAIL {name}: {trouble}" if trouble else f"ok   {name}")
            failed += trouble is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
