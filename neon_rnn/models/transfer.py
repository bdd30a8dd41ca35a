"""The transfer learning networks: TL-1, TL-2, TL-3.

Their accuracies and times are published; what the networks were is inferred. An epoch took 1333 s
(TL-3: 1309 s), 3.4 times ResNet-50's 395 s. A ResNet-50 computes 3.2 times as much on images of
224x224 pixels, the size of ImageNet's, as on 128x128. So these were most likely a ResNet-50 at that
size with every layer trained. TL-1 and TL-2 took 90 epochs, TL-3 took 30. The difference between
TL-1 and TL-2 is not known and is our choice: TL-1 and TL-3 put a linear layer on the pretrained
features, TL-2 a hidden layer of 256 and a linear one.

The topology is torchvision's ResNet-50, so that its ImageNet weights fit and mean the same (a test
compares the features): the 3x3 convolution of a bottleneck has the stride, batch norm has an eps of
1e-5. With ``layout='neon'`` the topology is that of neon's ImageNet example: the first 1x1
convolution has the stride, and the max pooling has no padding.

ImageNet networks read (x / 255 - mean) / deviation, with constants for each colour, and neon has no
layer for that. Two other ways would not be exact. Folding the constants into the 7x7 convolution is
wrong at the borders, where padding has to stand for the mean colour, not for black. Batch norm
would use the constants of the minibatch in place of ImageNet's. A 1x1 convolution of three maps
behind x / 128 is exact in both engines: `neon_rnn.weights` sets its matrix to 128 / (255 *
deviation) on the diagonal and its bias to -mean / deviation. It is trained like every other layer.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import check_sides
from neon_rnn.models.resnet import STAGES_50, residual_layers
from neon_rnn.support.errors import UsageError

#: Layout -> arguments of `residual_layers`.
LAYOUTS = {
    'torchvision': dict(stride_in_first=False, pool_padding=1, eps=1e-5),
    'neon': dict(stride_in_first=True, pool_padding=0, eps=1e-3),
}


def _transfer(input_shape, nn, layout, hidden):
    nn = nn or engines.current()
    check_sides('TL', input_shape, 32)
    if layout not in LAYOUTS:
        raise UsageError(
            'there is no layout {!r} of ResNet-50; the layouts are {}.'.format(
                layout, ' and '.join(sorted(LAYOUTS))
            )
        )
    layers = [
        nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
        nn.Conv(fshape=(1, 1, 3), init=nn.Kaiming(), bias=nn.Constant(0)),
    ]
    layers += residual_layers(nn, STAGES_50, bottleneck=True, **LAYOUTS[layout])
    if hidden:
        layers.append(
            nn.Affine(
                nout=hidden,
                init=nn.Kaiming(local=False),
                bias=nn.Constant(0),
                activation=nn.Rectlin(),
            )
        )
    layers.append(
        nn.Affine(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax())
    )
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def generate_tl1_model(input_shape=(3, 224, 224), nn=None, layout='torchvision'):
    """Build TL-1, which is also TL-3: a ResNet-50 and a linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); sides of at least 32 pixels.
    nn : module, optional
        The engine; default: the one in use.
    layout : str
        ``'torchvision'`` or ``'neon'``: the origin of the pretrained weights.

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        A side is too short, or there is no such layout.
    """
    return _transfer(input_shape, nn, layout, hidden=None)


def generate_tl2_model(input_shape=(3, 224, 224), nn=None, layout='torchvision'):
    """Build TL-2: a ResNet-50, a hidden layer of 256 and a linear layer.

    Parameters and results as for `generate_tl1_model`.
    """
    return _transfer(input_shape, nn, layout, hidden=256)
