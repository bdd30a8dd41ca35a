"""Training, checkpoints, random numbers and prediction: neon's gpu backend against its cpu one.

PYTHONPATH=tests/gpu/standin:tests/parity:. /path/to/neon/python tests/gpu/gpu_model_checks.py
"""

import io

import numpy as np
from gpu_models import IMAGES, SEED, deviation, nn, run_checks, start

from neon_rnn import models, published
from neon_rnn.engines.neon import library
from neon_rnn.verification import cases, compare

SIDE = 32
SHAPE = (3, SIDE, SIDE)


class Training(object):
    """A network of the table on a backend of its own, trained on noise.

    Parameters
    ----------
    name : str
        Of the network.
    backend : str
    steps : int
        Minibatches that it is trained on at once.
    side : int
        Of the images.
    """

    def __init__(self, name, backend, steps=0, side=SIDE):
        nn.start(backend, IMAGES, SEED, precision='float32')
        shape = (3, side, side)
        self.model, cost = models.build(name, nn, shape)
        self.model.initialize(shape, cost)
        self.optimizer = nn.GradientDescentMomentum(
            published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
        )
        self._rng = np.random.RandomState(5)
        self._size = int(np.prod(shape))
        self.costs = []
        self.train(steps)

    def minibatch(self):
        """Return the next one: images and labels."""
        return self._rng.randint(0, 256, (IMAGES, self._size)).astype(np.uint8), np.arange(
            IMAGES
        ) % 2

    def train(self, steps):
        """Train on that many minibatches; return their costs."""
        for _ in range(steps):
            images, labels = self.minibatch()
            self.costs.append(nn.train_step(self.model, images, labels, self.optimizer, 0))
        return self.costs[len(self.costs) - steps :]

    def everything(self):
        """Return what a checkpoint holds, through the bytes of an .npz file."""
        file = io.BytesIO()
        arrays = dict(
            [('w ' + name, values) for name, values in nn.get_weights(self.model).items()]
            + [('r ' + name, values) for name, values in nn.get_random_state().items()]
            + [
                ('o ' + name, states[0])
                for name, states in nn.get_optimizer_state(self.model, self.optimizer).items()
            ]
        )
        np.savez(file, **arrays)
        file.seek(0)
        with np.load(file) as loaded:
            return {name: loaded[name] for name in loaded.files}

    def restore(self, arrays):
        """Take what `everything` returned, of either backend."""
        parts = {
            kind: {name[2:]: arrays[name] for name in arrays if name.startswith(kind + ' ')}
            for kind in 'wro'
        }
        nn.set_weights(self.model, parts['w'])
        nn.set_optimizer_state(
            self.model, self.optimizer, {name: [values] for name, values in parts['o'].items()}
        )
        nn.set_random_state(parts['r'])


def test_gradients_of_the_networks():
    """The first step of every kind of network: cost and velocities, that is every gradient."""
    for name, side in (('fcnn-1', 16), ('cnn-1', 32), ('rnn', 32)):
        trainings = []
        for backend in ('numpy', 'gpu'):
            training = Training(name, backend, 1, side)
            trainings.append(
                (training.costs, nn.get_optimizer_state(training.model, training.optimizer))
            )
        (costs, states), (found_costs, found_states) = trainings
        np.testing.assert_allclose(found_costs, costs, rtol=1e-5, err_msg=name)
        least = 0.01 * max(np.abs(values[0]).max() for values in states.values())
        for parameter in states:
            value = deviation(found_states[parameter][0], states[parameter][0], least)
            assert value < 1e-4, (name, parameter, value)


def test_a_checkpoint_of_one_backend_goes_on_with_the_other():
    """One step, saved, loaded by the other backend: both have the same next cost."""
    for first, other in (('numpy', 'gpu'), ('gpu', 'numpy')):
        training = Training('fcnn-3', first, 1)
        saved = training.everything()
        expected = training.train(1)
        going_on = Training('fcnn-3', other)
        going_on.minibatch()
        going_on.restore(saved)
        np.testing.assert_allclose(going_on.train(1), expected, rtol=1e-4, err_msg=first)


