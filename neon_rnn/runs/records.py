"""Write the record of a run: ``record.json``, ``epochs.csv`` and ``minibatches.csv`` in its folder.

A training uses it like this::

    run = records.Run.create('results/runs', {'model': 'rnn', ...})  # a new folder
    with run.lock():                                                 # keeps others out
        for epoch in 1, 2, ...:
            run.add_minibatches([(epoch, 1, 0.693), (epoch, 2, 0.691)])
            run.add_epoch({'epoch': epoch, 'cost': 0.69, 'accuracy': 0.55, ...})
            ...                                                      # then its checkpoint
        run.update(status='finished', final=evaluation.summarise(...), ended=records.now())

    run = records.Run.open('results/runs/<run id>')                  # to resume after epoch 3
    with run.lock():
        run.rewind(3, device)

The tables are written before the checkpoint of their epoch. So a process killed at any moment
leaves tables that reach at least as far as its checkpoint. `Run.rewind` cuts what lies beyond it,
and a line that was torn in writing.
"""

import json
import math
import os
import re

from neon_rnn.runs import schema, tables
from neon_rnn.runs.intact import EPOCHS, MINIBATCHES, check_tables, epoch_rows
from neon_rnn.runs.run_id import RECORD, check_run_id, new_folder, new_run_id, now
from neon_rnn.runs.schema import EPOCH_FIELDS, MINIBATCH_FIELDS
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import folder_lock, make_folder, read_json, write_json

TABLES = ((EPOCHS, EPOCH_FIELDS), (MINIBATCHES, MINIBATCH_FIELDS))

#: A temporary file of `support.files` in a run folder.
_LEFTOVER = re.compile(r'\.[a-z_]+\.(json|csv|npz|png)\.[0-9a-f]{12}$')

#: What `Run.create` has to be given; it fills in the rest.
_GIVEN = (
    'model row options engine backend device precision seed hyperparameters protocol dataset argv '
    'parameters'
).split()
_NAMES = schema.NAMES


def read_record(path):
    """Read a run record and check it.

    Parameters
    ----------
    path : str or os.PathLike
        ``record.json`` or the run's folder.

    Returns
    -------
    dict

    Raises
    ------
    NeonRnnError
        There is none, it was cut short, it has another schema, or a field is missing or wrong;
        names the file.
    """
    path = str(path)
    path = os.path.join(path, RECORD) if os.path.isdir(path) else path
    record = read_json(path)
    schema.validate(record, path)
    return record


def read_minibatches(folder):
    """Return the costs of the minibatches of a run.

    Returns
    -------
    list of (epoch, minibatch, cost)
        Without the last line where a killed process left it torn.

    Raises
    ------
    NeonRnnError
        The file is missing or a line is not a row of it; names the file and the line.
    """
    return tables.read(os.path.join(str(folder), MINIBATCHES), MINIBATCH_FIELDS)


def best_epoch(record):
    """Return the epoch of the highest accuracy on the validation part, the first of equal ones.

    Returns
    -------
    int or None
        None for a run that does not keep the best epoch, or has not measured one.
    """
    measured = record.get('validation')
    return max(measured, key=lambda each: each['accuracy'])['epoch'] if measured else None


