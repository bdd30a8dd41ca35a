"""Pieces in threads: results, errors, Ctrl-C; and the training that computes its stages so."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from neon_rnn import engines, models
from neon_rnn.engines.torch import waiting
from neon_rnn.engines.torch.fast import stage
from neon_rnn.engines.torch.fast.stage import Stage
from neon_rnn.engines.torch.ops.threads import Threads, each


@pytest.fixture(autouse=True)
def brief_waiting(monkeypatch):
    """PyTorch waits briefly, as it does if the engine imports it; the number of threads returns."""
    monkeypatch.setattr(waiting, 'BRIEFLY', True)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_an_error_in_a_thread_reaches_the_caller_when_all_have_ended():
    threads, ended = Threads(2), []

    def fails():
        raise KeyError('no')

    with pytest.raises(KeyError, match='no'):
        threads.run([fails, lambda: ended.append(threading.current_thread().name)])
    assert len(ended) == 1
    assert ended[0].startswith('piece_')


@pytest.fixture
def ctrl_c():
    """Python's own answer to SIGINT; a shell starts its background jobs without one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('ctrl_c')
def test_ctrl_c_waits_for_the_tasks_that_have_begun_and_drops_the_others():
    threads, ended = Threads(2), []
    first = threading.Lock()  # only one task interrupts

    def task():
        if first.acquire(blocking=False):
            time.sleep(0.2)  # the caller waits by now
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        ended.append(threading.current_thread().name)

    with pytest.raises(KeyboardInterrupt):
        threads.run([task] * 100)
    after = len(ended)
    time.sleep(0.2)
    assert 1 <= after == len(ended) < 50
    threads.run([lambda: ended.append('again')])
    assert ended[-1] == 'again'


def test_the_threads_use_one_core_each_and_leave_the_others_theirs():
    torch.set_num_threads(2)
    threads, found = Threads(2), []
    threads.run([lambda: found.append(torch.get_num_threads())] * 4)
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [1, 1, 1, 1, 2]
    assert torch.get_num_threads() == 2


def here():
    return threading.current_thread().name


def test_each_returns_the_results_in_order_whichever_ends_first():
    torch.set_num_threads(3)

    def late(value, seconds):
        time.sleep(seconds)
        return value, here()

    values, names = zip(*each(late, 'abcd', [0.2, 0.1, 0, 0.05]), strict=True)
    assert values == tuple('abcd')
    assert len(set(names)) == 3
    assert all(name.startswith('piece_') for name in names)


@pytest.mark.parametrize(
    ('threads', 'calls', 'briefly'), [(1, 5, True), (3, 1, True), (3, 5, False)]
)
def test_all_cores_compute_what_threads_would_not_pay_for(monkeypatch, threads, calls, briefly):
    monkeypatch.setattr(waiting, 'BRIEFLY', briefly)
    torch.set_num_threads(threads)
    assert (
        each(lambda _: (here(), torch.get_num_threads()), range(calls))
        == [(here(), threads)] * calls
    )