def with_dropout():
    model = nn.Model(
        [
            nn.Affine(nout=40, init=nn.GlorotUniform(), activation=nn.Rectlin()),
            nn.Dropout(keep=0.5),
            nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
        ]
    )
    model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
    return model


def test_the_random_numbers_of_the_device_are_saved_and_restored():
    """The masks after restoring are those after saving, in a backend of another seed too."""
    be = start('gpu')
    mask = be.empty((100, IMAGES))

    def masks():
        found = []
        for _ in range(3):
            library.neon.NervanaObject.be.make_binary_mask(mask, 0.5)
            found.append(mask.get())
        return np.array(found)

    masks()
    state = {name: np.array(values) for name, values in nn.get_random_state().items()}
    assert state['device'].dtype == np.uint32
    host = be.rng.rand(5)
    expected = masks()
    assert (masks() != expected).any()
    nn.set_random_state(state)
    np.testing.assert_array_equal(masks(), expected)
    np.testing.assert_array_equal(be.rng.rand(5), host)
    nn.start('gpu', IMAGES, SEED + 1)
    be = library.neon.NervanaObject.be
    mask = be.empty((100, IMAGES))
    nn.set_random_state(state)
    np.testing.assert_array_equal(masks(), expected)


def test_dropout_in_training_goes_on_as_it_was():
    costs = []
    state = None
    for interrupted in (False, True):
        start('gpu')
        model = with_dropout()
        optimizer = nn.GradientDescentMomentum(0.001, momentum_coef=0.9)
        rng = np.random.RandomState(1)
        images = rng.randint(0, 256, (3, IMAGES, int(np.prod(SHAPE)))).astype(np.uint8)
        found = []
        for step in range(3):
            if interrupted and step == 2:
                library.neon.NervanaObject.be.rand(
                    out=library.neon.NervanaObject.be.empty((50, IMAGES))
                )
                nn.set_random_state(state)
            found.append(nn.train_step(model, images[step], np.arange(IMAGES) % 2, optimizer, 0))
            if step == 1:
                state = nn.get_random_state()
        costs.append(found)
    assert costs[0] == costs[1], costs


def test_a_state_of_another_backend_is_taken():
    """The CPU backends have no device's part: the host's numbers are taken."""
    start('numpy', 'float32')
    state = nn.get_random_state()
    expected = library.neon.NervanaObject.be.rng.rand(4)
    start('gpu')
    nn.set_random_state(state)
    np.testing.assert_array_equal(library.neon.NervanaObject.be.rng.rand(4), expected)
    state = nn.get_random_state()
    start('numpy', 'float32')
    nn.set_random_state(state)


def small():
    model = nn.Model(
        [
            nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
            nn.Conv((3, 3, 8), init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Rectlin()),
            nn.Pooling((2, 2), strides=2),
            nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
        ]
    )
    model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
    return model


def test_prediction_of_any_number_of_images():
    """Fewer than a minibatch, one, more; each image as alone, and as on the cpu backend."""
    images = (
        np.random.RandomState(7).randint(0, 256, (IMAGES + 5, int(np.prod(SHAPE)))).astype(np.uint8)
    )
    found = {}
    for backend in ('numpy', 'gpu'):
        start(backend, 'float32')
        model = small()
        found[backend] = nn.predict(model, images)
        for count in (0, 1, IMAGES):
            part = nn.predict(model, images[:count])
            assert part.shape == (count, 2)
            np.testing.assert_allclose(part, found[backend][:count], atol=1e-6)
    assert np.ptp(found['numpy'][:, 0]) > 1e-3
    np.testing.assert_allclose(found['gpu'], found['numpy'], atol=1e-5)


def test_results_recorded_from_neon_are_met():
    """As ``verify -b gpu`` does, for two of its cases: minibatches of 8, repeated to fill 32."""
    for case in cases.cases():
        if case.name not in ('Conv, stride 2', 'SpatialRNN, BiRNN'):
            continue
        copies = cases.copies_on('neon', 'gpu', case)
        assert copies * case.batch_size == IMAGES
        recorded, _ = compare.load(compare.path_of(case))
        found, _ = compare.observe(nn, case, 'gpu', copies)
        assert compare.beyond(compare.compare(case, recorded, found)) == []


if __name__ == '__main__':
    run_checks(globals())
