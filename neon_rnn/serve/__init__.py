"""A page on this machine: drop a photograph, see the answer and where it comes from."""

import importlib

from neon_rnn.support.errors import UsageError


def need() -> None:
    """Check that the packages of the extra ``serve`` are installed.

    Raises
    ------
    UsageError
        One is not; says how to install it.
    """
    try:
        importlib.import_module('uvicorn')
    except ImportError as error:
        raise UsageError(
            f"serve needs a package that is not installed ({error}): pip install '.[serve]' in the "
            "project folder, into the Python that runs neon_rnn ('./run.sh serve' does it)."
        ) from error
