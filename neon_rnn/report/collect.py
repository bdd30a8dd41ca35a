"""Reads all run records; what cannot be used is listed with the reason, never hidden."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neon_rnn.runs import records
from neon_rnn.support.errors import NeonRnnError, UsageError


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    folder
        Name of its folder below the folder of runs.
    record
        What its ``record.json`` holds, validated.
    """

    folder: str
    record: dict[str, Any]


@dataclass(frozen=True)
class Collection:
    """All runs below a folder.

    Attributes
    ----------
    runs
        Those that can be used, by the names of their folders.
    unreadable
        (folder, reason) of each record that cannot be read.
    duplicates
        (folder, reason) of each record left out because another one has its run id.
    """

    runs: list[Run] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)


def collect(folder: Path) -> Collection:
    """Read the records of all runs below `folder`.

    Of several records with one run id, the one in the folder of that name counts, or else the first by folder name.

    Parameters
    ----------
    folder
        Such as ``results/runs``. Hidden folders and plain files in it are not runs.

    Raises
    ------
    UsageError
        There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f'{folder}: there is no such folder of runs. Train a network first, or name another with --runs.'
        )
    collection = Collection()
    names = sorted(
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith('.')
    )
    by_id: dict[str, list[Run]] = {}
    for name in names:
        path = folder / name / records.RECORD
        try:
            run = Run(name, records.read_record(path))
        except NeonRnnError as error:
            # Without the way to the folder of runs: the report is the same wherever the repository lies.
            reason = str(error).replace(f'{path}: ', '', 1)
            collection.unreadable.append((name, reason))
            continue
        by_id.setdefault(run.record['run_id'], []).append(run)
    for run_id, runs in by_id.items():
        kept = next((run for run in runs if run.folder == run_id), runs[0])
        collection.runs.append(kept)
        for run in runs:
            if run is not kept:
                collection.duplicates.append(
                    (
                        run.folder,
                        f'has the run id {run_id} of the record in {kept.folder} and is left out',
                    )
                )
    collection.runs.sort(key=lambda run: run.folder)
    collection.duplicates.sort()
    return collection
