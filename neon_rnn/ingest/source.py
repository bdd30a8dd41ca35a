"""The photographs that a source lists, and the files that are left out."""

import collections
import csv
import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Photograph:
    """One listed photograph.

    Attributes
    ----------
    name : str
        Path relative to the source's folder.
    label : int
        Class index.
    person : str
        Identifier of the person shown, or empty. A photograph without one counts as a person.
    part : str
        ``'train'``, ``'test'`` or ``'val'`` where the source fixes it, else empty.
    """

    name: str
    label: int
    person: str = ''
    part: str = ''


class Dropped:
    """The files that are not used, by reason, in the order in which the reasons came up."""

    def __init__(self) -> None:
        self._names: dict[str, list[tuple[str, str]]] = collections.OrderedDict()

    def add(self, reason: str, name: str, detail: str = '') -> None:
        """Note one file."""
        self._names.setdefault(reason, []).append((name, detail))

    def expect(self, *reasons: str) -> None:
        """List these reasons even if no file is dropped for them: the filters were applied."""
        for reason in reasons:
            self._names.setdefault(reason, [])

    def filters(self) -> list[dict]:
        """Return the counts for ``dataset.json``: ``[{'reason': ..., 'dropped': count}, ...]``."""
        return [{'reason': reason, 'dropped': len(names)} for reason, names in self._names.items()]

    def count(self, reason: str) -> int:
        """Return how many files were dropped for a reason."""
        return len(self._names.get(reason, ()))

    def main_reason(self) -> str:
        """Return a sentence about the most frequent reason, or an empty text."""
        if not len(self):
            return ''
        reason, names = max(self._names.items(), key=lambda entry: len(entry[1]))
        return (
            f'The most frequent reason: {reason} ({len(names):,} of {len(self):,}, '
            f'such as {printable(names[0][0])}).'
        )

    def __len__(self) -> int:
        return sum(map(len, self._names.values()))

    def rows(self) -> Iterable[tuple[str, str, str]]:
        """Yield (reason, file, detail) of each file."""
        for reason, names in self._names.items():
            for name, detail in names:
                yield reason, name, detail

    def csv(self) -> str:
        """Return the rows as CSV with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(('reason', 'file', 'detail'))
        writer.writerows(tuple(map(printable, row)) for row in self.rows())
        return text.getvalue()


@dataclasses.dataclass
class Listing:
    """The photographs of a source.

    Attributes
    ----------
    root : Path
        The folder that the names are relative to.
    photographs : list of Photograph
        In a fixed order.
    class_names : list of str
    """

    root: Path
    photographs: list[Photograph]
    class_names: list[str]


def printable(text: str) -> str:
    """Return a file name as text that can be written, also if it is not UTF-8."""
    return text.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
