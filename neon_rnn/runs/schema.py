"""The fields of a run record, read from ``record.schema.json``, and the check of a record.

The report checks records with the package jsonschema. The container has no such package. The check
here covers the parts of the schema that a run needs to go on safely: the fields, their types and
the figures of the evaluation.
"""

import json
import math
import os

from neon_rnn.support.errors import NeonRnnError

#: The version of the record that this code writes and reads.
SCHEMA = 1

with open(os.path.join(os.path.dirname(__file__), 'record.schema.json'), encoding='utf-8') as _file:
    #: The JSON Schema of ``record.json``.
    DEFINITION = json.load(_file)

#: The names of a record's fields.
NAMES = frozenset(DEFINITION['properties'])

_NUMBER = (int, float)

#: The columns of epochs.csv, which are the fields of an epoch in a record, and of minibatches.csv.
EPOCH_FIELDS = (
    ('epoch', int),
    ('cost', _NUMBER),
    ('accuracy', _NUMBER + (type(None),)),
    ('seconds', _NUMBER),
    ('images_per_second', _NUMBER),
)
MINIBATCH_FIELDS = (('epoch', int), ('minibatch', int), ('cost', _NUMBER))

_TYPES = {'object': dict, 'array': list, 'string': str, 'boolean': bool, 'null': type(None)}


def is_type(value, name):
    """Return whether a value is of a type of JSON Schema.

    An integer is an int and never 1.0; a number is finite and below 1e18; a bool is neither.
    """
    if name == 'integer':
        return type(value) is int and abs(value) < 1e18
    if name == 'number':
        return type(value) in _NUMBER and abs(value) < 1e18
    return type(value) is _TYPES[name]


def validate(record, path):
    """Check a run record: its version, its fields and their types, its figures.

    Parameters
    ----------
    record : object
        The content of the JSON file.
    path : str
        The file, named in errors.

    Raises
    ------
    NeonRnnError
        The record has another version, or a field is missing or wrong; names file and field.
    """
    check_version(record, path)
    check(record, DEFINITION, path, '')
    check_figures(record, path)


def check_version(record, path):
    """Refuse what is not a record of this version; for the errors see `validate`."""
    if not isinstance(record, dict):
        raise NeonRnnError('{}: is not a run record (a JSON object is expected).'.format(path))
    version = record.get('schema')
    if version != SCHEMA or isinstance(version, bool):
        raise NeonRnnError(
            '{}: has schema {}; this version of neon_rnn reads schema {}. Read it with the version '
            'that wrote it.'.format(path, shortened(version), SCHEMA)
        )


def check_figures(record, path):
    """Check what a schema cannot say: epochs are consecutive, counts and accuracy agree.

    Parameters
    ----------
    record : dict
        Its fields have the types of the schema.
    path : str

    Raises
    ------
    NeonRnnError
        Figures contradict each other; names the file.
    """
    for number, row in enumerate(record['epochs'], 1):
        if row['epoch'] != number:
            raise NeonRnnError(
                '{}: epoch {} follows epoch {}.'.format(path, row['epoch'], number - 1)
            )
    for part, classes in sorted(record['dataset']['counts'].items()):
        if sum(classes.values()) < 1:
            raise refused(path, 'dataset.counts.' + part, 'counts no images')
    if record['final'] is not None:
        _check_final(record['final'], record['dataset']['class_names'], path)


def _check_final(final, names, path):
    """Check that matrix, counts and accuracy of an evaluation agree with each other."""
    confusion = final['confusion']
    if [len(row) for row in confusion] != [len(names)] * len(names) or sorted(
        final['per_class']
    ) != sorted(names):
        raise NeonRnnError(
            '{}: final does not fit the classes {}.'.format(path, shortened(', '.join(names)))
        )
    if sum(map(sum, confusion)) != final['count'] or final['count'] < 1:
        raise NeonRnnError(
            '{}: the confusion matrix does not add up to the {} images of final.count.'.format(
                path, final['count']
            )
        )
    correct = sum(row[index] for index, row in enumerate(confusion))
    if final['correct'] != correct or not math.isclose(
        final['accuracy'], correct / final['count'], abs_tol=1e-6
    ):
        raise NeonRnnError(
            '{}: the confusion matrix gives another accuracy than final.accuracy {!r} and '
            'final.correct {!r}.'.format(path, final['accuracy'], final['correct'])
        )


def check(value, definition, path, key):
    """Check the types, required fields, enumerations and minima of a part of a record.

    Parameters
    ----------
    value : object
        The part of the record.
    definition : dict
        The part of the schema.
    path, key : str
        The file and the key, named in errors.

    Raises
    ------
    NeonRnnError
        A field is missing or wrong. The messages are those of the package jsonschema.
    """
    types = definition.get('type', [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, name) for name in types):
        names = ', '.join(map(repr, types))
        raise refused(path, key, '{} is not of type {}'.format(shortened(value), names))
    if 'enum' in definition and value not in definition['enum']:
        text = '{} is not one of {}'.format(shortened(value), definition['enum'])
        raise refused(path, key, text)
    if 'minimum' in definition and value < definition['minimum']:
        text = '{!r} is less than the minimum of {}'.format(value, definition['minimum'])
        raise refused(path, key, text)
    if isinstance(value, dict):
        for name in definition.get('required', ()):
            if name not in value:
                raise refused(path, key, '{!r} is a required property'.format(name))
        known = definition.get('properties', {})
        others = definition.get('additionalProperties')
        for name, each in value.items():
            if name in known or others:
                check(each, known.get(name, others), path, joined(key, name))
    elif isinstance(value, list) and 'items' in definition:
        for index, each in enumerate(value):
            check(each, definition['items'], path, joined(key, index))


def joined(key, part):
    """Return a key such as ``epochs[1].cost`` from that of its parent and a name or an index."""
    if isinstance(part, int):
        return '{}[{}]'.format(key, part)
    return '{}.{}'.format(key, part) if key else part


def refused(path, key, text):
    """Return the error that names the file and the key."""
    return NeonRnnError(
        '{}: is not a valid run record: {}{}.'.format(path, key and key + ': ', text)
    )


def shortened(value, limit=80):
    """Return a value as text of at most `limit` characters and three dots."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + '...'
