"""Say what this machine can run, what is missing, and how to get it.

    neon_rnn doctor
    neon_rnn doctor --json

The status is 1 if no engine can compute here, or if an installed library computes wrongly.
"""
import json
import os
import sys

from neon_rnn import engines, environment
from neon_rnn.errors import NeonRnnError

#: Of the neon engine, the ways to compute that are tried.
NEON_BACKENDS = ('mkl', 'numpy', 'gpu')


def add_arguments(parser):
    """How to print it."""
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(arguments):
    """Examine, print; 1 if something is wrong."""
    report = examine()
    if arguments.json:
        print(json.dumps(report, indent=2, sort_keys=True))
    else:
        _print(report)
    return 0 if report['well'] else 1


def examine():
    """Everything that `doctor` reports.

    Returns
    -------
    dict
        `machine`, `versions`, `git`, `engines` (name -> `installed`, `backends`: name -> `usable` and `detail`, and
        `advice`), `well` and `problems` (what computes wrongly).
    """
    report = {'machine': environment.machine(), 'versions': environment.versions(), 'git': environment.git_state(),
              'python': sys.executable, 'engines': {'neon': _neon(), 'torch': _torch()}}
    backends = [backend for engine in report['engines'].values() for backend in engine['backends'].values()]
    report['problems'] = [backend['detail'] for backend in backends if backend.get('wrong')]
    report['well'] = any(backend['usable'] for backend in backends) and not report['problems']
    return report


def _engine(name):
    """The engine's module, or why it does not load."""
    try:
        return engines.load(name), None
    except NeonRnnError as error:
        return None, str(error)


def _missing(name, advice):
    return {'installed': engines.installed(name), 'backends': {}, 'advice': advice}


def _neon():
    """neon and its backends; making the mkl backend tests the 1x1 convolution by numbers."""
    nn, advice = _engine('neon')
    if nn is None:
        return _missing('neon', advice)
    from neon_rnn.engines.neon import library
    found = {'installed': True, 'advice': None, 'version': library.neon.__version__, 'commit': library.COMMIT}
    found['backends'] = {name: _neon_backend(nn, name) for name in NEON_BACKENDS}
    return found


def _neon_backend(nn, name):
    from neon_rnn.engines.neon import backend, selftest
    try:
        device = nn.start(name, batch_size=16, rng_seed=0)
    except NeonRnnError as error:
        # status 2 is "cannot be had here"; 1 is the self-test's "computes wrongly"
        return {'usable': False, 'detail': str(error), 'wrong': error.exit_status == 1}
    return {'usable': True, 'detail': device.get('mkl') or device['device'], 'device': device,
            'convolution_error': selftest.convolution_error(backend.active())}


def _torch():
    """PyTorch on the processor and, where there is one, on the GPU."""
    nn, advice = _engine('torch')
    if nn is None:
        return _missing('torch', advice)
    found = {'installed': True, 'advice': None, 'version': environment.installed_version('torch'), 'backends': {}}
    for name in ('cpu', 'gpu'):
        try:
            device = nn.start(name, batch_size=16, rng_seed=0)
            found['backends'][name] = {'usable': True, 'detail': str(device['device']), 'device': device}
        except NeonRnnError as error:
            found['backends'][name] = {'usable': False, 'detail': str(error)}
    return found


def _print(report):
    machine, git = report['machine'], report['git']
    print('machine   {cpu}, {cores} cores, {memory_gib} GiB, {system}'.format(**machine))
    print('python    {} {}'.format(report['versions']['python'], report['python']))
    print('packages  {}'.format(', '.join('{} {}'.format(name, version) for name, version in
                                          sorted(report['versions'].items()) if name != 'python')))
    print('code      {}'.format('{}{}'.format(git['commit'], ', changed since' if git['dirty'] else '') if git['commit']
                                else 'not a git checkout'))
    for name in engines.ENGINES:
        engine = report['engines'][name]
        print('\nengine {}: {}'.format(name, engine.get('version') or 'missing'))
        if engine['advice']:
            print('  {}'.format(engine['advice']))
        for backend, state in sorted(engine['backends'].items()):
            word = 'wrong' if state.get('wrong') else 'works' if state['usable'] else 'not here'
            print('  -b {:<6} {:<9} {}'.format(backend, word, state['detail']))
            if 'convolution_error' in state:
                print('{:<20} 1x1 convolution within {:.0e} of NumPy'.format('', state['convolution_error']))
    slow = os.environ.get('MKL_DEBUG_CPU_TYPE')
    if slow:
        print('\nMKL_DEBUG_CPU_TYPE is {} (AMD processors otherwise take MKL\'s slowest path)'.format(slow))
    for problem in report['problems']:
        print('\nWRONG: {}'.format(problem))
    print('\n{}'.format('ready: neon_rnn demo' if report['well'] else 'not ready: see above'))
