"""The page of ``serve`` in a browser, with a trained run: a photograph is dropped and explained.

Needs Chromium (Debian: apt-get install chromium); without it these tests are skipped.
"""

import base64
import io
import json

import numpy as np
import pytest
from chromium import needed
from devtools import Browser
from page_client import Served
from PIL import Image
from small_datasets import write_picture
from small_training import train_models

from neon_rnn.data import images
from neon_rnn.explain import explainer, pictures

pytestmark = [needed, pytest.mark.slow]


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Model name -> the folder of a run of it."""
    return train_models(tmp_path_factory.mktemp('training'), 'rnn', 'fcnn-1')


@pytest.fixture(scope='module')
def served(runs):
    with Served(runs['rnn']) as found:
        yield found
        assert found.files() == [], 'something was written'
    assert found.errors == ''


@pytest.fixture
def browser(served, tmp_path):
    with Browser(tmp_path / 'profile') as found:
        found.open(served.address)
        yield found
        assert found.complaints() == []
        assert {url.removeprefix(served.address) for url in found.requests()} <= {
            *('/', '/page.css', '/page.js', '/explain')
        }


SHOWN = '!document.getElementById("answer").hidden'
PROBLEM = '(document.querySelector("#state.problem") || {}).textContent'
#: Every picture of the page: its title, and whether it was decoded.
PICTURES = """[...document.querySelectorAll('#answer figure')].map(figure => ({
  caption: figure.querySelector('figcaption').firstChild.textContent,
  detail: figure.querySelector('small').textContent,
  source: figure.querySelector('img').src,
  width: figure.querySelector('img').naturalWidth}))"""


def decoded(source):
    data = base64.b64decode(source.partition('base64,')[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))


@pytest.mark.parametrize('way', ['drop', 'choose'])
def test_a_photograph_is_explained(browser, runs, tmp_path, way):
    photograph = write_picture(tmp_path / 'photo.jpg', seed=5, size=(90, 70))
    if way == 'drop':
        browser.drop('#drop', photograph)
    else:
        browser.choose('#file', photograph)
    browser.wait(SHOWN)
    opened = explainer.open_run(runs['rnn'])
    expected = opened.explain(images.load(photograph, opened.preprocessing))
    shown = browser.run(
        "[...document.querySelectorAll('#probabilities tr')].map(({cells}) =>"
        ' [cells[0].textContent, cells[1].firstChild.value, cells[2].textContent])'
    )
    assert {name: value for name, value, _ in shown} == pytest.approx(
        expected.probabilities, abs=1e-5
    )
    assert shown[0][1] >= shown[1][1]
    assert [text for *_, text in shown] == [f'{100 * value:.1f}%' for _, value, _ in shown]
    assert browser.run("document.getElementById('best').textContent").startswith(expected.best)
    found = browser.run(PICTURES)
    drawn = pictures.pictures(expected)
    assert [each['caption'] for each in found] == [each.caption for each in drawn]
    assert [each['detail'] for each in found] == [each.detail for each in drawn]
    assert len(found) == 2 + 8
    for each, picture in zip(found, drawn, strict=True):
        assert each['width'] == picture.image.width
        difference = decoded(each['source']).astype(int) - np.asarray(picture.image)
        assert np.abs(difference).max() <= 1, each['caption']  # another order of sums
    browser.screenshot(tmp_path / 'page.png')
    with Image.open(tmp_path / 'page.png') as image:
        assert len(image.convert('RGB').getcolors(1 << 24)) > 500


def test_a_bad_picture_is_an_error_and_the_next_one_is_explained(browser, tmp_path):
    bad = tmp_path / 'bad.jpg'
    bad.write_bytes(write_picture(tmp_path / 'photo.jpg', seed=5).read_bytes()[:400])
    browser.drop('#drop', bad)
    assert browser.wait(PROBLEM).startswith(
        'This photograph cannot be used: truncated or damaged image'
    )
    assert not browser.run(SHOWN)
    # The browser itself notes an answer of status 422; nothing else is wrong.
    (noted,) = browser.complaints()
    assert '422' in noted['entry']['text']
    browser.events.clear()
    browser.drop('#drop', tmp_path / 'photo.jpg')
    browser.wait(SHOWN)
    assert not browser.run(PROBLEM)


@pytest.mark.parametrize(
    ('name', 'content', 'text'),
    [
        ('notes.txt', b'a note', 'This file is not a photograph of a known type'),
        ('page.svg', b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'This file is not a photograph'),
        ('large.jpg', bytes((32 << 20) + 1), 'This file is too large: at most 32 MiB.'),
        ('empty.jpg', b'', 'The file is empty.'),
    ],
)
def test_what_is_not_a_photograph_is_told(browser, tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    browser.drop('#drop', tmp_path / name)
    assert browser.wait(PROBLEM).startswith(text)
    browser.events[:] = [e for e in browser.events if e['method'] != 'Log.entryAdded']


def test_several_at_once_are_refused(browser, tmp_path):
    photographs = [write_picture(tmp_path / f'{n}.jpg', seed=n) for n in range(2)]
    browser.drop('#drop', *photographs)
    assert browser.wait(PROBLEM) == 'One photograph at a time, please.'


def test_a_drop_beside_the_field_does_not_leave_the_page(browser, served, tmp_path):
    browser.drop('h1', write_picture(tmp_path / 'photo.jpg', seed=5))
    browser.wait(SHOWN)
    assert browser.run('location.href') == served.address + '/'


def test_the_policy_of_the_page_holds(browser, served):
    """Scripts and styles in the page, other hosts and addresses that run code do nothing."""
    attempts = """(async () => {
      const results = {};
      const script = document.createElement('script');
      const style = document.createElement('style');
      style.textContent = 'body { font-size: 99px }';
      try { script.textContent = 'window.inline = true'; document.head.append(script); }
      catch (error) { results.script = error.name; }
      document.head.append(style);
      results.inline = window.inline === true;
      results.size = getComputedStyle(document.body).fontSize;
      try { await fetch('http://127.0.0.1:9/'); results.fetch = 'sent'; }
      catch (error) { results.fetch = error.name; }
      try { document.body.insertAdjacentHTML('beforeend', '<p>x</p>'); results.html = 'made'; }
      catch (error) { results.html = error.name; }
      try { eval('1'); results.eval = 'run'; } catch (error) { results.eval = error.name; }
      window.results = JSON.stringify(results);
    })()"""
    browser.run(attempts + ', 0')
    found = json.loads(browser.wait('window.results'))
    assert found == {
        'script': 'TypeError',
        'inline': False,
        'size': '15px',
        'fetch': 'TypeError',
        'html': 'TypeError',
        'eval': 'EvalError',
    }
    logged = ' '.join(each['entry']['text'] for each in browser.complaints())
    assert 'violates' in logged
    assert 'connect-src' in logged
    browser.events[:] = [
        event
        for event in browser.events
        if event['method'] not in ('Log.entryAdded', 'Network.requestWillBeSent')
    ]


def test_another_site_can_neither_send_a_photograph_nor_read_the_page(served, tmp_path):
    """The name evil.example leads to this machine: another origin, and DNS rebinding."""
    rules = '--host-resolver-rules=MAP evil.example 127.0.0.1'
    with Browser(tmp_path / 'profile', rules) as browser:
        browser.open(f'http://evil.example:{served.port}/')
        assert 'This name of the machine is not known' in browser.run('document.body.textContent')
    (tmp_path / 'evil.html').write_text('<title>evil</title>')
    with Browser(tmp_path / 'other') as browser:
        browser.open((tmp_path / 'evil.html').as_uri())
        for kind in ('image/jpeg', 'text/plain'):
            browser.run(
                f"fetch('{served.address}/explain', {{method: 'POST', body: 'x',"
                f" headers: {{'Content-Type': '{kind}'}}}})"
                ".then(answer => window.got = 'read', error => window.got = error.name), 0"
            )
            assert browser.wait('window.got') == 'TypeError'
            browser.run('delete window.got')
        statuses = [
            event['params']['response']['status']
            for event in browser.events
            if event['method'] == 'Network.responseReceived'
            and event['params']['response']['url'].endswith('/explain')
        ]
        assert 200 not in statuses


@pytest.mark.parametrize('width', [390, 1280])
def test_nothing_scrolls_sideways(browser, tmp_path, width):
    browser.call(
        'Emulation.setDeviceMetricsOverride',
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser.drop('#drop', write_picture(tmp_path / 'photo.jpg', seed=5))
    browser.wait(SHOWN)
    assert browser.run('document.documentElement.scrollWidth') <= width
    assert browser.run("document.querySelector('progress').getBoundingClientRect().width") > 60


def test_a_network_without_sweeps(runs, tmp_path):
    with Served(runs['fcnn-1']) as served, Browser(tmp_path / 'profile') as browser:
        browser.open(served.address)
        browser.drop('#drop', write_picture(tmp_path / 'photo.jpg', seed=5))
        browser.wait(SHOWN)
        assert len(browser.run(PICTURES)) == 2
        assert browser.run('document.getElementById("sweeps").hidden')


def test_a_server_that_has_ended_is_told(runs, tmp_path):
    with Browser(tmp_path / 'profile') as browser:
        with Served(runs['fcnn-1']) as served:
            browser.open(served.address)
        browser.drop('#drop', write_picture(tmp_path / 'photo.jpg', seed=5))
        assert browser.wait(PROBLEM).startswith('The program that serves this page does not answer')
