"""A cluster made by the program under test: its settings, its commands, its servers."""

import contextlib
import http.cookiejar
import json
import os
import pathlib
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

from rig import seals, soundness
from rig.postgres import binaries
from rig.process import Failed, free_port, run, wait_until
from rig.program import message
from rig.workspace import give

PASSWORD = "it's a =#$ \"secret\" of 2026"


def env_text(values):
    """An .env file; every value between double quotes."""
    lines = []
    for name, value in values.items():
        value = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        lines.append(f'{name}="{value}"')
    return "\n".join(lines) + "\n"


class Cluster:
    """One cluster. `user` runs the commands: None is whoever runs the tests. `options` stand before
    every command."""

    def __init__(self, pgrevive, home, values=None, *, name="trial", user=None, options=()):
        self.pgrevive = pgrevive
        self.home = pathlib.Path(home)
        self.name = name
        self.user = user
        self.options = list(options)
        self.proven = False  # to be sound, since its servers ran last
        self.owed = False    # that proof, as it was up with a source's data and not proven since
        self.unproven = None  # where it cannot be proven at its end: why that is right
        self.primary_port, self.replica_port, self.adminer_port = (free_port() for _ in range(3))
        self.values = {
            "CLUSTER_NAME": name, "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "testdb",
            "POSTGRES_PRIMARY_PORT": self.primary_port,
            "POSTGRES_REPLICA_PORT": self.replica_port, "ADMINER_PORT": self.adminer_port,
            "CONSOLE_PORT": 0,
            "SHARED_BUFFERS": "32MB", **(values or {})}
        self.env_file = self.home.parent / f"{name}.env"
        self.write_env()

    def write_env(self):
        self.env_file.write_text(env_text(self.values))
        self.env_file.chmod(0o600)
        give(self.env_file, self.user)

    @property
    def root(self):
        return self.home / self.name

    @property
    def environment(self):
        env = {"PGREVIVE_HOME": self.home}
        if self.user is not None:
            env["HOME"] = self.home
        return env

    def run(self, command, *arguments, check=True, timeout=180, **options):
        result = self.pgrevive("--env-file", self.env_file, *self.options, command, *arguments,
                               check=False, timeout=timeout, env=self.environment, user=self.user,
                               **options)
        if result.returncode == 0:
            self.noticed(command, *arguments)
        if check and result.returncode != 0:
            raise Failed(f"pgrevive {command} {' '.join(map(str, arguments))}: exit "
                         f"{result.returncode}\n{message(result)}\n{self.logs()}")
        return result

    def noticed(self, command, *words):
        """A command that went well. A cluster that was made empty owes no proof, and one that comes up
        by itself is proven where it is up in the end."""
        if command not in ("start", "restart", "demo") or {"--preview", "--clean"} & {*words}:
            return
        self.proven = False
        if "--detach" not in words and self.values.get("RESTORE_FROM_BACKUP") != "false":
            self.owed = True

    def start(self, *arguments, **options):
        return self.run("start", *arguments, **options)

    def start_and_kill(self, *words):
        """kill -9 of the supervisor as soon as there is something of its restore; returns what says
        that the restore is not over. To ask for the status takes longer than a restore does."""
        start = self.start_in_background(*words)
        wait_until(lambda: (self.root / "replica" / "data" / "base").exists(), 60,
                   "the restore begins", every=0.001)
        self.kill_supervisor()
        start.process.wait(60)
        left = self.root / "replica" / "data" / "pgrevive.restore"
        assert left.exists(), "it was too fast: the restore was over"
        return left

    def start_in_background(self, *words):
        """A start whose end nobody waits for yet; for what happens to a cluster while it comes up."""
        return self.pgrevive.launch("--env-file", self.env_file, "start", "--detach", *words,
                                    log=self.home.parent / f"{self.name}-start.log",
                                    env=self.environment, user=self.user)

    def wait_for_record(self, what):
        """Until the primary's record says so."""
        record = self.root / "primary" / "pgrevive-node.json"
        wait_until(lambda: record.exists() and json.loads(record.read_text())[what], 90, what,
                   every=0.002)

    def kill_supervisor(self):
        os.kill(int((self.root / "run" / "supervisor.lock").read_text()), signal.SIGKILL)

    def kill_server(self, node):
        """kill -9 of its postmaster; returns when its children have gone, too."""
        pid = int((self.root / node / "data" / "postmaster.pid").read_text().splitlines()[0])
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(pathlib.Path("/proc", child, "exe").exists()
                                   for child in children), 30, "its children are gone")

    def stop(self, **options):
        return self.run("stop", **options)

    def status(self):
        return json.loads(self.run("status", "--json", check=False).stdout)

    def status_or_none(self):
        """None where there is no cluster to ask about."""
        try:
            return self.status()
        except ValueError:
            return None

    def node(self, name):
        return next(node for node in self.status()["nodes"] if node["name"] == name)

    def prove_unopened(self):
        """Recovery failed, and its primary was not even told to become one."""
        status = self.status()["supervisor"]
        assert status["phase"] == "failed" and status["recovery_end"] is None, status
        assert "nothing was opened" in status["error"], status
        record = json.loads((self.root / "primary" / "pgrevive-node.json").read_text())
        assert not record["promoted"] and not record["promoting"]

    def logs(self):
        result = self.run("logs", "-n", "60", check=False)
        return message(result)[-6000:]

    def gone(self, **but):
        """Whatever the test did: nothing of this cluster runs afterwards. Where it is up to the end,
        its data is proven to be sound, but for what a test has broken on purpose; where it is not, it
        has to have been proven since it was up last, or to say why not. And its source is what it was.
        One that has failed already says why itself."""
        try:
            if sys.exc_info()[0] is None and not self.unproven:
                soundness.prove(self, **but)
                if self.owed:
                    raise Failed(f"{self.name} was up, and nobody has proven that it is sound")
            if sys.exc_info()[0] is None:
                seals.prove_source(self.values)
        finally:
            self._end()

    def _end(self):
        with contextlib.suppress(Exception):
            self.run("stop", check=False, timeout=60)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self):
        """Process id to command line of everything that names the cluster's directory."""
        found = {}
        needle = str(self.root).encode() + b"/"
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes()
                    if needle in line:
                        found[int(entry.name)] = line.replace(b"\0", b" ").decode("utf-8", "replace")
        return found

    # Asking the servers as an application would: TCP and a password.

    def port(self, node):
        if node == "primary":
            return self.primary_port
        return self.replica_port + int(node.partition("-")[2] or 1) - 1

    def sql(self, node, statements, database="testdb", user="postgres", password=None, check=True):
        result = run([binaries() / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1",
                      "-h", "127.0.0.1", "-p", str(self.port(node)), "-U", user, "-d", database,
                      "-f", "-"], input=statements, check=check,
                     env={"PGPASSWORD": password or self.values["POSTGRES_PASSWORD"],
                          "PGCONNECT_TIMEOUT": 10})
        return result.stdout.rstrip("\n") if check else result

    def caught_up(self, seconds=30, database="testdb", user="postgres", node="replica"):
        """Waits until the replica has replayed what the primary has written now."""
        lsn = self.sql("primary", "select pg_current_wal_lsn()", database, user)
        wait_until(lambda: self.sql(node, "select coalesce(pg_last_wal_replay_lsn() >= "
                                    f"'{lsn}', false)", database, user) == "t", seconds,
                   f"{node} at {lsn}")


