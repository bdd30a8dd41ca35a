"""Checks of the neon engine on real neon; `test_live_neon.py` runs this file with neon's own Python (3.5 or 3.6).

    PYTHONPATH=. /path/to/neon/python tests/parity/neon_checks.py

Prints one line of JSON a check: {"name": ..., "problem": null or a traceback}.
"""
import ast
import collections
import contextlib
import inspect
import json
import os
import sys
import tempfile
import traceback

import numpy as np

from neon_rnn import checkpoint, engines, neon_file
from neon_rnn.engines.neon import library, spatial_rnn
from neon_rnn.errors import NeonRnnError, UsageError

IMAGES = 4
SHAPE = (2, 6, 8)  # C, H, W
BLOCK = (2, 2, 4)  # three rows of two columns of blocks
CELLS = ('BiRNN', 'Recurrent', 'LSTM', 'GRU', 'BiLSTM')  # BiBNRNN: neon's own gradient is not exact, see the records
nn = engines.load('neon')
BACKENDS = ('numpy',) if library.why_no_mkl() else ('numpy', 'mkl')


def start(backend='numpy', precision='float64', batch_size=IMAGES, seed=3):
    nn.start(backend, batch_size, seed, precision=precision)
    return library.neon.NervanaObject.be


def params(cell):
    gates = {'gate_activation': nn.Logistic()} if 'LSTM' in cell or 'GRU' in cell else {}
    return dict(output_size=3, init=nn.GlorotUniform(), activation=nn.Tanh(), **gates)


def layer_of(cell='BiRNN', shape=SHAPE, block=BLOCK):
    return nn.SpatialRNN(input_shape=shape, block_shape=block, RNN=getattr(nn, cell), RNN_params=params(cell))


def standing_alone(be, cell='BiRNN', shape=SHAPE, block=BLOCK):
    """A layer with its buffers, and random input and error, as arrays and tensors."""
    layer = layer_of(cell, shape, block)
    layer.configure(shape)
    layer.prev_layer = True
    layer.allocate()
    tree = spatial_rnn.DeltasTree()
    layer.allocate_deltas(tree)
    tree.allocate_buffers()
    layer.set_deltas(tree)
    rng = np.random.RandomState(5)
    x = rng.randn(int(np.prod(shape)), be.bsz)
    e = rng.randn(int(np.prod(layer.out_shape)), be.bsz)
    return layer, x, e


