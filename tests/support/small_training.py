"""A small data set that any network can be trained on, and the settings of a short training."""

import numpy as np

from neon_rnn import training
from neon_rnn.ingest import output

SHAPE = (3, 32, 32)


def write_data(folder, shape=SHAPE, counts=(10, 6), classes=2, seed=1):
    """A small data set: noise, brighter for class 1. A third count makes a validation part."""
    rng = np.random.RandomState(seed)
    parts = {}
    for name, count in zip(('train', 'test', 'val'), counts, strict=False):
        labels = np.arange(count) % classes
        pixels = rng.randint(0, 128, (count, int(np.prod(shape)))) + 100 * labels[:, None]
        parts[name] = output.PartData(
            labels, [pixels.clip(0, 255).astype(np.uint8)], [''] * count, [''] * count
        )
    names = ['female', 'male', 'other'][:classes]
    output.write_dataset(
        folder,
        parts,
        shape,
        {
            'name': 'small',
            'source': 'test',
            'kind': 'synthetic',
            'class_names': names,
            'filters': [],
            'split': 'as drawn',
            'seed': seed,
            'note': '',
        },
    )
    return str(folder)


def settings(data, **changes):
    given = {
        'model': 'rnn',
        'options': {},
        'data': data,
        'engine': 'torch',
        'backend': 'cpu',
        'batch_size': 4,
        'epochs': 2,
        'seed': 3,
        'shuffle': True,
        'precision': 'float32',
        'threads': 1,
        'deterministic': False,
        'eval_freq': 1,
        'serialize': 1,
    }
    return training.Settings.of(**given)._replace(**changes)


def train_models(folder, *names):
    """Train models for an epoch on data of `write_data`; return name -> the folder of its run."""
    data = write_data(folder / 'data')
    return {
        name: training.train(
            settings(data, model=name, epochs=1), str(folder / f'runs-{name}')
        ).folder
        for name in names
    }
