"""Child processes that never outlive the test run, free ports, and waiting with a bound."""

import ctypes
import itertools
import os
import pathlib
import pwd
import random
import shlex
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

# Output that a message can still be read beside.
_SHOWN = 4000


class Failed(Exception):
    """A command of the rig (not of the program under test) went wrong."""


def _environment(env):
    """The environment of a child: the machine's, without what would change how programs talk."""
    result = {k: v for k, v in os.environ.items()
              if not k.startswith(("PG", "PGBACKREST_", "S3_", "AWS_", "POSTGRES_"))}
    result.update({"LC_ALL": "C.UTF-8", "TZ": "UTC"})
    result.update({k: str(v) for k, v in (env or {}).items()})
    return result


def _die_with_parent():
    # A test run that is killed leaves no server behind.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def identity(user):
    """Arguments of subprocess that make a child run as `user`; none where we are that user."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    if entry.pw_uid == os.geteuid():
        return {}
    return {"user": entry.pw_uid, "group": entry.pw_gid,
            "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def child_options(*, user=None, env=None, cwd="/"):
    """Arguments of subprocess for a child that runs as the others here do."""
    return {"env": _environment(env), "cwd": cwd, **identity(user)}


def shown(text):
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else "[...]\n" + text[-_SHOWN:]


def run(command, *, user=None, env=None, cwd="/", input=None, timeout=120, check=True):
    """Runs a command to its end and returns it with its output as text."""
    command = [os.fspath(part) for part in command]
    result = subprocess.run(command, input=input, timeout=timeout,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            stdin=None if input is not None else subprocess.DEVNULL,
                            encoding="utf-8", errors="replace",
                            **child_options(user=user, env=env, cwd=cwd))
    if check and result.returncode != 0:
        raise Failed(f"{shlex.join(command)}: exit {result.returncode}\n"
                     f"{shown(result.stdout)}{shown(result.stderr)}")
    return result


class Daemon:
    """A process that runs until stop(), with its output in a file."""

    def __init__(self, command, log, *, user=None, env=None, cwd="/"):
        self.command = [os.fspath(part) for part in command]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=_die_with_parent, **child_options(user=user, env=env, cwd=cwd))

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if not self.running():
            return self.process.returncode
        self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)

    def tail(self):
        return shown(self.log.read_bytes()) if self.log.exists() else ""


# Below the ports that the system gives to whoever connects, so that none is gone between its choice
# and its use. Runs side by side (pytest-xdist) have each a part of their own.
_FIRST_PORT, _PORTS = 12_000, 5_000
_given = set()


def _candidates():
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    begin = random.randrange(_PORTS)
    for i in itertools.count(begin):
        yield _FIRST_PORT + worker * _PORTS + i % _PORTS


_ports = _candidates()


def free_port():
    """A port that nobody listens on and that this run has not given out before."""
    for port in _ports:
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        _given.add(port)
        return port


def consecutive_ports(count):
    """The first of as many ports in a row that are free as free_port() says it."""
    while True:
        first = free_port()
        ports = set(range(first + 1, first + count))
        over = (first - _FIRST_PORT) % _PORTS + count > _PORTS
        if over or ports & _given or any(map(listening, ports)):
            continue
        _given.update(ports)
        return first


def wait_until(condition, seconds, what, every=0.1):
    """Waits until condition() is true and returns what it said. What takes long to ask is asked less
    often, so that who waits is not what keeps the machine busy."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(max(every, min(now - began, 1)))


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
