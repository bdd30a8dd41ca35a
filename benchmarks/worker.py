"""A process that trains one variant, one minibatch for each request, so that variants take turns.

``python -m benchmarks.worker '{"kind": "engine", ...}'`` writes one line of JSON when it is ready.
Then it answers each line that it reads with one line: ``train``, ``predict``, ``layers``, ``quit``.
It also runs on CPython 3.5, in the Python that has Intel neon.
"""

import json
import os
import sys
import time

import numpy as np


def main(argv):
    """Answer requests until ``quit`` or the end of the input."""
    # Libraries print to standard output. So it gets another descriptor, and the answers keep this.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)

    def answer(**message):
        answers.write(json.dumps(message) + '\n')
        answers.flush()

    spec = json.loads(argv[1])
    variant = make_variant(spec)
    answer(ready=True, about=variant.about)
    for line in iter(sys.stdin.readline, ''):
        request = line.strip()
        if request == 'quit':
            break
        answer(**getattr(variant, request)())
    answer(peak_memory_gib=peak_memory())


def peak_memory():
    """Return the most memory that this process has held, in GiB."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) / 2.0**20


def images(spec):
    """Make a minibatch of noise: uint8 (batch, C*H*W) and labels (batch,)."""
    rng = np.random.RandomState(0)
    inputs = rng.randint(0, 256, (spec['batch'], 3 * spec['side'] ** 2)).astype(np.uint8)
    return inputs, rng.randint(0, 2, spec['batch'])


def timed(call):
    """Call a function; return the answer of the request, its seconds."""
    started = time.perf_counter()
    call()
    return {'seconds': time.perf_counter() - started}


class EngineVariant:
    """One of this project's engines, driven as the training loop drives it."""

    def __init__(self, spec):
        from neon_rnn import engines, models

        self.nn = engines.load(spec['engine'])
        options = {}
        if spec['threads'] is not None and spec['backend'] != 'numpy':
            options['threads'] = spec['threads']
        self.about = self.nn.start(
            spec['backend'], spec['batch'], 0, precision=spec['precision'], **options
        )
        shape = (3, spec['side'], spec['side'])
        self.model, cost = models.build(spec['model'], self.nn, shape)
        self.model.initialize(shape, cost)
        self.optimizer = self.nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
        self.inputs, self.labels = images(spec)

    def train(self):
        return timed(
            lambda: float(
                self.nn.train_step(self.model, self.inputs, self.labels, self.optimizer, 0)
            )
        )

    def predict(self):
        return timed(lambda: self.nn.predict(self.model, self.inputs))

    def layers(self):
        from benchmarks.layer_times import layer_times

        return {'layers': layer_times(self.model, self.train)}


class EagerVariant:
    """The PyTorch port of `benchmarks.eager_port`."""

    def __init__(self, spec):
        import torch

        from benchmarks.eager_port import EagerPort

        if spec['threads'] is not None:
            torch.set_num_threads(spec['threads'])
        self.about = {'torch': torch.__version__, 'threads': torch.get_num_threads()}
        if spec['keep_memory']:
            # after PyTorch, whose threads then wait as it has them
            from neon_rnn.engines.torch import allocator

            self.about['allocator'] = allocator.keep_memory()
        self.port = EagerPort(
            (3, spec['side'], spec['side']),
            'cuda' if spec['backend'] == 'gpu' else 'cpu',
            spec['precision'] == 'bf16',
            spec.get('compiled', False),
        )
        self.inputs, self.labels = (torch.from_numpy(array) for array in images(spec))

    def train(self):
        return timed(lambda: self.port.train_step(self.inputs, self.labels))

    def predict(self):
        return timed(lambda: self.port.predict(self.inputs).cpu())


class PeaksVariant:
    """The limits of the machine: every request measures them once and answers with the rates."""

    def __init__(self, spec):
        from benchmarks.peaks import Peaks

        self.peaks = Peaks(spec['backend'], spec['threads'])
        self.about = {}

    def train(self):
        started = time.perf_counter()
        rates = self.peaks.measure()
        return {'seconds': time.perf_counter() - started, 'rates': rates}

    predict = train


def make_variant(spec):
    """Return the variant that a description asks for."""
    if spec['kind'] == 'engine':
        return EngineVariant(spec)
    if spec['kind'] == 'eager':
        return EagerVariant(spec)
    return PeaksVariant(spec)


if __name__ == '__main__':
    main(sys.argv)
