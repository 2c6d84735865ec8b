"""Which marker calls the package makes, in which order: the low-level call is replaced."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import unittest
import weakref
from unittest import mock

import memtrace
from memtrace import mark, phase

BEGIN, END, INSTANT, BEGIN_TARGET, END_TARGET = 1, 2, 3, 4, 5


class On(unittest.TestCase):
    """Markers are on, and go to a list: (operation, name, track)."""

    def setUp(self):
        self.calls = []
        for name, value in (("_prctl", self.call), ("_long", int)):
            patch = mock.patch.object(memtrace, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def call(self, marker, operation, name, length, track):
        self.assertEqual(marker, 0x4D545243)
        self.assertEqual(length, len(name))
        self.calls.append((operation, name.decode(), track))
        return -1

    def said(self):
        """The calls without tracks, as "+name" and "-name"."""
        sign = {BEGIN: "+", END: "-"}
        return " ".join(sign[operation] + name for operation, name, _ in self.calls)


class Phases(On):
    def test_begin_and_end(self):
        with phase("load") as entered:
            self.calls.append((0, "inside", 0))
        self.assertEqual(self.calls, [(BEGIN, "load", 0), (0, "inside", 0), (END, "load", 0)])
        self.assertEqual(entered.name, "load")

    def test_nested(self):
        with phase("outer"), phase("inner"):
            pass
        self.assertEqual(self.said(), "+outer +inner -inner -outer")

    def test_phase_of_the_target(self):
        with phase("all", target=True):
            pass
        self.assertEqual(self.calls, [(BEGIN_TARGET, "all", 0), (END_TARGET, "all", 0)])

    def test_instant(self):
        mark("here")
        self.assertEqual(self.calls, [(INSTANT, "here", 0)])

    def test_exception_passes_and_ends_the_phase(self):
        with self.assertRaisesRegex(ValueError, "mine"):
            with phase("load"):
                raise ValueError("mine")
        self.assertEqual(self.said(), "+load -load")

    def test_used_again_and_entered_twice(self):
        load = phase("load")
        with load:
            with load:
                pass
        with load:
            pass
        self.assertEqual(self.said(), "+load +load -load -load +load -load")

    def test_names_are_cut_between_characters(self):
        for name, sent in (
            ("a" * 70, "a" * 63),
            ("a" * 62 + "é", "a" * 62),
            ("a" * 60 + "€", "a" * 60 + "€"),
            ("a" * 61 + "€", "a" * 61),
            ("€" * 30, "€" * 21),
            ("lone \ud800", "lone ?"),
            ("", ""),
        ):
            with self.subTest(name=name):
                self.calls.clear()
                with phase(name):
                    pass
                self.assertEqual(self.calls, [(BEGIN, sent, 0), (END, sent, 0)])

    def test_threads_have_their_own_stack(self):
        load = phase("load")
        together = threading.Barrier(4)

        def work():
            with load:
                together.wait()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.calls, [(BEGIN, "load", 0)] * 4 + [(END, "load", 0)] * 4)
        self.assertEqual(load._open, [])

    @unittest.skipUnless(hasattr(os, "fork"), "this platform does not fork")
    def test_a_forked_child_does_not_end_what_its_parent_began(self):
        # Other tests replace the call, so that the hook for forks may not be there yet.
        os.register_at_fork(after_in_child=memtrace._forked)
        load = phase("load")
        with load:
            child = os.fork()
            if child == 0:
                self.calls.clear()
                try:
                    with load:
                        pass
                    load.__exit__(None, None, None)
                    as_expected = self.said() == "+load -load"
                finally:
                    os._exit(0 if as_expected else 1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.said(), "+load -load")


class Functions(On):
    def test_plain(self):
        @phase("add")
        def add(one, *, two):
            """Adds."""
            return one + two

        self.assertEqual(add(1, two=2), 3)
        self.assertEqual((add.__name__, add.__doc__), ("add", "Adds."))
        self.assertEqual(self.said(), "+add -add")

    def test_method_and_recursion(self):
        class Tree:
            @phase("depth")
            def depth(self, levels):
                return 0 if levels == 0 else 1 + self.depth(levels - 1)

        self.assertEqual(Tree().depth(2), 2)
        self.assertEqual(self.said(), "+depth +depth +depth -depth -depth -depth")

    def test_coroutine_from_its_first_step_to_its_end(self):
        @phase("fetch")
        async def fetch():
            with phase("wait"):
                await asyncio.sleep(0)
            return 7

        made = fetch()
        self.assertEqual(self.calls, [])
        self.assertEqual(asyncio.run(made), 7)
        self.assertEqual(self.said(), "+fetch +wait -wait -fetch")

    def test_generator_only_while_it_runs(self):
        @phase("step")
        def count():
            got = yield 1
            try:
                yield got
            except KeyError:
                yield "caught"
            return "end"

        steps = count()
        self.assertEqual(self.calls, [])
        self.assertEqual(next(steps), 1)
        self.assertEqual(self.said(), "+step -step")
        self.assertEqual(steps.send("sent"), "sent")
        self.assertEqual(steps.throw(KeyError()), "caught")
        with self.assertRaises(StopIteration) as stop:
            next(steps)
        self.assertEqual(stop.exception.value, "end")
        self.assertEqual(self.said(), "+step -step " * 3 + "+step -step")

    def test_generator_that_fails_or_is_closed(self):
        closed = []

        @phase("step")
        def count():
            try:
                yield 1
            finally:
                closed.append(True)

        steps = count()
        next(steps)
        steps.close()
        steps = count()
        next(steps)
        with self.assertRaisesRegex(ValueError, "mine"):
            steps.throw(ValueError("mine"))
        self.assertEqual(closed, [True, True])
        self.assertEqual(self.said(), "+step -step " * 3 + "+step -step")

    def test_a_generator_that_failed_keeps_nothing_alive(self):
        class Large:
            pass

        large = Large()
        seen = weakref.ref(large)

        @phase("step")
        def hold(what):
            yield what

        gc.disable()
        self.addCleanup(gc.enable)
        steps = hold(large)
        del large
        next(steps)
        try:
            steps.throw(ValueError())
        except ValueError:
            pass
        del steps
        self.assertIsNone(seen())

    def test_generators_within_hand_on(self):
        @phase("inner")
        def inner():
            return (yield 1)

        @phase("outer")
        def outer():
            return (yield from inner())

        steps = outer()
        next(steps)
        with self.assertRaises(StopIteration) as stop:
            steps.send("sent")
        self.assertEqual(stop.exception.value, "sent")
        self.assertEqual(self.said(), "+outer +inner -inner -outer +outer +inner -inner -outer")

    def test_asynchronous_generator_only_while_it_runs(self):
        closed = []

        @phase("step")
        async def count():
            try:
                await asyncio.sleep(0)
                yield 1
                yield 2
            finally:
                closed.append(True)

        async def main():
            steps = count()
            async for value in steps:
                self.calls.append((0, str(value), 0))
                break
            await steps.aclose()
            return [value async for value in count()]

        self.assertEqual(asyncio.run(main()), [1, 2])
        self.assertEqual(closed, [True, True])
        operations = [operation for operation, _, _ in self.calls]
        self.assertEqual(operations, [BEGIN, END, 0] + [BEGIN, END] * 4)


class Tasks(On):
    def test_interleaved_tasks_have_tracks_of_their_own(self):
        work = phase("work")

        async def one(turns):
            with work, phase(f"{turns}"):
                for _ in range(turns):
                    await asyncio.sleep(0)
            return id(asyncio.current_task())

        async def main():
            return await asyncio.gather(one(1), one(3), one(2))

        tracks = asyncio.run(main())
        self.assertEqual(len(set(tracks)), 3)
        for track, turns in zip(tracks, "132"):
            said = [call for call in self.calls if call[2] == track]
            self.assertEqual(
                [(operation, name) for operation, name, _ in said],
                [(BEGIN, "work"), (BEGIN, turns), (END, turns), (END, "work")],
            )
        self.assertEqual(len(self.calls), 12)

    def test_outside_a_task_the_thread_has_the_phase(self):
        async def main():
            with phase("task"):
                await asyncio.to_thread(mark, "thread")

        asyncio.run(main())
        mark("after")
        tracks = {name: track for _, name, track in self.calls}
        self.assertNotEqual(tracks["task"], 0)
        self.assertEqual((tracks["thread"], tracks["after"]), (0, 0))

    def test_an_abandoned_coroutine_ends_its_phase_on_its_own_track(self):
        async def never():
            with phase("never"):
                await asyncio.get_running_loop().create_future()

        loop = asyncio.new_event_loop()
        task = loop.create_task(never())
        loop.run_until_complete(asyncio.sleep(0))
        track = id(task)
        task._log_destroy_pending = False
        coroutine = task.get_coro()
        del task
        loop.close()
        coroutine.close()
        self.assertEqual(self.calls, [(BEGIN, "never", track), (END, "never", track)])


class Off(unittest.TestCase):
    def test_a_phase_that_began_before_markers_were_on_is_not_ended(self):
        call = mock.Mock()
        with mock.patch.object(memtrace, "_prctl", None):
            with phase("load"):
                memtrace._prctl = call
        call.assert_not_called()

    def test_other_platforms_have_no_call(self):
        with mock.patch.object(memtrace, "_prctl", None):
            for platform in ("darwin", "win32"):
                with mock.patch.object(sys, "platform", platform):
                    self.assertFalse(memtrace.enable())
            with phase("load"):
                mark("here")

    def python(self, code, **environment):
        """Runs code in a Python of its own."""
        kept = {name: value for name, value in os.environ.items() if name != "MEMTRACE"}
        kept["PYTHONPATH"] = os.path.dirname(os.path.dirname(memtrace.__file__))
        subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, check=True)

    def test_off_costs_no_import(self):
        self.python(
            "import sys; before = set(sys.modules); import memtrace\n"
            "with memtrace.phase('load'): memtrace.mark('here')\n"
            "assert memtrace._prctl is None\n"
            "new = set(sys.modules) - before - {'memtrace', '__future__'}\n"
            "assert not new, new"
        )

    @unittest.skipUnless(sys.platform == "linux", "markers are of Linux")
    def test_the_environment_or_the_program_turns_markers_on(self):
        on = "import memtrace; assert memtrace._prctl is not None"
        self.python(on, MEMTRACE="1")
        self.python("import memtrace; assert memtrace.enable() and memtrace.enable()")
        self.python("import memtrace; assert memtrace._prctl is None", MEMTRACE="0")


if __name__ == "__main__":
    unittest.main()
