"""Say what this machine can run, what is missing, and how to get it.

    neon_rnn doctor             in words
    neon_rnn doctor --json      for programs

Every backend that is there is started. neon's mkl backend must compute 1x1 convolutions correctly;
a version number alone does not show that. What is absent (CUDA, neon) is reported and is not a
failure. The status is 1 if something is there but wrong (an MKL that computes wrongly, a neon of
another version), and if no engine can train.
"""

import json
import shutil
import sys

from neon_rnn import engines
from neon_rnn.support import machine, nvidia_gpu
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.wording import counted

#: The states of an engine or backend: it works; it is absent; it is there but does not compute
#: correctly.
USABLE, MISSING, WRONG = 'usable', 'missing', 'wrong'
_STATE_WORDS = {USABLE: 'usable', MISSING: 'not usable', WRONG: 'WRONG'}
#: The backends that are tried, the fast ones first.
BACKENDS = {
    'neon': ('gpu', 'mkl', 'numpy'),
    'torch': ('gpu', 'mps', 'cpu') if sys.platform == 'darwin' else ('gpu', 'cpu'),
}


def add_arguments(parser):
    """Add the choice of JSON."""
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(arguments):
    """Examine the machine and print the report; return 1 if no engine can train.

    Raises
    ------
    NeonRnnError
        Something is there but wrong; names it.
    """
    report = examine()
    if arguments.json:
        print(json.dumps(report, indent=2, sort_keys=True))
    else:
        print('\n'.join(describe(report)))
    wrong = wrong_parts(report)
    if wrong:
        sys.stdout.flush()
        raise NeonRnnError(
            'there but WRONG, to be repaired before any training: ' + ' '.join(wrong)
        )
    return 0 if usable_engines(report) else 1


def examine():
    """Return what this machine has.

    Returns
    -------
    dict
        ``machine``, ``versions`` and ``git`` as in a run record, ``python``, ``docker`` (path or
        None), ``gpus`` (`nvidia_gpu.seen`), and ``engines``: name -> ``state``, ``problem`` (None
        or a sentence) and ``backends``: name -> ``state``, ``problem``, ``device`` (the answer of
        `start`, or None). A state is `USABLE`, `MISSING` or `WRONG`. An engine is usable with one
        usable backend, and wrong if its library is there but does not load or has another version.
    """
    return {
        'machine': machine.describe(),
        'versions': machine.versions(),
        'git': machine.git_state(),
        'python': sys.executable,
        'docker': shutil.which('docker'),
        'gpus': nvidia_gpu.seen(),
        'engines': {name: _engine(name) for name in engines.ENGINES},
    }


def _engine(name):
    try:
        engine = engines.load(name)
    except NeonRnnError as error:
        return {
            'state': WRONG if engines.installed(name) else MISSING,
            'problem': str(error),
            'backends': {},
        }
    backends = {backend: _backend(engine, backend) for backend in BACKENDS[name]}
    states = [backend['state'] for backend in backends.values()]
    return {
        'state': next(state for state in (USABLE, WRONG, MISSING) if state in states),
        'problem': None,
        'backends': backends,
    }


def _backend(engine, name):
    try:
        return {
            'state': USABLE,
            'problem': None,
            'device': engine.start(name, batch_size=4, rng_seed=0),
        }
    except NeonRnnError as error:
        # Engines raise UsageError for what they lack, and NeonRnnError for what computes wrongly.
        state = MISSING if isinstance(error, UsageError) else WRONG
        # The line names the option already.
        return {
            'state': state,
            'problem': str(error).replace('-b {}: '.format(name), '', 1),
            'device': None,
        }


def usable_engines(report):
    """Return the names of the engines that can train, in order of preference."""
    return [name for name in engines.ENGINES if report['engines'][name]['state'] == USABLE]


def wrong_parts(report):
    """Return a line for each engine or backend that is there but wrong."""
    lines = []
    for name in engines.ENGINES:
        engine = report['engines'][name]
        if engine['problem'] and engine['state'] == WRONG:
            lines.append('engine {}: {}'.format(name, engine['problem']))
        lines += [
            'engine {}, -b {}: {}'.format(name, backend, engine['backends'][backend]['problem'])
            for backend in BACKENDS[name]
            if backend in engine['backends'] and engine['backends'][backend]['state'] == WRONG
        ]
    return lines


def describe(report):
    """Return the report in words, a list of lines."""
    machine = report['machine']
    memory = (
        'memory unknown'
        if machine['memory_gib'] is None
        else '{} GiB'.format(machine['memory_gib'])
    )
    lines = [
        'machine   {}, {}, {}, {}'.format(
            machine['cpu'], counted(machine['cores'], 'core'), memory, machine['system']
        ),
        'python    {} ({})'.format(report['versions']['python'], report['python']),
        'versions  '
        + ', '.join(
            '{} {}'.format(name, version)
            for name, version in sorted(report['versions'].items())
            if name != 'python'
        ),
        'container ' + (report['docker'] or 'no docker here; only the container needs it'),
    ]
    lines += ['gpu       ' + nvidia_gpu.describe(gpu) for gpu in report['gpus']]
    for name in engines.ENGINES:
        engine = report['engines'][name]
        lines += ['', 'engine {}: {}'.format(name, _STATE_WORDS[engine['state']])]
        if engine['problem']:
            lines.append('  ' + engine['problem'])
        for backend in BACKENDS[name]:
            if backend in engine['backends']:
                lines.append(
                    '  -b {:<6} {}'.format(backend, _backend_line(engine['backends'][backend]))
                )
    lines += [
        '',
        'default engine: {}'.format(engines.default())
        if usable_engines(report)
        else 'Nothing here can train: install PyTorch (./run.sh does) or use the container '
        '(docs/container.md).',
    ]
    return lines


def _backend_line(backend):
    if backend['state'] != USABLE:
        return '{}: {}'.format('no' if backend['state'] == MISSING else 'WRONG', backend['problem'])
    details = ', '.join(
        '{} {}'.format(key, value)
        for key, value in sorted(backend['device'].items())
        if key not in ('backend', 'deterministic', 'precision') and value is not None
    )
    return 'yes: ' + details
