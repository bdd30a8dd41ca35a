"""Pages in a browser: a folder served on the loopback, and what Chromium measures there.

Needs Chromium (Debian: apt-get install chromium); `needed` skips tests without it.
"""

import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest

CHROMIUM = (
    shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
)
#: Without a window, a sandbox or a GPU, and silent on the network.
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
    '--hide-scrollbars',
)
needed = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium here: apt-get install chromium')


@contextlib.contextmanager
def served(folder, frame):
    """Serve a folder on the loopback; yield its address.

    Parameters
    ----------
    folder : str or os.PathLike
    frame : str
        HTML that measures a page in an iframe, since a headless window cannot be as narrow as a
        phone. It is served as ``/frame-390``, with that number in place of WIDTH.
    """

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            if not self.path.startswith('/frame-'):
                super().do_GET()
                return
            content = frame.replace('WIDTH', self.path.rpartition('-')[2]).encode()
            self.send_response(200)
            self.send_header('Content-Type', 'text/html; charset=utf-8')
            self.end_headers()
            self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()
    thread.join()


def measured(address, width, profile, theme=1, *flags):
    """Open the frame of a width; return the JSON that it writes between MEASURED and END.

    Parameters
    ----------
    address : str
        As `served` yields it.
    width : int
        In pixels.
    profile : str or os.PathLike
        A folder for the browser.
    theme : int
        0 dark, 1 light.
    flags : str
        Further options of Chromium.
    """
    command = [
        CHROMIUM,
        *FLAGS,
        '--dump-dom',
        '--window-size=1400,1000',
        f'--user-data-dir={profile}',
        f'--blink-settings=preferredColorScheme={theme}',
        *flags,
        f'{address}/frame-{width}',
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = re.search('MEASURED(.*)END', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(found[1].replace('&gt;', '>').replace('&lt;', '<').replace('&amp;', '&'))
