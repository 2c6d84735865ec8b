"""A tool as people write them: large itself, it runs a command and writes down, as GNU time does,
what the kernel says of it.

    tool.py FILE CMD [ARG...]       takes the words of a command
    tool.py FILE --text 'CMD ARG'   takes one text, for a shell
"""

import os
import subprocess
import sys

own = bytearray(150 << 20)
own[:] = b"\x01" * len(own)
file, *command = sys.argv[1:]
if command[0] == "--text":
    child = subprocess.Popen(command[1], shell=True)
else:
    child = subprocess.Popen(command)
_, status, usage = os.wait4(child.pid, 0)
with open(file, "w") as out:
    out.write(f"\tMaximum resident set size (kbytes): {usage.ru_maxrss}\n")
sys.exit(os.waitstatus_to_exitcode(status))