class Run:
    """One run's folder; made by `create` or `open`.

    Attributes
    ----------
    folder : str
    record : dict
        What ``record.json`` holds; changed through the methods only.
    """

    def __init__(self, folder, record):
        self.folder = str(folder)
        self.record = record

    @classmethod
    def create(cls, parent, fields, run_id=None):
        """Make the folder of a new run below `parent` and write its record, with status
        ``running``.

        Parameters
        ----------
        parent : str or os.PathLike
            Such as ``results/runs``; made if it is missing.
        fields : dict
            model, row, options, engine, backend, device, precision, seed, hyperparameters,
            protocol, dataset, argv and parameters as docs/architecture.md has them. The other
            fields of a record (git, machine, versions, started, ...) are filled in unless given.
        run_id : str, optional
            The name of the run and its folder; default: one of `new_run_id`.

        Returns
        -------
        Run

        Raises
        ------
        UsageError
            There is a run of that name, or the name is not one of a folder.
        NeonRnnError
            A field is missing or of the wrong type, or the folder cannot be written.
        """
        started = now()
        record = {
            'schema': schema.SCHEMA,
            'status': 'running',
            'epochs': [],
            'validation': [],
            'final': None,
            'training_seconds': 0.0,
            'started': started,
            'ended': None,
            'resumed': [],
            'error': None,
        }
        record.update(_circumstances(), **_known(fields))
        missing = [name for name in _GIVEN if name not in record]
        if missing:
            raise NeonRnnError('a run record needs {}.'.format(', '.join(missing)))
        name = run_id or new_run_id(
            record['model'], record['engine'], record['backend'], record['seed'], started
        )
        record['run_id'] = name
        record = _checked(record, os.path.join(str(parent), name))
        if run_id is not None:
            check_run_id(parent, run_id)
        folder = new_folder(make_folder(parent), name, counted=run_id is None)
        record['run_id'] = os.path.basename(folder)
        run = cls(folder, record)
        for name, columns in TABLES:
            tables.write(run._path(name), columns, [])
        write_json(run._path(RECORD), record)
        return run

    @classmethod
    def open(cls, folder):
        """Open the run in an existing folder.

        Raises
        ------
        UsageError
            The folder holds no run.
        NeonRnnError
            Its record cannot be read, see `read_record`.
        """
        if not os.path.isfile(os.path.join(str(folder), RECORD)):
            raise UsageError('{}: is not a run folder (it holds no {}).'.format(folder, RECORD))
        return cls(folder, read_record(folder))

    def lock(self):
        """Return a context that keeps other processes from writing this run; it ends with the
        process.
        """
        return folder_lock(self.folder, 'training')

    def update(self, **fields):
        """Set fields of the record (whole ones, by their top-level names) and write it.

        Raises
        ------
        TypeError
            A record has no such field.
        NeonRnnError
            A field is of the wrong type, or the file cannot be written; the record here keeps what
            it held.
        """
        record = _checked(dict(self.record, **_known(fields)), self._path(RECORD))
        write_json(self._path(RECORD), record)
        self.record = record

    def add_minibatches(self, rows):
        """Append (epoch, minibatch, cost) rows to minibatches.csv; both count from 1.

        One call a second or an epoch is right: each ends in one write.
        """
        tables.append(self._path(MINIBATCHES), MINIBATCH_FIELDS, rows)

    def add_epoch(self, row, validation=None):
        """Append an epoch to epochs.csv and to the record, and add its seconds to
        `training_seconds`.

        Parameters
        ----------
        row : dict
            epoch (the one after the last), cost, accuracy (None without an evaluation), seconds,
            images_per_second.
        validation : float, optional
            The accuracy on the validation part, of a run that keeps the best epoch.

        Raises
        ------
        NeonRnnError
            The epoch is not the next one, or its cost is not a number: such a run has diverged and
            ends.
        """
        row = {
            'epoch': int(row['epoch']),
            'cost': float(row['cost']),
            'seconds': float(row['seconds']),
            'images_per_second': float(row['images_per_second']),
            'accuracy': None if row['accuracy'] is None else float(row['accuracy']),
        }
        if row['epoch'] != len(self.record['epochs']) + 1:
            raise NeonRnnError(
                '{}: epoch {} cannot follow epoch {}.'.format(
                    self.folder, row['epoch'], len(self.record['epochs'])
                )
            )
        if not all(math.isfinite(value) for value in row.values() if value is not None):
            raise NeonRnnError(
                '{}: epoch {} has a figure that is not a number: {}.'.format(
                    self.folder, row['epoch'], row
                )
            )
        tables.append(self._path(EPOCHS), EPOCH_FIELDS, [[row[name] for name, _ in EPOCH_FIELDS]])
        epochs = self.record['epochs'] + [row]
        fields = {}
        if validation is not None:
            measured = {'epoch': row['epoch'], 'accuracy': float(validation)}
            fields['validation'] = self.record.get('validation', []) + [measured]
        seconds = sum(each['seconds'] for each in epochs)
        self.update(epochs=epochs, training_seconds=seconds, **fields)

    def rewind(self, epoch, device):
        """Go back to the end of an epoch, to train on from its checkpoint (0: from the beginning).

        Cuts what lies beyond it from both tables and the record, notes the resumption there (when,
        on which machine, with which code), sets the status to ``running``.

        Parameters
        ----------
        epoch : int
        device : dict
            What the engine's `start` returned this time.

        Raises
        ------
        NeonRnnError
            The tables do not reach that far; nothing is changed.
        """
        reached = {}
        for name, columns in TABLES:
            rows = tables.read(self._path(name), columns)
            reached[name] = [row for row in rows if row[0] <= epoch]
            if epoch and (not rows or rows[-1][0] < epoch):
                raise NeonRnnError(
                    '{}: ends at epoch {}, before the checkpoint of epoch {}; the run cannot be '
                    'resumed.'.format(self._path(name), rows[-1][0] if rows else 0, epoch)
                )
        check_tables(self.folder, self.record, reached[EPOCHS], reached[MINIBATCHES], epoch)
        self.remove_leftovers()
        for name, columns in TABLES:
            tables.write(self._path(name), columns, reached[name])
        epochs = epoch_rows(reached[EPOCHS])
        measured = self.record.get('validation', [])  # older records have none
        self.update(
            epochs=epochs,
            validation=[each for each in measured if each['epoch'] <= epoch],
            status='running',
            final=None,
            ended=None,
            error=None,
            training_seconds=float(sum(row['seconds'] for row in epochs)),
            resumed=self.record['resumed']
            + [dict(_circumstances(), at_epoch=epoch, when=now(), device=device)],
        )

    def remove_leftovers(self):
        """Remove the temporary files that killed processes left in the folder; hold the lock."""
        for name in os.listdir(self.folder):
            if _LEFTOVER.match(name):
                os.unlink(self._path(name))

    def check_files(self):
        """Check that nobody has removed the tables of a run in progress.

        Raises
        ------
        NeonRnnError
            A table is gone, with rows that cannot be written again.
        """
        for name, _ in TABLES:
            if not os.path.isfile(self._path(name)):
                raise NeonRnnError(
                    '{}: was removed while the run was in progress.'.format(self._path(name))
                )

    def _path(self, name):
        return os.path.join(self.folder, name)


def _circumstances():
    """Describe the code, packages and machine with which a run begins or goes on."""
    return {
        'versions': machine.versions(),
        'git': machine.git_state(),
        'machine': machine.describe(),
    }


def _known(fields):
    """Return the fields; refuse one that no record has."""
    unknown = sorted(set(fields) - _NAMES)
    if unknown:
        raise TypeError('a run record has no field {}'.format(', '.join(unknown)))
    return fields


def _checked(record, path):
    """Return the record in plain lists and numbers, as a reader gets it; refuse an invalid one."""
    record = json.loads(json.dumps(record, allow_nan=False, default=_plain))
    schema.validate(record, path)
    return record


def _plain(value):
    """Return a NumPy number as a Python one."""
    if hasattr(value, 'item'):
        return value.item()
    raise TypeError('{!r} cannot be part of a run record'.format(value))
