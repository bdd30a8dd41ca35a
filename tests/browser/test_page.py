"""The page in a browser: nothing scrolls sideways or is cut on a phone or a desktop.

Needs Chromium (Debian: apt-get install chromium); without it these tests are skipped.
"""

import re
from pathlib import Path

import chromium
import pytest
import synthetic_records as synthetic

from neon_rnn.report import build

pytestmark = chromium.needed

#: Measures the page in a frame, since a headless window cannot be as narrow as a phone.
FRAME = Path(__file__).with_name('frame.html').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """Serve a report with long names and every kind of row on the loopback; return its URL."""
    out = tmp_path_factory.mktemp('results')
    runs = out / 'runs'
    demo = dict(synthetic.FIELDS['dataset'], kind='synthetic', name='demo')
    date = '20261123-101500'
    for record in [
        synthetic.record(f'rnn-torch-cpu-s{seed}-{date}', seed=seed, seconds=99.0 + seed)
        for seed in range(3)
    ] + [
        synthetic.record(f'fcnn-1-torch-cpu-s0-{date}', model='fcnn-1', row='FCNN-1', dataset=demo),
        synthetic.record(
            f'cnn-1-torch-cpu-s0-{date}',
            model='cnn-1',
            row='CNN-1',
            epochs=3,
            correct=None,
            status='failed',
            error='NeonRnnError: /a/long/path/without/any/place/to/break/the/line/'
            'results/runs/record.json: the disk is full',
        ),
        synthetic.record(
            f'efficientnet-lite0-torch-cpu-s0-{date}',
            row=None,
            epochs=5,
            model='efficientnet-lite0-with-a-long-name',
        ),
    ]:
        synthetic.write(runs, record)
    (runs / 'a-broken-record-with-a-long-name-0123456789').mkdir()
    files = build.build(runs, out)[1]

    build.write(files, out)
    with chromium.served(out, FRAME) as address:
        yield address


@pytest.mark.parametrize('width', [390, 1100, 1280])
def test_nothing_scrolls_sideways_or_is_cut(address, tmp_path, width):
    page = chromium.measured(address, width, tmp_path)
    assert page['rows'] == 11
    assert page['wide'] <= width
    assert (page['outside'], page['cut']) == ([], [])
    assert page['narrowest'] > 90  # pixels: no word of the run is broken
    assert page['plots'] == 1 + 4  # one scatter, a card for each configuration
    assert page['smallest'] > 8  # pixels, the smallest text of a plot
    assert [name for name in page['requests'] if not name.startswith(('data:', address))] == []


def brightness(colour):
    return sum(map(int, re.findall(r'\d+', colour)[:3]))


def test_the_page_follows_light_and_dark(address, tmp_path):
    light, dark = (chromium.measured(address, 390, tmp_path, theme) for theme in (1, 0))
    assert brightness(light['background']) > 700 > 150 > brightness(light['ink'])
    assert brightness(dark['background']) < 100 < 600 < brightness(dark['ink'])
