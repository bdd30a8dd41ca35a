"""The comparison table, the plots and the page: pure functions of the run records.

`collect` reads the records, `choose` picks what each row of the table shows, `table`, `plots` and `page` write it down,
`build` does all of it. Nothing here reads a clock or looks at the machine, so the same records always give the same
bytes.
"""

import importlib
import os

from neon_rnn.support.errors import UsageError

# Notebooks name a backend of their own here, which plain Python may not have. No plot of this
# package is ever shown in a window.
os.environ['MPLBACKEND'] = 'Agg'


def check_matplotlib() -> None:
    """Make sure, before long work, that its plots can be drawn.

    Raises
    ------
    UsageError
        There is no matplotlib here.
    """
    try:
        importlib.import_module('matplotlib')
    except ImportError as error:
        raise UsageError(
            f"plots need matplotlib ({error}); ./run.sh installs it, or 'pip install matplotlib'."
        )
