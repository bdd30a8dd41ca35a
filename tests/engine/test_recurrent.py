"""The recurrent layers alone: sequences against the reference, gradients, neon's BiBNRNN."""

import harness
import numpy as np
import pytest
import reference

from neon_rnn.support.errors import UsageError

CELLS = sorted(reference.CELLS)
FEATURES, STEPS, UNITS, BATCH = 4, 5, 3, 3


def layer(nn, cell, **arguments):
    params = {
        'output_size': UNITS,
        'init': nn.GlorotUniform(),
        'activation': nn.Tanh(),
        'reset_cells': True,
    }
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    return getattr(nn, cell)(**dict(params, **arguments))


def sequences(seed=4):
    """(batch, features, steps)."""
    return np.random.RandomState(seed).normal(size=(BATCH, FEATURES, STEPS))


@pytest.mark.parametrize('cell', CELLS)
def test_sequences_are_the_reference(nn, cell):
    model = harness.build(nn, [layer(nn, cell)], (FEATURES, STEPS))
    weights = harness.randomise(nn, model)
    _, gates, directions, _ = reference.CELLS[cell]
    assert {name: values.shape for name, values in weights.items()} == {
        '0.W': (directions * (FEATURES + UNITS + 1), gates * UNITS)
    }
    assert model.layers.out_shape == (directions * UNITS, STEPS)
    x = sequences()
    expected = [
        np.transpose(reference.recurrent(cell, weights['0.W'], list(each.T), UNITS)) for each in x
    ]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)


@pytest.mark.parametrize('cell', CELLS)
def test_gradients_are_the_finite_differences(nn, cell):
    model = harness.build(nn, [layer(nn, cell)], (FEATURES, STEPS))
    harness.randomise(nn, model)
    harness.check_gradients(nn, model, sequences())


@pytest.mark.parametrize('cell', ['BiRNN', 'Recurrent', 'LSTM', 'BiLSTM', 'GRU', 'BiGRU'])
@pytest.mark.parametrize(
    ('name', 'function'),
    [('Rectlin', lambda x: np.maximum(x, 0)), ('Logistic', reference.logistic)],
)
def test_other_activations(nn, monkeypatch, cell, name, function):
    """The backward pass is written out; it has to follow the activation."""
    monkeypatch.setattr(reference, 'tanh', function)
    model = harness.build(nn, [layer(nn, cell, activation=getattr(nn, name)())], (FEATURES, STEPS))
    weights = harness.randomise(nn, model)
    x = sequences()
    expected = [
        np.transpose(reference.recurrent(cell, weights['0.W'], list(each.T), UNITS)) for each in x
    ]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)
    harness.check_gradients(nn, model, x)


@pytest.mark.parametrize('cell', CELLS)
def test_a_single_step(nn, cell):
    model = harness.build(nn, [layer(nn, cell)], (FEATURES, 1))
    weights = harness.randomise(nn, model)
    x = sequences()[:, :, :1]
    expected = [
        np.transpose(reference.recurrent(cell, weights['0.W'], list(each.T), UNITS)) for each in x
    ]
    np.testing.assert_allclose(harness.forward(model, x), expected, atol=1e-14)
    harness.check_gradients(nn, model, x)
    _, gates, directions, _ = reference.CELLS[cell]
    _, gradients = harness.gradients(model, x, np.ones((BATCH, directions * UNITS, 1)))
    parts = reference.unpack(gradients['0.W'], FEATURES, UNITS, gates, directions)
    for _, recurrent, _ in parts:
        assert not recurrent.any(), 'a zero state moves no recurrent weight'


@pytest.mark.parametrize('cell', ['BiRNN', 'LSTM', 'BiGRU', 'BiBNRNN'])
def test_nothing_is_carried_from_one_minibatch_to_the_next(nn, cell):
    model = harness.build(nn, [layer(nn, cell)], (FEATURES, STEPS))
    first = harness.forward(model, sequences(), training=True)
    harness.forward(model, 10 * sequences(7), training=True)
    np.testing.assert_array_equal(harness.forward(model, sequences(), training=True), first)


def test_carrying_state_is_refused_rather_than_quietly_left_out(nn):
    model = harness.build(nn, [layer(nn, 'BiRNN', reset_cells=False)], (FEATURES, STEPS))
    with pytest.raises(UsageError, match='reset_cells=True'):
        harness.forward(model, sequences())


@pytest.mark.parametrize('cell', ['LSTM', 'BiLSTM', 'GRU', 'BiGRU'])
def test_gated_cells_need_both_activations_as_in_neon(nn, cell):
    for missing in ('activation', 'gate_activation'):
        with pytest.raises(UsageError, match=cell + ' needs activation and gate_activation'):
            layer(nn, cell, **{missing: None})