@contextlib.contextmanager
def refused(kind, *words):
    """What is inside has to raise `kind`, with `words` in the message."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        if missing:
            raise AssertionError('{} is not in: {}'.format(missing, error))
    else:
        raise AssertionError('not refused: {}'.format(words))


def test_birnn_against_numpy():
    """The definition of the layer, written out: columns top-down and bottom-up, then rows, from a zero state."""
    be = start()
    layer, x, _ = standing_alone(be)
    for sweep in (layer.vertical, layer.horizontal):
        sweep.b_f[:] = 0.1
        sweep.b_b[:] = -0.2
    found = layer.fprop(be.array(x)).get().reshape(6, 3, 2, IMAGES)

    def sweep(weights, sequence):
        result = np.zeros((len(sequence), 6))
        for half, suffix in ((slice(0, 3), 'f'), (slice(3, 6), 'b')):
            w, r, b = (getattr(weights, name + suffix).get() for name in ('W_input_', 'W_recur_', 'b_'))
            h = np.zeros(3)
            for step in (range(len(sequence)) if suffix == 'f' else reversed(range(len(sequence)))):
                h = np.tanh(w.dot(sequence[step]) + r.dot(h) + b[:, 0])
                result[step, half] = h
        return result

    images = x.reshape(SHAPE + (IMAGES,))
    for image in range(IMAGES):
        middle = np.zeros((3, 2, 6))
        for column in range(2):
            blocks = [images[:, 2 * row:2 * row + 2, 4 * column:4 * column + 4, image].ravel() for row in range(3)]
            middle[:, column] = sweep(layer.vertical, blocks)
        for row in range(3):
            np.testing.assert_allclose(found[:, row, :, image], sweep(layer.horizontal, middle[row]).T, atol=1e-12)


def test_gradients_are_finite_differences():
    """Of the input and of the weights, for every cell, in float64."""
    for cell in CELLS:
        be = start()
        layer, x, e = standing_alone(be, cell)
        inputs = be.array(x)

        def cost(layer=layer, inputs=inputs, e=e):
            return float((layer.fprop(inputs).get() * e).sum())

        cost()
        deltas = layer.bprop(be.array(e)).get()
        gradients = [(tensor, gradient.get()) for (tensor, gradient), _ in layer.get_params()]
        assert len(gradients) == 2
        rng = np.random.RandomState(1)
        for tensor, gradient in [(inputs, deltas)] + gradients:
            values = tensor.get()
            for _ in range(6):
                place = tuple(rng.randint(size) for size in values.shape)
                costs = []
                for change in (1e-5, -1e-5):
                    moved = values.copy()
                    moved[place] += change
                    tensor.set(moved)
                    costs.append(cost())
                tensor.set(values)
                np.testing.assert_allclose(gradient[place], (costs[0] - costs[1]) / 2e-5, rtol=1e-5, atol=1e-8,
                                           err_msg=cell)


def test_alpha_and_beta():
    for backend in BACKENDS:
        be = start(backend, 'float32')
        layer, x, e = standing_alone(be)
        layer.fprop(be.array(x))
        plain = layer.bprop(be.array(e)).get()
        layer.deltas[:] = 2
        scaled = layer.bprop(be.array(e), alpha=0.5, beta=3.0).get()
        np.testing.assert_allclose(scaled, 0.5 * plain + 6, atol=1e-5)
        once = layer.fprop(be.array(x)).get()
        np.testing.assert_allclose(layer.fprop(be.array(x), beta=2.0).get(), 3 * once, atol=1e-5)


def test_the_error_is_left_alone():
    be = start()
    layer, x, e = standing_alone(be)
    layer.fprop(be.array(x))
    error = be.array(e)
    first = layer.bprop(error).get()
    np.testing.assert_array_equal(error.get(), e)
    np.testing.assert_array_equal(layer.bprop(be.array(e)).get(), first)  # another tensor: neon keeps views of the first


def test_an_image_does_not_depend_on_others():
    """Neither on its neighbours nor on the minibatch before, though neon's own default carries the state on."""
    for cell in CELLS:
        for backend in BACKENDS:
            be = start(backend, 'float32')
            layer, x, _ = standing_alone(be, cell)
            inputs = be.array(x)
            first = layer.fprop(inputs).get()
            np.testing.assert_allclose(layer.fprop(inputs).get(), first, atol=1e-6, err_msg=cell)
            other = x[:, ::-1] * 2
            other[:, 0] = x[:, 1]
            layer.fprop(be.array(other))
            inputs.set(other.astype(np.float32))
            np.testing.assert_allclose(layer.fprop(inputs).get()[:, 0], first[:, 1], atol=1e-6, err_msg=cell)


def test_carried_state_is_refused():
    start()
    for RNN, more, words in ((nn.BiRNN, {'reset_cells': False}, 'reset_cells'), (nn.Affine, {}, 'recurrent layers')):
        with refused(UsageError, words):
            nn.SpatialRNN(SHAPE, BLOCK, RNN, dict(params('BiRNN'), **more))


def test_shapes_that_do_not_fit():
    start()
    for shape, block, words in ((SHAPE, (2, 4, 4), 'height 4 does not divide the map height 6'),
                                (SHAPE, (1, 2, 4), 'all channels'), ((6, 8), BLOCK, 'three sizes'),
                                (SHAPE, (2, 0, 4), 'positive')):
        with refused(UsageError, words):
            layer_of(shape=shape, block=block)
    with refused(UsageError, '(2, 6, 8)', '(2, 8, 8)'):
        layer_of().configure((2, 8, 8))


def test_mkl_against_numpy_and_one_step():
    """Also where one block spans the map, so that each sequence has one step."""
    for cell in CELLS + ('BiBNRNN',):
        for block in (BLOCK, SHAPE, (2, 6, 1)):
            results = []
            for backend in BACKENDS:
                be = start(backend, 'float32')
                layer, x, e = standing_alone(be, cell, block=block)
                out = layer.fprop(be.array(x)).get()
                results.append([out, layer.bprop(be.array(e)).get()] + [g.get() for (_, g), _ in layer.get_params()])
            for expected, found in zip(results[0], results[-1]):
                assert np.all(np.isfinite(expected))
                np.testing.assert_allclose(found, expected, atol=2e-4 * max(1, np.abs(expected).max()),
                                           err_msg='{} {}'.format(cell, block))


def classifier(layers):
    return nn.Model(layers + [nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax())])


