"""Words that depend on a number."""


def counted(number, noun):
    """Return ``'1 epoch'`` for ``counted(1, 'epoch')``, ``'90 epochs'`` for ``counted(90,
    'epoch')``.
    """
    return '{} {}{}'.format(number, noun, '' if number == 1 else 's')


def first_of(problems, most):
    """Join the first problems of a list with semicolons, and count those that are left out."""
    more = ' and {} more'.format(len(problems) - most) if len(problems) > most else ''
    return '; '.join(problems[:most]) + more
