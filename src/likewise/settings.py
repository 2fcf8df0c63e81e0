"""What can be set, and where it comes from: flags > `LIKEWISE_*` in the environment > a TOML file > defaults.

A tier's own settings are in its URL (`sqlite:likes.db?cache_mb=256`). `LIKEWISE_<NAME>_FILE` names a file that holds
the value, for secrets.
"""

import sys
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import msgspec

from .errors import SetupError
from .store.url import StoreUrl


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine and nobody else."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of `likewise serve`. `docs/settings.md` lists them; a test holds it to this class."""

    store: str = "sqlite:likes.db"
    """Where likes are kept."""

    host: str = "127.0.0.1"
    """The address to listen on. Beyond loopback only with an `identity`."""

    port: int = 8080
    """The port to listen on; 0 picks a free one."""

    workers: int = 1
    """How many processes serve: one that writes, the others read along. More than one only with a `rocksdb:` store."""

    identity: Literal["loopback", "header"] = "loopback"
    """Who is calling, by `user_header`. `loopback`: this machine's word, without it the service scope. `header`: a
    gateway's word, and nobody has the service scope."""

    user_header: str = "x-user-id"
    """The header that names the user; with `identity = header`, the one that the gateway has authenticated."""

    likers_visible_to: Literal["public", "known", "service"] = "known"
    """Who may list an item's likers and read its summary."""

    likes_visible_to: Literal["public", "known", "owner", "service"] = "owner"
    """Who may list a user's likes."""

    commit_ops_max: int = 1_000
    """How many ops share a commit at most."""

    queue_ops_max: int = 20_000
    """How many ops may wait for their commit; beyond it, new ones get 503."""

    cache_items_max: int = 200_000
    """How many counts are held in memory."""

    body_bytes_max: int = 8 * 2**20
    """How long a request's body may be."""

    backups: str | None = None
    """The folder that backups asked for over HTTP go to. Without one, none are made."""

    log_format: Literal["text", "json"] = "text"
    """How log lines are written."""

    access_log: bool = False
    """Whether every request is logged. Costs about a quarter of the throughput."""

    @property
    def listens_beyond_loopback(self) -> bool:
        return not is_loopback(self.host)

    def check(self) -> "Settings":
        """Raises SetupError for settings that do not go together."""
        if self.listens_beyond_loopback and self.identity == "loopback":
            raise SetupError(
                f"refusing to listen on {self.host} while anyone there could be any user. Put a gateway in front that "
                "authenticates and set identity = header, or listen on 127.0.0.1."
            )
        for name in ("workers", "commit_ops_max", "queue_ops_max", "cache_items_max", "body_bytes_max"):
            if getattr(self, name) < 1:
                raise SetupError(f"{name} must be at least 1")
        if self.workers > 1 and StoreUrl.parse(self.store).scheme != "rocksdb":
            raise SetupError(f"workers = {self.workers} needs a rocksdb: store; {self.store} is for one process")
        if self.workers > 1 and sys.platform != "linux":
            raise SetupError(f"workers = {self.workers} needs Linux, where processes can share a port")
        if self.queue_ops_max < self.commit_ops_max:
            raise SetupError(f"queue_ops_max must be at least commit_ops_max ({self.commit_ops_max})")
        if self.backups is not None and not Path(self.backups).is_dir():
            place = Path(self.backups).absolute()
            raise SetupError(f"the setting backups names no folder: {place}. Make it: mkdir -p {place}")
        if not 0 <= self.port <= 65_535:
            raise SetupError("port must be from 0 to 65535")
        return self


NAMES = tuple(field.name for field in msgspec.structs.fields(Settings))


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Put the settings together. Flags that are None were not given. Raises SetupError."""
    values: dict[str, Any] = _from_file(file) if file else {}
    values |= _from_environment(environment)
    values |= {name: value for name, value in flags.items() if value is not None}
    unknown = sorted(values.keys() - set(NAMES))
    if unknown:
        raise SetupError(f"unknown setting {unknown[0]!r}. Known: {', '.join(NAMES)}.")
    try:
        return msgspec.convert(values, Settings, strict=False).check()
    except msgspec.ValidationError as error:
        raise SetupError(f"bad setting: {error}") from error


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot read settings from {file}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in NAMES:
        variable = f"LIKEWISE_{name.upper()}"
        if variable in environment:
            values[name] = environment[variable]
        elif path := environment.get(variable + "_FILE"):
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SetupError(f"{variable}_FILE: {error}") from error
    return values
