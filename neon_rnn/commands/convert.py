"""Convert models serialised by Intel neon (.prm, .pkl) to checkpoints, and checkpoints to them.

    neon_rnn convert model.prm checkpoint.npz                neon's file -> checkpoint, without neon
    neon_rnn convert results/own/runs/<run id> model.prm     a run -> neon's file; needs neon
    neon_rnn convert checkpoint.npz model.prm --model rnn --input_shape 3 128 128
    neon_rnn convert --pretrained resnet50.pth resnet50.npz  weights for the transfer learning rows
                                                             in the container, which lacks PyTorch

Nothing in a neon file is executed: it may hold arrays and plain types, anything else is refused by
name.
"""

import os

from neon_rnn import models, published
from neon_rnn.runs import checkpoint, records, trained_run
from neon_rnn.support.errors import UsageError
from neon_rnn.weights import neon_prm, pretrained

NEON_ENDINGS = ('.prm', '.pkl')


def add_arguments(parser):
    """Add the source and the target."""
    parser.add_argument(
        'source',
        metavar='FROM',
        help='a .prm or .pkl of neon, a checkpoint .npz, or a run folder; '
        'with --pretrained a .pth, .pt, .bin, .ckpt, .safetensors or .prm',
    )
    parser.add_argument('target', metavar='TO', help='a .npz, or a .prm or .pkl')
    parser.add_argument(
        '--pretrained',
        action='store_true',
        help="FROM holds pretrained weights for 'train --pretrained TO'",
    )
    parser.add_argument(
        '--model', choices=models.ROWS, help='the network of a checkpoint outside its run folder'
    )
    parser.add_argument(
        '--input_shape',
        type=int,
        nargs=3,
        metavar=('C', 'H', 'W'),
        help='the images it takes (default: as published)',
    )


def run(arguments):
    """Convert, and report what was written."""
    source, target = arguments.source, arguments.target
    if arguments.pretrained:
        written = pretrained.convert(source, arguments.model or 'tl-1', target)
        print('{}: {}'.format(target, pretrained.report(written)))
        return
    if source.endswith(NEON_ENDINGS) and target.endswith('.npz'):
        saved = neon_prm.read(source)
        checkpoint.save(target, *saved)
    elif target.endswith(NEON_ENDINGS) and not source.endswith(NEON_ENDINGS):
        saved = _to_neon(arguments)
    else:
        raise UsageError(
            "convert turns neon's {} into .npz, or a .npz or a run folder into one of neon's "
            'files; not {} into '
            '{}.'.format(' and '.join(NEON_ENDINGS), source, target)
        )
    print(
        '{}: {} weights ({} values), optimiser state {}, random state {}'.format(
            target,
            len(saved.weights),
            sum(values.size for values in saved.weights.values()),
            'kept' if saved.optimizer_state else 'none',
            'kept' if saved.random_state else 'none',
        )
    )


def _to_neon(arguments):
    source, name, shape, options = arguments.source, arguments.model, arguments.input_shape, {}
    if os.path.isdir(source):
        run = records.Run.open(source)
        record = run.record
        name, shape, options = record['model'], record['dataset']['shape'], record['options']
        source, saved = trained_run.result_checkpoint(run)
    else:
        saved = checkpoint.load(source)
    name = name or saved.meta.get('model')
    if name is None:
        raise UsageError('{}: does not say which network it is of; give --model.'.format(source))
    if shape is None:
        side = published.rows()[name].input_side
        shape = (3, side, side)
    neon_prm.write(arguments.target, saved, name, tuple(shape), options)
    return saved
