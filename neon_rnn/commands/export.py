"""Write a trained run in the format of other programs, and compare the file with the run.

neon_rnn export results/own/runs/<run id> --format onnx           for ONNX Runtime and others
neon_rnn export results/own/runs/<run id> --format safetensors    neon's weights by their names
neon_rnn export results/own/runs/<run id> --format torch          a state dict and its model file
"""

import importlib

FORMATS = ('onnx', 'safetensors', 'torch')


def add_arguments(parser):
    """Add the run, the format and the file to write."""
    add = parser.add_argument
    add('run', metavar='RUN', help='a run folder with its checkpoint')
    add('--format', required=True, choices=FORMATS, help='onnx needs the extra of that name')
    add(
        '--out',
        metavar='FILE',
        help='the file to write (default: the name of the run, in the working directory)',
    )


def run(arguments):
    """Write the file, and print its difference from the run."""
    export = importlib.import_module('neon_rnn.export')  # modern Python: not in the container
    done = export.export_run(arguments.run, arguments.format, arguments.out)
    print(' and '.join(done.files))
    print(
        'largest difference from the run: {:.1e}, over {} pictures (at most {:.0e} passes)'.format(
            done.difference, done.pictures, export.TOLERANCE
        )
    )
