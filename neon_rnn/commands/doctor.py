"""Say what this machine can run, what is missing, and how to get it.

    neon_rnn doctor             in words
    neon_rnn doctor --json      for programs

Every backend that is there is started, and neon's mkl backend has to compute 1x1 convolutions right: a version number
alone does not show that. The status is 1 where no engine can train.
"""
import json
import shutil
import sys

from neon_rnn import engines, environment
from neon_rnn.errors import NeonRnnError

#: The backends that are tried, the fast ones first.
BACKENDS = {'neon': ('gpu', 'mkl', 'numpy'), 'torch': ('gpu', 'cpu')}


def add_arguments(parser):
    """Words or JSON."""
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(arguments):
    """Look, print; returns 1 where no engine can train."""
    report = examine()
    if arguments.json:
        print(json.dumps(report, indent=2, sort_keys=True))
    else:
        print('\n'.join(describe(report)))
    return 0 if any(engine['usable'] for engine in report['engines'].values()) else 1


def examine():
    """What there is.

    Returns
    -------
    dict
        ``machine``, ``versions`` and ``git`` as in a run record, ``python``, ``docker`` (path or None), and ``engines``:
        name -> ``usable``, ``problem`` (None or a sentence) and ``backends``: name -> ``usable``, ``problem``, ``device``
        (what `start` says, or None).
    """
    return {'machine': environment.machine(), 'versions': environment.versions(), 'git': environment.git_state(),
            'python': sys.executable, 'docker': shutil.which('docker'),
            'engines': {name: _engine(name) for name in engines.ENGINES}}


def _engine(name):
    found = {'usable': False, 'problem': None, 'backends': {}}
    try:
        engine = engines.load(name)
    except NeonRnnError as error:
        found['problem'] = str(error)
        return found
    for backend in BACKENDS[name]:
        found['backends'][backend] = _backend(engine, backend)
    found['usable'] = any(backend['usable'] for backend in found['backends'].values())
    return found


def _backend(engine, name):
    try:
        return {'usable': True, 'problem': None, 'device': engine.start(name, batch_size=4, rng_seed=0)}
    except NeonRnnError as error:
        # the option is named beside it
        return {'usable': False, 'problem': str(error).replace('-b {}: '.format(name), '', 1), 'device': None}


def describe(report):
    """The report in words, a list of lines."""
    machine = report['machine']
    memory = 'memory unknown' if machine['memory_gib'] is None else '{} GiB'.format(machine['memory_gib'])
    lines = ['machine   {}, {} cores, {}, {}'.format(machine['cpu'], machine['cores'], memory, machine['system']),
             'python    {} ({})'.format(report['versions']['python'], report['python']),
             'versions  ' + ', '.join('{} {}'.format(name, version) for name, version in sorted(report['versions'].items())
                                      if name != 'python'),
             'container ' + (report['docker'] or 'no docker here; only the container needs it')]
    for name in engines.ENGINES:
        engine = report['engines'][name]
        lines += ['', 'engine {}: {}'.format(name, 'usable' if engine['usable'] else 'not usable')]
        if engine['problem']:
            lines.append('  ' + engine['problem'])
        for backend in BACKENDS[name]:
            if backend in engine['backends']:
                lines.append('  -b {:<6} {}'.format(backend, _backend_line(engine['backends'][backend])))
    usable = [name for name in engines.ENGINES if report['engines'][name]['usable']]
    lines += ['', 'default engine: {}'.format(usable[0]) if usable else
              'Nothing here can train: install PyTorch (./run.sh does) or use the container (docs/container.md).']
    return lines


def _backend_line(backend):
    if not backend['usable']:
        return 'no: ' + backend['problem']
    details = ', '.join('{} {}'.format(key, value) for key, value in sorted(backend['device'].items())
                        if key not in ('backend', 'deterministic', 'precision') and value is not None)
    return 'yes: ' + details
