"""Functions that Numba compiles, with the machine code kept on disk where that can be."""


def kept(compiler, function):
    """Compile a function and keep the machine code, if Numba finds a folder that it may write to.

    Parameters
    ----------
    compiler : callable
        Takes ``cache=True`` or ``cache=False`` and returns Numba's decorator.
    function : callable

    Returns
    -------
    What the decorator returns.
    """
    try:
        return compiler(cache=True)(function)
    except RuntimeError:  # no such folder
        return compiler(cache=False)(function)
