"""A bare loopback file server for benchmarks: GET and HEAD, keep-alive, nothing else. Run as a process of its own."""

import asyncio
import sys
from pathlib import Path


class Files(asyncio.Protocol):
    """One connection."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            name = head.split(b" ", 2)[1].decode().rpartition("/")[2].partition("?")[0]
            path = self.root / name
            if path.is_file():
                body = path.read_bytes()
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                self.transport.write(kind + body)
            else:
                self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def serve(root: Path) -> None:
    """Serve a folder; the first line on stdout is the port."""
    server = await asyncio.get_running_loop().create_server(lambda: Files(root), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
