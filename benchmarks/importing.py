"""Measure how fast synthetic pictures are imported and read back, and in how much memory."""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.load import processor_seconds
from neon_rnn.data.dataset import open_dataset
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.ingest.portraits import draw_portrait
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.sources.folder import import_folder
from neon_rnn.support.errors import UsageError
from neon_rnn.support.machine import cores
from neon_rnn.support.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench importing``."""
    parser.add_argument(
        '--images', type=int, default=4000, metavar='N', help='how many JPEG files (default 4000)'
    )
    parser.add_argument(
        '--source-size', type=int, default=160, metavar='PIXELS', help='their size (default 160)'
    )
    parser.add_argument(
        '--workers', type=int, default=cores(), metavar='N', help='processes (default: the cores)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Make pictures, import and read them, and report."""
    if arguments.images < 640:
        raise UsageError(
            f'--images {arguments.images}: fewer than 640 do not fill the minibatches measured.'
        )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_photographs(root / 'photos', arguments.images, arguments.source_size)
        settings = ImportSettings(str(root / 'set'), workers=arguments.workers)
        start, used = time.perf_counter(), processor_seconds()
        import_folder(root / 'photos', settings)
        seconds = time.perf_counter() - start
        workers = counted(arguments.workers, 'worker')
        print(f'import: {arguments.images / seconds:.0f} images/s with {workers}, {seconds:.1f} s')
        milliseconds = [
            1000 * (after - before) / arguments.images
            for before, after in zip(used, processor_seconds(), strict=True)
        ]
        print(
            f'processor time of an image: {sum(milliseconds):.2f} ms, {milliseconds[1]:.2f} ms of '
            'it in workers'
        )
        for who, name in (
            (resource.RUSAGE_SELF, 'this process'),
            (resource.RUSAGE_CHILDREN, 'the largest worker'),
        ):
            print(f'peak memory of {name}: {resource.getrusage(who).ru_maxrss / 1024:.0f} MiB')
        train = open_dataset(root / 'set').train
        start, count = time.perf_counter(), 0
        for minibatch in Minibatches(train, 128, epoch_order(train.count, 0, 1)):
            count += len(minibatch.labels)
        seconds = time.perf_counter() - start
        print(
            f'random reading: {count / seconds:.0f} images/s, '
            f'{128 * seconds / count * 1000:.1f} ms a minibatch of 128'
        )


def write_photographs(root: Path, count: int, size: int) -> None:
    """Write JPEG files, all different: some portraits, shifted and brightened block by block."""
    portraits = [draw_portrait(index % 2, 0, index, size).transpose(1, 2, 0) for index in range(32)]
    for index in range(count):
        label, random = index % 2, np.random.RandomState(index)
        pixels = np.roll(
            portraits[2 * random.randint(16) + label], random.randint(-20, 20, 2), (0, 1)
        ).astype(int)
        path = root / ('female', 'male')[label] / f'{index:06d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = np.kron(random.randint(-40, 40, (4, 4, 3)), np.ones((-(-size // 4),) * 2 + (1,)))
        pixels = np.clip(pixels + blocks[:size, :size], 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=90)
