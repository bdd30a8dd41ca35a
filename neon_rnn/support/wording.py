"""Words that depend on a number."""


def counted(number, noun):
    """``counted(1, 'epoch')`` is ``'1 epoch'``, ``counted(90, 'epoch')`` is ``'90 epochs'``."""
    return '{} {}{}'.format(number, noun, '' if number == 1 else 's')
