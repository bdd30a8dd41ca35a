"""Measure prediction beside ONNX Runtime and OpenVINO: of pixels, and of JPEG files end to end.

    ./run.sh bench predict --peers-python .venv-peers/bin/python

By batch size, on a quiet machine and beside other programs that compute. The peers get the network
that `neon_rnn export --format onnx` writes. Everybody reads the files as `neon_rnn predict` does,
with threads that decode the next minibatches while the network computes.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import load, measure, report, suite
from benchmarks.command import listed
from benchmarks.importing import write_photographs
from benchmarks.variants import Variant, Worker
from neon_rnn import engines, models
from neon_rnn.runs import records
from neon_rnn.support import machine, paths, processes
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import check_writable, make_folder, write_json, write_text
from neon_rnn.support.wording import counted

PEERS = ('onnxruntime', 'openvino', 'eager', 'channels_last', 'compiled')
#: Pictures that are classified, and their sides in pixels.
PICTURES, SIDE = 256, 200
WAYS = {'predict': 'pixels', 'files': 'JPEG files'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench predict``."""
    add = parser.add_argument
    add('--model', default='rnn', metavar='NAME', help='the network (default: %(default)s)')
    add('--side', type=int, default=128, metavar='PIXELS', help='default: %(default)s')
    add('--batches', default='1,32,128', metavar='LIST', help='batch sizes (default: %(default)s)')
    add('--busy', default='0,1', metavar='LIST', help='other programs (default: %(default)s)')
    add(
        '--threads',
        type=int,
        metavar='N',
        help='processor threads (default: the engine takes the free cores, its peers all)',
    )
    add(
        '--seconds',
        type=float,
        default=2,
        metavar='S',
        help='time for each figure (default: %(default)s)',
    )
    add(
        '--peers',
        default='onnxruntime,openvino',
        metavar='LIST',
        help='any of {}, or none (default: %(default)s)'.format(', '.join(PEERS)),
    )
    add(
        '--peers-python',
        default=os.environ.get('PEERS_PYTHON'),
        metavar='FILE',
        help='a Python that has benchmarks/peers.txt (default: $PEERS_PYTHON, else this one)',
    )
    add(
        '--out',
        default=paths.in_home('results/bench'),
        metavar='FOLDER',
        help='for predict.json and predict.md (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, write and print the tables; return 1 if a variant failed."""
    batches = _numbers('batches', arguments.batches, 1)
    loads = _numbers('busy', arguments.busy, 0)
    peers = () if arguments.peers == 'none' else listed('peers', arguments.peers, PEERS)
    if arguments.peers_python:
        processes.check_program(arguments.peers_python, '--peers-python')
    for name in ('side', 'threads', 'seconds'):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise UsageError(f'--{name} is {value}; it has to be positive.')
    models.builder(arguments.model)
    make_folder(arguments.out)
    check_writable(os.path.join(arguments.out, 'predict.json'))
    engines.load('torch')
    plan = suite.Plan(
        arguments.model,
        'cpu',
        max(batches),
        arguments.side,
        arguments.threads,
        arguments.seconds,
        None,
        0,
        arguments.peers_python,
        peers,
    )
    figures = compare(plan, batches, loads)
    text = markdown(figures)
    write_json(os.path.join(arguments.out, 'predict.json'), figures)
    write_text(os.path.join(arguments.out, 'predict.md'), text)
    print(text)
    print(f'written to {arguments.out}')
    return 1 if any('error' in each for each in figures['variants'].values()) else 0


def compare(plan: suite.Plan, batches: list[int], loads: list[int]) -> dict[str, Any]:
    """Measure all variants by batch size, way and load, in turns.

    They are started beside the load, since the engine takes the cores that others leave free.

    Returns
    -------
    dict
        ``variants``: key -> ``label``, ``check`` and ``speeds``, a list of ``busy``, ``way``,
        ``batch`` and the spread of images/s; ``skipped``, ``loads`` (a `load.Watch` for each
        number of other programs, and ``threads`` of each variant that tells), and what describes
        the run.
    """
    noticed = []
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, suite.referenced(plan, plan.lineup()) as found:
        write_photographs(Path(folder), PICTURES, SIDE)
        files = sorted(str(path) for path in Path(folder).rglob('*.jpg'))
        for busy in loads:
            watch, workers = load.Watch(), dict[str, Worker]()
            with load.busy(busy):
                try:
                    for variant in found.variants:
                        _start(variant, files, results, workers)
                    threads = {key: worker.about.get('threads') for key, worker in workers.items()}
                    for batch in batches:
                        for way in WAYS:
                            _measure(results, workers, (busy, way, batch), plan.seconds)
                finally:
                    for worker in workers.values():
                        worker.kill()
            noticed.append({**watch.figures(busy), 'threads': threads})
    return {
        'schema': 1,
        'plan': {**plan._asdict(), 'options': dict(plan.options)},
        'machine': machine.describe(),
        'versions': machine.versions(),
        'git': machine.git_state(),
        'when': records.now(),
        'variants': results,
        'skipped': found.skipped,
        'loads': noticed,
    }


def _start(
    variant: Variant, files: list[str], results: dict[str, Any], workers: dict[str, Worker]
) -> None:
    """Start a variant's worker and check it."""
    spec = dict(variant.spec, files=files, trains=False)
    entry = results.setdefault(variant.key, {'label': variant.label, 'speeds': []})
    try:
        worker = workers[variant.key] = Worker(variant._replace(spec=spec))
        entry['check'] = measure.checked(worker)
    except NeonRnnError as error:
        entry['error'] = str(error)
        if variant.key in workers:
            workers.pop(variant.key).kill()


def _measure(
    results: dict[str, Any],
    workers: dict[str, Worker],
    case: tuple[int, str, int],
    seconds: float,
) -> None:
    """Measure one figure of every variant; a worker that fails is removed."""
    busy, way, batch = case
    request = f'{way} {batch}'
    measure.ask_in_turns(results, workers, request, seconds)
    for entry in results.values():
        answers = entry.pop(request, None)
        if answers:
            speed = measure.spread(
                [answer.get('images', batch) / answer['seconds'] for answer in answers]
            )
            entry['speeds'].append({'busy': busy, 'way': way, 'batch': batch, **speed})


def _numbers(option: str, text: str, least: int) -> list[int]:
    """Return the whole numbers of a list with commas.

    Raises
    ------
    UsageError
        A word is not a number, or below `least`.
    """
    words = text.split(',')
    if not all(word.isdigit() and int(word) >= least for word in words):
        raise UsageError(f'--{option} {text}: has to be numbers of at least {least}, with commas.')
    return [int(word) for word in words]


def markdown(figures: dict[str, Any]) -> str:
    """Return the tables: one for each load, with the load that was noticed."""
    plan = figures['plan']
    sections = [
        '# Prediction of {}\n'.format(plan['model']),
        '{cpu}, {cores} cores, {memory_gib} GiB; {system}. {when}, commit {commit}. Images of '
        '{side} x {side}; JPEG files of {jpeg} x {jpeg}. Images/s, the median with the 10th and '
        '90th percentile, in turns.\n'.format(
            when=figures['when'],
            commit=(figures['git'].get('commit') or 'unknown')[:10],
            side=plan['side'],
            jpeg=SIDE,
            **figures['machine'],
        ),
    ]
    for noticed in figures['loads']:
        busy = noticed['busy_processes']
        sections.append(f'## Beside {counted(busy, "other program")}\n' if busy else '## Alone\n')
        sections += [describe(plan, noticed), table(figures['variants'], busy)]
    sections += [
        '- {label}: not measured, {reason}'.format(**each) for each in figures['skipped'].values()
    ]
    return '\n'.join(sections)


def describe(plan: dict[str, Any], noticed: dict[str, Any]) -> str:
    """Say in a line what else the machine did, and how many threads the engine chose for it."""
    threads = noticed.get('threads', {}).get('torch-float32')
    chosen = f'The engine chose {counted(threads, "thread")}. ' if threads else ''
    return ('' if plan['threads'] else chosen) + load.describe(noticed)


def table(variants: dict[str, Any], busy: int) -> str:
    """Tabulate the speeds beside so many other programs; the fastest of a precision is bold.

    float32 comes before bf16, and the engine before its peers.
    """
    order = sorted(variants, key=lambda key: (key.endswith('bf16'), not key.startswith('torch')))
    variants = {key: variants[key] for key in order}
    found = {
        key: {
            (list(WAYS).index(speed['way']), speed['batch']): speed
            for speed in entry['speeds']
            if speed['busy'] == busy
        }
        for key, entry in variants.items()
    }
    cases = sorted({case for speeds in found.values() for case in speeds})
    fastest: dict[tuple[str, tuple[int, int]], float] = {}
    for key, speeds in found.items():
        for case, speed in speeds.items():
            group = key.rpartition('-')[2], case
            fastest[group] = max(fastest.get(group, 0.0), speed['median'])
    lines = []
    for key, entry in variants.items():
        cells = [entry['label']]
        for case in cases:
            if case not in found[key]:
                cells.append(entry.get('error', ''))
                continue
            speed = found[key][case]
            median = '{median:.1f}'.format(**speed)
            if speed['median'] == fastest[key.rpartition('-')[2], case]:
                median = f'**{median}**'
            cells.append('{} ({low:.1f} to {high:.1f})'.format(median, **speed))
        lines.append(cells)
    ways = list(WAYS.values())
    return report.table(['', *(f'{ways[way]}, batch {batch}' for way, batch in cases)], lines)
