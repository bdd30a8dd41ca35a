"""Decodes photographs into one file in bounded memory, and continues there after a kill.

The spool is two files. ``pixels`` holds a row of C*H*W bytes for each photograph; a photograph that
cannot be used leaves a hole. ``finished.jsonl`` has a line for each block of photographs that was
decoded: its start, its key and one outcome for each photograph. The key covers the names, sizes
and times of the files and the preprocessing, so a changed source is decoded again. The rows of a
finished block are compared with their hashes before they are used.
"""

import contextlib
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
from neon_rnn.ingest import decoding
from neon_rnn.ingest.near_duplicates import signature
from neon_rnn.ingest.source import printable
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.files import make_folder, write_error

_BLOCK_BYTES = 12 << 20
_VERSION = 2
#: From so many photographs on, a compiled loop saves more time than loading Numba takes.
_MANY = 2000


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


class Spool:
    """The decoded photographs of an import.

    Parameters
    ----------
    folder : Path
        Where the spool is kept.
    root : Path
        The folder that the names are relative to.
    names : sequence of str
    preprocessing : Preprocessing
    """

    def __init__(
        self, folder: Path, root: Path, names: Sequence[str], preprocessing: Preprocessing
    ) -> None:
        self.pixels, self.journal = folder / 'pixels', folder / 'finished.jsonl'
        self.root, self.names, self.preprocessing = root, names, preprocessing
        self.row = 3 * preprocessing.height * preprocessing.width
        make_folder(folder)

    def decode(self, workers: int) -> list[Outcome]:
        """Decode the blocks that are not finished; return one outcome for each photograph.

        Raises
        ------
        NeonRnnError
            The disk is full. Finished blocks are kept for the next attempt.
        """
        size = max(1, min(256, _BLOCK_BYTES // self.row))
        finished = self._finished()
        tasks = [
            (
                self.pixels,
                start,
                self.root,
                self.names[start : start + size],
                self.preprocessing,
                finished.get(start),
                len(self.names) >= _MANY,
            )
            for start in range(0, len(self.names), size)
        ]
        outcomes: list[Outcome] = []
        with (
            _reported(self.journal),
            open(self.journal, 'a', encoding='utf-8') as lines,
            tqdm(
                total=len(self.names), unit='image', desc='decoding', leave=False, disable=None
            ) as progress,
        ):
            lines.write('\n')  # after a line that a kill cut short
            for entry in ordered_map(decode_block, tasks, workers):
                if entry != finished.get(entry['start']):
                    lines.write(json.dumps(entry) + '\n')
                    lines.flush()
                outcomes += [
                    (Refused if len(each) == 2 else Decoded)(*each) for each in entry['outcomes']
                ]
                progress.update(len(entry['outcomes']))
        return outcomes

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the pixels at `indices`, in that order: uint8 (n, C*H*W)."""
        return _rows(self.pixels, self.row)[indices]

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
        """Return the blocks in the journal by their start."""
        finished = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.journal.read_bytes().splitlines():
                with contextlib.suppress(ValueError):  # a line that was cut short
                    entry = json.loads(line)
                    finished[entry['start']] = entry
        return finished


def decode_block(
    path: Path,
    start: int,
    root: Path,
    names: Sequence[str],
    preprocessing: Preprocessing,
    finished: dict | None,
    compiled: bool,
) -> dict:
    """Decode photographs into the rows of `path` from `start` on, unless that is `finished`.

    `compiled` says whether to scale by a compiled loop.

    Returns
    -------
    dict
        ``start``, ``key`` and ``outcomes``: for each name the fields of `Decoded` or `Refused`.
    """
    key = _key(root, names, preprocessing)
    row = 3 * preprocessing.height * preprocessing.width
    if finished and finished['key'] == key and _holds(path, row, start, finished['outcomes']):
        return finished
    resize = decoding.compiled_resize() if compiled else None
    outcomes: list[list] = []
    with _reported(path), open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), 'r+b') as file:
        for place, name in enumerate(names, start):
            try:
                data = images.read(os.path.join(root, name))
                pixels, size = decoding.decode(data, preprocessing, resize)
            except images.ImageError as error:
                outcomes.append([error.reason, printable(error.detail)])
                continue
            # Written and not mapped: a full disk is an error then, and does not kill the process.
            file.seek(place * row)
            file.write(pixels.data)
            digest = hashlib.sha256(pixels.data).hexdigest()
            outcomes.append([digest, *size, signature(pixels).tobytes().hex()])
    return {'start': start, 'key': key, 'outcomes': outcomes}


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


def _holds(path: Path, row: int, start: int, outcomes: list[list]) -> bool:
    """Say whether the rows of `path` from `start` on are those that were written for `outcomes`."""
    usable = {place: each[0] for place, each in enumerate(outcomes, start) if len(each) > 2}
    try:
        pixels = _rows(path, row)[list(usable)] if usable else ()
    except (OSError, ValueError, IndexError):  # missing, empty or cut short
        return False
    return [hashlib.sha256(each).hexdigest() for each in pixels] == list(usable.values())


def _rows(path: Path, row: int) -> np.ndarray:
    """Map the file for a moment: what stays mapped counts as memory of the process."""
    pixels = np.memmap(path, np.uint8, 'r')
    return pixels[: len(pixels) // row * row].reshape(-1, row)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn an error of writing `path` into a message for the user."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error
