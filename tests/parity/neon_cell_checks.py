"""The recurrent layers that this project adds to neon, on real neon: alone and in plain scripts.

PYTHONPATH=. /path/to/neon/python tests/parity/neon_cell_checks.py
"""

import os
import tempfile

import numpy as np
from neon.layers import RecurrentMean
from neon_layers import (
    BACKENDS,
    IMAGES,
    OWN,
    SHAPE,
    nn,
    params,
    refused,
    run_checks,
    slope,
    start,
    with_buffers,
)

from neon_rnn.support.errors import UsageError

FEATURES, STEPS, UNITS = 4, 5, 3


def depths(cell):
    """Return the depths that are tried; None for a cell that takes none."""
    return (1, 2, 3) if 'Deep' in cell or 'Stacked' in cell else (None,)


def make(cell, depth=None, **more):
    if depth is not None:
        more['depth'] = depth
    return getattr(nn, cell)(**dict(params(cell), **more))


def alone(be, layer, steps=STEPS):
    """Return a configured layer with buffers, and random input and error as arrays.

    Every weight is random, biases too.
    """
    with_buffers(layer, (FEATURES, steps))
    rng = np.random.RandomState(1)
    for (weight, _), _ in as_list(layer.get_params()):
        weight.set(rng.normal(0, 0.5, weight.shape).astype(weight.dtype))
    x = rng.randn(FEATURES, steps * be.bsz)
    e = rng.randn(layer.out_shape[0], steps * be.bsz)
    return layer, x, e


def as_list(parameters):
    """Return parameters as a list; neon's layers of one weight give the one alone."""
    return parameters if isinstance(parameters, list) else [parameters]


# The lecture's equations, one step of one image.


def jordan(x, state, u, w, b, further):
    (v, c) = further[0]
    y = v.dot(np.tanh(u.dot(x) + w.dot(state) + b)) + c
    return y, y


def deep_transition(x, state, u, w, b, further):
    h = np.tanh(u.dot(x) + w.dot(state) + b)
    for v, c in further:
        h = np.tanh(v.dot(h) + c)
    return h, h


def deep_output(x, state, u, w, b, further):
    h = y = np.tanh(u.dot(x) + w.dot(state) + b)
    for v, c in further:
        y = np.tanh(v.dot(y) + c)
    return y, h


def gru(x, state, u, w, b, further):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    (u_r, u_z, u_h), (w_r, w_z, w_h), (b_r, b_z, b_h) = (np.split(part, 3) for part in (u, w, b))
    reset = sigmoid(u_r.dot(x) + w_r.dot(state) + b_r)
    update = sigmoid(u_z.dot(x) + w_z.dot(state) + b_z)
    candidate = np.tanh(u_h.dot(x) + w_h.dot(reset * state) + b_h)
    h = (1 - update) * state + update * candidate
    return h, h


EQUATIONS = {
    'Jordan': jordan,
    'DeepTransition': deep_transition,
    'DeepOutput': deep_output,
    'GRU': gru,
}


def unpacked(packed, heights, directions):
    """Take neon's packed weights apart: for each height one array a direction."""
    columns, values, taken, parts = packed.shape[1], packed.ravel(), 0, []
    for height in heights:
        parts.append([])
        for _ in range(directions):
            parts[-1].append(values[taken : taken + columns * height].reshape(columns, height))
            taken += columns * height
    assert taken == values.size
    return parts


def by_definition(layer, x, batch):
    """Compute a layer's output by the equation of its class, image by image, step by step."""
    step_of = EQUATIONS[type(layer).__name__.replace('Bi', '')]
    directions = layer.directions
    inputs, recurrent, biases = unpacked(layer.W.get(), (FEATURES, UNITS, 1), directions)
    more = getattr(layer, 'depth', 1) - 1
    further = unpacked(layer.V.get(), (UNITS, 1) * more, directions) if more else []
    images = x.reshape(FEATURES, STEPS, batch)
    outputs = np.zeros((directions, UNITS, STEPS, batch))
    for image in range(batch):
        for direction in range(directions):
            state = np.zeros(UNITS)
            pairs = [
                (further[2 * place][direction], further[2 * place + 1][direction][:, 0])
                for place in range(more)
            ]
            steps = range(STEPS)
            for step in steps if direction == 0 else reversed(steps):
                outputs[direction, :, step, image], state = step_of(
                    images[:, step, image],
                    state,
                    inputs[direction],
                    recurrent[direction],
                    biases[direction][:, 0],
                    pairs,
                )
    return outputs.reshape(directions * UNITS, STEPS * batch)


