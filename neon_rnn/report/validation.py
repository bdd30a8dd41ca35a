"""Check run records against ``record.schema.json`` with the package jsonschema."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import jsonschema

from neon_rnn.runs import schema
from neon_rnn.support.wording import printable


def _is(name: str) -> Callable[[Any, Any], bool]:
    return lambda checker, value: schema.is_type(value, name)


# An integer of a record is never written as 1.0, and NaN is not a number.
_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
    {name: _is(name) for name in ('integer', 'number')}
)
# The rows of a long training are checked by `schema.check`: jsonschema takes 8 ms for 90 epochs.
_DEFINITION = copy.deepcopy(schema.DEFINITION)
_ROW = _DEFINITION['properties']['epochs'].pop('items')
_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=_TYPES)(
    _DEFINITION
)


def validate(record: Any, path: str) -> None:
    """Check a run record: its version, every rule of the schema, its figures.

    Parameters
    ----------
    record
        The content of the JSON file.
    path
        The file, named in errors.

    Raises
    ------
    NeonRnnError
        The record has another version, or a field is missing or wrong; names file and field.
    """
    schema.check_version(record, path)
    error = next(_VALIDATOR.iter_errors(record), None)
    if error is not None:
        key = functools.reduce(schema.joined, error.absolute_path, '')
        raise schema.refused(path, key, printable(error.message))
    for index, row in enumerate(record['epochs']):
        schema.check(row, _ROW, path, f'epochs[{index}]')
    schema.check_figures(record, path)
