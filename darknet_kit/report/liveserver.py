"""The live page of runs over HTTP: a page, and for each run a stream of what is new.

Nothing of a request becomes a path: a run is looked up by its name among those that were found, and
no file is ever sent. Who asks over the loopback address must mean it (a page elsewhere cannot make
a browser ask under another name); who asks from elsewhere must know the token.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from darknet_kit.report.channel import Channel
from darknet_kit.report.page import render_page
from darknet_kit.train.runs.folder import RunFolder

FindRuns = Callable[[], Sequence[RunFolder]]

# Asked for by name, and with a token.
_EVERYWHERE = frozenset(("", "0.0.0.0", "::"))
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `token` is what readers must know; empty on the loopback address."""

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        # That it listens everywhere is no address that a browser elsewhere could ask for.
        host = socket.gethostname() if self.host in _EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")


@contextlib.asynccontextmanager
async def serving(find: FindRuns, address: Address) -> AsyncIterator[Address]:
    """Serve the runs that `find` returns, asked for each page, until the block ends; give the
    address with the port that was free.

    Raises OSError where it cannot be listened at.
    """
    runner = web.AppRunner(make_app(find, address.token), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        await site.start()
        port: int = runner.addresses[0][1]
        yield Address(address.host, port, address.token)
    finally:
        await runner.cleanup()


class _Board:
    """The channels of the runs that were found at the last look, by name."""

    def __init__(self, find: FindRuns) -> None:
        self._find = find
        self.channels: dict[str, Channel] = {}

    async def look_around(self) -> None:
        found, known = await asyncio.to_thread(self._find), self.channels
        self.channels = {}
        for run in found:
            self.channels.setdefault(run.name, known.get(run.name) or Channel(run))


def make_app(find: FindRuns, token: str) -> web.Application:
    """Return the application that shows the runs that `find` returns; of one name, the first."""
    board = _Board(find)

    async def page(_request: web.Request) -> web.Response:
        await board.look_around()
        text = render_page("live.html", names=list(board.channels))
        return web.Response(text=text, content_type="text/html")

    async def states(_request: web.Request) -> web.Response:
        await board.look_around()
        told = await asyncio.gather(*(one.snapshot() for one in board.channels.values()))
        return web.Response(text=json.dumps(told), content_type="application/json")

    async def stream(request: web.Request) -> web.StreamResponse:
        if not board.channels:  # it goes on in a page that was there before this process
            await board.look_around()
        channel = board.channels.get(request.match_info["name"])
        if channel is None:
            raise web.HTTPNotFound(text="there is no such run here")
        return await _tell(channel, request)

    app = web.Application(middlewares=[_add_headers, _make_guard(token)])
    app.add_routes(
        [web.get("/", page), web.get("/runs", states), web.get("/runs/{name}/stream", stream)]
    )
    return app


async def _tell(channel: Channel, request: web.Request) -> web.StreamResponse:
    """Send a reader all that a channel tells, until it goes away."""
    response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        async with contextlib.aclosing(channel.listen()) as messages:
            async for message in messages:
                part = f"data: {message}\n\n" if message else ": still here\n\n"
                await response.write(part.encode())
    return response


@web.middleware
async def _add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


def _make_guard(token: str) -> Middleware:
    """Return the middleware that lets nobody in who should not be."""
    # Browsers send a cookie to all ports of a machine: each server has one of its own.
    cookie = f"dkit-{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
        if not token:
            if request.host.rpartition(":")[0] not in _LOOPBACK and request.host not in _LOOPBACK:
                raise web.HTTPForbidden(text="ask for this page as localhost")
            return await handler(request)
        given = request.query.get("token", "")
        if _is_same(given, token):
            answer = web.HTTPFound(request.path)
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
            raise answer
        if not _is_same(request.cookies.get(cookie, ""), token):
            raise web.HTTPForbidden(text="open the address that dkit watch printed: it has a token")
        return await handler(request)

    return guard


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
