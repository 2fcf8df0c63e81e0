"""Every error likewise raises on purpose. What a driver raises is translated inside its tier and never passes it.

```
LikewiseError
├── InvalidInput            the caller sent something unfit; `errors` says where and what
│   └── Malformed           it could not even be read: not a cursor, not a position, not JSON
├── StrictConflict          a strict call found nothing to do; carries `liked` and `count`
│   ├── AlreadyLiked
│   └── NotLiked
├── PositionExpired         the change log no longer reaches back that far
├── Unavailable             not now; try again in `retry_after_s`, which is safe
│   ├── Overloaded          the queue of writes is full
│   ├── StoreFailed         the store cannot write (disk full, I/O error, …)
│   └── Closed              the service is shutting down
└── SetupError              the service cannot start; the message says what to change
    ├── StoreInUse          another process owns the store; `url` is where it serves, if it does
    └── NotAStore           the file is not a likewise store, or one of a newer version
```
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One thing wrong with an input: where (a JSON pointer, or a parameter's name) and what to do about it."""

    pointer: str
    detail: str


class LikewiseError(Exception):
    """The base of everything below."""


class InvalidInput(LikewiseError):
    """The caller sent something unfit. Nothing was applied."""

    def __init__(self, *errors: Fault) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" if pointer else detail for pointer, detail in errors))
        self.errors = errors


class Malformed(InvalidInput):
    """The caller sent something that cannot be read as what it stands for."""


class StrictConflict(LikewiseError):
    """A strict call found that its like already is as asked. `liked` and `count` let a button mend itself."""

    liked: bool

    def __init__(self, count: int | None, liked_at: int | None = None) -> None:
        super().__init__(f"already {'liked' if self.liked else 'not liked'}")
        self.count = count
        self.liked_at = liked_at


class AlreadyLiked(StrictConflict):
    """A strict like of something this user likes already."""

    liked = True


class NotLiked(StrictConflict):
    """A strict unlike of something this user does not like."""

    liked = False


class PositionExpired(LikewiseError):
    """Changes after this position are no longer kept. Read the state anew, then follow from the newest position."""


class Unavailable(LikewiseError):
    """The service cannot do it now. Ask again after `retry_after_s` seconds: every call may be repeated.

    Nothing was applied, but for the first slices of a bulk call, and where the message says that it is not known.
    """

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """More writes are waiting than the queue may hold."""


class StoreFailed(Unavailable):
    """The store could not write; the batch was rolled back as a whole."""


class Closed(Unavailable):
    """The service is shutting down and takes no new work."""


class SetupError(LikewiseError):
    """The service cannot be set up like this; the message says what is wrong and how to mend it."""


class StoreInUse(SetupError):
    """Another process owns the store. `url` is the address it serves, if it said one."""

    def __init__(self, message: str, url: str | None = None) -> None:
        super().__init__(message)
        self.url = url


class NotAStore(SetupError):
    """What the URL names is not a likewise store, or was written by a newer version."""
