"""Classify and explain photographs on a page in the browser.

    neon_rnn serve results/own/runs/<run id>

Only this machine can open the page. A photograph that is dropped there goes to this program, which
keeps it in memory while it computes, and stores nothing. Ctrl-C ends it.

What such a model must not be used for stands on the page, and in 'neon_rnn predict --help'.
"""

import ipaddress
import sys

from neon_rnn.commands import options
from neon_rnn.support.errors import UsageError


def add_arguments(parser):
    """Add the run, and where to serve its page."""
    add = parser.add_argument
    add('run', metavar='RUN', help='a run folder with its checkpoint')
    add('--port', type=int, default=8000, metavar='N', help='0: a free one (default: %(default)s)')
    add(
        '--host',
        default='127.0.0.1',
        metavar='ADDRESS',
        help='an address of this machine; any but the default lets others on the network in '
        '(default: %(default)s)',
    )
    options.add_backend(parser)
    add('-z', '--batch_size', type=int, default=32, metavar='N', help='default: %(default)s')


def run(arguments):
    """Serve the page until Ctrl-C."""
    if not 0 <= arguments.port < 65536:
        raise UsageError('--port {}: has to be from 0 to 65535.'.format(arguments.port))
    options.modern('neon_rnn.serve', 'serve').need()
    server = options.modern('neon_rnn.serve.server', 'serve')
    with server.listen(arguments.host, arguments.port) as opened:
        explainer = options.modern('neon_rnn.explain.explainer', 'serve').open_run(
            arguments.run, arguments.backend, arguments.batch_size
        )
        served = server.make_server(explainer, opened)
        host, port = server.address_of(opened)
        if not ipaddress.ip_address(host.strip('[]')).is_loopback:
            sys.stderr.write(
                'warning: everybody who reaches {} can use the page, and what they send is not '
                'encrypted\n'.format(host)
            )
        print('http://{}:{}/ (Ctrl-C ends it)'.format(host, port), flush=True)
        served.run(sockets=[opened])
