"""Words that depend on a number, and text made printable."""


def counted(number, noun):
    """Return a number with its noun, such as ``'1 epoch'`` and ``'90 epochs'``."""
    return '{} {}{}'.format(number, noun, '' if number == 1 else 's')


def first_of(problems, most):
    """Join the first problems of a list with semicolons, and count those that are left out."""
    more = ' and {} more'.format(len(problems) - most) if len(problems) > most else ''
    return '; '.join(problems[:most]) + more


def printable(text, limit=500):
    """Return text of at most `limit` characters and three dots that any output takes.

    Line breaks and tabs become spaces. Other control characters, lone surrogates and format
    characters become escapes.
    """
    if len(text) > limit:
        text = text[:limit] + '...'
    if text.isprintable():
        return text
    return ''.join(
        letter
        if letter.isprintable()
        else ' '
        if letter.isspace()
        else letter.encode('unicode_escape').decode('ascii')
        for letter in text
    )


def one_line(error):
    """Return the message of an error as one printable line of at most 2,000 characters."""
    return printable(str(error), 2000)
