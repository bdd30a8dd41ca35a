"""The site in a browser: nothing scrolls sideways, nothing is missing or comes from elsewhere."""

import json
from pathlib import Path

import chromium
import pytest

pytestmark = chromium.needed

FRAME = Path(__file__).with_name('frame.html').read_text('utf-8')


@pytest.mark.parametrize('width', [390, 1100, 1280])
def test_every_page_fits_and_loads_from_its_own_folder(site, tmp_path, width):
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob('*.html'))
    frame = FRAME.replace('PAGES', json.dumps(pages))
    with chromium.served(site, frame) as address:
        found = chromium.measured(address, width, tmp_path, 1, '--virtual-time-budget=60000')
    assert list(found) == pages
    for page, measured in found.items():
        assert measured['wide'] <= width, page
        assert measured['pictures'], page
        assert measured['requests'], page  # its style sheets
        assert all(name.startswith((address, 'data:')) for name in measured['requests']), page
