"""An S3 service that misbehaves on demand: a proxy in front of a real one.

    with FaultyService(gateway) as service:
        rule = service.add(Rule("/archive/.*000000010000000000000007", "slow_down", times=2))
        ...                         # the program talks to service.endpoint
        assert rule.hits == 2       # a fault that never happened proves nothing

Requests that no rule picks are passed on as they are, their signature with them. Rules can be added
and taken away at any time; the first that fits decides. `journal` tells of each GET and HEAD, in
order, so that a later run can be told by number which of them is to go wrong.
"""

import dataclasses
import http.client
import http.server
import itertools
import re
import select
import socket
import ssl
import struct
import threading

from rig.process import free_port
from rig.rgw import Authority

_LOST = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset

# What an answer of S3 is made of, by the rule's kind.
_ANSWERS = {
    "internal_error": (500, "InternalError"),
    "slow_down": (503, "SlowDown"),
    "expired": (403, "ExpiredToken"),
    "error_in_200": (200, "InternalError"),
    "not_found": (404, "NoSuchKey"),
}
# What is done to the body of a good answer.
_SPOILED = ("reset", "truncated", "flipped", "wrong_range", "stall")
KINDS = (*_ANSWERS, *_SPOILED, "dies")
# Without a body there is less to spoil.
KINDS_OF_HEAD = ("internal_error", "slow_down", "expired", "not_found", "dies")


@dataclasses.dataclass(frozen=True)
class Request:
    """What a GET or a HEAD asked for. Where in an object is left out: it depends on how fast things
    went."""

    path: str
    ranged: bool = False
    method: str = "GET"


@dataclasses.dataclass
class Rule:
    """Which requests get which fault.

    `pattern` is searched in the path with its query, as it was sent. The first `times` requests of that
    `method` that fit (None: all) get the fault, later ones go through. To a HEAD that is an answer
    without its document (KINDS_OF_HEAD). `stall` sends half of the body and then nothing
    more, for as long as the program waits and the rule is there. `dies` takes the whole service down,
    connections that are open included, until revive(), or for so many seconds. A rule with `nth` lets
    that many less one go through first.
    """

    pattern: str
    kind: str
    times: int | None = None
    hits: int = 0
    nth: int = 1
    seen: int = 0
    seconds: float | None = None
    method: str = "GET"

    def __post_init__(self):
        assert self.kind in (KINDS if self.method == "GET" else KINDS_OF_HEAD), self.kind


class FaultyService:
    """The proxy. `endpoint` and `ca_file` take the place of the gateway's own; keys and region are the
    same."""

    def __init__(self, gateway, directory):
        self.gateway = gateway
        self.port = free_port()
        self.endpoint = f"https://localhost:{self.port}"
        authority = Authority.make(directory, name="pgrevive test CA of faults")
        self.ca_file = authority.certificate
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(authority.sign("faulty", "DNS:localhost,IP:127.0.0.1"))
        self._lock = threading.Lock()
        self._rules = []
        self.journal = []
        self._open = set()
        self._server = None

    def __enter__(self):
        self.revive()
        return self

    def __exit__(self, *_):
        self.clear()
        self.die()

    def add(self, rule):
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self):
        with self._lock:
            self._rules = []

    def die(self):
        """Connections are refused from now on, and those that are open are reset."""
        with self._lock:
            server, self._server = self._server, None
            connections, self._open = self._open, set()
        if server is not None:
            # Not shutdown(), which waits for the loop's next round: nobody may get in meanwhile.
            server.socket.close()
            threading.Thread(target=server.shutdown, daemon=True).start()
        for connection in connections:
            _reset(connection)

    def revive(self):
        with self._lock:
            if self._server is not None:
                return
            self._server = _Server(self, ("127.0.0.1", self.port), _Handler)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def verdict(self, method, path, ranged=False):
        """The rule whose fault this request gets, counted; None where it goes through."""
        if method not in ("GET", "HEAD"):
            return None
        with self._lock:
            self.journal.append(Request(path, ranged, method))
            for rule in self._rules:
                if rule.method != method or not re.search(rule.pattern, path):
                    continue
                rule.seen += 1
                if rule.seen >= rule.nth and (rule.times is None or rule.hits < rule.times):
                    rule.hits += 1
                    return rule
        return None

    def has(self, rule):
        with self._lock:
            return rule in self._rules

    def opened(self, connection):
        with self._lock:
            self._open.add(connection)
            return self._server is not None

    def closed(self, connection):
        with self._lock:
            self._open.discard(connection)


def _reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LOST)
        # The thread that reads from it has the socket too; this ends its call.
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # a restore connects many times at once

    def __init__(self, service, address, handler):
        self.service = service
        super().__init__(address, handler)

    def finish_request(self, request, client_address):
        # Here, in the connection's own thread: a slow handshake holds nobody up.
        try:
            connection = self.service._tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        try:
            if self.service.opened(connection):
                self.RequestHandlerClass(connection, client_address, self)
        except OSError:
            pass
        finally:
            self.service.closed(connection)
            connection.close()

    def handle_error(self, request, client_address):
        pass  # connections that break are what this is for


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _numbers = itertools.count(1)

    def log_message(self, *_):
        pass

    def _serve(self):
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rule = service.verdict(self.command, self.path, "Range" in self.headers)
        kind = rule and rule.kind
        if kind == "dies":
            service.die()
            if rule.seconds is not None:
                threading.Timer(rule.seconds, service.revive).start()
            self.close_connection = True
            return
        if kind in _ANSWERS:
            self._answer(*_ANSWERS[kind])
            return
        self._pass_on(body, kind, rule)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _answer(self, status, code):
        text = (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>made up'
                f"</Message><RequestId>fault-{next(self._numbers)}</RequestId></Error>").encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _pass_on(self, body, kind, rule):
        service = self.server.service
        upstream = http.client.HTTPConnection("127.0.0.1", service.gateway.plain_port, timeout=120)
        headers = dict(self.headers.items())
        if kind == "wrong_range" and "Range" in headers:
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", headers["Range"]).groups())
            headers["Range"] = f"bytes={max(first - 1, 0)}-{max(last - 1, 0)}"
        try:
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            data = bytearray(answer.read())
        finally:
            upstream.close()
        if kind == "flipped" and data:
            data[len(data) // 2] ^= 0x10
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind in ("reset", "truncated", "stall"):
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            # Until the other side gives it up, or a test takes the rule away.
            while kind == "stall" and service.has(rule) and not select.select(
                    [self.connection], [], [], 0.1)[0]:
                pass
            self.close_connection = True
            if kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LOST)
            return
        self.wfile.write(data)
