"""Tables of numbers as CSV files, appended to while a training runs.

They survive its sudden end. A column is (name, type). The type is ``int``, or a tuple of types for
a float; ``type(None)`` in it allows an empty cell. Floats are written by ``repr``, so that reading
gives the same number.
"""

import errno
import os

from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import atomic_file, open_regular, write_error


def append(path, columns, rows):
    """Append rows with one synchronised write; if the disk is full, nothing is appended.

    Raises
    ------
    NeonRnnError
        The table cannot be written; names the file.
    """
    data = ''.join(_line(row, columns) for row in rows).encode('ascii')
    try:
        # Not mode 'a', which would make a new file in place of one that somebody removed.
        with open(str(path), 'r+b', buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise write_error(path, error)


def write(path, columns, rows):
    """Write a whole table atomically."""
    with atomic_file(path, 'w') as file:
        file.write(_header(columns) + '\n')
        file.writelines(_line(row, columns) for row in rows)


def read(path, columns):
    """Read a table.

    Returns
    -------
    list of tuple
        A last line without its newline is left out: the process was killed while it wrote it.

    Raises
    ------
    NeonRnnError
        The file is missing, has other columns, or a line is not a row of it; names file and line.
    """
    try:
        with open_regular(path, encoding='ascii', errors='replace', newline='') as file:
            lines = file.read().split('\n')[:-1]
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror))
    if not lines or lines[0] != _header(columns):
        raise NeonRnnError('{}: does not begin with the columns {}.'.format(path, _header(columns)))
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(',')
        try:
            if len(cells) != len(columns):
                raise ValueError('{} cells'.format(len(cells)))
            rows.append(tuple(_value(cell, kind) for cell, (_, kind) in zip(cells, columns)))
        except ValueError:
            raise NeonRnnError(
                '{}, line {}: {!r} is not a row of {}.'.format(
                    path, number, line[:80], _header(columns)
                )
            )
    return rows


def _header(columns):
    return ','.join(name for name, _ in columns)


def _value(cell, kind):
    if kind is int:
        return int(cell)
    return None if not cell and type(None) in kind else float(cell)


def _line(row, columns):
    return (
        ','.join(
            '' if value is None else repr(int(value)) if kind is int else repr(float(value))
            for value, (_, kind) in zip(row, columns)
        )
        + '\n'
    )
