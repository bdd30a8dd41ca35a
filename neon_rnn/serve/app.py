"""The requests that the page makes, and the refusal of all others (an ASGI application).

What keeps a photograph on this machine, and others out:

- There are four addresses. None of them names a file, and the server asks no other host.
- A request has to name this machine in ``Host``: a foreign site whose name leads here is refused
  (DNS rebinding).
- A photograph has to come from the page: another ``Origin`` is refused. Its ``Content-Type`` is one
  of pictures, which a foreign site may not send without asking first, and nothing here says yes.
- Bytes, pixels, seconds, and photographs at a time are bounded. Nothing is written to the disk.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from neon_rnn.data.images import ImageError
from neon_rnn.serve.page import MAX_BYTES, TYPES, File, to_json
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import one_line

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
#: Sent with every answer. One request a connection: a slow one then holds up nothing but itself.
HEADERS = [
    (b'cache-control', b'no-store'),
    (b'connection', b'close'),
    (b'content-security-policy', POLICY.encode()),
    (b'cross-origin-opener-policy', b'same-origin'),
    (b'cross-origin-resource-policy', b'same-origin'),
    (b'referrer-policy', b'no-referrer'),
    (b'x-content-type-options', b'nosniff'),
    (b'x-frame-options', b'DENY'),
]
#: A body that is too large is read up to this multiple of the limit, so that its sender hears why.
_PATIENCE = 4


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a visitor may use.

    Attributes
    ----------
    bytes : int
        Of a photograph.
    photographs : int
        At a time: one is computed, the others arrive or wait.
    connections : int
        At a time.
    upload_seconds, header_seconds, connection_seconds : float
        For a photograph to arrive; for the lines before it; for everything.
    """

    bytes: int = MAX_BYTES
    photographs: int = 4
    connections: int = 32
    upload_seconds: float = 30
    header_seconds: float = 10
    connection_seconds: float = 300


class Refused(Exception):
    """A request that is not answered: `status` is the HTTP status, the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Gone(Exception):
    """The visitor has closed the connection."""


class App:
    """The ASGI application.

    Parameters
    ----------
    files : dict
        Path -> `File`.
    explain : callable
        From the bytes of a photograph to what JSON can hold. It runs in a thread of its own, for
        one photograph at a time.
    hosts : iterable of str
        The names of this machine that a request may use, without a port.
    limits : Limits
    """

    def __init__(
        self,
        files: dict[str, File],
        explain: Callable[[bytes], dict[str, Any]],
        hosts: frozenset[str],
        limits: Limits,
    ) -> None:
        self.files, self.explain, self.hosts, self.limits = files, explain, hosts, limits
        self.photographs = 0
        self.worker = concurrent.futures.ThreadPoolExecutor(1, 'explain')

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            return
        status, file = 200, File(b'', '')
        try:
            file = await self._answer(scope, receive)
        except _Gone:
            return
        except Refused as refused:
            status, file = refused.status, to_json({'error': one_line(refused)})
        except Exception:
            logging.getLogger(__name__).exception('a fault of neon_rnn serve')
            text = 'A fault in the program; what it printed says more.'
            status, file = 500, to_json({'error': text})
        own = [
            (b'content-type', file.type.encode()),
            (b'content-length', str(len(file.content)).encode()),
        ]
        await send({'type': 'http.response.start', 'status': status, 'headers': own + HEADERS})
        await send({'type': 'http.response.body', 'body': file.content})

    async def _answer(self, scope: Scope, receive: Receive) -> File:
        host = self._checked_host(scope)
        path, method = scope['path'], scope['method']
        if path in self.files:
            if method not in ('GET', 'HEAD'):
                raise Refused(405, f'{method}: the page is read with GET.')
            return self.files[path]
        if path != '/explain':
            raise Refused(404, 'There is nothing at this address.')
        if method != 'POST':
            raise Refused(405, f'{method}: a photograph is sent with POST.')
        self._check_sender(scope, host)
        if self.photographs >= self.limits.photographs:
            raise Refused(503, 'Busy with other photographs; try again in a moment.')
        self.photographs += 1
        try:
            return to_json(await self._explained(await self._body(scope, receive)))
        finally:
            self.photographs -= 1

    def _checked_host(self, scope: Scope) -> str:
        """Return the ``Host`` of a request, if it is a name of this machine."""
        host = _header(scope, b'host')
        name = re.fullmatch(r'(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]+)?', host.lower())
        if name is None or name[1] not in self.hosts:
            raise Refused(403, 'This name of the machine is not known; use the printed address.')
        return host

    def _check_sender(self, scope: Scope, host: str) -> None:
        """Refuse what another site, or a form, sends."""
        if _header(scope, b'sec-fetch-site') not in ('', 'same-origin') or _header(
            scope, b'origin'
        ) not in ('', f'http://{host}'):
            raise Refused(403, 'Photographs are taken from the page itself only.')
        given = _header(scope, b'content-type').partition(';')[0].strip().lower()
        if given not in TYPES:
            raise Refused(
                415, f'This file is not a photograph of a known type: {", ".join(TYPES.values())}.'
            )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read a photograph."""
        most = self.limits.bytes
        stated = _header(scope, b'content-length')
        if stated.isdigit() and int(stated) > _PATIENCE * most:
            raise Refused(413, _too_large(most))
        try:
            body = await asyncio.wait_for(
                _read(receive, most, _PATIENCE * most), self.limits.upload_seconds
            )
        except asyncio.TimeoutError:
            raise Refused(408, 'The photograph did not arrive in time.') from None
        if body is None:
            raise Refused(413, _too_large(most))
        if not body:
            raise Refused(400, 'The file is empty.')
        return body

    async def _explained(self, photograph: bytes) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.worker, self.explain, photograph)
        except ImageError as error:
            raise Refused(422, f'This photograph cannot be used: {error}.') from error
        except NeonRnnError as error:
            raise Refused(503, str(error)) from error


async def _read(receive: Receive, most: int, patience: int) -> bytes | None:
    """Return a body; None if it has more than `most` bytes. Stop after `patience` bytes."""
    body, size, more = bytearray(), 0, True
    while more and size <= patience:
        message = await receive()
        if message['type'] == 'http.disconnect':
            raise _Gone
        part = message.get('body', b'')
        size += len(part)
        if size <= most:
            body += part
        more = message.get('more_body', False)
    return bytes(body) if size <= most else None


def _header(scope: Scope, name: bytes) -> str:
    """Return a header, '' if it is missing; one that comes twice is never right."""
    values = [value for key, value in scope['headers'] if key == name]
    if len(values) > 1:
        raise Refused(400, f'The header {name.decode()} comes twice.')
    return values[0].decode('latin-1') if values else ''


def _too_large(most: int) -> str:
    return f'This file is too large: at most {most / (1 << 20):g} MiB.'
