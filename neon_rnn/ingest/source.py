"""What every data source hands over: the photographs it lists, and what was left out and why."""

import argparse
import collections
import csv
import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


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
        Identifier of the person shown; empty if the source names none (each photograph then counts as a person).
    part : str
        ``'train'``, ``'test'`` or ``'val'`` where the source fixes it, else empty.
    """

    name: str
    label: int
    person: str = ''
    part: str = ''


class Dropped:
    """What is not used: a count for each reason, in the order the reasons first came up, and the names of the files."""

    def __init__(self) -> None:
        self._names: dict[str, list[tuple[str, str]]] = collections.OrderedDict()

    def add(self, reason: str, name: str, detail: str = '') -> None:
        """Note one photograph."""
        self._names.setdefault(reason, []).append((name, detail))

    def expect(self, *reasons: str) -> None:
        """List these reasons even when nothing is dropped for them: a filter that found nothing was still applied."""
        for reason in reasons:
            self._names.setdefault(reason, [])

    def filters(self) -> list[dict]:
        """For ``dataset.json``: ``[{'reason': ..., 'dropped': count}, ...]``."""
        return [{'reason': reason, 'dropped': len(names)} for reason, names in self._names.items()]

    def __len__(self) -> int:
        return sum(map(len, self._names.values()))

    def rows(self) -> Iterable[tuple[str, str, str]]:
        """(reason, file, detail) of each photograph."""
        for reason, names in self._names.items():
            for name, detail in names:
                yield reason, name, detail

    def csv(self) -> str:
        """The rows as CSV with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(('reason', 'file', 'detail'))
        writer.writerows(tuple(map(printable, row)) for row in self.rows())
        return text.getvalue()


@dataclasses.dataclass
class Listing:
    """What a source lists.

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


class Source(Protocol):
    """A module of this package that knows one data set."""

    #: Name in ``dataset.json``.
    NAME: str
    #: Source, terms and what to know, for ``dataset.json``: ``origin``, ``terms``, ``label_meaning``.
    CARD: dict[str, str]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Options beyond the common ones."""

    def listing(
        self, folders: list[Path], arguments: argparse.Namespace, dropped: Dropped
    ) -> Listing:
        """Read the metadata of the unpacked distribution."""


def printable(text: str) -> str:
    """A file name that is not UTF-8 (surrogates, in Python) as text that can be written."""
    return text.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
