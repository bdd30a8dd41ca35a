"""Read all run records; a record that cannot be used is listed with the reason."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neon_rnn.report.validation import validate
from neon_rnn.runs import records
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import read_json
from neon_rnn.support.wording import printable

#: Larger files are not read, in bytes. A record of a thousand epochs has 150 kB.
LARGEST_RECORD = 16 << 20


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    folder
        Name of its folder below the folder of runs.
    record
        The content of its ``record.json``, checked; its texts are printable and of limited length.
    own
        True for a run of the user, where those of others are shown beside it.
    """

    folder: str
    record: dict[str, Any]
    own: bool = False


@dataclass(frozen=True)
class Collection:
    """All runs below a folder.

    Attributes
    ----------
    runs
        Runs that can be used, in the order of their folders.
    unreadable
        (folder, reason) of each record that cannot be read.
    duplicates
        (folder, reason) of each record left out because another one has its run id.
    """

    runs: list[Run] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)


def collect(folder: Path, *others: Path) -> Collection:
    """Read the records of all runs below a folder, and below other ones.

    If several records have one run id, the one in the folder of that name counts, or else the first
    by folder name.

    Parameters
    ----------
    folder
        Such as ``results/runs``. Hidden folders and plain files in it are not runs.
    others
        More folders of runs. Their runs are named by the way from `folder` to them. Those of
        `folder` are then the user's own.

    Raises
    ------
    UsageError
        There is no such folder, or it cannot be listed.
    """
    names = dict.fromkeys(_names(folder), bool(others))
    for other in others:
        names |= {os.path.relpath(other / name, folder): False for name in _names(other)}
    collection = Collection()
    by_id: dict[str, list[Run]] = {}
    for name, own in names.items():
        if not os.path.isdir(folder / name):
            continue
        try:
            run = Run(name, _read(folder / name), own)
        except NeonRnnError as error:
            # Without the path of the folder: the report is the same wherever the repository lies.
            reason = str(error).replace(f'{folder / name / records.RECORD}: ', '', 1)
            collection.unreadable.append((printable(name), printable(reason)))
            continue
        by_id.setdefault(run.record['run_id'], []).append(run)
    for run_id, runs in by_id.items():
        kept = next((run for run in runs if run.folder == run_id), runs[0])
        collection.runs.append(kept)
        reason = f'has the run id {run_id} of the record in {kept.folder} and is left out'
        collection.duplicates.extend((run.folder, reason) for run in runs if run is not kept)
    collection.runs.sort(key=lambda run: run.folder)
    collection.duplicates.sort()
    return collection


def _names(folder: Path) -> list[str]:
    """Return the names in a folder of runs, sorted; hidden ones are left out."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith('.'))
    except OSError as error:
        raise UsageError(
            f'{folder}: there is no such folder of runs ({error.strerror}). Train a network first, '
            'or name another folder with --runs.'
        )


def _read(folder: Path) -> dict[str, Any]:
    """Read and check the record of one run."""
    path = folder / records.RECORD
    if printable(folder.name) != folder.name:
        raise NeonRnnError(f'{path}: the name of the folder is not plain text; rename it.')
    try:
        if path.exists() and not path.is_file():
            raise NeonRnnError(f'{path}: is not a regular file.')
        if path.exists() and path.stat().st_size > LARGEST_RECORD:
            raise NeonRnnError(
                f'{path}: has more than {LARGEST_RECORD >> 20} MiB, too much for a run record.'
            )
        record = read_json(path)
        validate(record, str(path))
        return _cleaned(record)
    except (OSError, ValueError, RecursionError) as error:
        raise NeonRnnError(f'{path}: cannot be read ({type(error).__name__}: {error}).')


def _cleaned(value: Any) -> Any:
    """Return a part of a record with printable texts of limited length."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): _cleaned(each) for key, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list) else value
