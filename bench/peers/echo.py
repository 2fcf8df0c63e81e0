"""A bare RSGI application on the same server as ours: what HTTP alone can carry here.

`python -m bench.peers.echo PORT ANSWER`
"""

import sys
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server


class Echo:
    """Answers everything with the same text."""

    def __init__(self, answer: str) -> None:
        self._answer = answer.encode()
        self._headers = [("content-type", "application/json")]

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, self._headers, self._answer)


async def serve(port: int, answer: str) -> None:
    server = Server(
        Echo(answer),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=1_024,
        backpressure=16_384,
        log_enabled=False,
    )
    await server.serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
