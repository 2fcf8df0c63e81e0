"""The one route table. Dispatch, validation, OpenAPI and the documentation page are all made from it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from ..transfer.backups import Backup
from . import calls, wire
from .calls import Call
from .identity import Who
from .messages import Reply


class Route(NamedTuple):
    """A call: where it is, who may make it, what it takes and what it answers.

    A path has at most one parameter, `{…}`, between a fixed beginning and a fixed last segment, so that an id may
    contain slashes. `problems` are statuses beyond those every call of its kind may answer.
    """

    method: str
    path: str
    call: Callable[[Call], Reply | Awaitable[Reply]]
    who: Who
    title: str
    answer: Any
    query: type[msgspec.Struct] = wire.Nothing
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    problems: tuple[int, ...] = ()
    hidden: bool = False

    @property
    def reads(self) -> bool:
        """Whether it answers with likes as they stand at a moment: what `at_least` asks for, Likewise-As-Of says."""
        return any(kind is not None and issubclass(kind, wire.Read) for kind in (self.query, self.body))


ITEM = "/v1/items/{item_id}"
USER = "/v1/users/{user_id}"

LIKE = Route(
    "PUT", f"{ITEM}/like", calls.like, Who.USER, "Like an item. Idempotent; with `strict`, 409 if already liked",
    wire.LikeAnswer, wire.LikeQuery, wire.LikeBody, body_required=False, problems=(409, 503),
)  # fmt: skip

ROUTES = (
    LIKE,
    LIKE._replace(method="POST"),
    Route(
        "DELETE", f"{ITEM}/like", calls.unlike, Who.USER, "Unlike an item. Idempotent; with `strict`, 404 if not liked",
        wire.LikeAnswer, wire.UnlikeQuery, problems=(404, 503),
    ),
    Route(
        "GET", f"{ITEM}/like", calls.status, Who.USER, "Whether the user likes an item, and since when",
        wire.StatusAnswer, wire.StatusQuery,
    ),
    Route(
        "GET", f"{ITEM}/count", calls.count, Who.ANYONE,
        "How many like an item; with `me=1`, also whether the caller does",
        wire.CountAnswer, wire.CountQuery, problems=(304,),
    ),
    Route(
        "GET", f"{ITEM}/likers", calls.likers, Who.LIKERS, "Who likes an item, newest first",
        wire.LikersAnswer, wire.LikersQuery,
    ),
    Route(
        "GET", f"{ITEM}/summary", calls.summary, Who.LIKERS, "Liked by A, B and 98 others, from one snapshot",
        wire.SummaryAnswer, wire.SummaryQuery,
    ),
    Route(
        "GET", "/v1/counts", calls.counts, Who.ANYONE, "The counts of several items, in the order asked",
        wire.CountsAnswer, wire.CountsQuery, problems=(304,),
    ),
    Route(
        "POST", "/v1/counts", calls.counts_in_bulk, Who.ANYONE, "The counts of up to 1,000 items, in the order asked",
        wire.CountsAnswer, body=wire.CountsBody,
    ),
    Route(
        "POST", "/v1/summaries", calls.summaries, Who.LIKERS, "A feed's worth of summaries, from one snapshot",
        wire.SummariesAnswer, body=wire.SummariesBody,
    ),
    Route(
        "GET", f"{USER}/likes", calls.likes_of, Who.LIKES, "What a user likes, newest first (`me`: the caller)",
        wire.UserLikesAnswer, wire.LikesQuery,
    ),
    Route(
        "GET", f"{USER}/data", calls.user_data, Who.OWNER, "Everything kept about a user, one JSON object a line",
        wire.UserLikeAnswer, wire.Read,
    ),
    Route(
        "DELETE", f"{USER}/data", calls.forget_user, Who.OWNER, "Forget a user: undo all their likes",
        wire.ForgottenAnswer, problems=(503,),
    ),
    Route(
        "POST", "/v1/ops", calls.ops, Who.SERVICE, "Apply up to 10,000 likes and unlikes; a bad one fails alone",
        wire.OpsAnswer, body=wire.OpsBody, problems=(503,),
    ),
    Route(
        "GET", "/v1/changes", calls.changes, Who.SERVICE, "Every like and unlike, in order, behind a position",
        wire.ChangesAnswer, wire.ChangesQuery, problems=(410,),
    ),
    Route(
        "GET", "/v1/trending", calls.trending, Who.ANYONE, "The items liked most right now",
        wire.TrendingAnswer, wire.TrendingQuery,
    ),
    Route("GET", "/v1/stats", calls.stats, Who.SERVICE, "The figures of the service", wire.StatsAnswer),
    Route(
        "POST", "/v1/backups", calls.backups, Who.SERVICE,
        "Copy the store into a new folder below the setting `backups`, and verify the copy",
        Backup, body=wire.BackupBody, problems=(503,),
    ),
    Route("GET", "/livez", calls.livez, Who.ANYONE, "Whether the process runs; asks no dependency", wire.HealthAnswer),
    Route("GET", "/readyz", calls.readyz, Who.ANYONE, "Whether it can do its work", wire.HealthAnswer, problems=(503,)),
    Route("GET", "/metrics", calls.metrics, Who.SERVICE, "Metrics in Prometheus' text format", str),
    Route("GET", "/openapi.json", calls.openapi, Who.ANYONE, "This API as OpenAPI 3.1", dict[str, Any]),
    Route("GET", "/docs", calls.docs, Who.ANYONE, "This API as a page", str, hidden=True),
)  # fmt: skip

ByMethod = dict[str, Route]


class Router:
    """Finds the route of a path: by the whole of it, or by its fixed beginning and its last segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, ByMethod] = {}
        self._with_id: dict[str, dict[str, ByMethod]] = {}
        for route in routes:
            beginning, brace, rest = route.path.partition("{")
            if brace:
                suffixes = self._with_id.setdefault(beginning, {})
                suffixes.setdefault(rest.partition("}/")[2], {})[route.method] = route
            else:
                self._fixed.setdefault(route.path, {})[route.method] = route

    def find(self, path: str) -> tuple[ByMethod, str] | None:
        """The routes of a path by method, and the id in it; None if it is no path of ours."""
        for beginning, suffixes in self._with_id.items():
            if path.startswith(beginning):
                cut = path.rfind("/")
                if cut >= len(beginning) and (by_method := suffixes.get(path[cut + 1 :])):
                    return by_method, path[len(beginning) : cut]
        by_method = self._fixed.get(path)
        return None if by_method is None else (by_method, "")
