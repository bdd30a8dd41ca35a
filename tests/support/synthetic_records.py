"""Run records made up for tests: no network was trained for them."""

import copy
import json

FIELDS = {
    'model': 'rnn',
    'row': 'RNN',
    'options': {},
    'engine': 'torch',
    'backend': 'cpu',
    'device': {'backend': 'cpu', 'device': 'a processor', 'threads': 2},
    'precision': 'float32',
    'seed': 0,
    'hyperparameters': {
        'batch_size': 128,
        'epochs': 90,
        'learning_rate': 0.01,
        'momentum_coef': 0.9,
        'wdecay': 0.0005,
        'shuffle': True,
    },
    'protocol': {'complete': True, 'published_epochs': 90, 'reasons': []},
    'dataset': {
        'folder': 'data/faces',
        'name': 'faces',
        'source': 'folder',
        'kind': 'photographs',
        'class_names': ['female', 'male'],
        'shape': [3, 128, 128],
        'counts': {'train': {'female': 500, 'male': 500}, 'test': {'female': 100, 'male': 100}},
        'sha256': {'train.h5': 'a' * 64, 'test.h5': 'b' * 64},
    },
    'argv': ['train', '--model', 'rnn'],
    'parameters': 5640456,
}


def fields(**changes):
    """What a training hands to `Run.create`."""
    return dict(copy.deepcopy(FIELDS), **changes)


def final(correct=160, count=200):
    """The figures of an evaluation with `correct` of `count` right, both classes alike."""
    from neon_rnn.runs.evaluation import wilson_interval

    half = count // 2
    right = [correct - correct // 2, correct // 2]
    return {
        'accuracy': correct / count,
        'correct': correct,
        'count': count,
        'interval': wilson_interval(correct, count),
        'majority': 0.5,
        'ties': 0,
        'per_class': {
            name: {'count': half, 'correct': each, 'accuracy': each / half}
            for name, each in zip(('female', 'male'), right, strict=True)
        },
        'confusion': [[right[0], half - right[0]], [half - right[1], right[1]]],
    }


def record(
    run_id='rnn-torch-cpu-s0-20261123-101500',
    epochs=90,
    seconds=10.0,
    correct=160,
    count=200,
    **changes,
):
    """A whole record; `changes` replace top-level fields. `correct` None: no evaluation."""
    rows = [
        {
            'epoch': epoch,
            'cost': 0.7 / epoch**0.5,
            'seconds': seconds,
            'images_per_second': 1000 / seconds,
            'accuracy': None
            if epoch % 2 and epoch != epochs
            else 0.5 + 0.3 * epoch / max(epochs, 1),
        }
        for epoch in range(1, epochs + 1)
    ]
    made = fields(
        schema=1,
        run_id=run_id,
        status='finished',
        epochs=rows,
        final=None if correct is None else final(correct, count),
        training_seconds=seconds * epochs,
        versions={'neon_rnn': '1.0.0', 'python': '3.11.7', 'numpy': '2.2.6', 'torch': '2.13.0'},
        git={'commit': 'c' * 40, 'dirty': False},
        machine={'cpu': 'a processor', 'cores': 2, 'memory_gib': 23.4, 'system': 'Linux'},
        started='2026-11-23T10:15:00Z',
        ended='2026-11-23T11:15:00Z',
        resumed=[],
        error=None,
    )
    return dict(made, **copy.deepcopy(changes))


def write(folder, made, name=None):
    """Write a record below the folder of runs; returns its path."""
    path = folder / (name or made['run_id']) / 'record.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(made, sort_keys=True), encoding='utf-8')
    return path


def write_many(folder, indices, old, new, **changes):
    """Write a record for each index below the folder of runs.

    `old` in the record's text becomes `new` with the index in it.
    """
    made = record(**changes)
    text = json.dumps(made)
    for index in indices:
        path = folder / f'run-{index:04d}' / 'record.json'
        path.parent.mkdir(parents=True)
        changed = text.replace(made['run_id'], path.parent.name)
        path.write_text(changed.replace(old, new.format(index)), encoding='utf-8')
