"""Who is calling, and what they may do. An `Identity` turns a request into a `Caller`; tokens will be further ones."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from ..errors import Fault, Malformed
from ..settings import Settings, is_loopback
from .messages import Request
from .problems import forbidden, unauthorized


class Caller(NamedTuple):
    """A user, or someone with the service scope (who may act for any user), or nobody known."""

    user_id: str | None
    service: bool = False


ANONYMOUS = Caller(None)
SERVICE = Caller(None, service=True)

Identity = Callable[[Request], Caller]


class Who(Enum):
    """Who may make a call: fixed, or (the last two) by a setting."""

    ANYONE = "anyone"
    USER = "a user"
    OWNER = "the user, or the service scope"
    SERVICE = "the service scope"
    LIKERS = "by the setting `likers_visible_to`"
    LIKES = "by the setting `likes_visible_to`"


def identity_of(settings: Settings) -> Identity:
    """The identity that the settings ask for."""
    match settings.identity:
        case "loopback":
            return _Loopback(settings.user_header)
        case "header":
            return _Gateway(settings.user_header)


class _Gateway:
    """A gateway has authenticated the caller and says who it is; without its header, nobody."""

    def __init__(self, header: str) -> None:
        self._header = header.lower()

    def __call__(self, request: Request) -> Caller:
        given = request.headers(self._header)
        if len(given) > 1:  # a gateway that adds its word to the caller's own instead of replacing it
            raise Malformed(Fault(self._header, "was given twice; the gateway must replace what callers send"))
        return Caller(_named(self._header, given[0])) if given else ANONYMOUS


class _Loopback:
    """Nothing is configured, so the server listens on loopback only and trusts this machine: `X-User-Id` names the
    user, and without it the caller has the service scope.

    A web page in this machine's browser is not this machine: what was sent to another host name (DNS rebinding) or
    comes from another origin is nobody.
    """

    def __init__(self, header: str) -> None:
        self._header = header.lower()
        self._hosts: set[str] = set()

    def __call__(self, request: Request) -> Caller:
        host = request.header("host") or ""
        if host not in self._hosts and not self._accept(host):
            return ANONYMOUS
        user_id = request.header(self._header)
        if user_id is not None:
            return Caller(_named(self._header, user_id))
        origin = request.header("origin")
        return SERVICE if origin is None or names_loopback(origin.partition("://")[2]) else ANONYMOUS

    def _accept(self, host: str) -> bool:
        accepted = names_loopback(host)
        if accepted and len(self._hosts) < 100:
            self._hosts.add(host)
        return accepted


def _named(header: str, user_id: str) -> str:
    """Nobody is named by an empty header: to take it for missing could give the service scope."""
    if not user_id:
        raise Malformed(Fault(header, "must not be empty"))
    return user_id


def names_loopback(host: str) -> bool:
    """Whether a Host header (with or without a port) names this machine."""
    return is_loopback(host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0])


def check(who: Who, caller: Caller, settings: Settings, owner: str | None) -> None:
    """Raises Problem (401 or 403) unless `caller` may make a call about `owner`."""
    if caller.service:
        return
    needed = {Who.LIKERS: settings.likers_visible_to, Who.LIKES: settings.likes_visible_to}.get(who, who.name.lower())
    if needed in ("anyone", "public"):
        return
    if needed == "service":
        raise forbidden("this call needs the service scope")
    if caller.user_id is None:
        raise unauthorized("this call needs a known user; say who is calling")
    if needed == "owner" and caller.user_id != owner:
        raise forbidden("this is for the user it is about, and for the service scope")


def acting_user(caller: Caller, named: str | None) -> str:
    """The user on whose behalf a call acts: the caller, or whom the service scope names. Raises Problem."""
    if caller.service and named is not None:
        return named
    if caller.user_id is not None:
        if named is not None and named != caller.user_id:
            raise forbidden("the user named is not the caller, and the caller has no service scope")
        return caller.user_id
    if caller.service:
        raise unauthorized("say for which user: the X-User-Id header, or user_id")
    raise unauthorized("this call needs a user; say who is calling (on loopback: the X-User-Id header)")
