"""Decodes photographs into one file in bounded memory, and continues there after a kill.

The spool is two files. ``pixels`` holds a row of C*H*W bytes for each photograph; a photograph that
cannot be used leaves a hole. ``finished.jsonl`` has a line for each block of photographs that was
decoded: its number, its key and one outcome for each photograph. The key covers the names, sizes
and times of the files and the preprocessing, so a changed source is decoded again. The rows of a
finished block are compared with their hashes before they are used.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from neon_rnn.data import images
from neon_rnn.data.images import Preprocessing
from neon_rnn.ingest.near_duplicates import signature
from neon_rnn.ingest.source import printable
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import make_folder, write_error

_BLOCK_BYTES = 12 << 20
_VERSION = 2


class Decoded(NamedTuple):
    """A usable photograph: the sha256 of its pixels, its own size, and its signature in hex."""

    sha256: str
    height: int
    width: int
    signature: str


class Refused(NamedTuple):
    """A photograph that cannot be used."""

    reason: str
    detail: str


Outcome = Decoded | Refused


@dataclasses.dataclass(frozen=True)
class Spool:
    """The decoded photographs of an import.

    Attributes
    ----------
    folder : Path
        Where the spool is kept.
    root : Path
        The folder that the names are relative to.
    names : sequence of str
    preprocessing : Preprocessing
    """

    folder: Path
    root: Path
    names: Sequence[str]
    preprocessing: Preprocessing

    @property
    def row(self) -> int:
        """Bytes of one image."""
        return 3 * self.preprocessing.height * self.preprocessing.width

    @property
    def block(self) -> int:
        """Photographs in a block."""
        return max(1, min(256, _BLOCK_BYTES // self.row))

    def decode(self, workers: int) -> list[Outcome]:
        """Decode the blocks that are not finished; return one outcome for each photograph.

        Raises
        ------
        NeonRnnError
            The disk is full. Finished blocks are kept for the next attempt.
        """
        make_folder(self.folder)
        finished = self._finished()
        tasks = [
            (
                self.folder / 'pixels',
                start,
                self.root,
                self.names[start : start + self.block],
                self.preprocessing,
                finished.get(start),
            )
            for start in range(0, len(self.names), self.block)
        ]
        outcomes: list[Outcome] = []
        journal = self.folder / 'finished.jsonl'
        with (
            _reported(journal),
            open(journal, 'a', encoding='utf-8') as lines,
            tqdm(
                total=len(self.names), unit='image', desc='decoding', leave=False, disable=None
            ) as progress,
        ):
            lines.write('\n')  # after a line that a kill cut short
            for entry in ordered_map(decode_block, tasks, workers):
                start, block = len(outcomes), entry['outcomes']
                if entry != finished.get(start):
                    lines.write(json.dumps({**entry, 'start': start}) + '\n')
                    lines.flush()
                outcomes += [(Refused if len(each) == 2 else Decoded)(*each) for each in block]
                progress.update(len(block))
        return outcomes

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the pixels at `indices`, in that order: uint8 (n, C*H*W).

        The file is read and not mapped: mapped pages count as memory of the process.

        Raises
        ------
        NeonRnnError
            The file is too short.
        """
        return _read(self.folder / 'pixels', self.row, indices)

    def blocks(self, indices: np.ndarray, size: int = 64) -> Iterator[np.ndarray]:
        """Yield the pixels at `indices`, in that order, in blocks: uint8 (n, C*H*W)."""
        with tqdm(
            total=len(indices), unit='image', desc='writing', leave=False, disable=None
        ) as progress:
            for start in range(0, len(indices), size):
                block = self.read(indices[start : start + size])
                yield block
                progress.update(len(block))

    def _finished(self) -> dict[int, dict]:
        """Return the blocks in the journal by their start; the last line may be cut short."""
        finished = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.folder / 'finished.jsonl').read_bytes().splitlines():
                with contextlib.suppress(ValueError, LookupError, AttributeError):
                    entry = json.loads(line)
                    finished[entry.pop('start')] = entry
        return finished


def decode_block(
    path: Path,
    start: int,
    root: Path,
    names: Sequence[str],
    preprocessing: Preprocessing,
    finished: dict | None = None,
) -> dict:
    """Decode photographs into the rows of `path` from `start` on, unless that is `finished`.

    Returns
    -------
    dict
        ``key`` and ``outcomes``, one list of the fields of `Decoded` or `Refused` for each name.
    """
    key = _key(root, names, preprocessing)
    row = 3 * preprocessing.height * preprocessing.width
    if finished and finished['key'] == key and _holds(path, row, start, finished['outcomes']):
        return finished
    outcomes: list[list] = []
    with _reported(path), open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), 'r+b') as file:
        for place, name in enumerate(names, start):
            try:
                data = images.read(os.path.join(root, name))
                pixels, size = images.decode_sized(data, preprocessing)
            except images.ImageError as error:
                outcomes.append([error.reason, printable(error.detail)])
                continue
            file.seek(place * row)
            file.write(pixels)
            digest = hashlib.sha256(pixels).hexdigest()
            outcomes.append([digest, *size, signature(pixels).tobytes().hex()])
    return {'key': key, 'outcomes': outcomes}


def _holds(path: Path, row: int, start: int, outcomes: list[list]) -> bool:
    """Say whether the rows of `path` from `start` on are those that were written for `outcomes`."""
    usable = [(place, each[0]) for place, each in enumerate(outcomes, start) if len(each) > 2]
    try:
        rows = _read(path, row, [place for place, _ in usable])
    except (NeonRnnError, OSError):
        return False
    return all(
        hashlib.sha256(pixels).hexdigest() == digest
        for pixels, (_, digest) in zip(rows, usable, strict=True)
    )


def _read(path: Path, row: int, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    pixels = np.empty((len(indices), row), dtype=np.uint8)
    with open(path, 'rb', buffering=0) as file:
        for target, index in zip(pixels, indices, strict=True):
            file.seek(int(index) * row)
            if file.readinto(target.data) != row:
                raise NeonRnnError(f'{path}: is cut short. Remove {path.parent} and import again.')
    return pixels


def _key(root: Path, names: Sequence[str], preprocessing: Preprocessing) -> str:
    files = []
    for name in names:
        try:
            status = os.stat(os.path.join(root, name))
            files.append((name, status.st_size, status.st_mtime_ns))
        except (OSError, ValueError):
            files.append((name, -1, -1))
    return hashlib.sha256(
        json.dumps([_VERSION, str(root), files, preprocessing.describe()]).encode()
    ).hexdigest()


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn an error of writing `path` into a message for the user."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error
