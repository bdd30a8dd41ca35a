"""What a run record must hold: schema 1, described in docs/architecture.md."""

import math

from neon_rnn.support.errors import NeonRnnError

#: The version of the record that this code writes and reads.
SCHEMA = 1
STATUSES = ('running', 'finished', 'failed', 'interrupted', 'diverged')

_NUMBER = (int, float)
_NONE = type(None)

#: Every field that must be there, nested ones by dots, with the types it may have.
FIELDS = (
    ('schema', int),
    ('run_id', str),
    ('status', str),
    ('model', str),
    ('row', (str, _NONE)),
    ('options', dict),
    ('engine', str),
    ('backend', str),
    ('device', dict),
    ('precision', str),
    ('seed', int),
    ('hyperparameters', dict),
    ('hyperparameters.batch_size', int),
    ('hyperparameters.epochs', int),
    ('hyperparameters.learning_rate', _NUMBER),
    ('hyperparameters.momentum_coef', _NUMBER),
    ('hyperparameters.wdecay', _NUMBER),
    ('hyperparameters.shuffle', bool),
    ('protocol', dict),
    ('protocol.complete', bool),
    ('protocol.published_epochs', (int, _NONE)),
    ('protocol.reasons', list),
    ('dataset', dict),
    ('dataset.folder', str),
    ('dataset.name', str),
    ('dataset.source', str),
    ('dataset.kind', str),
    ('dataset.class_names', list),
    ('dataset.shape', list),
    ('dataset.counts', dict),
    ('dataset.sha256', dict),
    ('versions', dict),
    ('git', dict),
    ('git.commit', (str, _NONE)),
    ('git.dirty', (bool, _NONE)),
    ('machine', dict),
    ('machine.cpu', str),
    ('machine.cores', int),
    ('machine.memory_gib', _NUMBER + (_NONE,)),
    ('machine.system', str),
    ('argv', list),
    ('parameters', int),
    ('epochs', list),
    ('final', (dict, _NONE)),
    ('training_seconds', _NUMBER),
    ('started', str),
    ('ended', (str, _NONE)),
    ('resumed', list),
    ('error', (str, _NONE)),
)

#: The columns of epochs.csv, which are the fields of each of a record's epochs, and of minibatches.csv.
EPOCH_FIELDS = (
    ('epoch', int),
    ('cost', _NUMBER),
    ('accuracy', _NUMBER + (_NONE,)),
    ('seconds', _NUMBER),
    ('images_per_second', _NUMBER),
)
MINIBATCH_FIELDS = (('epoch', int), ('minibatch', int), ('cost', _NUMBER))

_FINAL_FIELDS = (
    ('accuracy', _NUMBER),
    ('correct', int),
    ('count', int),
    ('interval', list),
    ('majority', _NUMBER),
    ('per_class', dict),
    ('confusion', list),
)


def validate(record, path):
    """Check a run record against schema 1.

    Parameters
    ----------
    record : object
        What the JSON file held.
    path : str
        The file, named in errors.

    Raises
    ------
    NeonRnnError
        Another version of the schema, or a field that is missing or of the wrong type; names file and field.
    """
    if not isinstance(record, dict):
        raise NeonRnnError('{}: is no run record (a JSON object is expected).'.format(path))
    schema = record.get('schema')
    if schema != SCHEMA or isinstance(schema, bool):
        raise NeonRnnError(
            '{}: has schema {!r}; this version of neon_rnn reads schema {}. Read it with the version '
            'that wrote it.'.format(path, schema, SCHEMA)
        )
    _check_fields(record, FIELDS, path, '')
    if record['status'] not in STATUSES:
        raise NeonRnnError(
            '{}: status {!r} is none of {}.'.format(path, record['status'], ', '.join(STATUSES))
        )
    _check_dataset(record['dataset'], path)
    for number, row in enumerate(record['epochs'], 1):
        _check_fields(row, EPOCH_FIELDS, path, 'epochs[{}].'.format(number - 1))
        if row['epoch'] != number:
            raise NeonRnnError(
                '{}: epoch {} follows epoch {}.'.format(path, row['epoch'], number - 1)
            )
    if record['final'] is not None:
        _check_final(record, path)


def _check_dataset(dataset, path):
    """Names are texts, sizes and counts whole numbers."""
    shape, names, counts = dataset['shape'], dataset['class_names'], dataset['counts']
    if not all(type(name) is str for name in names):
        raise NeonRnnError('{}: dataset.class_names {!r} are not all texts.'.format(path, names))
    if len(shape) != 3 or not all(type(size) is int and size > 0 for size in shape):
        raise NeonRnnError(
            '{}: dataset.shape {!r} is no (channels, height, width).'.format(path, shape)
        )
    if not all(type(digest) is str for digest in dataset['sha256'].values()):
        raise NeonRnnError(
            '{}: dataset.sha256 {!r} are not all texts.'.format(path, dataset['sha256'])
        )
    for part in sorted(set(counts) | {'train', 'test'}):
        classes = counts.get(part)
        if (
            not isinstance(classes, dict)
            or not all(type(count) is int for count in classes.values())
            or sum(classes.values()) < 1
        ):
            raise NeonRnnError(
                '{}: dataset.counts has no numbers of images for {!r}.'.format(path, part)
            )


def _check_final(record, path):
    """The confusion matrix must fit the classes; the counts must fit the matrix, the accuracy the counts."""
    final, names = record['final'], record['dataset']['class_names']
    _check_fields(final, _FINAL_FIELDS, path, 'final.')
    square = [[type(cell) for cell in row] for row in final['confusion'] if isinstance(row, list)]
    if square != [[int] * len(names)] * len(names) or sorted(final['per_class']) != sorted(names):
        raise NeonRnnError(
            '{}: final does not fit the classes {}.'.format(path, ', '.join(map(str, names)))
        )
    if (
        sum(map(sum, final['confusion'])) != final['count']
        or final['count'] < 1
        or len(final['interval']) != 2
    ):
        raise NeonRnnError(
            '{}: the confusion matrix does not add up to the {} images of final.count.'.format(
                path, final['count']
            )
        )
    correct = sum(row[index] for index, row in enumerate(final['confusion']))
    if final['correct'] != correct or not math.isclose(
        final['accuracy'], correct / max(final['count'], 1), abs_tol=1e-6
    ):
        raise NeonRnnError(
            '{}: an accuracy of {!r} and {} right are not what the confusion matrix gives.'.format(
                path, final['accuracy'], final['correct']
            )
        )
    for name in names:
        _check_fields(
            final['per_class'][name],
            (('count', int), ('correct', int), ('accuracy', _NUMBER + (_NONE,))),
            path,
            'final.per_class.{}.'.format(name),
        )


def _check_fields(value, fields, path, prefix):
    """Each field is there and has one of its types (a bool is no number)."""
    if not isinstance(value, dict):
        raise NeonRnnError('{}: {} is not an object.'.format(path, prefix.rstrip('.')))
    for name, kinds in fields:
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        found = value
        for part in name.split('.'):
            if part not in found:
                raise NeonRnnError(
                    "{}: the field '{}{}' is missing; the record is incomplete.".format(
                        path, prefix, name
                    )
                )
            found = found[part]
        if type(found) not in kinds or isinstance(found, float) and not math.isfinite(found):
            raise NeonRnnError(
                "{}: the field '{}{}' is {!r}, not {}.".format(
                    path,
                    prefix,
                    name,
                    found,
                    ' or '.join('null' if kind is _NONE else kind.__name__ for kind in kinds),
                )
            )
