"""A thousand BMCs in one process: each its own port of loopback, all answering from memory at once."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

LOGIN = ("meter", "s3cret")
_ROOT = "/redfish/v1"


def answers(watts: int) -> dict[str, bytes]:
    """Path → what it says: a plain node by the resources Power and EnvironmentMetrics."""
    chassis = f"{_ROOT}/Chassis/1"
    power = {"@odata.id": f"{chassis}/Power"}
    documents = {
        f"{_ROOT}/": {"Chassis": {"@odata.id": f"{_ROOT}/Chassis"}},
        f"{_ROOT}/Chassis": {"Members": [{"@odata.id": chassis}]},
        chassis: {"@odata.id": chassis, "Id": "1", "ChassisType": "RackMount", "Power": power},
        f"{chassis}/Power": {**power, "PowerControl": [{"Name": "Power Control", "PowerConsumedWatts": watts}]},
    }  # fmt: skip
    return {path: json.dumps(document).encode() for path, document in documents.items()}


async def serve(count: int, delay_s: float) -> None:
    """Listen on ``count`` ports, print them, answer each request after a while."""
    wanted = b"Basic " + base64.b64encode(":".join(LOGIN).encode())
    servers = []
    for number in range(count):
        said = answers(200 + number)

        async def one(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: dict[str, bytes] = said
        ) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    await asyncio.sleep(delay_s)
                    body = said.get(head.split(b" ", 2)[1].decode(), b"")
                    status = b"401 No" if wanted not in head else b"200 OK" if body else b"404 None"
                    writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        servers.append(await asyncio.start_server(one, "127.0.0.1", 0))
    sys.stdout.write(" ".join(str(server.sockets[0].getsockname()[1]) for server in servers) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
