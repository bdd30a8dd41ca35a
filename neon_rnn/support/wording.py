"""Words that depend on a number."""


def counted(number, noun):
    """Return ``'1 epoch'`` for ``counted(1, 'epoch')``, ``'90 epochs'`` for ``counted(90,
    'epoch')``.
    """
    return '{} {}{}'.format(number, noun, '' if number == 1 else 's')
