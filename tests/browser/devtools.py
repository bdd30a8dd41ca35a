"""Chromium driven through its DevTools protocol, over a pipe."""

import base64
import json
import os
import select
import subprocess
import time

from chromium import CHROMIUM, FLAGS

#: Seconds.
_PATIENCE = 120


class Browser:
    """One page in a Chromium of its own; a context manager.

    Attributes
    ----------
    events : list of dict
        All that the browser has told so far, as ``{'method': ..., 'params': ...}``.
    """

    def __init__(self, profile, *flags):
        self.flags = [*FLAGS, f'--user-data-dir={profile}', '--remote-debugging-pipe', *flags]
        self.events, self.number, self.rest = [], 0, b''

    def __enter__(self):
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ['bash', '-c', command, 'bash', CHROMIUM, *self.flags, 'about:blank'],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        targets = self.call('Target.getTargets', session=False)['targetInfos']
        target = next(each['targetId'] for each in targets if each['type'] == 'page')
        self.session = self.call(
            'Target.attachToTarget', session=False, targetId=target, flatten=True
        )['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log', 'DOM'):
            self.call(f'{domain}.enable')
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def call(self, method, session=True, **parameters):
        """Send a command and return its result."""
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if session:
            message['sessionId'] = self.session
        os.write(self.out, json.dumps(message).encode() + b'\0')
        while True:
            found = self._next()
            if found.get('id') == self.number:
                assert 'error' not in found, found
                return found['result']
            self.events.append(found)

    def _next(self):
        while b'\0' not in self.rest:
            ready, _, _ = select.select([self.into], [], [], _PATIENCE)
            assert ready, 'the browser says nothing'
            part = os.read(self.into, 1 << 20)
            assert part, 'the browser has ended'
            self.rest += part
        message, _, self.rest = self.rest.partition(b'\0')
        return json.loads(message)

    def run(self, script):
        """Return the value of a JavaScript expression on the page."""
        found = self.call(
            'Runtime.evaluate',
            expression=script,
            returnByValue=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        assert 'exceptionDetails' not in found, found['exceptionDetails']
        return found['result'].get('value')

    def wait(self, script):
        """Wait until a JavaScript expression is true; return its value."""
        end = time.monotonic() + _PATIENCE
        while True:
            found = self.run(script)
            if found:
                return found
            assert time.monotonic() < end, f'never true: {script}'
            time.sleep(0.05)

    def open(self, address):
        """Open a page and wait for it."""
        self.call('Page.navigate', url=address)
        self.wait('document.readyState === "complete" && location.href !== "about:blank"')

    def choose(self, selector, *paths):
        """Choose files in a field of the page."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.call('DOM.setFileInputFiles', nodeId=node, files=[str(path) for path in paths])

    def drop(self, selector, *paths):
        """Drop files on an element of the page."""
        x, y = self.run(
            f'(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();'
            ' return [box.x + box.width / 2, box.y + box.height / 2]; })()'
        )
        data = {'items': [], 'files': [str(path) for path in paths], 'dragOperationsMask': 1}
        for kind in ('dragEnter', 'dragOver', 'drop'):
            self.call('Input.dispatchDragEvent', type=kind, x=x, y=y, data=data)

    def screenshot(self, path):
        """Write the whole page as a PNG file."""
        found = self.call('Page.captureScreenshot', captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found['data']))

    def requests(self):
        """Return the addresses that the page has asked for, pictures in the page left out."""
        urls = [
            event['params']['request']['url']
            for event in self.events
            if event['method'] == 'Network.requestWillBeSent'
        ]
        return [url for url in urls if not url.startswith('data:')]

    def complaints(self):
        """Return what the browser has logged: errors, exceptions, breaches of the page's policy."""
        return [
            event['params']
            for event in self.events
            if event['method'] in ('Log.entryAdded', 'Runtime.exceptionThrown')
        ]
