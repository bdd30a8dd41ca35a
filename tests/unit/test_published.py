"""The published rows, and what tells a complete reproduction from a shortened one."""

import pytest

from neon_rnn import published
from neon_rnn.support.errors import NeonRnnError

HYPERPARAMETERS = {
    'batch_size': 128,
    'epochs': 90,
    'learning_rate': 0.01,
    'momentum_coef': 0.9,
    'wdecay': 0.0005,
    'shuffle': True,
}
DATASET = {'kind': 'photographs', 'shape': [3, 128, 128]}


def test_the_eleven_rows_as_published():
    rows = published.rows()
    assert [
        (row.name, row.row, row.accuracy, row.training_seconds, row.epochs) for row in rows.values()
    ] == [
        ('fcnn-1', 'FCNN-1', 71.2, 932, 90),
        ('fcnn-2', 'FCNN-2', 73.5, 577, 90),
        ('fcnn-3', 'FCNN-3', 77.7, 1013, 90),
        ('cnn-1', 'CNN-1', 79.3, 1582, 90),
        ('cnn-2', 'CNN-2', 83.5, 2030, 90),
        ('resnet-18', 'ResNet-18', 81.3, 15127, 90),
        ('resnet-50', 'ResNet-50', 80.9, 11849, 30),
        ('tl-1', 'TL-1', 85.6, 119975, 90),
        ('tl-2', 'TL-2', 85.3, 119989, 90),
        ('tl-3', 'TL-3', 86.3, 39282, 30),
        ('rnn', 'RNN', 81.9, 29571, 90),
    ]
    assert list(rows) == [row.name for row in rows.values()]
    assert {row.batch_size for row in rows.values()} == {128}
    assert [row.name for row in rows.values() if row.input_side == 224] == ['tl-1', 'tl-2', 'tl-3']
    assert rows['rnn'].seconds_per_epoch == pytest.approx(328.5667, abs=1e-3)


def test_a_broken_or_missing_table_is_named(tmp_path):
    path = tmp_path / 'published.csv'
    with pytest.raises(NeonRnnError, match=r'published.csv: the published rows cannot be read'):
        published.rows(path)
    path.write_text('name,row,accuracy\nrnn,RNN,much\n', encoding='utf-8')
    with pytest.raises(NeonRnnError, match=r'published.csv, line 2'):
        published.rows(path)


@pytest.mark.parametrize('options', [{}, {'rnn': 'birnn'}, {'rnn': None}])
def test_the_published_protocol_is_complete(options):
    assert published.protocol('rnn', HYPERPARAMETERS, DATASET, options) == {
        'complete': True,
        'published_epochs': 90,
        'reasons': [],
    }


@pytest.mark.parametrize(
    ('name', 'changes', 'dataset', 'options', 'reasons'),
    [
        ('rnn', {'epochs': 5}, {}, {}, ['5 of 90 epochs']),
        ('resnet-50', {}, {}, {}, ['90 of 30 epochs']),
        (
            'rnn',
            {'batch_size': 64, 'learning_rate': 0.1, 'momentum_coef': 0.5, 'wdecay': 0},
            {},
            {},
            [
                'batch size 64 instead of 128',
                'learning rate 0.1 instead of 0.01',
                'momentum 0.5 instead of 0.9',
                'weight decay 0 instead of 0.0005',
            ],
        ),
        (
            'rnn',
            {},
            {'kind': 'synthetic', 'shape': [3, 64, 64]},
            {},
            ['synthetic data', '64x64 pixels instead of 128x128'],
        ),
        ('tl-1', {}, {'shape': [3, 224, 224]}, {}, ['without pretrained weights']),
        ('tl-1', {}, {}, {'pretrained': 'resnet50.pth'}, ['128x128 pixels instead of 224x224']),
        ('rnn', {}, {}, {'rnn': 'bilstm', 'depth': 2}, ['depth 2, bilstm cells']),
    ],
)
def test_what_differs_from_the_protocol_is_listed(name, changes, dataset, options, reasons):
    found = published.protocol(
        name, dict(HYPERPARAMETERS, **changes), dict(DATASET, **dataset), options
    )
    assert (found['complete'], found['reasons']) == (False, reasons)


def test_a_network_that_was_not_published_is_never_complete():
    assert published.protocol('efficientnet', HYPERPARAMETERS, DATASET, {}) == {
        'complete': False,
        'published_epochs': None,
        'reasons': ['not a published row'],
    }


def test_pretrained_weights_are_no_variant():
    assert (
        published.variant(
            {'pretrained': {'file': 'resnet50.prm'}, 'layout': 'neon', 'rnn': 'birnn'}
        )
        == ''
    )
    assert published.variant({'rnn': 'bigru'}) == 'bigru cells'
    assert published.variant({'rnn': 'stacked', 'rnn_depth': 2}) == 'stacked cells'
    assert published.variant({'rnn': 'stacked', 'rnn_depth': 3}) == 'stacked cells, depth 3'