def train(layers, backend, steps=4):
    """Costs and weights; inputs (2, 6, 8)."""
    start(backend, 'float32')
    model, cost = classifier(layers()), nn.GeneralizedCost(nn.CrossEntropyMulti())
    model.initialize(SHAPE, cost)
    optimizer = nn.GradientDescentMomentum(0.001, momentum_coef=0.9, wdecay=0.0005)
    rng = np.random.RandomState(2)
    images, labels = rng.randint(0, 256, (IMAGES, 96)).astype(np.uint8), np.arange(IMAGES) % 2
    costs = [nn.train_step(model, images, labels, optimizer, 0) for _ in range(steps)]
    return model, optimizer, images, costs


def test_where_it_can_stand():
    """First, several times, at the head of a nested container, in a sum; mkl as numpy, and the costs fall."""
    scale = lambda: nn.DataTransform(transform=nn.Normalizer(divisor=128.0))  # noqa: E731
    second = lambda: nn.SpatialRNN((6, 3, 2), (6, 1, 1), nn.BiRNN, params('BiRNN'))  # noqa: E731
    places = collections.OrderedDict([
        ('first', lambda: [layer_of()]),
        ('several', lambda: [scale(), layer_of(), second(), nn.BatchNorm(), second()]),
        ('nested', lambda: [scale(), nn.Sequential([layer_of(), second()]), nn.BatchNorm()]),
        ('sum', lambda: [scale(), nn.MergeSum([[layer_of()], [layer_of('BiLSTM')]])]),
    ])
    for name, layers in places.items():
        costs = [train(layers, backend)[3] for backend in BACKENDS]
        assert costs[0][-1] < costs[0][0], (name, costs)
        if name != 'sum':  # neon 2.6.0's own MergeSum is wrong on mkl (repaired later, in its commit a287bf6)
            np.testing.assert_allclose(costs[-1], costs[0], rtol=1e-3, err_msg=name)


def test_serialised_and_loaded():
    """Model.serialize -> Model(file), load_params, and this project's own reader, with the optimiser's states."""
    model, optimizer, images, _ = train(lambda: [layer_of(), nn.BatchNorm()], 'numpy')
    expected, weights = nn.predict(model, images), nn.get_weights(model)
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, 'model.prm')
    model.serialize(path)
    read = neon_file.read(path)
    assert list(read.weights) == list(weights)
    for name in weights:
        np.testing.assert_array_equal(read.weights[name], weights[name])
    states = nn.get_optimizer_state(model, optimizer)
    assert set(states) == set(read.optimizer_state)
    assert '0.horizontal.W' in states
    for name in states:
        np.testing.assert_array_equal(read.optimizer_state[name][0], states[name][0])
    start('numpy', 'float32', seed=9)
    again = nn.Model(path)
    again.initialize(SHAPE)
    np.testing.assert_allclose(nn.predict(again, images), expected, atol=1e-6)
    assert '0.vertical.W' in nn.get_optimizer_state(again, None)
    assert 'BiRNN 16 -> 6, 3 steps' in str(again)
    assert '6 x (3x2) outputs' in str(again)


def test_checkpoint_and_resume():
    """A checkpoint in the middle; four steps on are the same as eight at once."""
    whole = train(lambda: [layer_of()], BACKENDS[-1], steps=6)
    half, optimizer, images, _ = train(lambda: [layer_of()], BACKENDS[-1], steps=3)
    path = os.path.join(tempfile.mkdtemp(), 'checkpoint.npz')
    checkpoint.save(path, nn.get_weights(half), nn.get_optimizer_state(half, optimizer), nn.get_random_state())
    saved = checkpoint.load(path)
    fresh, optimizer, _, _ = train(lambda: [layer_of()], BACKENDS[-1], steps=1)
    nn.set_weights(fresh, saved.weights)
    nn.set_optimizer_state(fresh, optimizer, saved.optimizer_state)
    nn.set_random_state(saved.random_state)
    costs = [nn.train_step(fresh, images, np.arange(IMAGES) % 2, optimizer, 0) for _ in range(3)]
    np.testing.assert_allclose(costs, whole[3][3:], rtol=1e-6)
    saved.weights['0.vertical.W'] = saved.weights['0.vertical.W'][1:]
    with refused(NeonRnnError, '0.vertical.W'):
        nn.set_weights(fresh, saved.weights)


