"""A slow line to a service of this host."""

import contextlib
import socket
import threading
import time

from rig.process import free_port

_PIECE = 16 << 10


class SlowLine:
    """Listens on `port`, passes everything on to `target_port`, and lets `rate` bytes a second back,
    over all connections together. `rate` may change."""

    def __init__(self, target_port, rate):
        self.target_port = target_port
        self.rate = rate
        self.port = free_port()
        self._turn = threading.Lock()
        self._free_at = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # Without the shutdown a thread in accept() would keep the socket.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port))
                for pair in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, slowed):
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if slowed:
                    self._wait(len(piece) / self.rate)
                target.sendall(piece)
        for end, how in ((source, socket.SHUT_RD), (target, socket.SHUT_WR)):
            with contextlib.suppress(OSError):
                end.shutdown(how)

    def _wait(self, seconds):
        with self._turn:
            self._free_at = max(self._free_at, time.monotonic()) + seconds
            until = self._free_at
        time.sleep(max(0, until - time.monotonic()))
