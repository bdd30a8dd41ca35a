"""The built site, and its tools."""

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'docs' / 'site'


@pytest.fixture(scope='session')
def tools():
    """Put docs/site on the path of Python; return the folder."""
    sys.path.insert(0, str(TOOLS))
    yield TOOLS
    sys.path.remove(str(TOOLS))


@pytest.fixture(scope='session')
def site(tools, tmp_path_factory):
    """Build the site once; it has to be without a warning and without a link that leads astray."""
    import make_site

    folder = tmp_path_factory.mktemp('site')
    assert make_site.build(folder) == []
    return folder
