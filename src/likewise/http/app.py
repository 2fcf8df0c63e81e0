"""From a request to its reply: find the route, the caller and the input, make the call, count it."""

import os
from collections.abc import AsyncIterator, Awaitable
from time import monotonic, perf_counter

import structlog

from ..errors import Closed, Fault, LikewiseError, Malformed
from ..likes import Likes
from ..measures import LATENCY_BOUNDS_S, Histogram
from ..model import Position
from ..settings import Settings
from ..times import to_rfc3339
from . import calls
from .calls import Call
from .docs import render_docs
from .identity import Identity, Who, acting_user, check, identity_of
from .inputs import read_body, read_query
from .messages import Reply, Request
from .openapi import render_openapi
from .problems import Problem, method_not_allowed, not_found, reply_to
from .routes import ROUTES, Route, Router

log = structlog.get_logger("likewise.http")

UNCHECKED = (Who.ANYONE, Who.USER)
"""Calls that need no check before they are made: they ask for nobody, or for the user themselves."""

REQUEST_ID_BYTES_MAX = 128

NO_ROUTE = Route("any", "none", calls.livez, Who.ANYONE, "What requests that found no route are counted under", None)


class RequestMeasures:
    """How many requests of each call ended how, and how long they took. Labelled by route and status, no ids."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.ended: dict[tuple[str, str, int], int] = {}
        self.request_seconds = Histogram(LATENCY_BOUNDS_S)
        self.in_flight = 0

    def observe(self, route: Route, status: int, seconds: float) -> None:
        """A request has ended."""
        self.request_seconds.observe(seconds)
        key = (route.method, route.path, status)
        self.ended[key] = self.ended.get(key, 0) + 1


class App:
    """The HTTP API over one `Likes`. Of the processes of a service, worker 1 writes; the others read along."""

    def __init__(
        self, likes: Likes, settings: Settings | None = None, identity: Identity | None = None, *, worker: int = 1
    ) -> None:
        self.likes = likes
        self.worker = worker
        self.settings = settings or Settings()
        self.identity = identity or identity_of(self.settings)
        self.measures = RequestMeasures()
        self.draining = False
        self.openapi_json = render_openapi(ROUTES)
        self.docs_html = render_docs(ROUTES)
        self._router = Router(ROUTES)
        self._boot = os.urandom(4).hex()
        self._requests = 0

    async def handle(self, request: Request) -> Reply:
        """The reply to a request; never raises."""
        began = perf_counter()
        measures = self.measures
        measures.in_flight += 1
        self._requests += 1
        request_id = f"{self._boot}-{self._requests:x}"
        route, as_of = NO_ROUTE, None
        try:
            request_id = _given_id(request) or request_id
            route, target = self._find(request)
            if self.worker > 1 and route.reads:
                as_of = self.likes.as_of()
            reply = self._call(route, request, target)
            if not isinstance(reply, Reply):
                reply = await reply
        except Exception as error:
            reply = reply_to(error)
            if reply.status >= 500:
                _log_failure(error, route, request_id)
        finally:
            measures.in_flight -= 1
        seconds = perf_counter() - began
        measures.observe(route, reply.status, seconds)
        if self.settings.access_log:
            took = round(seconds * 1000, 2)
            called = {"method": route.method, "route": route.path, "status": reply.status}
            log.info("request", **called, ms=took, request_id=request_id)
        stream = reply.stream and self._counted(reply.stream)
        headers = [*reply.headers, ("x-request-id", request_id)]
        if as_of is not None:
            headers.append(("likewise-as-of", to_rfc3339(as_of)))
        return Reply(reply.status, headers, reply.body, stream)

    async def _counted(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A stream is under way until its end; the server waits for it before it stops."""
        self.measures.in_flight += 1
        try:
            async for piece in stream:
                yield piece
        finally:
            self.measures.in_flight -= 1

    def _find(self, request: Request) -> tuple[Route, str]:
        path = request.path
        found = self._router.find(path)
        if found is None:
            raise not_found(path)
        by_method, target = found
        method = request.method
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is None:
            raise method_not_allowed(method, list(by_method))
        if "\ufffd" in target:
            raise Malformed(Fault("path", "the id is not UTF-8 (or has U+FFFD, which stands for bytes that are not)"))
        return route, target

    def _call(self, route: Route, request: Request, target: str) -> Reply | Awaitable[Reply]:
        """The shortest way for a call that says nothing but its path, the whole way for the rest."""
        query = read_query(route.query, request.query)
        call = Call(self, request, target, query)
        has_body = route.body is not None and (route.body_required or request.has_body())
        if has_body or request.query or route.who not in UNCHECKED or self.draining:
            return self._call_checked(route, call, has_body)
        return route.call(call)

    async def _call_checked(self, route: Route, call: Call, has_body: bool) -> Reply:
        if self.draining and route.call is not calls.livez:
            raise Closed("shutting down; ask again in a moment", 2)
        if route.who not in UNCHECKED:
            check(route.who, call.caller, self.settings, call.owner if "{user_id}" in route.path else None)
        if has_body:
            call.body = await read_body(route, call.request, self.settings)
        if (named := call.named) is not None:
            acting_user(call.caller, named)  # to name another is refused, also where it would change nothing
        for asked in (call.query, call.body):
            if (at_least := getattr(asked, "at_least", None)) is not None:
                await self.likes.reach(Position.parse(at_least))
        reply = route.call(call)
        return reply if isinstance(reply, Reply) else await reply


def _given_id(request: Request) -> str | None:
    """The caller's own id of the request, to be found again in the logs of both; None for one unfit for a log."""
    given = request.header("x-request-id")
    fit = given and len(given) <= REQUEST_ID_BYTES_MAX and given.isprintable()
    return given if fit else None


def _log_failure(error: Exception, route: Route, request_id: str) -> None:
    if isinstance(error, LikewiseError | Problem):
        log.warning("request failed", route=route.path, error=str(error), request_id=request_id)
    else:
        log.error("request failed", route=route.path, request_id=request_id, exc_info=error)