def test_outputs_are_the_equations():
    for cell in OWN:
        for depth in depths(cell) if 'Stacked' not in cell else ():
            be = start()
            layer, x, _ = alone(be, make(cell, depth))
            np.testing.assert_allclose(
                layer.fprop(be.array(x)).get(),
                by_definition(layer, x, be.bsz),
                atol=1e-13,
                err_msg='{} {}'.format(cell, depth),
            )


def test_a_stack_is_neons_own_layers_one_after_the_other():
    """Outputs, errors and gradients, to rounding; a stack of one direction for several steps."""
    for cell, below in (('StackedBiRNN', nn.BiRNN), ('StackedRNN', nn.Recurrent)):
        for depth in (1, 2, 3):
            be = start()
            stack, x, e = alone(be, make(cell, depth))
            values, expected, chain = be.array(x), [], []
            shape = (FEATURES, STEPS)
            for layer in stack.layers:
                single = with_buffers(below(**params('BiRNN')), shape)
                single.W.set(layer.W.get())
                values, shape = single.fprop(values), single.out_shape
                chain.append(single)
            np.testing.assert_allclose(
                stack.fprop(be.array(x)).get(), values.get(), atol=1e-13, err_msg=cell
            )
            error = be.array(e)
            for single in reversed(chain):
                error = single.bprop(error)
                expected.append(single.dW.get())
            np.testing.assert_allclose(stack.bprop(be.array(e)).get(), error.get(), atol=1e-12)
            for (_, gradient), wanted in zip(
                [weights for weights, _ in stack.get_params()], reversed(expected)
            ):
                np.testing.assert_allclose(gradient.get(), wanted, atol=1e-12, err_msg=cell)


def test_gradients_are_finite_differences():
    """Of the input and of every value of every weight, in float64; also for a single step."""
    for cell in OWN:
        for depth in depths(cell):
            for steps in (STEPS, 1):
                be = start(batch_size=2)
                layer, x, e = alone(be, make(cell, depth), steps)
                inputs = be.array(x)

                def cost(layer=layer, inputs=inputs, e=e):
                    return float((layer.fprop(inputs).get() * e).sum())

                cost()
                deltas = layer.bprop(be.array(e)).get()
                pairs = [(inputs, deltas)]
                pairs += [(weight, gradient.get()) for (weight, gradient), _ in layer.get_params()]
                for tensor, gradient in pairs:
                    expected = np.zeros(tensor.shape)
                    for place in np.ndindex(*tensor.shape):
                        expected[place] = slope(tensor, place, cost)
                    np.testing.assert_allclose(
                        gradient,
                        expected,
                        rtol=0,
                        atol=1e-7 * np.abs(expected).max(),
                        err_msg='{} {} {}'.format(cell, depth, steps),
                    )


def test_alpha_beta_and_the_error_left_alone():
    for backend in BACKENDS:
        for cell in OWN:
            be = start(backend, 'float32')
            layer, x, e = alone(be, make(cell))
            layer.fprop(be.array(x))
            error = be.array(e)
            plain = layer.bprop(error).get()
            np.testing.assert_array_equal(error.get(), e.astype(np.float32))
            gradients = [gradient.get() for (_, gradient), _ in layer.get_params()]
            layer.deltas[:] = 2
            scaled = layer.bprop(be.array(e), alpha=0.5, beta=3.0).get()
            np.testing.assert_allclose(scaled, 0.5 * plain + 6, atol=1e-5, err_msg=cell)
            for (_, gradient), expected in zip(
                [weights for weights, _ in layer.get_params()], gradients
            ):
                np.testing.assert_array_equal(gradient.get(), expected)


