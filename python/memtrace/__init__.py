"""Marks phases of a program, so that memtrace reports the exact peak memory of each.

    from memtrace import phase

    with phase("load"):
        cube = load()

    @phase("filter")
    def smooth(cube): ...

A marker is one system call that the kernel refuses and memtrace sees. Markers are made only where
the environment has MEMTRACE=1, as memtrace sets it for its command, or after `enable()`. Otherwise,
and on platforms other than Linux, everything here does nothing. See docs/phases.md.
"""

from __future__ import annotations

import _thread
import os
import sys

# Type checkers take it as true. Importing `typing` would add to the memory that is measured.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["enable", "mark", "phase"]

_MARKER = 0x4D545243
_BEGIN, _END, _INSTANT, _BEGIN_TARGET, _END_TARGET = 1, 2, 3, 4, 5
_NAME_BYTES = 63

# The marker call, or None where markers are off; and C's unsigned long.
_prctl: Any = None
_long: Any = None

# asyncio's functions that find the running loop and its task, once somebody has imported it.
_tasks: tuple[Any, Any] | None = None

# Held while a phase is entered for the first time. Reentrant, for phases in signal handlers.
_first = _thread.RLock()

# Differs between a process and the children that it forks: a child has a copy of each phase that
# was open, but the phase is not its to end.
_process = 0


def enable() -> bool:
    """Turns markers on, where MEMTRACE=1 has not done so at import.

    Returns True if they are on, False if this platform has no such call.
    """
    global _long, _prctl
    if _prctl is None and sys.platform == "linux":
        try:
            import ctypes

            # PyDLL keeps the interpreter's lock. CDLL would let it go, which costs time; and now
            # and then another thread would take it, and allocate for milliseconds between the
            # marker and the code that it stands for. The call never blocks, so nobody waits.
            prctl = ctypes.PyDLL(None).prctl
        except (ImportError, OSError, AttributeError):
            return False
        os.register_at_fork(after_in_child=_forked)
        _long = ctypes.c_ulong
        _prctl = prctl
    return _prctl is not None


def mark(name: str) -> None:
    """Marks this instant, in the own thread or asyncio task."""
    if _prctl is not None:
        _call(_INSTANT, _encoded(name), _track())


class phase:
    """A phase: a context manager, and a decorator for functions of every kind.

    One object may be entered again after it was left, while it is open (recursion), and by several
    threads and asyncio tasks at once. Exceptions pass through and end the phase.

    A thread has its phases for itself, and so has each asyncio task, however tasks interleave. A
    phase must end in the thread in which it began.

    As a decorator: a call of a function is one entry; a coroutine's entry lasts from its first step
    to its end, with all that it awaits; a generator's or asynchronous generator's entries are its
    steps, one for each value, so that what happens between them is not in the phase.

    name: any text; at most 63 bytes of its UTF-8 are used.
    target: a phase of all processes that memtrace follows, which may outlive this one.
    """

    __slots__ = ("name", "target", "_text", "_open")

    def __init__(self, name: str, *, target: bool = False) -> None:
        self.name = name
        self.target = target
        # Where it is open: (process, track) for each entry. A list from the first one on: most
        # phases are made where nobody traces, and a list is a third of the time that takes.
        self._open: list[tuple[int, int]] | None = None

    def __enter__(self) -> phase:
        if _prctl is not None:
            self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not whether markers are on: one that began before they were has nothing to end.
        if self._open:
            self._end(self._open)

    def __call__(self, function: F) -> F:
        decorated: F = _decorated(self, function)
        return decorated

    def _begin(self) -> None:
        self._text = _encoded(self.name)
        track = 0 if self.target else _track()
        if self._open is None:
            # Two threads may come here at once, and neither's entry may go with a second list.
            with _first:
                if self._open is None:
                    self._open = []
        self._open.append((_process, track))
        _call(_BEGIN_TARGET if self.target else _BEGIN, self._text, track)

    def _end(self, entries: list[tuple[int, int]]) -> None:
        here = (_process, 0 if self.target else _track())
        try:
            entries.remove(here)
        except ValueError:
            # Left elsewhere than entered: in a forked child, or by whoever collects an abandoned
            # coroutine as garbage.
            here = entries.pop()
        process, track = here
        if process == _process:
            _call(_END_TARGET if self.target else _END, self._text, track)


def _decorated(around: phase, function: Any) -> Any:
    """The function with the phase around it, of the same kind (plain, async, generator)."""
    import functools
    import inspect

    like_it = functools.wraps(function)

    if inspect.isasyncgenfunction(function):

        @like_it
        async def asynchronous_generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step, value = inner.asend, None
            while True:
                with around:
                    try:
                        made = await step(value)
                    except StopAsyncIteration:
                        return
                    finally:
                        # An exception kept here would keep this frame, with all that it holds.
                        value = None
                try:
                    step, value = inner.asend, (yield made)
                except BaseException as error:
                    step, value = inner.athrow, error

        return asynchronous_generator

    if inspect.iscoroutinefunction(function):

        @like_it
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with around:
                return await function(*args, **kwargs)

        return coroutine

    if inspect.isgeneratorfunction(function):

        @like_it
        def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step, value = inner.send, None
            while True:
                with around:
                    try:
                        made = step(value)
                    except StopIteration as end:
                        return end.value
                    finally:
                        value = None  # As above.
                try:
                    step, value = inner.send, (yield made)
                except BaseException as error:
                    step, value = inner.throw, error

        return generator

    @like_it
    def plain(*args: Any, **kwargs: Any) -> Any:
        with around:
            return function(*args, **kwargs)

    return plain


def _call(operation: int, name: bytes, track: int) -> None:
    # The kernel side reads the name without waiting for a page: this brings it in.
    if name:
        name[0], name[-1]
    # To declare the types of the arguments would double the time of the call. An undeclared number
    # goes as an int, filled up to the width of a register: only a task's number needs more.
    _prctl(_MARKER, operation, name, len(name), _long(track) if track else 0)


def _encoded(name: str) -> bytes:
    text = str(name).encode("utf-8", "replace")
    if len(text) > _NAME_BYTES:
        text = text[:_NAME_BYTES].decode("utf-8", "ignore").encode()
    return text


def _track() -> int:
    """The running asyncio task's number, unique while it lives; 0, the thread's, outside one."""
    running, current = _tasks or _find_tasks()
    if running is None:
        return 0
    loop = running()
    task = None if loop is None else current(loop)
    return 0 if task is None else id(task)


def _find_tasks() -> tuple[Any, Any]:
    global _tasks
    # Another thread may be in the middle of importing it.
    asyncio = sys.modules.get("asyncio")
    running = getattr(asyncio, "_get_running_loop", None)
    current = getattr(asyncio, "current_task", None)
    if running is None or current is None:
        return None, None
    _tasks = running, current
    return _tasks


def _forked() -> None:
    global _first, _process
    _process += 1
    # Whoever held it is not in this process.
    _first = _thread.RLock()


if os.environ.get("MEMTRACE") == "1":
    enable()
