"""Threads that recordings are embedded on."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from balr_hf.threads import num_cores, on_threads, threads_of_one


@pytest.fixture
def four_threads():
    """As on a machine with four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("beside", "expected"), [(None, 6), ("", 6), ("2", 3), ("8", 1)])
def test_cores_are_those_that_are_allowed_shared_among_the_processes_of_a_launcher(monkeypatch, beside, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if beside is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
    assert num_cores() == expected


def test_items_share_the_threads_out_and_keep_their_order(four_threads):
    assert on_threads(lambda item: (item, torch.get_num_threads()), range(2)) == [(0, 2), (1, 2)]
    assert [threads for _, threads in on_threads(lambda item: (item, torch.get_num_threads()), range(9))] == [1] * 9
    assert on_threads(lambda item: torch.get_num_threads(), [0]) == [4]
    assert torch.get_num_threads() == 4


def test_overlapping_calls_leave_as_many_threads_as_there_were(four_threads):
    """The second call starts while the first has shared the threads out, and ends after it."""
    first_runs, second_runs, first_is_done = (threading.Event() for _ in range(3))
    left = {}

    def call(name, runs, wait_for):
        def function(item):
            runs.set()
            assert wait_for.wait(20)
            return torch.get_num_threads()

        shares = on_threads(function, range(2))
        left[name] = shares, torch.get_num_threads()

    first = threading.Thread(target=call, args=("first", first_runs, second_runs))
    second = threading.Thread(target=call, args=("second", second_runs, first_is_done))
    first.start()
    assert first_runs.wait(20)
    second.start()
    first.join(20)
    first_is_done.set()
    second.join(20)
    assert left == {"first": ([2, 2], 4), "second": ([2, 2], 4)}
    seen = []
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join(20)
    assert seen == [4] and torch.get_num_threads() == 4


def test_threads_come_back_after_an_error(four_threads):
    with pytest.raises(ZeroDivisionError):
        on_threads(lambda item: 1 / item, [1, 0, 2])
    assert torch.get_num_threads() == 4


def test_threads_of_one_share_no_operation_and_leave_the_number_of_the_others_alone(four_threads):
    with threads_of_one(3) as pool:
        assert [*pool.map(lambda item: torch.get_num_threads(), range(9))] == [1] * 9
        assert torch.get_num_threads() == 4
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 4


def test_threads_that_cannot_be_started_are_an_error_and_the_others_end(four_threads, monkeypatch):
    started = []

    def start(thread, original=threading.Thread.start):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads_of_one(4)
    for thread in started:
        thread.join(20)
    assert len(started) == 2 and not any(thread.is_alive() for thread in started)
    assert torch.get_num_threads() == 4
