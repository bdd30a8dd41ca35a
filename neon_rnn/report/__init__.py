"""The comparison table, the plots and the page: pure functions of the run records.

`collect` reads the records and `validation` checks them. `choose` chooses the runs of each row, and
`figures` summarises them. `table` (with `rows` and `texts`), `plots` (with `dots`, `matrices` and
`drawing`), `page` and `reproduction` (with `order` and `experiments`) write them down. `build`
calls them all. Nothing here reads a clock or the machine: the same records always give the same
bytes.
"""

import importlib
import os

from neon_rnn.support.errors import UsageError

# Notebooks name a backend of their own here, which plain Python may not have. No plot of this
# package is ever shown in a window.
os.environ['MPLBACKEND'] = 'Agg'


def check_matplotlib() -> None:
    """Refuse work that ends in plots if they cannot be made.

    Raises
    ------
    UsageError
        The package matplotlib is missing.
    """
    try:
        importlib.import_module('matplotlib')
    except ImportError as error:
        raise UsageError(
            f"plots need matplotlib ({error}); ./run.sh installs it, or 'pip install matplotlib'."
        )
