"""The server of the page with a made-up network behind it, in a thread of the test."""

import threading

import numpy as np
from page_client import exchange, request
from small_datasets import encoded, picture

from neon_rnn.data.images import Preprocessing
from neon_rnn.explain.explainer import Explanation
from neon_rnn.explain.occlusion import occlude
from neon_rnn.serve import server

PHOTOGRAPH = encoded(picture(1))


class MadeUp:
    """In place of an `Explainer`: bright pictures are of the second class."""

    preprocessing = Preprocessing(16, 16)
    source, name, kind = 'made-up, epoch 1', 'RNN <b>', 'photographs'

    def __init__(self):
        self.ready = threading.Event()
        self.ready.set()
        self.error = None

    def predict(self, pixels):
        bright = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)

    def explain(self, pixels):
        assert self.ready.wait(60)
        if self.error:
            raise self.error
        return Explanation(pixels, ['dark', 'bright'], occlude(self.predict, pixels), [])


class Running:
    """A server in a thread."""

    def __init__(self, limits=server.LIMITS, host='127.0.0.1'):
        self.explainer = MadeUp()
        self.opened = server.listen(host, 0)
        self.port = server.address_of(self.opened)[1]
        self.server = server.make_server(self.explainer, self.opened, limits)
        self.thread = threading.Thread(target=self.server.run, kwargs={'sockets': [self.opened]})
        self.thread.start()

    def get(self, path='/', method='GET', **headers):
        names = {name.title(): value for name, value in headers.items()}
        return exchange(self.port, request(method, path, names))

    def end(self):
        self.explainer.ready.set()
        self.server.should_exit = True
        self.thread.join(30)
        self.opened.close()
        assert not self.thread.is_alive()
