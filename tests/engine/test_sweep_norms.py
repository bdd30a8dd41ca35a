"""The norms of the sweeps against the reference of loops."""

import harness
import numpy as np
import pytest
import reference
import torch

from neon_rnn.explain.sweeps import DIRECTIONS, sweep_norms

UNITS = 3


def expected_norms(cell, weights, x, block):
    """Return (network, direction) -> norms (I, J) of one map (C, H, W), by loops."""
    down, across = x.shape[1] // block[0], x.shape[2] // block[1]
    directions = 2 if cell.startswith('Bi') else 1
    blocks = [
        [
            x[:, i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]].ravel()
            for j in range(across)
        ]
        for i in range(down)
    ]
    columns = [
        reference.recurrent(cell, weights['vertical'], [row[j] for row in blocks], UNITS)
        for j in range(across)
    ]
    vertical = [[columns[j][i] for j in range(across)] for i in range(down)]
    horizontal = [reference.recurrent(cell, weights['horizontal'], row, UNITS) for row in vertical]
    found = {}
    for network, states in (('vertical', vertical), ('horizontal', horizontal)):
        for index in range(directions):
            norms = np.zeros((down, across))
            for i in range(down):
                for j in range(across):
                    state = states[i][j][index * UNITS : (index + 1) * UNITS]
                    norms[i, j] = sum(value**2 for value in state) ** 0.5
            found[network, DIRECTIONS[network][index]] = norms
    return found


@pytest.mark.parametrize('cell', sorted(reference.CELLS))
@pytest.mark.parametrize(('shape', 'block'), [((2, 6, 8), (2, 2)), ((3, 4, 9), (1, 3))])
def test_norms_are_the_reference(nn, cell, shape, block):
    params = {'output_size': UNITS, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()}
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    layer = nn.SpatialRNN(
        input_shape=shape,
        block_shape=(shape[0], *block),
        RNN=getattr(nn, cell),
        RNN_params=params,
    )
    model = harness.build(
        nn, [nn.DataTransform(transform=nn.Normalizer(divisor=128.0)), layer], shape
    )
    weights = harness.randomise(nn, model)
    pixels = np.random.RandomState(4).randint(0, 256, shape).astype(np.uint8)
    found = sweep_norms(nn, model, pixels)
    expected = expected_norms(
        cell,
        {name: weights[f'1.{name}.W'] for name in ('vertical', 'horizontal')},
        pixels / 128.0,
        block,
    )
    assert [(sweep.network, sweep.direction) for sweep in found] == list(expected)
    for sweep in found:
        assert (sweep.layer, sweep.units) == ('1', UNITS)
        np.testing.assert_allclose(
            sweep.norms, expected[sweep.network, sweep.direction], atol=1e-13, rtol=0
        )


def test_several_layers_nested_ones_and_none(nn):
    def spatial(shape, block):
        return nn.SpatialRNN(
            input_shape=shape,
            block_shape=(shape[0], *block),
            RNN=nn.BiRNN,
            RNN_params={'output_size': UNITS, 'init': nn.GlorotUniform(), 'activation': nn.Tanh()},
        )

    shape = (3, 8, 4)
    both = nn.MergeSum([[spatial(shape, (2, 2))], [spatial(shape, (2, 2))]])
    model = harness.build(nn, [both, spatial((2 * UNITS, 4, 2), (1, 2))], shape)
    pixels = np.zeros(shape, np.uint8)
    found = sweep_norms(nn, model, pixels)
    assert [sweep.layer for sweep in found] == ['0.0.0'] * 4 + ['0.1.0'] * 4 + ['1'] * 4
    assert found[0].norms.shape == (4, 2)
    assert found[-1].norms.shape == (4, 1)
    # Nothing stays behind in the model.
    assert not any(module._forward_pre_hooks for module in model.layers.modules())
    plain = harness.build(nn, [nn.Affine(nout=2, init=nn.GlorotUniform())], shape)
    assert sweep_norms(nn, plain, pixels) == []


@pytest.mark.parametrize('cell', ['birnn', 'stacked', 'deep_output', 'jordan', 'bibnrnn'])
def test_the_whole_network_sees_what_it_predicts_with(nn32, cell):
    """The states of the last sweep, put through the rest of the network, give the answer."""
    from neon_rnn import models

    model, cost = models.build('rnn', nn32, (3, 32, 32), rnn=cell)
    model.initialize((3, 32, 32), cost)
    pixels = np.random.RandomState(0).randint(0, 256, (3, 32, 32)).astype(np.uint8)
    outputs = {}
    for place in (17, 19):
        list(model.layers)[place].register_forward_hook(
            lambda module, inputs, output, place=place: outputs.update({place: output})
        )
    found = sweep_norms(nn32, model, pixels)
    assert len(found) == 8
    for place in (17, 19):
        norms = [s.norms for s in found if (s.layer, s.network) == (str(place), 'horizontal')]
        whole = torch.linalg.vector_norm(outputs[place][0], dim=0).numpy()
        np.testing.assert_allclose(np.sqrt(sum(each**2 for each in norms)), whole, rtol=1e-5)
