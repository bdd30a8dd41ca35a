"""Keep benchmarks, and write the page of all that are kept: docs/speeds.md.

    ./run.sh bench page                                  write the page anew
    ./run.sh bench page --add results/bench/bench.json --machine xeon-amx

A folder of `FOLDER` that has a ``name.txt`` belongs to a machine: the first line of this file is
its name, what follows tells how it was measured. The JSON files are what ``bench`` and
``bench predict`` wrote there.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import predicting, rows
from neon_rnn.support import files
from neon_rnn.support.errors import NeonRnnError, UsageError

ROOT = Path(__file__).resolve().parents[1]
FOLDER = 'docs/measurements'
PAGE = 'docs/speeds.md'
HEADER = f"""# Measured speeds
Each machine has the training speed of every network, beside a plain PyTorch port with channels-last
maps and beside `torch.compile` (max-autotune) of it, both with the engine's allocator settings; and
the speed of prediction, beside ONNX Runtime and OpenVINO. [Speed](performance.md) tells how
`./run.sh bench` measures. `./run.sh bench page` writes this page from the files that it links to; a
test compares.

Images/s are medians, with the 10th and 90th percentile in brackets. In training minibatches have
128 images, and "times" are how many times as fast the engine is as a peer, the median over turns.
The goal is {rows.GOAL} times the better peer; a figure that reaches it is bold. The share of the
roofline is that of the limits measured in the same run. In prediction the fastest is bold, in
float32 and in bf16.
"""


class Machine(NamedTuple):
    """A machine, and its benchmarks that are kept.

    Attributes
    ----------
    name, about : str
        What ``name.txt`` says: its first line, and the others.
    training, prediction : list of rows.Measured
    """

    name: str
    about: str
    training: list[rows.Measured]
    prediction: list[rows.Measured]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench page``."""
    parser.add_argument(
        '--add', metavar='FILE', help='a bench.json or predict.json to keep; needs --machine'
    )
    parser.add_argument(
        '--machine', metavar='NAME', help=f'the folder of its machine in {FOLDER}, such as xeon-amx'
    )
    parser.add_argument(
        '--out',
        default=str(ROOT / PAGE),
        metavar='FILE',
        help='the page to write (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> None:
    """Keep a benchmark, if one is given, and write the page.

    Raises
    ------
    UsageError
        Only one of ``--add`` and ``--machine`` is given, or there is no such machine.
    NeonRnnError
        A file is not a benchmark of this program.
    """
    if bool(arguments.add) != bool(arguments.machine):
        raise UsageError('--add and --machine go together: a benchmark, and whose it is.')
    if arguments.add:
        print(f'kept as {keep(Path(arguments.add), arguments.machine)}')
    files.write_text(arguments.out, page())
    print(f'written to {arguments.out}')


def keep(path: Path, machine: str) -> Path:
    """Copy a benchmark to the others of a machine, under a name that tells what it measured."""
    folder = ROOT / FOLDER / machine
    if not (folder / 'name.txt').is_file():
        raise UsageError(f'--machine {machine}: there is no {folder} with a name.txt.')
    figures = read(path)
    words = [str(word) for word in rows.network(figures) if word]
    if predicts(figures):
        words.insert(0, 'predict')
    words.append(re.sub('[-:T]', '', figures['when'])[:12])
    target = folder / ('-'.join(words) + '.json')
    files.write_text(target, json.dumps(figures, sort_keys=True) + '\n')
    return target


def read(path: Path) -> dict[str, Any]:
    """Read what ``bench`` with the part ``train`` has written, or ``bench predict``.

    Raises
    ------
    NeonRnnError
        The file is something else.
    """
    refused = f'{path}: is not a benchmark of training or prediction'
    try:
        figures = json.loads(path.read_text('utf-8'))
        known = figures['schema'] == 1 and figures['variants'] and rows.network(figures)
        known = known and (predicts(figures) or 'train' in figures['parts'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NeonRnnError(f'{refused} ({error}).') from None
    if not known:
        raise NeonRnnError(f'{refused}.')
    return figures


def predicts(figures: dict[str, Any]) -> bool:
    """Tell whether a benchmark is one of ``bench predict``."""
    return 'loads' in figures


def page() -> str:
    """Return the page of all machines."""
    return HEADER + ''.join(part for machine in machines() for part in section(machine))


def machines() -> list[Machine]:
    """Read all benchmarks that are kept."""
    found = []
    for name in sorted((ROOT / FOLDER).glob('*/name.txt')):
        title, _, about = name.read_text('utf-8').partition('\n')
        machine = Machine(title.strip(), about.strip(), [], [])
        for path in sorted(name.parent.glob('*.json')):
            figures = read(path)
            link = path.relative_to((ROOT / PAGE).parent).as_posix()
            group = machine.prediction if predicts(figures) else machine.training
            group.append(rows.Measured(link, figures))
        found.append(machine)
    return found


def section(machine: Machine) -> Iterator[str]:
    """Iterate over the parts of the section of a machine."""
    yield f'\n## {machine.name}\n'
    if machine.about:
        yield f'{machine.about}\n\n'
    if machine.training:
        yield rows.limits(machine.training)
        yield from rows.tables(machine.training)
    if machine.prediction:
        yield from _predictions(machine.prediction)


def _predictions(measured: Sequence[rows.Measured]) -> Iterator[str]:
    """Tabulate the latest benchmark of prediction; name the others."""
    *earlier, latest = sorted(measured, key=lambda each: each.figures['when'])
    yield f'\nPrediction, {rows.label(latest)}, [{latest.when}]({latest.path})'
    others = ', '.join(f'[{each.when}]({each.path})' for each in reversed(earlier))
    yield f' (earlier: {others}):\n' if others else ':\n'
    for noticed in latest.figures['loads']:
        busy = noticed['busy_processes']
        words = predicting.describe(latest.figures['plan'], noticed)
        yield '\n' + ('' if busy else 'Alone. ') + words + '\n'
        yield predicting.table(latest.figures['variants'], busy)