def test_predict_any_number_of_images():
    model, _, _, _ = train(lambda: [layer_of()], BACKENDS[-1])
    images = np.random.RandomState(8).randint(0, 256, (11, 96)).astype(np.uint8)
    whole = nn.predict(model, images)
    assert whole.shape == (11, 2)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)
    for count in (0, 1, IMAGES, 7):
        np.testing.assert_allclose(nn.predict(model, images[:count]), whole[:count], atol=1e-6)


def test_start_says_why_not():
    if library.why_no_gpu():
        with refused(UsageError, '-b gpu', 'CUDA'):
            nn.start('gpu', 4, 0)
    with refused(UsageError, "no backend 'cuda'", 'numpy'):
        nn.start('cuda', 4, 0)
    with refused(UsageError, 'float64', 'mkl'):
        nn.start('mkl', 4, 0, precision='float64')
    assert sorted(nn.__all__) == sorted(engines.CONTRACT)
    if 'mkl' in BACKENDS:
        assert nn.start('cpu', 4, 0)['backend'] == 'mkl'


def _names_of_gpu_classes():
    """{'NervanaGPU': names, 'GPUTensor': names} with what they inherit, and GPU reshape's rule: read, not imported."""
    folder = os.path.dirname(library.neon.backends.__file__)
    classes, functions = {}, []
    for name in ('abstract_backend', 'backend', 'nervanagpu'):
        with open(os.path.join(folder, name + '.py')) as file:
            tree = ast.parse(file.read())
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
            elif isinstance(node, ast.FunctionDef) and node.name in ('_contiguous_strides', '_reshape_strides'):
                functions.append(node)

    def names(name):
        node = classes[name]
        found = set()
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef):
                found.add(part.name)
            elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and \
                    isinstance(part.value, ast.Name) and part.value.id == 'self':
                found.add(part.attr)
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in classes:
                found |= names(base.id)
        return found

    rules = {'np': np}
    exec(compile(ast.Module(body=functions), 'nervanagpu.py', 'exec'), rules)
    return names('NervanaGPU'), names('GPUTensor'), rules['_reshape_strides']


def test_nothing_that_the_gpu_backend_lacks():
    """Every attribute that spatial_rnn.py asks of a backend or tensor exists there, and each reshape is one it can do."""
    backend_names, tensor_names, reshape_strides = _names_of_gpu_classes()
    assert 'copy_transpose' in backend_names
    assert 'reshape' in tensor_names
    assert '_tensor' not in tensor_names | backend_names
    source = os.path.realpath(inspect.getsourcefile(spatial_rnn))
    be = start('numpy', 'float32')
    seen, used = [], set()

    def guarded(kind, names):
        plain = kind.__getattribute__

        def look(self, name):
            caller = sys._getframe(1)
            if os.path.realpath(caller.f_code.co_filename) == source:
                used.add(name)
                if name not in names and not name.startswith('__'):
                    seen.append('{}.{} (line {})'.format(kind.__name__, name, caller.f_lineno))
                if name == 'reshape':
                    return lambda *shape: checked_reshape(self, *shape)
            return plain(self, name)
        kind.__getattribute__ = look
        return lambda: delattr(kind, '__getattribute__')

    def checked_reshape(tensor, *shape):
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
        strides = tuple(stride // tensor.dtype.itemsize for stride in object.__getattribute__(tensor, '_tensor').strides)
        if shape != tensor.shape:
            reshape_strides(strides, tensor.shape, shape)  # raises what GPUTensor.reshape would
        return type(tensor).reshape(tensor, *shape)

    restore = [guarded(type(be), backend_names), guarded(be.tensor_cls, tensor_names)]
    try:
        for cell in CELLS:
            layer, x, e = standing_alone(be, cell)
            layer.fprop(be.array(x))
            layer.fprop(be.array(x), inference=True, beta=1.0)
            layer.bprop(be.array(e))
            layer.bprop(be.array(e), alpha=0.5, beta=1.0)
        assert not seen, seen
        assert {'copy_transpose', 'iobuf', 'reshape', 'bsz'} <= used, used
        probe = compile('be.fill_with_magic', source, 'eval')  # the guard itself: what is not there is noticed
        with refused(AttributeError, 'fill_with_magic'):
            eval(probe, {'be': be})
        assert len(seen) == 1
    finally:
        for undo in restore:
            undo()


def main():
    checks = [(name, function) for name, function in sorted(globals().items()) if name.startswith('test_')]
    for name, function in checks:
        problem = None
        try:
            function()
        except Exception:
            problem = traceback.format_exc()
        print(json.dumps({'name': name, 'problem': problem}))
        sys.stdout.flush()


if __name__ == '__main__':
    main()
