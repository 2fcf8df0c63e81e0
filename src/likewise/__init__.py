"""likewise: who likes what, how many, exactly once.

```python
from likewise import Likes

async with Likes.open("sqlite:likes.db") as likes:
    outcome = await likes.like("alice", "post:42", item_type="post")
    print(outcome.changed, outcome.count)
```

`likewise.sync.Likes` is the same for blocking code; `likewise.asgi(likes)` mounts the HTTP API in an application.
"""

from typing import TYPE_CHECKING

from .errors import (
    AlreadyLiked,
    Closed,
    InvalidInput,
    LikewiseError,
    NotAStore,
    NotLiked,
    Overloaded,
    PositionExpired,
    SetupError,
    StoreFailed,
    StoreInUse,
    StrictConflict,
    Unavailable,
)
from .likes import Likes, Limits
from .model import Change, Changes, Count, Like, Op, Outcome, Page, Position, Report, Stats, Summary
from .times import to_datetime, to_rfc3339
from .trending import Hot

if TYPE_CHECKING:
    from collections.abc import Callable

    from .http.asgi import AsgiApp, Scope

__version__ = "0.1.0"


def asgi(likes: Likes, *, user: "Callable[[Scope], str | None] | None" = None) -> "AsgiApp":
    """The HTTP API as an ASGI application, to be mounted beside others: `app.mount("/likes", likewise.asgi(likes))`.

    `user` gives the user id of an ASGI scope, as your application has authenticated it, or None for nobody. Without
    it everybody is nobody: counts and trending are public, and the rest answers 401.
    """
    from .http.asgi import AsgiApp, from_scope

    return AsgiApp(likes, identity=from_scope(user))


__all__ = [
    "AlreadyLiked",
    "Change",
    "Changes",
    "Closed",
    "Count",
    "Hot",
    "InvalidInput",
    "Like",
    "Likes",
    "LikewiseError",
    "Limits",
    "NotAStore",
    "NotLiked",
    "Op",
    "Outcome",
    "Overloaded",
    "Page",
    "Position",
    "PositionExpired",
    "Report",
    "SetupError",
    "Stats",
    "StoreFailed",
    "StoreInUse",
    "StrictConflict",
    "Summary",
    "Unavailable",
    "asgi",
    "to_datetime",
    "to_rfc3339",
]