class Manager:
    """cluster-manager.sh of a checkout, for one cluster."""

    def __init__(self, cluster, checkout, options=None):
        self.cluster = cluster
        self.options = ["--env-file", cluster.env_file] if options is None else options
        self.program = checkout / "cluster-manager.sh"

    def __call__(self, *words, check=True, input=None, timeout=600):
        cluster = self.cluster
        result = run([self.program, *self.options, *words],
                     check=check, input=input, timeout=timeout, env=cluster.environment,
                     user=cluster.user)
        if result.returncode == 0:
            cluster.noticed(*words)
        return result


class AdminerBrowser:
    """What a person does with Adminer: look at the login page, fill it in, look around."""

    def __init__(self, port, address="127.0.0.1"):
        self.base = f"http://{address}:{port}/"
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, query=""):
        with self.opener.open(self.base + query, timeout=20) as answer:
            return answer.read().decode()

    def login(self, server, user, password, database):
        form = {"auth[driver]": "pgsql", "auth[server]": server, "auth[username]": user,
                "auth[password]": password, "auth[db]": database}
        data = urllib.parse.urlencode(form).encode()
        try:
            with self.opener.open(self.base, data, timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refusal:  # what Adminer answers to a wrong password
            return refusal.read().decode()


def command_lines():
    """The command lines of all processes, as one text."""
    parts = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parts.append((entry / "cmdline").read_bytes().replace(b"\0", b" "))
    return b"\n".join(parts).decode("utf-8", "replace")
