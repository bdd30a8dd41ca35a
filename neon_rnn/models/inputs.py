"""What the networks do with their input alike."""

from neon_rnn.support.errors import UsageError


def normalised(nn):
    """The first layers of the published recurrent network, which the reconstructed rows share: x / 128, batch norm."""
    return [nn.DataTransform(transform=nn.Normalizer(divisor=128.0)), nn.BatchNorm()]


def check_sides(row, input_shape, least):
    """Raise `UsageError` where an image (C, H, W) has a side below `least` pixels, which the row's network needs."""
    height, width = input_shape[1:]
    if min(height, width) < least:
        raise UsageError(
            'the network of row {} takes images of at least {}x{} pixels, not {}x{}.'.format(
                row, least, least, height, width
            )
        )
