"""Replay results recorded from Intel neon 2.6.0 on an engine of this machine; print the deviations.

    neon_rnn verify                        the layers, and the published network for 12 minibatches;
                                           at last that with neon's close decisions imposed
    neon_rnn verify --layers               the layers only (seconds)
    neon_rnn verify --engine neon -b mkl   Intel neon itself

The status is 1 if a result is beyond its tolerance.
"""

from neon_rnn import engines
from neon_rnn.commands import options
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import check_writable, write_json
from neon_rnn.verification import cases, compare, decisions, tolerances


def add_arguments(parser):
    """Add the engine to check, and what to print."""
    options.add_engine(parser)
    options.add_backend(parser)
    parser.add_argument('--layers', action='store_true', help='leave the whole network out')
    parser.add_argument(
        '--details',
        action='store_true',
        help='print every deviation, not only the largest of a kind',
    )
    parser.add_argument('--json', metavar='FILE', help='write every deviation as JSON')


def run(arguments):
    """Replay the cases, print the deviations, and fail beyond a tolerance.

    Raises
    ------
    UsageError
        The engine or backend is not here, or the file for the figures cannot be written.
    NeonRnnError
        Results are beyond their tolerances.
    """
    if arguments.json:
        check_writable(arguments.json)
    engine = arguments.engine or engines.default()
    deviations, device, left_out = _replay(engine, arguments)
    print(
        'replayed: engine {}, backend {}, {}'.format(
            engine, device.get('backend'), device.get('device')
        )
    )
    for name in left_out:
        print('left out: {}'.format(name))
    if arguments.json:
        write_json(
            arguments.json,
            {
                'engine': engine,
                'device': device,
                'left_out': left_out,
                'deviations': [_as_json(deviation) for deviation in deviations],
            },
        )
    too_far = compare.beyond(deviations)
    if too_far:
        raise NeonRnnError(
            '{} of {} results are beyond their tolerances: engine {} on backend {} does not '
            'compute as '
            "Intel neon's cpu backend does.".format(
                len(too_far), len(deviations), engine, device.get('backend')
            )
        )
    print('all {} results are within the stated tolerances'.format(len(deviations)))


def _replay(engine, arguments):
    """Replay the cases and print their deviations.

    Returns all deviations, the device of the last case, and what was left out with the reason.
    """
    nn = engines.load(engine)
    chosen = [case for case in cases.cases() if not (arguments.layers and cases.is_network(case))]
    _, provenance = compare.load(compare.path_of(chosen[0]))
    print('recorded: {engine}, {backend} backend, {machine[cpu]}'.format(**provenance))
    replayed = [_replay_case(nn, engine, case, arguments) for case in chosen]
    deviations = [deviation for found, _, _ in replayed for deviation in found]
    devices = [device for _, device, _ in replayed if device]
    left_out = [text for _, _, texts in replayed for text in texts]
    if not arguments.layers:
        strict, reasons = _replay_decisions(nn, engine, arguments)
        deviations, left_out = deviations + strict, left_out + reasons
    return deviations, devices[-1], left_out


def _replay_decisions(nn, engine, arguments):
    """Replay the network with neon's close decisions; return deviations, and what was left out."""
    case = decisions.case()
    backend = engines.recorded_backend(engine, arguments.backend)
    if (engine, backend) != ('torch', 'cpu'):
        return [], ['{} (only the torch engine on a processor takes them)'.format(case.name)]
    deviations = []
    for plain in (False, True):
        found = decisions.replay(nn, arguments.backend, plain)
        _print_case(case, found, arguments.details, ', layer by layer' if plain else ', fused')
        deviations += found
    return deviations, []


def _replay_case(nn, engine, case, arguments):
    """Replay one case; return its deviations, the device, and what was left out of it."""
    if engine == 'neon' and arguments.backend != 'numpy':
        case = cases.on_fast_neon(case)
    recorded, _ = compare.load(compare.path_of(case))
    copies = cases.copies_on(engine, arguments.backend, case)
    try:
        found, device = compare.observe(nn, case, arguments.backend, copies)
    except UsageError:
        if case.precision == 'float32':
            raise
        # neon has float64 on its numpy backend only; the float32 case shows other refusals.
        return [], {}, ['{} (this backend has no float64)'.format(case.name)]
    deviations = compare.compare(case, recorded, found)
    _print_case(case, deviations, arguments.details)
    reason = '{}, {} (rounding decides it on this backend)'
    return deviations, device, [reason.format(case.name, key) for key in case.left_out]


def _print_case(case, deviations, details, way=''):
    print(
        '\n{} ({}, {} minibatches of {}{})'.format(
            case.name, case.precision, case.minibatches, case.batch_size, way
        )
    )
    for kind in tolerances.KINDS:
        of_kind = [deviation for deviation in deviations if deviation.kind == kind]
        # NaN counts as the largest.
        of_kind.sort(
            key=lambda deviation: (
                deviation.value if deviation.value == deviation.value else float('inf')
            )
        )
        for deviation in of_kind if details else of_kind[-1:]:
            mark = 'beyond' if compare.beyond([deviation]) else 'within'
            print(
                '  {:<12} {:>8.1e}  {} {:.0e}  {}'.format(
                    kind, deviation.value, mark, compare.tolerance(deviation), deviation.name
                )
            )


def _as_json(deviation):
    # JSON has neither infinity nor NaN.
    value = deviation.value if abs(deviation.value) < float('inf') else None
    return {
        'case': deviation.case.name,
        'kind': deviation.kind,
        'name': deviation.name,
        'value': value,
        'tolerance': compare.tolerance(deviation),
    }
