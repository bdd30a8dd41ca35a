"""Build the site of the documentation, and check it: ./run.sh docs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from check_links import problems

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Where the site goes; git ignores it.
SITE = ROOT / 'build' / 'docs'
#: The notebook with its outputs, below the repository; run_notebook.py writes it.
EXECUTED = Path('build', 'notebook', 'notebook.ipynb')


def build(site: Path, source: Path = ROOT) -> list[str]:
    """Build the site of a repository into an empty folder.

    Returns
    -------
    list of str
        What is wrong with it, a line each. Sphinx prints its own warnings, such as a link to a
        heading that is not there; each of them counts as an error.
    """
    with tempfile.TemporaryDirectory() as cache:
        sphinx = [sys.executable, '-m', 'sphinx', '--fail-on-warning', '--keep-going', '--quiet']
        folders = ['-d', cache, '-c', HERE, source, site]
        done = subprocess.run([*sphinx, *map(str, folders)], check=False)
    if done.returncode:
        return ['Sphinx printed what it does not accept.']
    return problems(site)


def main() -> int:
    """Build the site anew; return the exit status."""
    missing = [name for name in ('sphinx', 'myst_parser', 'furo') if not find_spec(name)]
    if missing:
        print(
            f"docs: error: {', '.join(missing)}: not installed. './run.sh docs' does that, or "
            "pip install -e '.[docs]'.",
            file=sys.stderr,
        )
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    found = build(SITE)
    if found:
        print('docs: error: the site is not whole:', *found, sep='\n  ', file=sys.stderr)
        return 1
    print(f'The site: {SITE / "index.html"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
