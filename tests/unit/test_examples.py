"""``examples.json``: which predictions on drawn pictures a run keeps for the page, and that photographs are never kept."""

import types

import numpy as np
import pytest
import synthetic_records as synthetic

from neon_rnn.report import build
from neon_rnn.runs import example_predictions
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.training import session


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


@pytest.mark.parametrize(('kind', 'kept'), [('synthetic', 5), ('photographs', 0)])
def test_training_keeps_examples_of_synthetic_data_only(tmp_path, kind, kept):
    test = types.SimpleNamespace(
        count=5,
        shape=(3, 4, 4),
        labels=np.zeros(5, int),
        read=lambda indices: np.zeros((len(indices), 48), np.uint8),
    )
    dataset = types.SimpleNamespace(test=test, description={'kind': kind}, class_names=['a', 'b'])
    engine = types.SimpleNamespace(
        predict=lambda model, inputs: np.tile([0.9, 0.1], (len(inputs), 1))
    )
    opened = types.SimpleNamespace(nn=engine, dataset=dataset, model=None)
    session.Session.keep_examples(opened, types.SimpleNamespace(folder=str(tmp_path)))
    assert len(example_predictions.read(tmp_path)) == kept


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
    ],
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