@pytest.mark.parametrize('mode', [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_thread_records_what_its_caller_does(mode):
    def modes(_):
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    torch.set_num_threads(2)
    with mode():
        assert each(modes, range(2)) == [modes(0)] * 2


def test_a_call_may_call_each_itself():
    """More calls than threads would wait for each other if the inner ones needed threads too."""
    torch.set_num_threads(2)
    inner = each(lambda a: each(lambda b: (a, b, here()), range(2)), range(4))
    assert [[call[:2] for call in calls] for calls in inner] == [[(a, 0), (a, 1)] for a in range(4)]
    assert all(one[2] == other[2] for one, other in inner)


@pytest.mark.parametrize(
    ('images', 'threads', 'sizes'),
    [
        (4, 3, [4]),  # what fits into one piece stays one
        (5, 1, [3, 2]),
        (5, 2, [3, 2]),
        (8, 3, [3, 3, 2]),
        (18, 2, [3, 3, 3, 3, 3, 3]),  # five pieces of four images would keep one thread longer
    ],
)
def test_all_threads_get_equally_many_pieces(nn, monkeypatch, images, threads, sizes):
    model = nn.Model(
        [nn.Conv((1, 1, 2), init=nn.Kaiming(), activation=nn.Rectlin()), nn.Pooling(2)]
    )
    model.initialize((1, 6, 6))
    (step,) = model.layers.steps
    monkeypatch.setattr(stage, 'PIECE', 4 * 4 * 2 * 6 * 6)
    torch.set_num_threads(threads)
    assert [len(piece) for piece in step.pieces(torch.zeros(images, 1, 6, 6))] == sizes


BATCH, SIDE = 7, 32


def make(row, threads, precision='float32'):
    """Start the engine and make a network and an optimiser."""
    nn = engines.load('torch')
    nn.start('cpu', BATCH, 0, precision=precision, threads=threads)
    model, cost = models.build(row, nn, (3, SIDE, SIDE))
    model.initialize((3, SIDE, SIDE), cost)
    return nn, model, nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)


def train(nn, model, optimizer, steps=3):
    """Train on some minibatches; return the costs, and the weights afterwards."""
    rng = np.random.RandomState(1)
    costs = [
        float(
            nn.train_step(
                model,
                rng.randint(0, 256, (BATCH, 3 * SIDE**2)).astype(np.uint8),
                rng.randint(0, 2, BATCH),
                optimizer,
                0,
            )
        )
        for _ in range(steps)
    ]
    return {'costs': np.array(costs), **nn.get_weights(model)}


@pytest.mark.parametrize('row', ['rnn', 'cnn-1', 'cnn-2'])
@pytest.mark.parametrize('threads', [2, 3])
def test_any_number_of_threads_trains_alike(monkeypatch, row, threads):
    """With biases, with batch norm; image by image, of which the threads get unequal numbers."""
    monkeypatch.setattr(stage, 'PIECE', 1)
    alone, together = (train(*make(row, count, 'float64')) for count in (1, threads))
    for name, values in alone.items():
        np.testing.assert_allclose(
            together[name], values, rtol=1e-8, atol=1e-10 * np.abs(values).max(), err_msg=name
        )


@pytest.mark.parametrize('precision', ['float32', 'bf16'])
def test_threads_give_the_same_bits_again(monkeypatch, precision):
    """Whichever piece ends first: here the first pieces of the second training wait."""
    monkeypatch.setattr(stage, 'PIECE', 1)
    first = train(*make('rnn', 3, precision))
    convolve, calls = Stage.convolve, []

    def late(self, *arguments):
        calls.append(1)
        time.sleep(0.01 * (len(calls) % 3))
        return convolve(self, *arguments)

    monkeypatch.setattr(Stage, 'convolve', late)
    again = train(*make('rnn', 3, precision))
    assert calls
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


@pytest.mark.parametrize(('threads', 'prefix'), [(1, 'MainThread'), (3, 'piece_')])
def test_stages_with_pooling_run_in_threads_both_ways(monkeypatch, threads, prefix):
    monkeypatch.setattr(stage, 'PIECE', 1)
    found = {}

    def watched(name, method):
        def call(self, *arguments):
            if self.pooling:
                found.setdefault(name, set()).add(here())
            return method(self, *arguments)

        return call

    for name in ('convolve', 'unpool'):
        monkeypatch.setattr(Stage, name, watched(name, getattr(Stage, name)))
    train(*make('rnn', threads), steps=1)
    assert set(found) == {'convolve', 'unpool'}
    for names in found.values():
        assert all(name.startswith(prefix) for name in names)
        assert threads == 1 or len(names) > 1


@pytest.mark.usefixtures('ctrl_c')
@pytest.mark.parametrize('error', [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize('name', ['convolve', 'unpool'])
def test_an_error_or_ctrl_c_ends_the_step_and_the_next_one_runs(monkeypatch, name, error):
    monkeypatch.setattr(stage, 'PIECE', 1)
    nn, model, optimizer = make('rnn', 2)
    method, calls = getattr(Stage, name), []

    def fails(self, *arguments):
        calls.append(here())
        if len(calls) == 3:
            if error is MemoryError:
                raise MemoryError('of a piece')
            os.kill(os.getpid(), signal.SIGINT)  # Python hands it to the main thread
            time.sleep(0.2)
        return method(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, name, fails)
        with pytest.raises(error):
            train(nn, model, optimizer, steps=1)
    before = len(calls)
    assert np.isfinite(train(nn, model, optimizer, steps=1)['costs']).all()
    assert len(calls) == before, 'a piece of the former step still ran'


def test_two_networks_that_train_at_once_do_not_disturb_each_other(monkeypatch):
    monkeypatch.setattr(stage, 'PIECE', 1)
    rows, together = ('cnn-1', 'cnn-2'), {}
    alone = {row: train(*make(row, 2)) for row in rows}
    made = {row: make(row, 2) for row in rows}

    def run(row):
        together[row] = train(*made[row])

    both = [threading.Thread(target=run, args=(row,)) for row in rows]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for row in rows:
        for name, values in alone[row].items():
            np.testing.assert_array_equal(together[row][name], values, err_msg=name)
