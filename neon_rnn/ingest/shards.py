"""Decodes photographs in bounded memory: shards of a few hundred, each written by a worker and whole or not there.

A shard is two files: ``NNNNN.pixels``, uint8 rows of C*H*W, one for each photograph (zero where it cannot be used), and
``NNNNN.json``, written last, with its key and one outcome each: the sha256 of the pixels, or [reason, detail]. The key
covers names, sizes and times of the files and the preprocessing, so an interrupted import goes on with the shards that
are finished, and a changed source is decoded again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from neon_rnn.data import images
from neon_rnn.data.images import Preprocessing
from neon_rnn.ingest.source import printable
from neon_rnn.ingest.workers import ordered_map
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import atomic_file, make_folder, read_json, write_json

_BYTES = 12 << 20
_VERSION = 1


class Shards:
    """The decoded photographs of an import.

    Parameters
    ----------
    folder : Path
        Where the shards are kept.
    root : Path
        What the names are relative to.
    names : sequence of str
    preprocessing : Preprocessing
    """

    def __init__(
        self, folder: Path, root: Path, names: Sequence[str], preprocessing: Preprocessing
    ) -> None:
        self.folder, self.root, self.names, self.preprocessing = folder, root, names, preprocessing
        self.row = 3 * preprocessing.height * preprocessing.width
        self.rows = max(1, min(256, _BYTES // self.row))

    def decode(self, workers: int) -> list[str | tuple[str, str]]:
        """Decode what is not decoded yet.

        Returns
        -------
        list
            For each photograph the sha256 of its pixels, or (reason, detail) if it cannot be used.

        Raises
        ------
        NeonRnnError
            The disk is full; finished shards are kept for the next attempt.
        """
        make_folder(self.folder)
        tasks = [
            (
                str(self.folder),
                number,
                str(self.root),
                self.names[start : start + self.rows],
                self.preprocessing,
            )
            for number, start in enumerate(range(0, len(self.names), self.rows))
        ]
        outcomes: list[str | tuple[str, str]] = []
        with tqdm(
            total=len(self.names), unit='image', desc='decoding', leave=False, disable=None
        ) as progress:
            for shard in ordered_map(decode_shard, tasks, workers):
                outcomes.extend(
                    outcome if isinstance(outcome, str) else (outcome[0], outcome[1])
                    for outcome in shard
                )
                progress.update(len(shard))
        return outcomes

    def blocks(self, indices: np.ndarray, size: int = 64) -> Iterator[np.ndarray]:
        """The pixels at `indices`, in that order, in blocks: uint8 (n, C*H*W)."""
        with tqdm(
            total=len(indices), unit='image', desc='writing', leave=False, disable=None
        ) as progress:
            for start in range(0, len(indices), size):
                block = indices[start : start + size]
                yield np.stack([self._read(int(index)) for index in block])
                progress.update(len(block))

    def _read(self, index: int) -> np.ndarray:
        path, position = _pixels(self.folder, index // self.rows), index % self.rows
        pixels = np.fromfile(path, np.uint8, count=self.row, offset=position * self.row)
        if len(pixels) != self.row:
            raise NeonRnnError(f'{path}: is cut short. Remove {self.folder} and import again.')
        return pixels


def decode_shard(
    folder: str, number: int, root: str, names: Sequence[str], preprocessing: Preprocessing
) -> list[str | list[str]]:
    """Decode one shard, unless it is finished; returns its outcomes."""
    key = _key(root, names, preprocessing)
    record = Path(folder, f'{number:05d}.json')
    if record.exists():
        finished = read_json(record)
        if finished['key'] == key:
            return finished['outcomes']
        record.unlink()
    pixels = np.zeros((len(names), 3 * preprocessing.height * preprocessing.width), dtype=np.uint8)
    outcomes: list[str | list[str]] = []
    for position, name in enumerate(names):
        try:
            pixels[position] = images.load(os.path.join(root, name), preprocessing).ravel()
            outcomes.append(hashlib.sha256(pixels[position]).hexdigest())
        except images.ImageError as error:
            outcomes.append([error.reason, printable(error.detail)])
    with atomic_file(_pixels(Path(folder), number)) as file:
        file.write(pixels)
    write_json(record, {'key': key, 'outcomes': outcomes})
    return outcomes


def _pixels(folder: Path, number: int) -> Path:
    return folder / f'{number:05d}.pixels'


def _key(root: str, names: Sequence[str], preprocessing: Preprocessing) -> str:
    files = []
    for name in names:
        try:
            status = os.stat(os.path.join(root, name))
            files.append((name, status.st_size, status.st_mtime_ns))
        except (OSError, ValueError):
            files.append((name, -1, -1))
    return hashlib.sha256(
        json.dumps([_VERSION, root, files, preprocessing.describe()]).encode()
    ).hexdigest()
