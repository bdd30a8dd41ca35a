"""The configuration of a run: two runs of one configuration differ only in the seed."""

import pytest
import synthetic_records as synthetic

from neon_rnn.runs.identity import configuration

WEIGHTS = {'file': 'here/weights.pth', 'sha256': 'a' * 64}


def changed(**changes):
    record = synthetic.record(options={'pretrained': WEIGHTS})
    for key, value in changes.items():
        record[key] = dict(record[key], **value) if isinstance(value, dict) else value
    return configuration(record)


@pytest.mark.parametrize(
    'changes',
    [
        {'seed': 7},
        {'status': 'failed'},
        {'machine': {'cpu': 'another'}},
        {'device': {'threads': 64}},
        {'hyperparameters': {'eval_freq': 9, 'serialize': 9}},
        {'dataset': {'folder': 'moved', 'name': 'renamed'}},
        {'options': {'pretrained': dict(WEIGHTS, file='there/weights.pth')}},
        {'options': {'pretrained': WEIGHTS, 'rnn': 'birnn', 'layout': 'neon'}},
    ],
)
def test_what_makes_no_other_configuration(changes):
    assert changed(**changes) == changed()


@pytest.mark.parametrize(
    'changes',
    [
        {'model': 'cnn-1'},
        {'engine': 'neon'},
        {'backend': 'gpu'},
        {'precision': 'bf16'},
        {'hyperparameters': {'epochs': 15}},
        {'hyperparameters': {'shuffle': False}},
        {'hyperparameters': {'a later setting': 1}},
        {'dataset': {'kind': 'synthetic'}},
        {'dataset': {'sha256': {'train.h5': 'c' * 64}}},
        {'dataset': {'sha256': {}}},
        {'options': {'pretrained': dict(WEIGHTS, sha256='b' * 64)}},
        {'options': {'pretrained': None}},
        {'options': {'rnn': 'bilstm'}},
    ],
)
def test_what_makes_another_configuration(changes):
    assert changed(**changes) != changed()


def test_the_fields_of_a_planned_run_are_enough():
    record = synthetic.record()
    names = ('model', 'options', 'engine', 'backend', 'precision', 'hyperparameters')
    planned = {name: record[name] for name in names}
    planned['dataset'] = {name: record['dataset'][name] for name in ('kind', 'sha256')}
    assert configuration(planned) == configuration(record)
