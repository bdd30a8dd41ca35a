"""Predictions as a CSV file that grows by whole lines, so that an interrupted one can be finished.

Its columns are image, class, probability, ``p_<class>`` for each class, error and source (the run
and epoch that predicted).
"""

import csv
import hashlib
import io
import os

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import check_writable, write_error


class PredictionTable:
    """A CSV file of predictions, new or to be finished.

    Parameters
    ----------
    path : str
    class_names : list of str
    source : str
        What predicts. A file of another source is not gone on with.

    Attributes
    ----------
    done : set of bytes
        The images that have a line already, as `key` gives them.

    Raises
    ------
    UsageError
        The file cannot be written, is something else, or is of another source.
    """

    def __init__(self, path, class_names, source):
        check_writable(path)
        self.path, self.class_names, self.source = path, list(class_names), source
        self.columns = ['image', 'class', 'probability']
        self.columns += ['p_' + name for name in class_names] + ['error', 'source']
        self.done = set()
        if os.path.exists(path) and os.path.getsize(path):
            self._keep_whole_lines()
        else:
            self._append([self.columns])

    @staticmethod
    def key(image):
        """Return what stands for an image's path: 16 bytes, however long the path is."""
        return hashlib.sha256(os.fsencode(image)).digest()[:16]

    def add(self, results):
        """Append a line for each result.

        Parameters
        ----------
        results : list of dict
            ``image`` with ``error``, or with ``class``, ``probability`` and ``probabilities``.

        Raises
        ------
        NeonRnnError
            The file cannot be written to.
        """
        rows = []
        for result in results:
            probabilities = result.get('probabilities', {})
            rows.append(
                [result['image'], result.get('class', ''), result.get('probability', '')]
                + [probabilities.get(name, '') for name in self.class_names]
                + [result.get('error', ''), self.source]
            )
            self.done.add(self.key(result['image']))
        self._append(rows)

    def _append(self, rows):
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(rows)
        try:
            # One write: a kill leaves at most one torn line.
            with open(self.path, 'ab') as file:
                file.write(text.getvalue().encode('utf-8', 'surrogateescape'))
        except OSError as error:
            raise write_error(self.path, error)

    def _keep_whole_lines(self):
        """Note what is there, and cut off a line that a killed process left torn."""
        end, number = 0, 0
        with open(self.path, 'rb') as file:
            lines = _Lines(file)
            try:
                for number, row in enumerate(csv.reader(lines, strict=True), 1):
                    if not lines.last.endswith(b'\n'):
                        break
                    self._check(row, number)
                    end = lines.position
            except csv.Error:  # the file ends within quotes
                pass
            if end == 0 and not ','.join(self.columns).startswith(
                lines.last.decode('utf-8', 'replace')
            ):
                raise self._foreign(lines.last.decode('utf-8', 'replace'))
        if end < os.path.getsize(self.path):
            os.truncate(self.path, end)
        if end == 0:
            self._append([self.columns])

    def _check(self, row, number):
        if number == 1:
            if row != self.columns:
                raise self._foreign(','.join(row))
            return
        if len(row) != len(self.columns):
            raise NeonRnnError(
                '{}, row {}: has {} columns instead of {}. Choose another file, or repair this '
                'one.'.format(self.path, number, len(row), len(self.columns))
            )
        if row[-1] != self.source:
            raise UsageError(
                '{}: was written by {}, not by {}; choose another file.'.format(
                    self.path, row[-1], self.source
                )
            )
        self.done.add(self.key(row[0]))

    def _foreign(self, line):
        return UsageError(
            '{}: is not a table of predictions of these classes (its first line reads {:.200}). '
            'Choose another file.'.format(self.path, line.strip())
        )


class _Lines:
    """The lines of a binary file as text; knows the last one, and how far was read."""

    def __init__(self, file):
        self.file, self.position, self.last = file, 0, b''

    def __iter__(self):
        for line in self.file:
            self.position += len(line)
            self.last = line
            yield line.decode('utf-8', 'surrogateescape')
