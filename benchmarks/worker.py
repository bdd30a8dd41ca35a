"""A process that runs one variant, one minibatch for each request, so that variants take turns.

``python -m benchmarks.worker '{"kind": "engine", ...}'`` writes one line of JSON when it is ready.
Then it answers each line that it reads with one line: ``check``, ``train``, ``predict``,
``predict 32``, ``files 32``, ``layers``, ``rest``, ``quit``. ``check`` compares its results with
the reference (`benchmarks.reference`), ``rest`` gives free memory back to the system.
It also runs on CPython 3.5, in the Python that has Intel neon.
"""

import ctypes
import gc
import importlib
import itertools
import json
import os
import sys
import time

import numpy as np

from benchmarks.reference import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, Reference
from neon_rnn.support import processes


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
        request = line.split()
        if request == ['quit']:
            break
        if request == ['rest']:
            answer(**rest())
            continue
        answer(**getattr(variant, request[0])(*map(int, request[1:])))
    answer(peak_memory_gib=memory('VmHWM'))


def memory(entry):
    """Return an entry of this process's status, in GiB: VmRSS is what it holds, VmHWM the most."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith(entry)) / 2.0**20


def rest():
    """Give free memory back to the system, whatever the allocator's settings; answer with both."""
    held = memory('VmRSS')
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return {'held_gib': held, 'kept_gib': memory('VmRSS')}


def images(spec):
    """Make a minibatch of random blocks: uint8 (batch, C*H*W) and labels (batch,).

    The images differ in brightness and contrast, so that a network tells them apart.
    """
    rng = np.random.RandomState(0)
    batch, side = spec['batch'], spec['side']
    blocks = rng.normal(
        rng.uniform(64, 192, (batch, 1)), rng.uniform(8, 64, (batch, 1)), (batch, 48)
    )
    places = np.arange(side) * 4 // side
    pictures = blocks.reshape(batch, 3, 4, 4)[:, :, places][:, :, :, places]
    pictures = pictures + rng.normal(0, 16, pictures.shape)
    inputs = np.clip(pictures, 0, 255).astype(np.uint8).reshape(batch, -1)
    return inputs, rng.randint(0, 2, batch).astype(np.int64)


def timed(call):
    """Call a function; return the answer of the request, its seconds."""
    started = time.perf_counter()
    call()
    return {'seconds': time.perf_counter() - started}


def start_engine(spec):
    """Start an engine with the network of a spec; return engine, model, and what `start` tells."""
    from neon_rnn import engines, models

    nn = engines.load(spec['engine'])
    options = {}
    if spec['threads'] is not None and spec['backend'] != 'numpy':
        options['threads'] = spec['threads']
    about = nn.start(spec['backend'], spec['batch'], 0, precision=spec['precision'], **options)
    shape = (3, spec['side'], spec['side'])
    model, cost = models.build(spec['model'], nn, shape, **spec.get('options', {}))
    model.initialize(shape, cost)
    return nn, model, about


class Variant(object):
    """The requests that variants share.

    A variant has `probabilities` and, if it trains, `train_step` and `parameters`, each of the
    minibatch of its reference.
    """

    names = 'before'
    trains = True

    def __init__(self, spec):
        self.spec, self.trains = spec, spec.get('trains', self.trains)
        self.reference = Reference(spec['reference'])
        self.inputs, self.labels = self.reference.inputs, self.reference.labels

    def check(self):
        """Answer with the differences from the reference; makes one training step."""
        found = {'probabilities': self.probabilities(self.inputs)}
        if self.trains:
            found.update(cost=self.train_step(), after=self.parameters(), kind=self.names)
        return {'differences': self.reference.compare(**found)}

    def train(self):
        return timed(self.train_step)

    def predict(self, count=None):
        """Predict the minibatch, or the first images of it."""
        inputs = self.inputs[:count]
        return timed(lambda: self.probabilities(inputs))

    def files(self, batch_size):
        """Classify JPEG files as ``neon_rnn predict`` does: at least 32, and two minibatches."""
        from neon_rnn.commands.predict import reader
        from neon_rnn.data.images import Preprocessing
        from neon_rnn.runs import classifier, predictions

        count = max(32, 2 * batch_size)
        paths = itertools.islice(itertools.cycle(self.spec['files']), count)
        side = self.spec['side']
        opened = classifier.Classifier(
            self.probabilities, ['a', 'b'], Preprocessing(side, side), 'unknown', 'benchmark'
        )
        answer = timed(lambda: list(predictions.classify(paths, opened, batch_size, reader())))
        return dict(answer, images=count)

    def probabilities(self, inputs):
        """Predict images: (n, classes)."""
        raise NotImplementedError

    def train_step(self):
        """Make a training step; return the cost."""
        raise NotImplementedError

    def parameters(self):
        """Return the parameters, by the names that `names` stands for."""
        raise NotImplementedError


class EngineVariant(Variant):
    """One of this project's engines, driven as the training loop drives it."""

    names = 'neon'

    def __init__(self, spec):
        super(EngineVariant, self).__init__(spec)
        self.nn, self.model, self.about = start_engine(spec)
        self.nn.set_weights(self.model, self.reference.arrays('neon'))
        self.optimizer = self.nn.GradientDescentMomentum(
            LEARNING_RATE, momentum_coef=MOMENTUM, wdecay=WEIGHT_DECAY
        )

    def train_step(self):
        return float(self.nn.train_step(self.model, self.inputs, self.labels, self.optimizer, 0))

    def probabilities(self, inputs):
        return self.nn.predict(self.model, inputs)

    def parameters(self):
        return self.nn.get_weights(self.model)

    def layers(self):
        from benchmarks.layer_times import layer_times

        return {'layers': layer_times(self.model, self.train)}


class PeerVariant(Variant):
    """A peer that trains: the module of `benchmarks.peers` that the spec names makes it."""

    def __init__(self, spec):
        super(PeerVariant, self).__init__(spec)
        module = importlib.import_module('benchmarks.peers.' + spec['peer'])
        self.peer, self.about = module.make(spec, self.reference)

    def train_step(self):
        return self.peer.train_step(self.inputs, self.labels)

    def parameters(self):
        return self.peer.parameters()

    def probabilities(self, inputs):
        return self.peer.predict(inputs)


class PredictingVariant(Variant):
    """A peer that only predicts, from the exported network."""

    trains = False

    def __init__(self, spec):
        super(PredictingVariant, self).__init__(spec)
        module = importlib.import_module('benchmarks.peers.' + spec['peer'])
        self.predictor, self.about = module.make_predictor(spec, self.reference)

    def probabilities(self, inputs):
        return self.predictor(inputs)


class ReferenceMaker(object):
    """Writes the reference of a network and minibatch into a folder, with the torch engine."""

    def __init__(self, spec):
        from benchmarks.describing import make_reference

        nn, model, self.about = start_engine(spec)
        inputs, labels = images(spec)
        make_reference(spec['reference'], nn, model, inputs, labels, spec['onnx'])


class PeaksVariant(object):
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


_KINDS = {
    'engine': EngineVariant,
    'peer': PeerVariant,
    'predictor': PredictingVariant,
    'reference': ReferenceMaker,
    'peaks': PeaksVariant,
}


def make_variant(spec):
    """Return the variant that a description asks for."""
    return _KINDS[spec['kind']](spec)


if __name__ == '__main__':
    main(sys.argv)
    processes.end_soon()
