"""The first layers that most networks share, and the check of the image's size."""

from neon_rnn.support.errors import UsageError


def normalised(nn):
    """Return the first layers of the published recurrent network: x / 128, then batch norm.

    The reconstructed rows have them too.
    """
    return [nn.DataTransform(transform=nn.Normalizer(divisor=128.0)), nn.BatchNorm()]


def check_sides(row, input_shape, least):
    """Refuse images that are too small for a network.

    Parameters
    ----------
    row : str
        The network, for the message.
    input_shape : tuple of int
        (C, H, W).
    least : int
        Pixels that each side has to have.

    Raises
    ------
    UsageError
        A side is shorter.
    """
    height, width = input_shape[1:]
    if min(height, width) < least:
        raise UsageError(
            'the network of row {} takes images of at least {}x{} pixels, not {}x{}.'.format(
                row, least, least, height, width
            )
        )