class BatchNormalisedReference:
    """neon's BiBNRNN written out, with its three faults: see the class of the engine."""

    def __init__(self, weight):
        self.parts = reference.unpack(weight, FEATURES, UNITS, 1, 2)
        self.norms = [reference.BatchNorm(UNITS), reference.BatchNorm(UNITS)]

    def __call__(self, x, beta, gamma, error=None, inference=False):
        """Return outputs of (batch, features, steps).

        With `error`, also the gradients of x and of the packed weight.
        """
        outputs, of_x, of_input, of_recurrent = [], np.zeros_like(x), [], []
        for direction, (w, r, b) in enumerate(self.parts):
            units = slice(direction * UNITS, (direction + 1) * UNITS)
            products = np.einsum('uf,nft->nut', w, x)
            normal = self.norms[direction](products, beta[units], gamma[units], inference)
            h = np.zeros((BATCH, UNITS, STEPS))
            order = list(range(STEPS)) if direction == 0 else list(reversed(range(STEPS)))
            state = np.zeros((BATCH, UNITS))
            for step in order:
                h[:, :, step] = state = np.tanh(normal[:, :, step] + state @ r.T + b)
            outputs.append(h)
            if error is None:
                continue
            delta = error[:, units].copy()
            for position in reversed(range(STEPS)):
                step = order[position]
                delta[:, :, step] *= 1 - h[:, :, step] ** 2
                delta[:, :, order[position - 1]] += (
                    delta[:, :, step] @ r
                )  # position 0: wraps around to the last
            of_recurrent.append(
                sum(delta[:, :, order[i]].T @ h[:, :, order[i - 1]] for i in range(1, STEPS))
            )
            for unit in range(UNITS):
                scale = gamma[units][unit]
                hat = (normal[:, unit] - beta[units][unit]) / scale
                values = delta[:, unit].copy()
                inner = (hat * (hat * values).sum() + values.sum()) / values.size
                delta[:, unit] = scale * (values - inner) / np.sqrt(products[:, unit].var() + 1e-3)
            of_input.append(np.einsum('nut,nft->uf', delta, x))
            of_x += np.einsum('uf,nut->nft', w, delta)
        packed = [part.ravel() for part in of_input + of_recurrent] + [np.zeros(2 * UNITS)]
        return np.concatenate(outputs, axis=1), of_x, np.concatenate(packed).reshape(-1, UNITS)


def test_batch_normalised_cell_is_neons_faults_included(nn):
    model = harness.build(nn, [layer(nn, 'BiBNRNN')], (FEATURES, STEPS))
    weights = harness.randomise(nn, model)
    assert {name: values.shape for name, values in weights.items()} == {
        '0.W': (2 * (FEATURES + UNITS + 1), UNITS),
        '0.beta': (2 * UNITS, 1),
        '0.gamma': (2 * UNITS, 1),
        '0.gmean': (2 * UNITS, 1),
        '0.gvar': (2 * UNITS, 1),
    }
    expected = BatchNormalisedReference(weights['0.W'])
    for norm, units in zip(expected.norms, (slice(None, UNITS), slice(UNITS, None)), strict=True):
        norm.gmean[:], norm.gvar[:] = weights['0.gmean'][units, 0], weights['0.gvar'][units, 0]
    beta, gamma = weights['0.beta'][:, 0], weights['0.gamma'][:, 0]
    error = np.random.RandomState(6).normal(size=(BATCH, 2 * UNITS, STEPS))
    y, of_x, of_weight = expected(sequences(), beta, gamma, error)
    gradient_x, gradients = harness.gradients(model, sequences(), error)
    np.testing.assert_allclose(gradient_x, of_x, atol=1e-12)
    np.testing.assert_allclose(gradients['0.W'], of_weight, atol=1e-12)
    assert not gradients['0.beta'].any()
    assert not gradients['0.gamma'].any()
    after = nn.get_weights(model)
    for name in ('gmean', 'gvar'):
        statistics = np.concatenate([getattr(norm, name) for norm in expected.norms])
        np.testing.assert_allclose(after['0.' + name][:, 0], statistics, atol=1e-14)
    np.testing.assert_allclose(harness.forward(model, sequences(), training=True), y, atol=1e-13)
    nn.set_weights(model, after)
    np.testing.assert_allclose(
        harness.forward(model, sequences(8)),
        expected(sequences(8), beta, gamma, inference=True)[0],
        atol=1e-13,
    )


def test_only_weight_decay_moves_what_neon_gives_no_gradient(nn):
    model = harness.build(nn, [layer(nn, 'BiBNRNN')], (FEATURES, STEPS))
    before = harness.randomise(nn, model)
    harness.gradients(model, sequences(), np.ones((BATCH, 2 * UNITS, STEPS)))
    optimizer = nn.GradientDescentMomentum(0.1, 0.9, wdecay=0.5)
    optimizer.optimize(model.parameters, epoch=0)
    after = nn.get_weights(model)
    for name in ('0.beta', '0.gamma'):
        np.testing.assert_allclose(after[name], before[name] * 0.95, rtol=1e-14)
    np.testing.assert_allclose(after['0.W'][-2:], before['0.W'][-2:] * 0.95, rtol=1e-14)
    assert np.abs(after['0.W'][:-2] - before['0.W'][:-2] * 0.95).min() > 0
