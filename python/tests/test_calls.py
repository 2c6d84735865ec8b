"""Marker calls as the kernel gets them, on Linux.

A process puts a seccomp filter over itself that hands each marker call to a listener, as it
arrives: its registers, and the name as it is in the caller's memory. Needs no privilege and no
tool. The package's own tests cannot see what becomes of an argument on the way to the kernel.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import threading
import traceback
import unittest

import memtrace
from memtrace import mark, phase

MARKER = 0x4D545243
BEGIN, END, INSTANT, BEGIN_TARGET, END_TARGET = 1, 2, 3, 4, 5
LONG = "x" * 61 + "€"


def work():
    """What the listener listens to."""
    memtrace.enable()
    with phase("load"):
        mark("here")
    with phase("all", target=True), phase(LONG):
        pass

    def in_thread():
        with phase("thread"):
            pass

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()

    async def in_task():
        with phase(hex(id(asyncio.current_task()))):
            await asyncio.sleep(0)

    asyncio.run(in_task())


def listen():
    """Does `work` in a child, and returns its marker calls: [operation, name, length, track]."""
    libc = ctypes.CDLL(None, use_errno=True)

    def checked(result):
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    # See seccomp(2). Load the low half of the first argument; hand over if it is the marker's.
    load, equal, answer = 0x20, 0x15, 0x06
    to_listener, allow = 0x7FC00000, 0x7FFF0000
    steps = [
        (load, 0, 0, 16),
        (equal, 0, 1, MARKER),
        (answer, 0, 0, to_listener),
        (answer, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
    no_new_privileges, set_filter, new_listener = 38, 1, 8
    number = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
    checked(libc.prctl(no_new_privileges, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    listener = checked(libc.syscall(ctypes.c_long(number), set_filter, new_listener, program))

    ended, running = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ended)
        # With no listener left, a call fails. It must not wait for itself.
        os.close(listener)
        try:
            work()
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(running)

    calls = []
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(ended, 0)
    with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:
        while listener in dict(poll.poll()):
            # struct seccomp_notif: id, pid, flags; then number, architecture, address, arguments.
            request = bytearray(80)
            fcntl.ioctl(listener, 0xC0502100, request)
            cookie, *_, option, operation, address, length, track, _ = struct.unpack(
                "QIIiIQ6Q", request
            )
            memory.seek(address)
            calls.append([option, operation, memory.read(length).decode("utf-8", "replace"), track])
            fcntl.ioctl(listener, 0xC0182101, struct.pack("QqiI", cookie, 0, -22, 0))
    os.waitpid(child, 0)
    return calls


@unittest.skipUnless(sys.platform == "linux", "markers are of Linux")
class Calls(unittest.TestCase):
    def test_the_kernel_gets_each_argument_whole(self):
        environment = {
            **os.environ,
            "PYTHONPATH": os.path.dirname(os.path.dirname(memtrace.__file__)),
        }
        command = [sys.executable, __file__]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        calls = json.loads(done.stdout)
        self.assertEqual({option for option, *_ in calls}, {MARKER})
        *others, begin, end = [call[1:] for call in calls]
        self.assertEqual(
            others,
            [
                [BEGIN, "load", 0],
                [INSTANT, "here", 0],
                [END, "load", 0],
                [BEGIN_TARGET, "all", 0],
                [BEGIN, "x" * 61, 0],
                [END, "x" * 61, 0],
                [END_TARGET, "all", 0],
                [BEGIN, "thread", 0],
                [END, "thread", 0],
            ],
        )
        # More than 32 bits: a task's number is its address.
        track = int(begin[1], 16)
        self.assertEqual([begin, end], [[BEGIN, begin[1], track], [END, begin[1], track]])


if __name__ == "__main__":
    print(json.dumps(listen()))
