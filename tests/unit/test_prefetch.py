"""Reading ahead: order, bounds, errors, and no thread left behind."""

import threading
import time

import pytest

from neon_rnn.support.prefetch import map_ahead, prefetch


def threads():
    return [thread for thread in threading.enumerate() if thread.name == 'prefetch']


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_order_and_end():
    assert list(prefetch(range(50))) == list(range(50))
    assert list(prefetch([], depth=1)) == []
    assert threads() == []


def test_it_reads_ahead_but_no_further_than_the_depth():
    taken = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    ahead = prefetch(numbers(), depth=3)
    assert next(ahead) == 0
    # One in use, three waiting, one in the hands of the thread.
    wait_for(lambda: len(taken) == 5)
    time.sleep(0.05)
    assert len(taken) == 5
    ahead.close()
    assert threads() == []


def test_it_reads_while_the_consumer_works():
    """Each item waits until the consumer works on the one before: this needs reading ahead."""
    at_work = [threading.Event() for _ in range(5)]

    def reader():
        yield 0
        for number in range(1, 5):
            assert at_work[number - 1].wait(5)
            yield number

    ahead = prefetch(reader(), depth=1)
    for number in range(5):
        assert next(ahead) == number
        at_work[number].set()
    assert list(ahead) == []


def test_an_exception_arrives_in_its_place():
    def broken():
        yield 1
        yield 2
        raise OSError('disk gone')

    ahead = prefetch(broken())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(OSError, match='disk gone'):
        next(ahead)
    assert threads() == []


def test_leaving_early_stops_the_thread_and_closes_the_source():
    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    for _ in prefetch(endless()):
        break
    wait_for(lambda: not threads())
    assert closed == [True]
    ahead = prefetch(endless())
    next(ahead)
    with pytest.raises(RuntimeError, match='consumer'):
        ahead.throw(RuntimeError('consumer'))
    assert threads() == []


def test_depth_is_checked():
    with pytest.raises(ValueError, match='depth is 0'):
        next(prefetch([1], depth=0))


def test_a_function_is_mapped_in_order_by_several_threads_at_once():
    """The first call ends only when the second one has: that needs two threads."""
    begun = [threading.Event() for _ in range(9)]

    def call(number):
        begun[number].set()
        if number == 0:
            assert begun[1].wait(5)
        return -number

    before = threading.active_count()
    assert list(map_ahead(call, range(9), ahead=4, threads=2)) == [-number for number in range(9)]
    assert list(map_ahead(call, [], ahead=1, threads=1)) == []
    assert threading.active_count() == before


def test_it_is_mapped_no_further_than_asked():
    called = []
    ahead = map_ahead(called.append, range(100), ahead=3, threads=2)
    assert next(ahead) is None
    wait_for(lambda: len(called) == 4)
    time.sleep(0.05)
    assert sorted(called) == [0, 1, 2, 3]
    ahead.close()
    assert len(called) == 4


def test_an_exception_of_a_mapped_function_arrives_in_its_place():
    ahead = map_ahead(lambda number: 1 / number, [1, 0.5, 0, 1], ahead=4, threads=3)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_calls_that_have_not_begun_are_dropped():
    go, called = threading.Event(), []

    def call(number):
        called.append(number)
        assert number == 0 or go.wait(5)

    ahead = map_ahead(call, range(50), ahead=20, threads=1)
    next(ahead)
    wait_for(lambda: len(called) == 2)
    threading.Timer(0.1, go.set).start()
    ahead.close()
    assert called == [0, 1]


def test_ahead_is_checked():
    with pytest.raises(ValueError, match='ahead is 0'):
        next(map_ahead(abs, [1], ahead=0, threads=1))
