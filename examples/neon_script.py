"""The published network as a plain neon program: only SpatialRNN comes from this repository.

    python examples/neon_script.py -w data/mine -b mkl -e 90 -z 128 -r 0

The options are neon's own (--help lists them). -w names the folder with train.h5 and test.h5, made
by './run.sh data'. It runs wherever neon 2.6.0 does, such as the container:

    docker compose run --rm --entrypoint python train examples/neon_script.py -w data/mine -b gpu

CPython 3.5 syntax, like neon.
"""

import os

from neon.callbacks.callbacks import Callbacks
from neon.data import HDF5IteratorOneHot
from neon.initializers import Constant, GlorotUniform, Kaiming
from neon.layers import (
    Activation,
    BatchNorm,
    BiRNN,
    Conv,
    DataTransform,
    GeneralizedCost,
    Pooling,
)
from neon.models import Model
from neon.optimizers import GradientDescentMomentum
from neon.transforms import (
    CrossEntropyMulti,
    Misclassification,
    Normalizer,
    Rectlin,
    Softmax,
    Tanh,
)
from neon.util.argparser import NeonArgparser

from neon_rnn.engines.neon import SpatialRNN


def spatial_rnn(channels, height, width, units):
    """Return a SpatialRNN with blocks of 2x2 over a map (channels, height, width)."""
    return SpatialRNN(
        input_shape=(channels, height, width),
        block_shape=(channels, 2, 2),
        RNN=BiRNN,
        RNN_params={'output_size': units, 'init': GlorotUniform(), 'activation': Tanh()},
    )


def network(height, width):
    """Return the layers of the published network for images of this size."""
    convolution = dict(
        init=Kaiming(), bias=Constant(0), activation=Rectlin(), padding=2, strides=1, dilation=2
    )
    halved = dict(fshape=(3, 3), padding=1, strides=2)
    layers = [DataTransform(transform=Normalizer(divisor=128.0)), BatchNorm()]
    for maps in (32, 64, 128):
        layers += [Conv(fshape=(3, 3, maps), **convolution), BatchNorm(), Pooling(**halved)]
    return layers + [
        Conv(fshape=(3, 3, 256), **convolution),
        BatchNorm(),
        spatial_rnn(256, height // 8, width // 8, units=256),
        BatchNorm(),
        spatial_rnn(512, height // 16, width // 16, units=512),
        BatchNorm(),
        Conv(fshape=(1, 1, 2), init=Kaiming(), bias=Constant(0), activation=Rectlin(), padding=1),
        Pooling(fshape='all', op='avg'),
        Activation(transform=Softmax()),
    ]


def images(path):
    """Return neon's iterator over the images of an HDF5 file."""
    iterator = HDF5IteratorOneHot(path + '.h5')
    # HDF5 gives sizes of NumPy's type, which the mkl backend cannot hand to its C functions.
    iterator.shape = tuple(int(size) for size in iterator.shape)
    return iterator


def main():
    """Train on train.h5, print the accuracy on test.h5."""
    arguments = NeonArgparser(__doc__).parse_args()
    train, test = (images(os.path.join(arguments.data_dir, part)) for part in ('train', 'test'))
    _, height, width = train.shape
    model = Model(layers=network(height, width))
    model.fit(
        train,
        optimizer=GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005),
        num_epochs=arguments.epochs,
        cost=GeneralizedCost(costfunc=CrossEntropyMulti()),
        callbacks=Callbacks(model, eval_set=test, **arguments.callback_args),
    )
    error = float(model.eval(test, metric=Misclassification())[0])
    print('test accuracy {:.1f}%'.format(100 * (1 - error)))


if __name__ == '__main__':
    main()
