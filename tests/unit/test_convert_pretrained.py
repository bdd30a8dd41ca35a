"""`convert --pretrained`: what the container reads is what PyTorch's file or neon's holds."""

import collections
import pickle

import numpy as np
import pytest

from neon_rnn.cli import main
from neon_rnn.runs import checkpoint
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.weights import pretrained

BLOCKS = (3, 4, 6, 3)


def neon_layers():
    """Return the layers of neon's ImageNet example, ResNet-50, as neon describes them.

    Source: examples/imagenet/network_msra.py.

    Each weight is its own number, so that a mix-up shows.
    """
    count = [0]

    def values(*shape):
        count[0] += 1
        return np.full(shape, count[0], np.float32)

    def convolution(channels, size, maps, rectified=True):
        layers = [
            {
                'type': 'Convolution',
                'config': {},
                'params': {'W': values(channels * size * size, maps)},
            },
            {
                'type': 'BatchNorm',
                'config': {},
                'params': {name: values(maps, 1) for name in ('beta', 'gamma', 'gmean', 'gvar')},
            },
        ]
        return layers + ([{'type': 'Activation', 'config': {}}] if rectified else [])

    def container(kind, layers):
        return {'type': kind, 'container': True, 'config': {'layers': layers}}

    layers = [*convolution(3, 7, 64), {'type': 'Pooling', 'config': {}}]
    channels = 64
    for stage, blocks in enumerate(BLOCKS):
        maps = 64 << stage
        for block in range(blocks):
            pathway = convolution(channels, 1, maps) + convolution(maps, 3, maps)
            pathway += convolution(maps, 1, 4 * maps, rectified=False)
            shortcut = [{'type': 'SkipNode', 'config': {}}]
            if block == 0:
                shortcut = convolution(channels, 1, 4 * maps, rectified=False)
            channels = 4 * maps
            layers += [
                container(
                    'MergeSum',
                    [container('Sequential', pathway), container('Sequential', shortcut)],
                ),
                {'type': 'Activation', 'config': {}},
            ]
    return [
        *layers,
        {'type': 'Pooling', 'config': {}},
        *convolution(channels, 1, 1000, rectified=False),
        {'type': 'Activation', 'config': {}},
    ]


@pytest.fixture
def prm(tmp_path):
    path = tmp_path / 'resnet50.prm'
    path.write_bytes(
        pickle.dumps(
            {
                'neon_version': '2.6.0',
                'epoch_index': 90,
                'model': {'type': 'Sequential', 'config': {'layers': neon_layers()}},
            },
            2,
        )
    )
    return str(path)


def test_neons_resnet50_lands_two_positions_further_on(prm, tmp_path, capsys):
    target = str(tmp_path / 'resnet50.npz')
    assert main(['convert', '--pretrained', prm, target]) == 0
    assert capsys.readouterr().out == (
        '{}: resnet50.prm: 267 tensors taken as neon ResNet-50; left out: 37.W, 38.beta, 38.gamma, '
        '38.gmean, '
        '38.gvar\n'.format(target)
    )
    read = pretrained.read(target, 'tl-3')
    assert read.options == {'layout': 'neon'}
    layers = neon_layers()
    np.testing.assert_array_equal(read.weights['2.W'], layers[0]['params']['W'])
    np.testing.assert_array_equal(read.weights['3.gvar'], layers[1]['params']['gvar'])
    inside = layers[4]['config'][
        'layers'
    ]  # the first block, at 6 in the transfer learning networks
    np.testing.assert_array_equal(
        read.weights['6.0.3.W'], inside[0]['config']['layers'][3]['params']['W']
    )
    np.testing.assert_array_equal(
        read.weights['6.1.1.gamma'], inside[1]['config']['layers'][1]['params']['gamma']
    )
    last = layers[34]['config']['layers'][0]['config']['layers']
    np.testing.assert_array_equal(read.weights['36.0.7.beta'], last[7]['params']['beta'])
    # blue green red of 0..255 minus neon's means, from red green blue divided by 128
    pixels = np.array([10.0, 20.0, 30.0]) / 128
    np.testing.assert_allclose(
        read.weights['1.W'].T @ pixels + read.weights['1.weight_bias'][:, 0],
        [30 - 127, 20 - 119, 10 - 104],
        rtol=1e-6,
    )


def test_weights_of_one_family_are_not_for_another(prm, tmp_path):
    target = str(tmp_path / 'resnet50.npz')
    pretrained.convert(prm, 'tl-1', target)
    with pytest.raises(UsageError, match='holds weights of ResNet-50, not of EfficientNet-Lite0'):
        pretrained.read(target, 'efficientnet-lite0')
    with pytest.raises(UsageError, match=r'takes weights named as in PyTorch, not a \.prm'):
        pretrained.read(prm, 'efficientnet-lite0')


@pytest.mark.parametrize(
    ('model', 'target', 'message'),
    [
        ('rnn', 'x.npz', 'the network rnn takes no pretrained weights'),
        ('tl-1', 'x.bin', r'written as \.npz'),
    ],
)
def test_what_cannot_be_converted(prm, tmp_path, model, target, message):
    with pytest.raises(UsageError, match=message):
        pretrained.convert(prm, model, str(tmp_path / target))
    assert not (tmp_path / target).exists()


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    trace = tmp_path / 'trace'

    class Evil:
        def __reduce__(self):
            return open, (str(trace), 'w')

    (tmp_path / 'evil.prm').write_bytes(pickle.dumps({'model': Evil()}, 2))
    with pytest.raises(NeonRnnError, match=r'evil\.prm: refused, nothing in it was run'):
        pretrained.read(str(tmp_path / 'evil.prm'), 'tl-1')
    assert not trace.exists()


def test_the_checkpoint_of_a_run_is_not_taken_for_pretrained_weights(tmp_path):
    path = str(tmp_path / 'checkpoint.npz')
    checkpoint.save(path, collections.OrderedDict([('0.W', np.zeros((2, 2)))]), meta={'epoch': 1})
    with pytest.raises(UsageError, match='is the checkpoint of a run, not pretrained weights'):
        pretrained.read(path, 'tl-1')
