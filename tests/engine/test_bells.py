"""No ring is lost, a thread that waits for long sleeps, and a Team's threads do each task once."""

import itertools
import os
import random
import subprocess
import sys
import threading
import time
import weakref

import pytest

from fcn_from_scratch.engine import bells
from fcn_from_scratch.engine.team import Team

can_spin = pytest.mark.skipif(not bells.may_spin(2), reason="threads spin on Linux, with two cores or more")
WAYS = [pytest.param(True, marks=can_spin), False]


@pytest.fixture(params=WAYS, ids=["spinning", "sleeping"])
def spin(request):
    return request.param


def waiting(bell, spin, seconds=None):
    """A thread that waits for the bell, and a list: the processor seconds that it took."""
    found = []

    def wait():
        before = time.thread_time()
        bell.wait(spin)
        found.append(time.thread_time() - before)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, found


class TestBell:
    def test_who_waits_goes_on_when_it_rings(self, spin):
        bell = bells.Bell()
        thread, found = waiting(bell, spin)
        time.sleep(0.05)
        assert not found
        bell.ring()
        thread.join(10)
        assert found

    def test_a_bell_that_was_rung_is_not_waited_for(self, spin):
        bell = bells.Bell()
        bell.ring()
        bell.ring()
        thread, found = waiting(bell, spin)
        thread.join(10)
        assert found
        thread, found = waiting(bell, spin)
        thread.join(0.05)
        assert not found, "it rang for one thread"
        bell.ring()
        thread.join(10)
        assert found

    @can_spin
    def test_it_spins_for_a_short_time_and_then_sleeps(self):
        bell = bells.Bell()
        thread, found = waiting(bell, spin=True)
        time.sleep(0.5)
        bell.ring()
        thread.join(10)
        assert bell.waits == 1, "it spun"
        assert found[0] < 0.25, "most of the time it slept"

    @can_spin
    def test_it_does_not_spin_where_another_program_needs_the_core(self, monkeypatch):
        count = itertools.count()
        monkeypatch.setattr(bells, "_interruptions", lambda: next(count))  # one more each time it is asked
        monkeypatch.setattr(bells, "TRUCE", 2.0)
        bell, took = bells.Bell(), []
        for pause in (0.1, 0.1, 0.1):
            thread, found = waiting(bell, spin=True)
            time.sleep(pause)
            bell.ring()
            thread.join(10)
            took.append(found[0])
        assert bell.waits == 1, "it spun once; both other times the truce held"
        assert max(took[1:]) < bells.PATIENCE / 2
        time.sleep(2.0)
        bell.ring()
        bell.wait(spin=True)
        assert bell.waits == 2

    def test_without_spinning_it_sleeps_at_once(self):
        bell = bells.Bell()
        thread, found = waiting(bell, spin=False)
        time.sleep(0.2)
        bell.ring()
        thread.join(10)
        assert found[0] < 0.05

    @pytest.mark.parametrize("patience", [1e-4, 2e-3])
    def test_no_ring_is_lost(self, spin, patience, monkeypatch):
        """Two threads ring for each other, at moments around those when the watch lets them sleep."""
        monkeypatch.setattr(bells, "PATIENCE", patience)
        there, back, draw, count = bells.Bell(), bells.Bell(), random.Random(0), 400
        pauses = [draw.uniform(0, 3 * patience) if draw.random() < 0.3 else 0 for _ in range(count)]
        seen = []

        def answer():
            for number in range(count):
                there.wait(spin)
                seen.append(number)
                back.ring()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for number, pause in enumerate(pauses):
            time.sleep(pause)
            there.ring()
            back.wait(spin)
            assert len(seen) == number + 1
        thread.join(10)
        assert not thread.is_alive()


class TestWhetherToSpin:
    @pytest.mark.skipif(sys.platform != "linux", reason="threads spin on Linux only")
    def test_more_threads_than_cores_do_not(self):
        assert not bells.may_spin(len(os.sched_getaffinity(0)) + 1)

    @can_spin
    def test_the_environment_turns_it_off(self, monkeypatch):
        monkeypatch.setenv("FCN_SPIN", "0")
        assert not bells.may_spin(2)
        assert not Team(1).spins

    @can_spin
    def test_an_idle_program_takes_no_processor_time(self):
        """Also the watch sleeps. If it looked every PATIENCE, it would take several milliseconds of a second."""
        program = (
            "import time; from fcn_from_scratch.engine import threads; threads.most = lambda: 2\n"
            "for _ in range(50): threads.run(lambda item: sum(range(1000)), range(4))\n"
            "time.sleep(0.25); before = time.process_time(); time.sleep(1)\n"
            "print(time.process_time() - before)"
        )
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert float(found.stdout) < 0.002


class TestTeam:
    def test_every_task_is_done_once(self):
        team, done = Team(3), []
        tasks = [team.submit(lambda n=number: done.append(n) or n * n) for number in range(100)]
        assert [task.result() for task in tasks] == [number * number for number in range(100)]
        assert sorted(done) == list(range(100))
        team.close()

    def test_all_threads_work_at_once(self):
        team, together = Team(3), threading.Barrier(3)
        tasks = [team.submit(together.wait, 10) for _ in range(3)]
        assert sorted(task.result() for task in tasks) == [0, 1, 2]
        team.close()

    def test_several_threads_submit(self):
        team, found = Team(2), {}

        def user(name):
            found[name] = [team.submit(pow, name, power).result() for power in range(50)]

        users = [threading.Thread(target=user, args=(name,)) for name in range(5)]
        for each in users:
            each.start()
        for each in users:
            each.join(20)
        assert found == {name: [name**power for power in range(50)] for name in range(5)}
        team.close()

    def test_several_threads_wait_for_one_task(self):
        team, free, found = Team(1), threading.Event(), []
        task = team.submit(lambda: free.wait(20) and 7)
        users = [threading.Thread(target=lambda: found.append(task.result()), daemon=True) for _ in range(4)]
        for each in users:
            each.start()
        time.sleep(0.05)
        free.set()
        assert task.result() == 7
        for each in users:
            each.join(10)
        assert found == [7] * 4
        team.close()

    def test_close_waits_for_what_was_submitted(self):
        team, done = Team(2), []

        def slow(number):
            time.sleep(0.02)
            done.append(number)

        for number in range(6):
            team.submit(slow, number)
        team.close()
        assert sorted(done) == list(range(6))

    def test_a_task_that_was_taken_back_is_never_done(self):
        team, free, done = Team(1), threading.Event(), []
        held = team.submit(free.wait, 20)
        while team.cancel(held):  # until the thread has begun with it
            held = team.submit(free.wait, 20)
            time.sleep(0.01)
        other = team.submit(done.append, 1)
        assert team.cancel(other)
        assert team.cancel(other), "it still is"
        free.set()
        assert held.result()
        team.close()
        assert not done

    def test_nothing_of_a_task_is_kept(self):
        class Held:
            def __call__(self):
                return 3

        team, held = Team(1), Held()
        gone = weakref.ref(held)
        assert team.submit(held).result() == 3
        del held
        until = time.monotonic() + 5
        while gone() is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert gone() is None
        team.close()
