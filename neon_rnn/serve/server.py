"""The server of the page: uvicorn on one address of this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from neon_rnn.data import images
from neon_rnn.explain.explainer import Explainer
from neon_rnn.serve import page
from neon_rnn.serve.app import App, Limits
from neon_rnn.support.errors import NeonRnnError, UsageError

#: Names of the machine itself, as browsers send them.
LOOPBACK = frozenset({'localhost', '127.0.0.1', '[::1]'})
LIMITS = Limits()


def listen(host: str, port: int) -> socket.socket:
    """Open the address to serve at.

    Parameters
    ----------
    host : str
        An address of this machine, or ``'localhost'``.
    port : int
        0: any free one.

    Raises
    ------
    UsageError
        It is not an address, or stands for all of them: then no request could be told from one of
        a foreign name.
    NeonRnnError
        The port is in use, or the address is not of this machine.
    """
    try:
        address = ipaddress.ip_address('127.0.0.1' if host == 'localhost' else host)
    except ValueError:
        raise UsageError(f'--host {host}: is not an IP address of this machine.') from None
    if address.is_unspecified or address.is_multicast:
        raise UsageError(f'--host {host}: name the one address at which others may reach the page.')
    opened = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((str(address), port))
        opened.listen()
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, 'strerror', None) or error
        raise NeonRnnError(
            f'{host}, port {port}: cannot be served at ({reason}); choose another --port.'
        ) from error
    return opened


def address_of(opened: socket.socket) -> tuple[str, int]:
    """Return (host as it stands in an address of the web, port)."""
    host, port = opened.getsockname()[:2]
    return (f'[{host}]' if ':' in host else host), port


def make_server(
    explainer: Explainer, opened: socket.socket, limits: Limits = LIMITS
) -> uvicorn.Server:
    """Return the server of a run's page; ``run(sockets=[opened])`` serves it."""

    def explain(photograph: bytes) -> dict[str, Any]:
        pixels = images.decode(photograph, explainer.preprocessing)
        return page.answer(explainer.explain(pixels))

    hosts = LOOPBACK | {address_of(opened)[0]}
    config = uvicorn.Config(
        App(page.files(explainer), explain, hosts, limits),
        http=_protocol(limits),
        ws='none',
        lifespan='off',
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def _protocol(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's HTTP, with an end to connections that send or take nothing."""

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.timers = [
                self.loop.call_later(limits.header_seconds, self._close_unasked),
                self.loop.call_later(limits.connection_seconds, transport.abort),
            ]

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in self.timers:
                timer.cancel()
            super().connection_lost(exc)

        def _close_unasked(self) -> None:
            if self.cycle is None:  # the lines of the request have not come
                self.transport.abort()

    return Bounded
