"""Find the pictures in folders, by the endings of their names."""

import os

SUFFIXES = frozenset('.jpg .jpeg .jpe .jfif .png .bmp .gif .webp .tif .tiff .ppm .pgm .pbm'.split())


def is_picture(name):
    """Tell whether a file is a picture by the ending of its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def find(paths):
    """Yield the files among `paths`, and the pictures in the folders among them.

    Folders are searched through in sorted order, links to folders included; a folder is searched
    once. Nothing is kept of what was yielded, so that a million pictures need no memory.

    Parameters
    ----------
    paths : iterable of str
        A file is yielded whatever its name; also a path that leads nowhere, and a folder that
        cannot be read: whoever opens it reports the error.

    Yields
    ------
    str
    """
    for path in paths:
        if os.path.isdir(path):
            for found in _below(path, set()):
                yield found
        else:
            yield path


def _below(folder, seen):
    try:
        status = os.stat(folder)
        names = sorted(os.listdir(folder))
    except OSError:
        yield folder
        return
    identity = status.st_dev, status.st_ino
    if identity in seen:  # a link to a folder above it would never end
        return
    seen.add(identity)
    folders = []
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            folders.append(path)
        elif is_picture(name):
            yield path
    for path in folders:
        for found in _below(path, seen):
            yield found
