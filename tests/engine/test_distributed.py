"""Two ranks (gloo, on the CPU) compute what one computes."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from neon_rnn.engines.torch import distributed
from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError, UsageError

SCRIPT = pathlib.Path(__file__).with_name('two_ranks.py')


@pytest.fixture(scope='module')
def part(tmp_path_factory):
    """Return 52 images of smooth blobs: they can be learnt, so rounding is not amplified much."""
    rng = np.random.RandomState(0)
    labels = rng.randint(0, 2, 52)
    y, x = np.mgrid[0:32, 0:32] / 32.0
    centres = rng.uniform(0.3, 0.7, (52, 3, 2, 1, 1))
    width = 0.02 + 0.05 * labels[:, None, None, None]
    blobs = np.exp(-((x - centres[:, :, 0]) ** 2 + (y - centres[:, :, 1]) ** 2) / width)
    path = tmp_path_factory.mktemp('part') / 'train.h5'
    with h5py.File(path, 'w') as file:
        file['input'] = (255 * blobs).astype(np.uint8).reshape(52, -1)
        file['input'].attrs['lshape'] = (3, 32, 32)
        file['output'] = labels[:, None]
        file['output'].attrs['nclass'] = 2
    return path


def trained(part, out, model, ranks):
    """Return the results that `two_ranks` writes with this number of ranks."""
    launcher = (
        []
        if ranks == 1
        else ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(ranks)]
    )
    environment = dict(os.environ, PYTHONPATH=paths.ROOT, OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, *launcher, SCRIPT, part, out, model],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))


@pytest.mark.slow
@pytest.mark.parametrize('model', ['rnn', 'fcnn-1'])
def test_two_ranks_train_as_one(part, tmp_path, model):
    one, two = (trained(part, tmp_path / '{}.npz'.format(ranks), model, ranks) for ranks in (1, 2))
    assert (one['ranks'], two['ranks']) == (1, 2)
    np.testing.assert_allclose(two['costs'], one['costs'], rtol=1e-4)
    assert len(set(np.round(one['costs'], 3))) > 6  # it does train
    np.testing.assert_allclose(two['probabilities'], one['probabilities'], atol=2e-3)
    assert two['probabilities'].shape == (7, 2)
    for name in set(one) - {'costs', 'probabilities', 'ranks'}:
        weights = one[name]
        np.testing.assert_allclose(
            two[name], weights, atol=2e-3 * max(1.0, np.abs(weights).max()), err_msg=name
        )


def test_each_rank_drops_its_part_of_the_minibatch(nn, monkeypatch):
    """Both ranks draw the masks of the whole minibatch and keep the random numbers alike."""
    x = torch.rand(4, 5, dtype=torch.float64) + 1
    layer = nn.Dropout(keep=0.5)
    layer.configure((5,))
    state = nn.get_random_state()
    whole = layer(x)
    after = nn.get_random_state()
    parts = []
    for rank in (0, 1):
        nn.set_random_state(state)
        monkeypatch.setattr(distributed, 'ranks', lambda: 2)
        monkeypatch.setattr(distributed, 'rank', lambda rank=rank: rank)
        parts.append(layer(x[distributed.own_part(4)]))
        np.testing.assert_array_equal(nn.get_random_state()['keys'], after['keys'])
    np.testing.assert_array_equal(torch.cat(parts), whole)
    assert 0 < int((whole == 0).sum()) < 20


def test_a_minibatch_that_does_not_divide_is_refused(nn, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '3')
    with pytest.raises(UsageError, match='minibatch of 128 does not divide by 3 ranks'):
        nn.start('cpu', batch_size=128, rng_seed=0)


def test_a_lost_rank_becomes_an_error_that_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr(distributed, 'running', lambda: True)
    monkeypatch.setattr(distributed, 'ranks', lambda: 2)
    monkeypatch.setattr(distributed, 'rank', lambda: 0)
    with (
        pytest.raises(NeonRnnError, match='rank 0 of 2: another rank has ended.*resume RUN'),
        distributed.lost_rank_reported(),
    ):
        raise RuntimeError(
            '[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1'
        )
    with pytest.raises(RuntimeError, match='a bug'), distributed.lost_rank_reported():
        raise RuntimeError('a bug')


def launch(*arguments, ranks=2):
    """`neon_rnn` in several ranks."""
    launcher = (
        ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(ranks)]
        if ranks > 1
        else []
    )
    environment = dict(os.environ, PYTHONPATH=paths.ROOT, OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1')
    return subprocess.Popen(
        [sys.executable, *launcher, '-m', 'neon_rnn', *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(pid):
    """Return the processes that a process has started."""
    return [
        int(child)
        for child in pathlib.Path('/proc/{0}/task/{0}/children'.format(pid)).read_text().split()
    ]


@pytest.mark.slow
def test_a_killed_rank_leaves_a_run_that_one_rank_can_finish(part, tmp_path):
    data, runs = tmp_path / 'data', tmp_path / 'runs'
    data.mkdir()
    for name in ('train', 'test'):
        shutil.copy(part, data / (name + '.h5'))
    training = launch(
        'train',
        '--engine',
        'torch',
        '--model',
        'rnn',
        '--data',
        data,
        '-z',
        4,
        '-e',
        1000,
        '--out',
        runs,
    )
    lines = []
    for line in training.stdout:
        lines.append(line)
        if line.startswith('epoch 2/'):
            break
    os.kill(children(training.pid)[1], signal.SIGKILL)
    output = ''.join(lines) + training.communicate(timeout=240)[0]
    assert training.returncode != 0
    assert output.count('epoch 1/1000') == 1
    (folder,) = runs.iterdir()
    record = json.loads((folder / 'record.json').read_text())
    assert record['device']['ranks'] == 2
    assert record['status'] in ('failed', 'interrupted')
    assert 'neon_rnn resume ' in output
    done = len(record['epochs'])
    assert done >= 2

    finished = launch('train', '--resume', folder, '-e', done + 1, ranks=1)
    output = finished.communicate(timeout=240)[0]
    assert finished.returncode == 0, output
    record = json.loads((folder / 'record.json').read_text())
    assert record['status'] == 'finished'
    assert [epoch['epoch'] for epoch in record['epochs']] == list(range(1, done + 2))
