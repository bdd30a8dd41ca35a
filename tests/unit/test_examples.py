"""``examples.json``: predictions on synthetic pictures are kept for the page, photographs never."""

import os

import numpy as np
import pytest
import synthetic_records as synthetic
from small_training import settings, write_data

from neon_rnn import training
from neon_rnn.report import build
from neon_rnn.runs import example_predictions
from neon_rnn.support import files
from neon_rnn.support.errors import NeonRnnError, UsageError

PNG = 'iVBORw0KGgo='


@pytest.mark.parametrize('channels', [1, 3])
def test_examples_are_balanced_between_mistakes_and_the_rest(tmp_path, channels):
    labels = np.zeros(20, int)
    probabilities = np.tile([0.9, 0.1], (20, 1))
    probabilities[[3, 5, 7, 9, 11, 13]] = [0.25, 0.75]
    pictures = np.zeros((20, channels * 4 * 4), np.uint8)
    example_predictions.write(
        tmp_path, 'synthetic', pictures, (channels, 4, 4), labels, probabilities, ['a', 'b']
    )
    found = example_predictions.read(tmp_path)
    assert [each['prediction'] for each in found].count('b') == 4
    assert len(found) == 8
    assert found[3] == {
        'png_base64': found[3]['png_base64'],
        'label': 'a',
        'prediction': 'b',
        'probability': 0.75,
    }


@pytest.mark.parametrize(('kind', 'kept'), [('synthetic', 6), ('photographs', 0)])
def test_training_keeps_examples_of_synthetic_data_only(tmp_path, kind, kept):
    data = tmp_path / 'data'
    write_data(data)
    description = files.read_json(data / 'dataset.json')
    files.write_json(data / 'dataset.json', dict(description, kind=kind))
    run = training.train(settings(str(data), model='fcnn-1', epochs=1), tmp_path / 'runs')
    assert len(example_predictions.read(run.folder)) == kept


def test_photographs_are_never_kept_as_examples(tmp_path):
    with pytest.raises(UsageError, match='synthetic data only, not for photographs'):
        example_predictions.write(
            tmp_path,
            'photographs',
            np.zeros((1, 48), np.uint8),
            (3, 4, 4),
            [0],
            [[1.0, 0.0]],
            ['a', 'b'],
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'content',
    [
        '[{}]',
        '{}',
        '[1]',
        '[',
        '[{"png_base64": "PHN2Zz4=", "label": "a", "prediction": "b", "probability": 1}]',
        '[' + '1,' * 20000 + '1]',
        ' ' * (1 << 20) + '[]',
        '[' * 100000,
        f'[{{"png_base64": "{PNG}", "label": "a", "prediction": "b", "probability": 1e999}}]',
        f'[{{"png_base64": "{PNG}", "label": "\\ud800", "prediction": "b", "probability": 1}}]',
        f'[{{"png_base64": "{PNG}", "label": "{"a" * 200}", "prediction": "b", "probability": 1}}]',
    ],
    ids=lambda text: text[:12],
)
def test_a_broken_examples_file_is_named_on_the_page(tmp_path, content):
    path = synthetic.write(
        tmp_path,
        synthetic.record('demo-run', dataset=dict(synthetic.FIELDS['dataset'], kind='synthetic')),
    )
    (path.parent / 'examples.json').write_text(content, encoding='utf-8')
    with pytest.raises(NeonRnnError, match=r'examples.json: '):
        example_predictions.read(path.parent)
    text = build.build(tmp_path, tmp_path)[1]['report.html'].decode()
    assert 'demo-run: examples.json: ' in text
    assert str(tmp_path) not in text


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_examples_that_are_not_a_regular_file_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / 'examples.json')
    with pytest.raises(NeonRnnError, match='examples.json: is not a file of examples'):
        example_predictions.read(tmp_path)
