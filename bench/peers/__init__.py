"""The limits: the least that could do the same job on this machine, measured beside ours in the same run."""

from typing import NamedTuple, Protocol

Pair = tuple[str, str]
"""(user_id, item_id)"""


class Disk(NamedTuple):
    """Bytes that a store takes. `changes` is None where the change log lies among the likes, and is counted there."""

    likes: int
    changes: int | None


class Bare(Protocol):
    """A tier's driver without likewise, on a new store or on one of ours.

    It keeps everything that the tier keeps (registers, timelines, likers, counts, changes), under the same options,
    because that is the job. It has no fold, no outcomes, no validation, no unlikes, no queue and no second thread.
    """

    def apply(self, pairs: list[Pair]) -> None:
        """These likes, repeats removed, as one durable commit."""
        ...

    def commit(self) -> None:
        """The least durable commit: what one answered like must wait for, and no more."""
        ...

    def disk(self) -> Disk:
        """What the store takes of the disk."""
        ...

    def close(self) -> None: ...