def classifier(cell):
    """A plain script's model: a recurrent layer reads the columns of the maps."""
    return [
        make(cell),
        RecurrentMean(),
        nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax()),
    ]


def test_in_a_plain_script_with_neons_own_fit():
    """neon's Model.fit and Callbacks; nothing of this project but the layer. The cost falls."""
    from neon.callbacks.callbacks import Callbacks
    from neon.data import ArrayIterator

    for backend in BACKENDS:
        for cell in OWN:
            start(backend, 'float32')
            x = np.random.RandomState(2).rand(2 * IMAGES, int(np.prod(SHAPE))).astype(np.float32)
            labels = np.arange(2 * IMAGES) % 2
            data = ArrayIterator(x + labels[:, None], labels, nclass=2, lshape=SHAPE)
            model, costs = nn.Model(classifier(cell)), []
            optimizer = nn.GradientDescentMomentum(0.02, momentum_coef=0.9)
            for epochs in (1, 20):
                model.fit(
                    data,
                    optimizer=optimizer,
                    num_epochs=epochs,
                    cost=nn.GeneralizedCost(nn.CrossEntropyMulti()),
                    callbacks=Callbacks(model, progress_bar=False),
                )
                costs.append(float(model.total_cost[0]))
            assert costs[1] < 0.8 * costs[0], (backend, cell, costs)


def test_alone_in_a_model_it_is_serialised_and_loaded_by_its_class_path():
    from neon.util.persist import load_obj

    for cell in OWN:
        for depth in depths(cell):
            start('numpy', 'float32')
            layers = [make(cell, depth)] + classifier('BiGRU')[1:]
            model = nn.Model(layers)
            model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
            images = np.random.RandomState(2).randint(0, 3, (IMAGES, int(np.prod(SHAPE))))
            optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9)
            nn.train_step(model, images.astype(np.uint8), np.arange(IMAGES) % 2, optimizer, 0)
            expected = nn.predict(model, images)
            path = os.path.join(tempfile.mkdtemp(), 'model.prm')
            model.serialize(path)
            kinds = [layer['type'] for layer in load_obj(path)['model']['config']['layers']]
            assert kinds[0].startswith('neon_rnn.engines.neon.recurrent.'), kinds
            start('numpy', 'float32', seed=9)
            again = nn.Model(path)
            again.initialize(SHAPE)
            np.testing.assert_allclose(nn.predict(again, images), expected, atol=1e-6, err_msg=cell)
            saved, loaded = (nn.get_optimizer_state(each, None) for each in (model, again))
            assert list(saved) == list(loaded)
            assert '0.first.W' in saved or '0.W' in saved
            for name in saved:
                np.testing.assert_array_equal(loaded[name][0], saved[name][0], err_msg=name)


def test_what_is_refused():
    start()
    for cell in OWN:
        with refused(UsageError, cell, 'reset_cells=True'):
            make(cell, reset_cells=False)
        with refused(UsageError, cell, 'activation'):
            make(cell, activation=None)
    with refused(UsageError, 'BiGRU', 'gate_activation'):
        make('BiGRU', gate_activation=None)
    for depth in (0, 9, 2.0, True):
        with refused(UsageError, 'DeepOutput', 'from 1 to 8', repr(depth)):
            make('DeepOutput', depth)


def test_weights_of_another_size_are_refused():
    """Before the layer is allocated, and after."""
    be = start()
    layer, _, _ = alone(be, make('BiJordan'))
    saved = layer.get_description(get_weights=True)
    with refused(UsageError, 'BiJordan', 'V has the shape', '(12, 5)', '(8, 3)'):
        alone(be, make('BiJordan', output_size=5))[0].load_weights(saved)
    wider = make('BiJordan', output_size=5)
    wider.load_weights(saved)
    with refused(UsageError, 'BiJordan', 'W has the shape', '(16, 3)', '(20, 5)'):
        alone(be, wider)


if __name__ == '__main__':
    run_checks(globals())
