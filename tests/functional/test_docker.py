"""The cluster in containers, as docker-compose and cluster-manager.sh make it: with a Docker daemon
of the test's own, and S3 that the containers reach over the network.

Where no daemon can run this fails. PGREVIVE_TEST_WITHOUT_DOCKER=1 lets it be skipped, loudly, where its
programs are not installed, and where they are and nobody may run them, who is not root. A daemon that does
not come up fails all the same.
"""

import contextlib
import datetime
import fcntl
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import zoneinfo

import pytest

from rig import docker as rig
from rig import debs, layers, rgw, seals, soundness, versions
from rig.cluster import PASSWORD, AdminerBrowser, env_text
from rig.console import Console
from rig.postgres import binaries
from rig.process import Daemon, child_options, free_port, listening, run, wait_until
from rig.program import ROOT, message
from rig.s3 import S3
from rig.story import AFTER_FULL_ALONE, CIPHER_PASS, MARKERS, ROWS
from rig.terminal import on_a_terminal

PRIMARY, REPLICA, ADMINER, RESTORE, CONSOLE = (
    f"postgres-cluster-{name}" for name in ("primary", "replica", "adminer", "restore", "console"))
VOLUMES = {f"postgres_cluster_{node}_{what}" for node in ("primary", "replica")
           for what in ("data", "logs")}
S3_HOST = "s3.pgrevive.test"
IN_BUILD_CONTEXT = rig.IN_CONTEXT
# What Docker's client takes for its plugin: Compose v1, which notes that it was called so.
PLUGIN = """#!/bin/sh
if [ "$1" = docker-cli-plugin-metadata ]; then
  echo '{"SchemaVersion": "0.1.0", "Vendor": "test", "Version": "2"}'
  exit
fi
shift
echo "$*" >>"$0.log"
env | grep _LISTEN= >>"$0.log"
exec docker-compose "$@"
"""
# Compose v1 that waits before it brings nodes up.
HELD = """#!/bin/sh
case "$*" in *" up -d --no-deps "*-adminer*)
  : >{waits}
  while [ ! -e {go} ]; do sleep 0.1; done ;;
esac
exec {program} "$@"
"""
# A program that does something else first where it is called with words of some form.
INSTEAD = """#!/bin/sh
case "$*" in
{cases}
esac
exec {program} "$@"
"""
# A cluster that is made in a moment.
EMPTY = {"RESTORE_FROM_BACKUP": "false", "WAL_ARCHIVE_TYPE": "posix", "WAL_ARCHIVE_S3_ACCESS_KEY": None,
         "WAL_ARCHIVE_S3_SECRET_KEY": None, "ADMINER_PORT": 0, "CONSOLE_PORT": 0}


@pytest.fixture(scope="module")
def docker(pgrevive, session_workspace):
    daemon = rig.Docker(session_workspace.directory("docker"))
    try:
        rig.started(daemon)
        daemon.make_base()
        daemon.make_context()
        daemon.make_image(pgrevive)
        yield daemon
    finally:
        daemon.gone()


@pytest.fixture(scope="module")
def service(docker, session_workspace):
    """S3 that listens where containers reach it."""
    address = docker.network_of_host()
    gateway = rgw.CephRGW(session_workspace.directory("rgw-docker"), domain=S3_HOST,
                          address=address).start()
    gateway.directory.chmod(0o755)
    S3(gateway).make_bucket("backups")
    seals.allow("backups", "repo-")  # the clusters' own archives
    try:
        yield gateway, address
        seals.prove_buckets(gateway)
    finally:
        gateway.stop()


class Site:
    """A checkout with its .env, and what is asked of it."""

    def __init__(self, docker, directory, service, story):
        gateway, address = service
        self.docker = docker
        self.directory = directory
        docker.lay_checkout(directory)
        for name in ("cluster-manager.sh", "scripts", "docker-compose.yml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, directory / name)
        # The name of the test's S3 service is in no DNS.
        (directory / "docker-compose.override.yml").write_text("services:\n" + "".join(
            f"  {name}:\n    extra_hosts: ['{S3_HOST}:{address}']\n"
            for name in (PRIMARY, REPLICA, RESTORE, CONSOLE)))
        self.ports = {name: free_port() for name in ("primary", "replica", "adminer", "console")}
        self.values = {
            "RUNTIME": "docker", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "testdb",
            "POSTGRES_PRIMARY_PORT": self.ports["primary"],
            "POSTGRES_REPLICA_PORT": self.ports["replica"], "ADMINER_PORT": self.ports["adminer"],
            "CONSOLE_PORT": self.ports["console"],
            "SHARED_BUFFERS": "32MB", "S3_BUCKET": "backups", "S3_ENDPOINT": gateway.endpoint,
            "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.reader[0],
            "S3_SECRET_KEY": gateway.reader[1], "S3_PATH": "/repo", "S3_URI_STYLE": "path",
            # With which the cluster's own archive is written beside it.
            "WAL_ARCHIVE_S3_ACCESS_KEY": gateway.access_key,
            "WAL_ARCHIVE_S3_SECRET_KEY": gateway.secret_key,
            "S3_CA_FILE": gateway.ca_file, "REPO_CIPHER_PASS": CIPHER_PASS,
            "PGBACKREST_STANZA": "main"}
        self.write_env()
        # What was called here and did not fail, as the documents write it.
        self.called = set()

        self.path = self._path_of_docker_alone()

    def write_env(self, **changes):
        path = self.directory / ".env"
        values = {**self.values, **changes}
        path.write_text(env_text({name: value for name, value in values.items()
                                  if value is not None}))
        path.chmod(0o600)

    def _path_of_docker_alone(self):
        """All that a host has: a shell, what belongs to any system, and Docker."""
        directory = self.directory / "bin"
        directory.mkdir()
        for name in ("bash", "cat", "date", "dirname", "env", "flock", "grep", "mktemp", "readlink",
                     "rm", "sed", "sleep", "stty", "tail", "docker", "docker-compose"):
            (directory / name).symlink_to(shutil.which(name))
        return directory

    def commands_environment(self, **more):
        return {**self.docker.environment, "PATH": self.path, **more}

    def compose(self, *words, check=True, timeout=240, shell=None):
        program = ["docker", "compose"] if rig.COMPOSE else ["docker-compose"]
        result = run([*program, *words], cwd=self.directory,
                     env={**self.docker.environment, **(shell or {})}, check=check, timeout=timeout)
        if result.returncode == 0:
            self.called.add(" ".join([*program, *words]))
        return result

    def manager(self, *words, check=True, timeout=240, shell=None, **options):
        """Where there is neither a compiler nor PostgreSQL nor anything else of ours."""
        result = run([self.directory / "cluster-manager.sh", *words],
                     env=self.commands_environment(**(shell or {})), check=check, timeout=timeout,
                     **options)
        if result.returncode == 0:
            self.called.add(f"./cluster-manager.sh {words[0]}")
        return result

    def told(self, *words, code=0, **options):
        """What a command says with --json; of one that fails also its hint or message for people."""
        result = self.manager(*words, "--json", check=False, **options)
        assert result.returncode == code, message(result)
        told = json.loads(result.stdout)
        if code:
            told = told.pop("error")
            assert set(told) == {"kind", "exit_code", "message", "frames", "hint"}
            assert told["exit_code"] == code
            assert f"error: {told['message']}\n" in result.stderr
            assert not told["hint"] or f"  hint: {told['hint']}\n" in result.stderr
        return told

    def told_status(self):
        return json.loads(self.manager("status", "--json", check=False).stdout)

    def begin(self, *words, **options):
        """The same, and it is not waited for."""
        return subprocess.Popen([self.directory / "cluster-manager.sh", *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, encoding="utf-8", **options,
                                **child_options(env=self.commands_environment()))

    @contextlib.contextmanager
    def instead(self, cases, program="docker"):
        """While it lasts, the script's docker (or docker-compose) does what stands beside the words, as
        sh has it; $docker is the real one."""
        mine, real = self.path / program, shutil.which(program)
        mine.unlink()
        mine.write_text(INSTEAD.format(program=real, cases="\n".join(
            f"{words}) {act} ;;".replace("$docker", real) for words, act in cases.items())))
        mine.chmod(0o755)
        try:
            yield
        finally:
            mine.unlink()
            mine.symlink_to(real)

    def manager_on_a_terminal(self, *words, **options):
        return on_a_terminal([self.directory / "cluster-manager.sh", *words], 100,
                             env=self.commands_environment(), **options)

    def left_behind(self):
        """What is there of a cluster: containers, volumes and networks."""
        return [name for kind in ("ps -a --format {{.Names}}", "volume ls -q",
                                  "network ls --format {{.Name}}")
                for name in self.docker.out(*kind.split()).split()
                if name.startswith(("postgres-cluster", "postgres_cluster", "docker-site"))]

    def shell(self, line):
        """One of the lines of the reference, as a person types it."""
        return run(["bash", "-c", line], env=self.docker.environment).stdout

    def sql(self, container, statement, database="testdb", check=True):
        return self.docker("exec", container, "psql", "-U", "postgres", "-d", database, "-Atc",
                           statement, check=check)

    def value(self, container, statement, database="testdb"):
        return self.sql(container, statement, database).stdout.strip()

    def asked_from_host(self, node, statements, database="testdb", **words):
        return run([binaries() / "psql", "-XAtq", "-f", "-",
                    f"host=localhost port={self.ports[node]} user=postgres dbname='{database}' "
                    + " ".join(f"{name}={value}" for name, value in words.items())],
                   env={"PGPASSWORD": PASSWORD, "HOME": "/nonexistent"}, input=statements, check=False)

    def from_host(self, node, statements, database="testdb", **words):
        result = self.asked_from_host(node, statements, database, **words)
        assert result.returncode == 0 and not result.stderr, message(result)
        return result.stdout.strip()

    def streams_over_tls(self):
        wait_until(lambda: self.value(PRIMARY, "select count(*) from pg_stat_replication") == "1", 30,
                   "the replica streams")
        return self.value(PRIMARY, "select ssl, version from pg_stat_ssl join pg_stat_replication "
                                   "using (pid)") == "t|TLSv1.3"

    def volume(self, node, what="data"):
        """Where the host has a node's data."""
        return pathlib.Path(self.docker.out("volume", "inspect", "--format", "{{.Mountpoint}}",
                                            f"postgres_cluster_{node}_{what}"))

    def processes(self, *words):
        """Of pgrevive in containers, called with these words: each that is no child of such a one, as it
        is between fork and exec."""
        parents = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().decode().split("\0")
                    if line[0] == "pgrevive" and line[1:1 + len(words)] == list(words):
                        stat = (entry / "stat").read_text()
                        parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        return [pid for pid, parent in parents.items() if parent not in parents]

    def wait_for_restoring(self, child):
        """Until the restore service is in the midst of it; returns its process."""
        volume = self.docker.directory / "data/volumes/postgres_cluster_primary_data/_data"
        def midst():
            assert child.poll() is None, "it ended before"
            with contextlib.suppress(OSError, ValueError):
                status = json.loads((volume / "pgrevive/run/status.json").read_text())
                (pid,) = self.processes("container", "restore")
                return status["phase"] == "restoring" and pid
        return wait_until(midst, 60, "it restores", every=0.001)

    def kill_in_the_middle(self, words, middle, process):
        """What the script says whose container gets kill -9 as soon as middle() is true."""
        with self.begin(*words) as child:
            (pid,) = wait_until(lambda: self.processes(*process), 60, f"{process} runs", every=0.001)
            wait_until(lambda: middle() or child.poll() is not None, 60, "it is there", every=0.001)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return child.communicate(timeout=120)[0], child.returncode

    def prove_sound(self):
        """Every index and heap of every database by amcheck on both nodes; then stops the cluster and
        has every page's checksum looked at."""
        databases = self.from_host("primary", "select datname from pg_database where datallowconn"
                                   ).splitlines()
        for database in databases:
            self.from_host("primary", "set client_min_messages = error; "
                           "create extension if not exists amcheck", database)
        end = self.from_host("primary", "select pg_current_wal_lsn()")
        wait_until(lambda: self.from_host("replica", f"select pg_last_wal_replay_lsn() >= '{end}'")
                   == "t", 30, "the replica has all")
        for node in ("primary", "replica"):
            for database in databases:
                soundness.run_pg_amcheck(f"{database} on {node}", "-h", "localhost", "-p",
                                         str(self.ports[node]), "-U", "postgres", database,
                                         password=PASSWORD)
                soundness.no_difference(self.from_host(node, soundness.BALANCES, database),
                                        f"{database} on {node}")
        self.manager("stop")
        for node in ("primary", "replica"):
            soundness.are_sound(self.docker(
                "run", "--rm", "--user", "postgres", "--volumes-from", RESTORE, "--entrypoint",
                "pg_checksums", "pgrevive", "--check", "-D", f"/pgrevive/{node}/pgdata",
                check=False), node)

    def state_on_disk(self, node):
        """What its server has left there of itself, or writes while it runs."""
        told = self.docker.out("run", "--rm", "--volumes-from", RESTORE, "--entrypoint", "pg_controldata",
                               "pgrevive", "-D", f"/pgrevive/{node}/pgdata")
        return re.search(r"^Database cluster state: +(.*)$", told, re.M).group(1)

    def health(self, container):
        return self.docker.out("inspect", "--format", "{{.State.Health.Status}}", container,
                               check=False)

    def healthy(self, *containers):
        for container in containers or (PRIMARY, REPLICA, ADMINER, CONSOLE):
            wait_until(lambda name=container: self.health(name) == "healthy", 90,
                       f"{container} is healthy", every=0.3)

    def log(self, container):
        return message(self.docker("logs", container))

    def restores(self):
        """How often a restore was begun."""
        return self.log(RESTORE).count("phase restoring")


@pytest.fixture(scope="module")
def site(docker, service, story, session_workspace):
    S3(service[0]).upload(story.repo.path, "backups", "repo")
    return Site(docker, session_workspace.directory("docker-site"), service, story)


def test_image_is_built_where_there_is_none(site):
    """By whatever needs it first. What it has grown to is told in docker/README.md."""
    assert 300 << 20 < site.docker.inspect("pgrevive")["Size"] < 550 << 20
    site.docker("rmi", "pgrevive")
    version = site.manager("version")
    assert version.stdout.startswith("pgrevive ") and "building the image pgrevive" in version.stderr
    assert "building" not in site.manager("version").stderr


def test_preview_doctor_and_help_leave_nothing_behind(site, story):
    with site.begin("doctor") as other:  # which neither is in the way of nor removes what it needs
        preview = site.manager("start", "--preview").stdout
        said = other.communicate(timeout=60)[0]
        assert other.returncode == 0, said
    assert "what start would do with postgres-cluster" in preview and "2 nodes of" in preview
    assert json.loads(site.manager("start", "--preview", "--json").stdout)["nodes"] == 2
    doctor = site.manager("doctor").stdout
    assert re.search(r"^ +- +ports +Docker publishes them", doctor, re.M) and "0 failed" in doctor
    assert "--preview" in site.manager("start", "--help").stdout
    # A time without a zone is one of this host, and not of the containers.
    zone, form = "America/Sao_Paulo", "%Y-%m-%d %H:%M:%S.%f"
    at = datetime.datetime.fromisoformat(story.targets["time"].value + ":00").astimezone(
        datetime.timezone.utc)
    told = site.manager("start", "--preview", "--json", "--type", "time", "--target",
                        at.astimezone(zoneinfo.ZoneInfo(zone)).strftime(form), shell={"TZ": zone})
    assert json.loads(told.stdout)["target"] == at.strftime(f"time {form}+00"), message(told)
    assert site.left_behind() == []
    # Nor does one that Ctrl-C ends.
    with site.begin("doctor", start_new_session=True) as child:
        wait_until(lambda: site.processes("container", "doctor"), 60, "it examines", every=0.001)
        os.killpg(child.pid, signal.SIGINT)
        said = child.communicate(timeout=60)[0]
        assert child.returncode == 130, said
    assert site.left_behind() == []


def test_wrong_words_and_settings(site):
    """Each ends with the code for wrong usage and says what would be right."""
    def refused(*words):
        result = site.manager(*words, check=False)
        assert result.returncode == 21, message(result)
        return result.stderr
    assert "--timeout: 1 required S missing" in refused("stop", "--timeout")
    for command in ("stop", "restart"):
        for seconds in ("soon", "0", "86401", "-1", ""):
            assert refused(command, f"--timeout={seconds}") == (
                f"error: --timeout: Value {seconds} not in range 1 to 86400\n  hint: "
                f"`{site.directory}/cluster-manager.sh {command} --help` explains it\n")
    assert "-n: 1 required N missing" in refused("logs", "-n")
    directory = site.directory / "env-of-compose"
    directory.mkdir()
    assert f"hint: rmdir {directory}" in refused("--env-file", directory, "start")
    site.write_env(NODE_TLS="maybe")
    assert "NODE_TLS=maybe cannot be" in refused("start")
    for address, warned in (("::", True), ("[::]", True), ("::1", False), ("0.0.0.0", False)):
        site.write_env(NODE_TLS="maybe", DOCKER_LISTEN=address)
        said = refused("start")
        assert ("and ALLOWED_NETWORKS keeps nobody out who comes by IPv6" in said) == warned, said
    assert "there is no node 'typo'" in refused("logs", "typo")
    for name in ("-a", "ä", "n" * 56):
        site.write_env(CLUSTER_NAME=name)
        assert "55 at most" in refused("start")
    # No container has that file.
    (site.directory / "secret-key").write_text(site.values["S3_SECRET_KEY"])
    (site.directory / "secret-key").chmod(0o600)
    for path in ("secret-key", site.directory / "secret-key"):
        site.write_env(S3_SECRET_KEY=None, S3_SECRET_KEY_FILE=path)
        said = refused("start")
        assert "S3_SECRET_KEY_FILE: " in said
        assert "no container has that file: with RUNTIME=docker write the secret itself" in said
    site.write_env(DOCKER_POSTGRES_APT="deb https://user:word@mirror.example bookworm-pgdg main")
    assert "DOCKER_POSTGRES_APT names a user" in refused("start")
    # What every command knows may stand behind it too.
    other = site.directory / "other.env"
    (site.directory / ".env").rename(other)
    site.write_env()
    assert "DOCKER_POSTGRES_APT names a user" in refused("start", "--env-file", other)
    for words in (("cleanup", "--yes", "--cluster", "staging"), ("stop", "--cluster=staging"),
                  ("psql", "--cluster", "staging", "replica")):
        assert "the cluster is the one of .env, postgres-cluster" in refused(*words)
    for words in (("cleanup", "--yes", "now"), ("rebuild", "replica", "now"), ("status", "now"),
                  ("restart", "replica", "now"), ("logs", "replica", "restore")):
        assert f"{words[0]} does not know {words[-1]}" in refused(*words)
    assert "error: could not convert: --lines = soon" in refused("logs", "-n", "soon")
    assert "Usage" in site.manager("psql", "--help").stdout
    # Behind a node they are others' words.
    for words in (("exec-primary", "env", "--env-file=/nonexistent"), ("psql", "primary", "--cluster", "x")):
        assert "there is no cluster" in site.manager(*words, check=False).stderr
    dead = {"DOCKER_HOST": "unix:///nonexistent"}
    assert "answer: Cannot connect to the Docker daemon" in site.told("status", code=29, shell=dead)["message"]
    # For programs, too: what the script finds wrong, and what the program does.
    assert site.told("stop", code=23) == {
        "kind": "not_found", "exit_code": 23, "message": "there is no cluster 'postgres-cluster' in this Docker",
        "frames": [], "hint": f"`{site.directory}/cluster-manager.sh start` makes it"}
    assert site.told("restart", "say \"\\\n\x1bit", code=21)["message"] == (
        "there is no node 'say \"\\\n\x1bit'")
    for command in ("test", "status", "rebuild", "console"):
        assert site.told(command, code=23)["kind"] == "not_found"
    site.write_env(NODE_TLS="maybe")
    for command in ("start", "restart", "doctor"):
        assert "NODE_TLS=maybe cannot be" in site.told(command, code=21)["message"]
    assert site.left_behind() == []


def test_what_compose_is_told(site):
    """Once of what it is to mount in one place; what .env says, as pgrevive reads it, and nothing of a
    person's shell."""
    site.write_env(WAL_ARCHIVE_S3_CA_FILE=site.values["S3_CA_FILE"], REPO_PATH="/nonexistent")
    env = site.directory / ".env"
    text = re.sub("^(CONSOLE_PORT)=.*", r"\1=   # the usual", env.read_text(), flags=re.M)
    assert text.startswith("RUNTIME=") and "the usual" in text
    env.write_text("\ufeff" + text)
    shell = {"COMPOSE_FILE": "/nonexistent/other.yml", "COMPOSE_PROJECT_NAME": "other",
             "COMPOSE_PROFILES": "other", "DOCKER_IMAGE": "other", "DOCKER_VOLUMES": "other",
             "COMPOSE_REMOVE_ORPHANS": "true", "COMPOSE_PATH_SEPARATOR": ",", "COMPOSE_OTHER": "other"}
    # Called where somebody else's compose file is, which v1 would take.
    work = site.directory / "other-work"
    work.mkdir()
    (work / "docker-compose.yml").write_text("services: {other: {image: other}}\n")
    assert "what start would do" in site.manager("start", "--preview", shell=shell, cwd=work).stdout
    # What the image is built of, as the script tells it: by a look at what Compose makes of that.
    built = {"DOCKER_POSTGRES_MAJOR": "16", "DOCKER_POSTGRES_APT": "deb https://mirror.example x-pgdg main",
             "DOCKER_LOCALES": "de_DE.UTF-8 C.UTF-8", "DOCKER_PACKAGES": "postgresql-16-postgis-3 less"}
    site.write_env(**built)
    told = site.directory / "told-compose"
    words = '"$1" "$2" "$3" "$4"' + (' "$5"' if rig.COMPOSE else "")
    variables = site.directory / "variables-of-compose"
    with site.instead({"*' run '*": f"env >{variables}; exec $docker {words} config >{told}"},
                      "docker" if rig.COMPOSE else "docker-compose"):
        site.manager("start", "--preview", shell=shell)
    assert re.findall("^COMPOSE_.*", variables.read_text(), re.M) == ["COMPOSE_PROJECT_NAME=docker-site"]
    for config in (told.read_text(), site.compose("config").stdout):  # and as Compose reads it by itself
        (arguments,) = re.findall(r"^      args:\n((?:        .*\n)+)", config, re.M)
        found = dict(line.strip().split(": ", 1) for line in arguments.splitlines())
        assert {f"DOCKER_{name}": value.strip("'\"") for name, value in found.items()} == built, config
    # The ports that the README tells of, where nothing is said.
    site.write_env(POSTGRES_PRIMARY_PORT=None, POSTGRES_REPLICA_PORT=None, ADMINER_PORT=None,
                   CONSOLE_PORT=None)
    ports = re.findall(r"127\.0\.0\.1:(\d+):|published: ['\"]?(\d+)", site.compose("config").stdout)
    assert sorted(a or b for a, b in ports) == ["5433", "5434", "8080", "8081"]
    site.write_env()
    assert site.left_behind() == []


def test_cluster_of_compose_alone_is_not_made_a_second_time(site):
    """What it is called there the script has to be told, and says so."""
    names = {"CLUSTER_NAME": "alone"}
    def refused():
        site.write_env(**names)
        result = site.manager("start", check=False)
        assert result.returncode == 26, message(result)
        return result.stderr
    site.write_env(**names)
    site.compose("up", "--no-start", "--no-deps", RESTORE)
    assert "COMPOSE_PROJECT_NAME=docker-site and DOCKER_VOLUMES=postgres_cluster in .env" in refused()
    names["COMPOSE_PROJECT_NAME"] = "docker-site"
    assert "hint: set DOCKER_VOLUMES=postgres_cluster in .env" in refused()
    names["DOCKER_VOLUMES"] = "postgres_cluster"
    site.write_env(**names)
    assert "what start would do" in site.manager("start", "--preview").stdout
    assert set(site.docker.out("volume", "ls", "-q").split()) == VOLUMES
    assert site.manager("cleanup", "--yes").stdout.startswith("removed")
    site.write_env()
    assert site.left_behind() == []


def test_what_others_have_under_the_same_names_stays(site):
    """The reference's own set-up has the same names, on the same host."""
    docker = site.docker
    docker("network", "create", "postgres-cluster-network")
    docker("run", "--rm", "-v", "postgres_cluster_primary_data:/v", "--entrypoint", "sh", "pgrevive",
           "-c", "mkdir /v/pgdata && chown postgres /v/pgdata && "
                 "su postgres -c 'PATH=$PATH:/usr/lib/postgresql/15/bin initdb -D /v/pgdata'")
    # As Compose makes it, of a directory with the name of ours.
    docker("run", "-d", "--name", REPLICA, "--label", "com.docker.compose.project=docker-site",
           "--entrypoint", "sleep", "pgrevive", "600")
    there = site.left_behind()
    assert len(there) == 3
    for words in (("start",), ("start", "--preview"), ("doctor",)):
        refused = site.manager(*words, check=False)
        assert refused.returncode == 26, message(refused)
        for what in (f"container {REPLICA} (of the Compose project docker-site)",
                     "volume postgres_cluster_primary_data\n", "network postgres-cluster-network\n",
                     "CLUSTER_NAME of its own"):
            assert what in refused.stderr
    assert site.manager("stop", check=False).returncode == 23
    refused = site.manager("cleanup", "--yes", check=False)
    assert refused.returncode == 23 and REPLICA in refused.stderr
    assert docker.inspect(REPLICA)["State"]["Running"]
    # Of another project that would be the same to Compose.
    site.write_env(CLUSTER_NAME="Docker.Site", COMPOSE_PROJECT_NAME="docker-site")
    docker("run", "-d", "--name", "other", "--label", "com.docker.compose.project=docker-site",
           "--label", f"com.docker.compose.service={PRIMARY}", "--label", "pgrevive.cluster=other",
           "--entrypoint", "sleep", "pgrevive", "600")
    assert "container other (of cluster other)" in site.manager("start", check=False).stderr
    site.write_env()
    assert site.left_behind() == there
    docker("rm", "-f", REPLICA, "other")
    docker("network", "rm", "postgres-cluster-network")
    # Compose asks nobody, so the restore service refuses what is in the volume. It has the image made,
    # too.
    docker("rmi", "pgrevive")
    assert site.compose("up", "-d", check=False).returncode != 0
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 26, site.log(RESTORE)
    assert (site.volume("primary") / "pgdata/PG_VERSION").exists()
    site.compose("down", "--volumes")
    assert site.left_behind() == []


def test_taken_port_is_told_before_anything_is_made(site):
    with socket.create_server(("127.0.0.1", site.ports["replica"])):
        refused = site.manager("start", check=False)
    assert refused.returncode == 30 and "POSTGRES_REPLICA_PORT" in refused.stderr
    assert site.left_behind() == []


def test_failed_restore_says_why(site):
    """The containers are there, and their logs say what is wrong."""
    site.write_env(REPO_CIPHER_PASS="not the ${passphrase")  # which Compose v2 could not read
    assert "passphrase" in site.told("start", code=21)["message"]
    site.compose("down", "--volumes")
    # By Compose alone the nodes are not even started, and it is the restore's log that says it.
    site.write_env(REPO_CIPHER_PASS="not the passphrase")
    failed = site.compose("up", "-d", check=False)
    assert failed.returncode != 0 and "passphrase" in site.log(RESTORE)
    assert site.docker.out("ps", "-q", "--filter", f"name={PRIMARY}", "--filter", f"name={REPLICA}") == ""
    for container in (PRIMARY, REPLICA):
        said = site.docker("logs", container, check=False)
        assert not said.stdout and (not said.stderr or "No such container" in said.stderr)
    site.compose("down", "--volumes")
    site.write_env(REPO_CIPHER_PASS="not the ${passphrase")
    result = site.manager("start", check=False)
    assert result.returncode == 21 and "  preparing" in result.stdout
    assert result.stderr.startswith("error: ") and "passphrase" in result.stderr
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 21
    assert "passphrase" in site.log(RESTORE) and site.log(RESTORE).count("phase preparing") == 1
    assert "nothing was restored yet" in site.manager("status", check=False).stderr
    assert site.compose("up", "-d", check=False).returncode != 0
    # The nodes say what they wait for.
    for node, container in (("primary", PRIMARY), ("replica", REPLICA)):
        wait_until(lambda name=container, of=node: f"the volume of {of} is not whole: " in site.log(name),
                   60, "it says why it does not run")
        assert "passphrase" in site.log(container)
    # Compose alone knows no zone; the script does, also behind a restore that was told none.
    site.write_env(RECOVERY_TARGET_TYPE="time", RECOVERY_TARGET="2001-11-22 14:05")
    assert site.compose("up", "-d", check=False, shell={"TZ": ""}).returncode != 0
    assert "in which zone a time without one is meant" in site.log(RESTORE)
    assert "2001-11-22 14:05:00+00" in site.manager("start", check=False).stderr
    site.write_env()
    site.compose("down", "--volumes")
    assert site.left_behind() == []


def test_killed_restore_leaves_nodes_that_say_so(site):
    """It has nothing to say itself."""
    with site.begin("start") as child:
        os.kill(site.wait_for_restoring(child), signal.SIGKILL)
        said = child.communicate(timeout=120)[0]
        assert child.returncode not in (0, 31), said
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 137
    for node, container in (("primary", PRIMARY), ("replica", REPLICA)):
        wait_until(lambda name=container, of=node: f"the volume of {of} is not whole" in message(
            site.docker("logs", name, check=False)), 60, "it says why it does not run")
    site.compose("down", "--volumes")
    assert site.left_behind() == []


def repository_of_its_own(site, story, name):
    """A copy of the story's, which the containers' user may write to."""
    repository = site.directory / name
    shutil.copytree(story.repo.path, repository)
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 999, 999)
    return repository


def test_failed_restore_is_continued_by_docker_start(site, story):
    """Of one that fails in the midst every container's log tells; started again it goes on where it
    stopped, and the nodes that waited for it come up."""
    repository = repository_of_its_own(site, story, "failing")
    site.write_env(REPO_TYPE="posix", REPO_PATH=repository, WAL_ARCHIVE="off", **WITHOUT_S3)
    # What of the differential backup is small, which is restored last.
    missing = repository / "backup/main" / story.label / "bundle"
    missing.rename(site.directory / "bundle")
    failed = site.manager("start", check=False)
    assert failed.returncode == 23 and f"{story.label}/bundle" in failed.stderr, message(failed)
    for container in (RESTORE, PRIMARY, REPLICA):
        wait_until(lambda name=container: f"{story.label}/bundle" in site.log(name), 60,
                   f"{container} says why")
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 23
    site.docker("start", "-a", RESTORE, check=False)
    assert site.log(RESTORE).count("phase restoring") == 2
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 23
    (site.directory / "bundle").rename(missing)
    site.docker("start", "-a", RESTORE)
    status = json.loads((site.volume("primary") / "pgrevive/run/status.json").read_text())
    assert status["restore"]["bytes_kept"] > 0, status["restore"]
    # Docker starts a container again within a minute.
    for container in (PRIMARY, REPLICA):
        wait_until(lambda name=container: site.sql(name, "select 1", check=False).returncode == 0, 90,
                   f"{container} comes up by itself")
        assert site.value(container, MARKERS) == ROWS
    site.prove_sound()
    site.compose("down", "--volumes")
    site.write_env()
    assert site.left_behind() == []


def test_first_start_by_compose_alone_that_is_cut_off_twice(site):
    """Killed half way, or stopped, the restore goes on when it is started again; when the host has crashed
    half way Docker does not start it by itself, and the next `up` goes on."""
    up = ["docker", "compose"] if rig.COMPOSE else ["docker-compose"]
    child = subprocess.Popen([*up, "up", "-d"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL,
                             **child_options(env=site.docker.environment, cwd=site.directory))
    with child:
        os.kill(site.wait_for_restoring(child), signal.SIGKILL)
        assert child.wait(120) != 0
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 137
    assert PRIMARY not in site.docker.out("ps", "--format", "{{.Names}}")
    status = site.volume("primary") / "pgrevive/run/status.json"
    def started():
        status.unlink()
        site.docker("start", RESTORE)
    started()
    with subprocess.Popen(["docker", "wait", RESTORE], stdout=subprocess.DEVNULL,
                          **child_options(env=site.docker.environment)) as child:
        site.wait_for_restoring(child)
        site.docker.crash()
    site.docker.start()
    assert site.docker.inspect(RESTORE)["State"]["Status"] == "exited"
    started()
    with subprocess.Popen(["docker", "wait", RESTORE], stdout=subprocess.DEVNULL,
                          **child_options(env=site.docker.environment)) as child:
        site.wait_for_restoring(child)
        site.docker("stop", "-t", "120", RESTORE)
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 31, site.log(RESTORE)
    assert json.loads(status.read_text())["phase"] == "stopped"
    site.compose("up", "-d")
    site.healthy()
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 0
    site.restored = site.restores()
    assert site.restored in (3, 4)  # it may have been past it by the time that it was told to stop


def test_names_volumes_and_network(site):
    assert set(site.docker.out("ps", "--format", "{{.Names}}").split()) == {
        PRIMARY, REPLICA, ADMINER, CONSOLE}
    assert site.docker.inspect(RESTORE)["State"]["ExitCode"] == 0
    assert set(site.docker.out("volume", "ls", "-q").split()) >= VOLUMES
    def own(node):
        return {f"postgres_cluster_{node}_data": "/var/lib/postgresql/data",
                f"postgres_cluster_{node}_logs": "/var/log/pgbackrest"}
    all_of_them = {f"postgres_cluster_{node}_{what}": f"/pgrevive/{node}{place}" for node in
                   ("primary", "replica") for what, place in (("data", ""), ("logs", "/logs"))}
    for name in (PRIMARY, REPLICA, ADMINER, CONSOLE):
        container = site.docker.inspect(name)
        assert container["Config"]["Hostname"] == name
        assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert list(container["NetworkSettings"]["Networks"]) == ["postgres-cluster-network"]
        mounts = {mount["Name"]: mount["Destination"] for mount in container["Mounts"]
                  if mount["Type"] == "volume"}
        # Longer than any shutdown takes: Compose and Docker kill what they stop once it is over.
        assert container["Config"].get("StopTimeout") == (3600 if name in (PRIMARY, REPLICA) else None)
        node = name.removeprefix("postgres-cluster-")
        assert mounts == {
            PRIMARY: own(node), REPLICA: own(node), ADMINER: {}, CONSOLE: all_of_them}[name]


def rows_below(document, head):
    """The cells of a table's lines."""
    lines = iter((ROOT / document).read_text("utf-8").splitlines())
    next(line for line in lines if line.startswith("|") and head in line)
    table = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    assert table.pop(0).startswith("|---")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def lines_of_the_documents():
    """Each line of a shell that a document says to work with containers, as it is typed."""
    cells = [row[0] for row in rows_below("docker/README.md", "| there | here |")]
    for document in ("README.md", "README.pt-BR.md"):
        table = rows_below(document, "`RUNTIME=docker`")
        # What is the same stands with the other runtime.
        cells += [cell for row in table for cell in row[1:]
                  if "docker" in row[2] or "`./cluster-manager.sh" in row[1]]
    found = set()
    for cell in cells:
        before = ""
        for code in re.findall(r"`([^`]+)`", cell):
            program = code.split()[0]
            if before.startswith("./cluster-manager.sh") and re.fullmatch("[a-z][a-z-]*", code):
                found.add(f"./cluster-manager.sh {code}")
            elif before.startswith("psql -h") and code.startswith("-p "):
                found.add(f"psql -h localhost {code}")
            elif program in ("docker", "docker-compose", "./cluster-manager.sh", "psql"):
                before = code
                if code.startswith("docker exec ... "):
                    found |= {code.replace("...", node) for node in (PRIMARY, REPLICA)}
                else:
                    found.add(code)
    return found


# What each has to say; the others the tests call all along.
SAID = {
    f'docker exec {PRIMARY} psql -U postgres -c '
    '"SELECT client_addr, state, sync_state FROM pg_stat_replication;"': r"{replica} +\| streaming +\| async",
    f'docker exec {REPLICA} psql -U postgres -c "SELECT pg_is_in_recovery();"': "^ t$",
    f"docker exec {REPLICA} pg_isready -h {PRIMARY} -p 5432": "accepting connections",
    f"docker exec {PRIMARY} cat /var/lib/postgresql/data/pgdata/pg_hba.conf": r"\bsamenet\b",
    f"docker logs {PRIMARY}": "ready to accept connections",
    f"docker exec -it {PRIMARY} psql -U postgres": "^ *42$",
    "psql -h localhost -p 5433": "^f$", "psql -h localhost -p 5434": "^t$",
    **{f"docker exec {node} {line}": said for node in (PRIMARY, REPLICA) for line, said in (
        ('psql -U postgres -c "\\l"', r"^ testdb "),
        ("cat /var/log/pgbackrest/main-restore.log", "to primary, replica in one pass"),
        ("cat /etc/pgbackrest/pgbackrest.conf", r"^\[main\]\npg1-path="),
        ("pgbackrest --stanza=main info", r"full backup: (.*\n)*.*repo2: ok|repo2: ok(.*\n)*.*full backup: "))}}


def test_lines_of_the_reference(site):
    """Each as it stands in the documents; for the others see the last of all tests."""
    assert set(SAID) < lines_of_the_documents()
    address = site.docker.inspect(REPLICA)["NetworkSettings"]["Networks"][
        "postgres-cluster-network"]["IPAddress"]
    for line, says in SAID.items():
        if line.startswith("docker exec -it "):
            said = on_a_terminal(line.split(), env=site.docker.environment,
                                 typed="\\pset pager off\nselect 6 * 7 as answer;\n\\q\n")
        elif line.startswith("psql "):
            node = {"5433": "primary", "5434": "replica"}[line.split()[-1]]
            said = site.from_host(node, "select pg_is_in_recovery()")
        else:
            said = site.shell(f"{line} 2>&1")
        assert re.search(says.replace("{replica}", re.escape(address)), said, re.M), f"{line}: {said}"
    hba = site.shell(f"docker exec {PRIMARY} cat /var/lib/postgresql/data/pgdata/pg_hba.conf")
    assert "trust" not in hba


def test_restored_rows_replication_and_refused_writes(site):
    """The three tests of the reference."""
    for container in (PRIMARY, REPLICA):
        assert site.value(container, MARKERS) == ROWS
        assert site.value(container, "select count(*) from fast_t") == "5000"  # in a tablespace
    site.sql(PRIMARY, "create table written as select 42 as answer")
    wait_until(lambda: site.sql(REPLICA, "select answer from written", check=False)
               .stdout.strip() == "42", 30, "the row reaches the replica")
    refused = site.sql(REPLICA, "create table refused (n int)", check=False)
    assert refused.returncode != 0 and "read-only" in refused.stderr


def test_from_the_host(site):
    assert site.from_host("primary", "select pg_is_in_recovery()") == "f"
    assert site.from_host("replica", "select pg_is_in_recovery()") == "t"


def test_adminer_offers_both_servers_primary_first(site):
    page = AdminerBrowser(site.ports["adminer"]).get()
    assert re.findall(r"<option value='(postgres-cluster-\w+:5432)'", page) == [
        f"{PRIMARY}:5432", f"{REPLICA}:5432"]
    # A browser sends the first one where none is chosen.
    assert f"<option value='{PRIMARY}:5432'>" in page and f"<option value='{REPLICA}:5432'>" in page
    for server in (PRIMARY, REPLICA):
        browser = AdminerBrowser(site.ports["adminer"])
        inside = browser.login(f"{server}:5432", "postgres", PASSWORD, "testdb")
        assert "Logout" in inside and "docs" in inside
        refused = AdminerBrowser(site.ports["adminer"]).login(
            f"{server}:5432", "postgres", "wrong", "testdb")
        assert "password authentication failed" in refused


def test_adminers_web_server_is_started_again(site):
    """By the first process, which waits for it, and buries what nobody waits for."""
    started = site.docker.inspect(ADMINER)["State"]["StartedAt"]
    pids = site.docker.out("exec", ADMINER, "sh", "-c", "grep -l '^php' /proc/[0-9]*/comm")
    pid = re.findall(r"/proc/(\d+)/", pids)[0]
    site.docker("exec", ADMINER, "sh", "-c", f"(sleep 0.2 &) ; kill -9 {pid}")
    wait_until(lambda: "Adminer's web server died (signal 9" in site.log(ADMINER), 20,
               "its end is seen")
    browser = AdminerBrowser(site.ports["adminer"])
    def serves():
        with contextlib.suppress(OSError):
            return "auth[driver]" in browser.get()
    wait_until(serves, 30, "it serves again", every=0.3)
    assert site.docker.inspect(ADMINER)["State"]["StartedAt"] == started
    site.healthy(ADMINER)


def test_console_sees_all_and_cannot_tell_docker_anything(site):
    assert site.manager("console").stdout == f"http://127.0.0.1:{site.ports['console']}/\n"
    console = Console(site.ports["console"])
    status, page, _ = console.ask("/")
    assert status == 200 and "<title>" in page
    def healthy():  # which Adminer was not, a moment ago
        seen = console.json("/api/v1/status")["status"]
        return seen["healthy"] and seen
    told = wait_until(healthy, 120, "the console sees that all is well")
    assert told["runtime"] == "docker"
    assert [(node["name"], node["state"], node["replication"]) for node in told["nodes"]] == [
        ("primary", "accepting", ""), ("replica", "accepting", "streaming")]
    assert told["console_url"] == f"http://127.0.0.1:{site.ports['console']}/"
    assert [restore["outcome"] for restore in told["restores"]][:1] == ["done"]
    repository = console.json("/api/v1/repository?fresh", X_Pgrevive="1")
    assert repository["stanza"]["name"] == "main" and not repository["error"]
    assert "pgrevive_replica_lag_bytes" in site.manager("console", "--get", "metrics").stdout

    token = site.manager("console", "--token").stdout.strip()
    assert console.act("test", "no token")[0] == 401
    status, done = console.act("test", token)
    assert status == 200 and done["passed"], done
    assert f" on {PRIMARY}:5432, " in done["checks"][0]["detail"]  # which is no user's way
    started = site.from_host("replica", "select pg_postmaster_start_time()")
    status, done = console.act("restart-node", token, node="replica")
    assert status == 200, done
    assert site.from_host("replica", "select pg_postmaster_start_time()") != started
    for name in ("start", "stop", "restart", "rebuild", "switchover", "restore"):
        status, refused = console.act(name, token, node="replica", confirm="postgres-cluster")
        assert status == 409 and "RUNTIME=docker" in refused["error"]["hint"] or (
            "./cluster-manager.sh " in refused["error"]["hint"]), refused
    assert console.act("restart-node", token, node="../primary")[0] == 400
    assert site.docker.inspect(PRIMARY)["State"]["Running"]


def test_secrets_are_nobodys_to_see(site):
    """Neither in a container's environment nor in anything of a layer; readable for the server's user
    alone."""
    secrets = {name: spelling for name, value in {
        **{name: site.values[name] for name in site.values
           if name.endswith(("PASSWORD", "_KEY", "_PASS", "_TOKEN"))},
        "of an .env that lay there when the image was built": IN_BUILD_CONTEXT}.items()
        for spelling in [layers.spellings(value)]}
    assert len(secrets) == 7
    def of_whom(content):
        return [name for name, spellings in secrets.items()
                if any(spelling in content for spelling in spellings)]
    for name in (PRIMARY, REPLICA, ADMINER, RESTORE, CONSOLE):
        assert of_whom(json.dumps(site.docker.inspect(name)).encode()) == []
    # What clients say, and what the source asks for, is in the primary's volume alone.
    settings = [(site.volume(node) / "pgrevive/settings.json").read_bytes() for node in ("primary", "replica")]
    assert [bool(of_whom(text)) for text in settings] == [True, False]
    seen = 0
    for path, content in layers.files(site.docker, "pgrevive"):
        assert of_whom(content) == [] and not path.endswith("/.env"), path
        seen += len(content)
    assert seen > 100 << 20  # servers, PHP and the system below
    assert site.docker.out("exec", PRIMARY, "stat", "-c", "%U %a",
                           "/etc/pgbackrest/pgbackrest.conf") == "postgres 600"


def test_image_of_the_dockerfile_has_the_page():
    """It takes minutes to build, so it is not built here: its compiler has what makes the page, and is
    told that there is no image without (which console.PageRequired of the unit tests is about)."""
    compiler = (ROOT / "Dockerfile").read_text().partition(" AS compiler\n")[2]
    (groups,) = re.findall(r"^RUN \S+/install-packages\.sh (.*)", compiler, re.M)
    assert set(groups.split()) == {"build-program", "page"}
    assert "\nARG PAGE=REQUIRED\n" in compiler and " -D PGREVIVE_PAGE=$PAGE " in compiler


def test_env_is_not_sent_to_who_builds_the_image(docker):
    """Whatever a Dockerfile copies."""
    there = [path.relative_to(docker.context) for path in docker.context.rglob(".env*")]
    assert {str(path) for path in there} >= {".env", "docker/.env", "scripts/.env", "src/.env.production"}
    docker("build", "-t", "all-of-it", "-f", "-", docker.context, input="FROM scratch\nCOPY . /\n")
    sent = {path.partition(": ")[2]: content for path, content in layers.files(docker, "all-of-it")
            if ": " in path}
    docker("rmi", "all-of-it")
    assert "docker/env" in sent and "src/cluster/containers.cc" in sent
    assert not [path for path in sent if "/" not in path and not path.startswith("CMake")]
    secret = layers.spellings(IN_BUILD_CONTEXT)
    assert not [path for path, content in sent.items() if any(word in content for word in secret)]


def test_servers_run_as_postgres(site):
    for container in (PRIMARY, REPLICA, ADMINER, CONSOLE):
        users = site.docker.out("exec", container, "sh", "-c", "grep -h Uid /proc/1/status")
        assert set(users.split()) == {"Uid:", "999"}


def test_first_process_buries_orphans(site):
    site.docker("exec", PRIMARY, "sh", "-c", "(sleep 0.2 &) ; exit 0")
    wait_until(lambda: "(sleep)" not in site.docker.out(
        "exec", PRIMARY, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true"), 20,
        "nothing is left of it, not even a zombie")


def test_smart_shutdown_waits_and_fast_does_not(site):
    """SIGTERM lets a client finish; SIGINT, as `docker stop` sends it, does not wait for one."""
    @contextlib.contextmanager
    def a_client():
        with subprocess.Popen(["docker", "exec", "-i", REPLICA, "psql", "-U", "postgres"],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              **child_options(env=site.docker.environment)) as client:
            client.stdin.write(b"select 'a client';\n")
            client.stdin.flush()
            wait_until(lambda: site.value(REPLICA, "select count(*) from pg_stat_activity where query like "
                                          "'select ''a client''%'") == "1", 30, "a client is there")
            yield
    def asked_to_end(times):
        site.docker("kill", "-s", "TERM", REPLICA)
        wait_until(lambda: site.log(REPLICA).count("received smart shutdown request") == times, 30,
                   "a smart shutdown")
    def state(what):
        return site.docker.inspect(REPLICA)["State"][what]
    started = state("StartedAt")
    with a_client():
        asked_to_end(1)
        assert state("StartedAt") == started and state("Running")
    fast = site.log(REPLICA).count("received fast shutdown request")
    # With its last client it ends as a server should. Who has asked it to wants it to stay so.
    wait_until(lambda: state("Status") == "exited", 60, "it has ended")
    assert state("ExitCode") == 0 and site.state_on_disk("replica") == "shut down in recovery"
    assert site.log(REPLICA).count("received fast shutdown request") == fast
    site.docker("start", REPLICA)
    wait_until(lambda: site.sql(REPLICA, "select 1", check=False).returncode == 0, 60, "it is back")
    with a_client():
        asked_to_end(2)
        assert site.state_on_disk("replica") == "in archive recovery"
        site.docker("stop", "-t", "60", REPLICA)
    assert site.log(REPLICA).count("received fast shutdown request") == fast + 1
    assert site.docker.inspect(REPLICA)["State"]["ExitCode"] == 0
    assert site.state_on_disk("replica") == "shut down in recovery"
    assert site.state_on_disk("primary") == "in production"
    site.docker("stop", "-t", "60", PRIMARY)
    assert site.docker.inspect(PRIMARY)["State"]["ExitCode"] == 0
    assert site.state_on_disk("primary") == "shut down"
    site.docker("start", PRIMARY, REPLICA)
    site.healthy(PRIMARY, REPLICA)


def test_immediate_shutdown_waits_for_nothing(site):
    """SIGQUIT: with a client there, and without a checkpoint, so that the next start recovers; who has
    asked for it wants it to stay so."""
    site.sql(PRIMARY, "create table quit as select 42 as answer")
    with subprocess.Popen(["docker", "exec", "-i", PRIMARY, "psql", "-U", "postgres"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          **child_options(env=site.docker.environment)) as client:
        client.stdin.write(b"select 'a client';\n")
        client.stdin.flush()
        wait_until(lambda: site.value(PRIMARY, "select count(*) from pg_stat_activity where query like "
                                      "'select ''a client''%'") == "1", 30, "a client is there")
        site.docker("kill", "-s", "QUIT", PRIMARY)
        wait_until(lambda: site.docker.inspect(PRIMARY)["State"]["Status"] == "exited", 30, "it has ended")
        client.stdin.close()
    assert site.docker.inspect(PRIMARY)["State"]["ExitCode"] == 0
    assert "received immediate shutdown request" in site.log(PRIMARY)
    assert site.state_on_disk("primary") == "in production"
    site.docker("start", PRIMARY)
    site.healthy(PRIMARY, REPLICA)
    assert "was not properly shut down; automatic recovery in progress" in site.log(PRIMARY)
    assert site.value(PRIMARY, "select answer from quit") == "42"
    site.sql(PRIMARY, "drop table quit")


def test_container_that_was_never_well_is_ill_once_its_time_is_over(site):
    """Nobody waits for it then, nor takes it for one that comes up."""
    try:
        for node in ("primary", "replica", "adminer", "console"):
            site.docker("run", "-d", "--name", f"never-{node}", "--network", "none", "--health-cmd",
                        f"pgrevive container health {node}", "--health-interval", "1s", "--health-timeout", "9s",
                        "--health-retries", "2", "--health-start-period", "1s" if node != "replica" else "1h",
                        "--entrypoint", "sleep", "pgrevive", "600")
        for node in ("primary", "adminer", "console"):
            wait_until(lambda name=f"never-{node}": site.health(name) == "unhealthy", 60, f"{node} is ill")
        (said,) = {look["Output"] for look in site.docker.inspect("never-adminer")["State"]["Health"]["Log"]}
        assert said == "Adminer does not answer\n"
        # Within its time it is on its way, however often it was asked.
        wait_until(lambda: site.docker.inspect("never-replica")["State"]["Health"]["FailingStreak"] == 0
                   and len(site.docker.inspect("never-replica")["State"]["Health"]["Log"]) > 2, 30, "it was asked")
        assert site.health("never-replica") == "starting"
    finally:
        site.docker("rm", "-f", *(f"never-{node}" for node in ("primary", "replica", "adminer", "console")))


def refuses_the_volume_that_another_server_is_on(site):
    """Which may be of another image, and which a container does not see among its processes."""
    data = "/var/lib/postgresql/data"
    pid_file = site.volume("primary") / "pgdata/postmaster.pid"
    with subprocess.Popen(
            ["docker", "run", "-i", "--rm", "--name", "another", "-v",
             f"postgres_cluster_primary_data:{data}", "--user", "postgres", "--entrypoint", "postgres",
             "pgrevive", "--single", "-D", f"{data}/pgdata", "-c", f"data_directory={data}/pgdata",
             "-c", f"config_file={data}/conf/postgresql.conf", "testdb"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            **child_options(env=site.docker.environment)) as another:
        wait_until(lambda: pid_file.exists() or another.poll() is not None, 60, "it is there")
        assert another.poll() is None, another.stderr.read()
        mine = pid_file.read_text()
        site.docker("start", PRIMARY)
        wait_until(lambda: "is of a server that pgrevive did not start" in site.log(PRIMARY), 60,
                   "the primary's container says why it does not run")
        wait_until(lambda: site.docker.inspect(PRIMARY)["State"]["Restarting"], 30, "it waits")
        assert pid_file.read_text() == mine
        another.stdin.close()
        assert another.wait(60) == 0, another.stderr.read()
    wait_until(lambda: site.docker.inspect(PRIMARY)["State"]["Status"] == "running", 60,
               "it tries again")


def test_health_means_something(site):
    """A replica that does not stream is not healthy, though it answers. A primary is, that waits for a
    standby: nobody is helped by one more session that hangs."""
    site.sql(PRIMARY, "alter system set synchronous_standby_names = 'nobody'")
    site.sql(PRIMARY, "select pg_reload_conf()")
    wait_until(lambda: site.value(PRIMARY, "show synchronous_standby_names") == "nobody", 20,
               "it waits for somebody who never comes")
    written = site.docker("exec", PRIMARY, "timeout", "9", "pgrevive", "container", "health", "primary",
                          check=False)
    site.sql(PRIMARY, "alter system reset synchronous_standby_names")
    site.sql(PRIMARY, "select pg_reload_conf()")
    assert written.stdout == "healthy\n"
    def asked():
        return site.docker("exec", REPLICA, "pgrevive", "container", "health", "replica", check=False)
    assert asked().stdout == "healthy\n"
    # A primary that answers and takes no writes is not healthy either.
    site.docker("exec", "-u", "postgres", PRIMARY, "sh", "-c", "touch $PGDATA/standby.signal && "
                "kill -9 $(head -n 1 $PGDATA/postmaster.pid)")
    def is_ill(container, said):  # as Docker itself asked
        seen = site.docker.inspect(container)["State"]["Health"]
        return seen["Status"] == "unhealthy" and seen["Log"][-1]["Output"] == said
    wait_until(lambda: is_ill(PRIMARY, "the primary is in recovery\n"), 60, "the primary is not healthy")
    assert "(unhealthy)" in site.compose("ps", PRIMARY).stdout
    assert "(unhealthy)" in site.docker.out("ps", "--filter", f"name={PRIMARY}", "--format", "{{.Status}}")
    site.docker("stop", PRIMARY)
    wait_until(lambda: is_ill(REPLICA, "the replica does not stream\n"), 60, "the replica is not healthy")
    assert site.value(REPLICA, "select 1") == "1"
    told = " ".join(site.manager("status", check=False).stdout.split())
    for problem in ("nobody looks after the cluster, while servers of it run",
                    "primary does not accept connections", "replica does not stream"):
        assert f"problem {problem}" in told, told
    (site.volume("primary") / "pgdata/standby.signal").unlink()
    refuses_the_volume_that_another_server_is_on(site)
    wait_until(lambda: asked().returncode == 0, 60, "the replica streams again")
    site.healthy(PRIMARY)


def test_kill_of_a_container(site):
    """kill -9 of the first process is a crash; Docker starts it again, which recovers by itself."""
    site.sql(PRIMARY, "create table if not exists written (answer int); "
                      "insert into written values (43)")
    restarts = site.docker.inspect(PRIMARY)["RestartCount"]
    os.kill(site.docker.inspect(PRIMARY)["State"]["Pid"], 9)
    wait_until(lambda: site.docker.inspect(PRIMARY)["RestartCount"] > restarts, 60,
               "Docker starts it again")
    wait_until(lambda: site.sql(PRIMARY, "select 1", check=False).returncode == 0, 60,
               "the primary is back")
    assert site.value(PRIMARY, "select max(answer) from written") == "43"
    wait_until(lambda: site.value(PRIMARY, "select state from pg_stat_replication") == "streaming",
               60, "the replica is back")


def test_restart_of_docker_needs_no_restore(site):
    site.docker.stop()
    site.docker.start()
    site.healthy()
    assert site.value(PRIMARY, "select max(answer) from written") == "43"
    assert site.restores() == site.restored
    assert site.docker.inspect(RESTORE)["State"]["Status"] == "exited"


def test_crash_of_the_host_needs_no_restore(site):
    """Nothing gets a word to say at its end, neither a server nor Docker."""
    site.sql(PRIMARY, "create table if not exists written (answer int); "
                      "insert into written values (44)")
    def crashes(container):
        return site.log(container).count("database system was interrupted")
    before = {container: crashes(container) for container in (PRIMARY, REPLICA)}
    site.docker.crash()
    site.docker.start()
    site.healthy()
    for container in (PRIMARY, REPLICA):
        wait_until(lambda node=container: site.value(node, "select max(answer) from written") == "44",
                   30, "it has what was committed last")
        assert crashes(container) == before[container] + 1
    assert site.restores() == site.restored
    assert site.docker.inspect(RESTORE)["State"]["Status"] == "exited"


def test_up_again_changes_nothing(site):
    started = site.docker.inspect(PRIMARY)["State"]["StartedAt"]
    site.compose("up", "-d")
    assert "the volumes are whole; there is nothing to restore" in site.log(RESTORE)
    assert site.docker.inspect(PRIMARY)["State"]["StartedAt"] == started
    assert site.restores() == site.restored


def test_down_and_up_need_no_restore_and_a_port_of_0_is_none(site):
    """The volumes are the cluster. Compose by itself cannot leave a service out, which then serves
    nothing; the script can."""
    ports = {"ADMINER_PORT": 0, "CONSOLE_PORT": 0}
    site.compose("down")
    site.write_env(**ports)
    site.compose("up", "-d")
    site.healthy()
    assert site.restores() == 0 and "the volumes are whole" in site.log(RESTORE)
    assert site.value(PRIMARY, "select max(answer) from written") == "44"
    for container in (ADMINER, CONSOLE):
        assert site.docker("exec", container, "sh", "-c", "cat /proc/net/tcp*").stdout.count(
            ":1F90 ") == 0  # port 8080
    started = site.manager("start").stdout
    assert "adminer" not in started.lower() and "console" not in started
    assert set(site.docker.out("ps", "-a", "--format", "{{.Names}}").split()) == {
        PRIMARY, REPLICA, RESTORE}
    assert "CONSOLE_PORT=0" in site.manager("console", check=False).stderr
    site.write_env()
    site.manager("restart")
    site.healthy()
    site.restored = 0


def test_commands_of_the_manager(site):
    site.docker("rm", RESTORE)  # as `docker container prune` does
    # The last test brought it up by Compose alone, which returns earlier.
    wait_until(lambda: site.manager("status", check=False).returncode == 0, 120, "all is set up", every=1)
    status = site.manager("status", check=False).stdout  # a busy machine may miss a look at one thing
    assert re.search(r"^primary +primary +\d+ +accepting", status, re.M)
    assert re.search(r"^replica +replica +\d+ +accepting .* streaming", status, re.M)
    nodes = json.loads(site.manager("status", "--json", check=False).stdout)["nodes"]
    assert [node["port"] for node in nodes] == [site.ports["primary"], site.ports["replica"]]
    told = site.manager("test").stdout
    assert "11 passed, 0 failed" in told
    for node in ("primary", "replica"):  # where users connect to
        assert re.search(rf"^  ok +{node} answers +PostgreSQL [0-9.]+.* on port {site.ports[node]}, ", told, re.M)
    # By no other way, though all is well behind a port that nobody reaches.
    settings = site.volume("primary") / "pgrevive/settings.json"
    told = settings.read_text()
    settings.write_text(json.dumps({**json.loads(told), "replica_port": 1}))
    failed = site.manager("test", check=False)
    settings.write_text(told)
    assert failed.returncode == 1 and "FAIL  replica answers" in failed.stdout, message(failed)
    assert "  ok    primary answers" in failed.stdout and "port 1 failed" in failed.stdout
    assert len([check for check in site.told("test")["checks"] if check["result"] == "passed"]) == 11
    assert {check["result"] for check in site.told("doctor")["checks"]} == {"ok", "not_applicable"}
    assert site.manager("psql-primary", "-Atc", "select count(*) from docs").stdout == "1500\n"
    assert site.manager("exec-replica", "printenv", "PGDATA").stdout == (
        "/var/lib/postgresql/data/pgdata\n")
    assert site.manager("exec-replica", "--", "sh", "-c", "id -un; echo $PGHOST:$PGPORT; psql -Atc "
                        "'select current_user, current_database()'").stdout == (
        "postgres\n/var/run/postgresql:5432\npostgres|testdb\n")
    assert site.manager("psql-replica", "-Atc", "select pg_is_in_recovery()").stdout == "t\n"
    # Where the passwords are, those who come from there need none.
    assert site.manager("exec-primary", "--", "psql", "-w", "-h", REPLICA, "-Atc",
                        "select pg_is_in_recovery()").stdout == "t\n"
    for words in (("exec-replica", "nosuch"), ("exec", "primary", "/nonexistent/x", "y")):
        unknown = site.manager(*words, check=False)
        assert unknown.returncode == 23, message(unknown)
        assert unknown.stderr == f"error: there is no program {words[1 if len(words) == 2 else 2]}\n"
    denied = site.manager("exec-primary", "--", "/etc/passwd", check=False)
    assert denied.returncode == 28 and denied.stderr.startswith(
        "error: cannot run /etc/passwd: Permission denied\n  hint: check the owner and mode")
    assert site.manager("exec-primary", "sh", "-c", 'echo "$1"; exit 7', "-", "a  b", check=False
                        ).returncode == 7
    assert "started streaming WAL" in site.manager("logs-replica", "-n", "200").stdout
    assert "full" in site.manager("info").stdout
    there = site.manager("start", "--set", "x", check=False)
    assert there.returncode == 21 and "is there already" in there.stderr and "--anew" in there.stderr
    assert "with RUNTIME=docker each is a volume" in site.manager("switchover", check=False).stderr
    assert site.manager("start").stdout.startswith("postgres-cluster was running already\n")
    assert "replica" in site.manager_on_a_terminal("status", "--watch", until="streaming")
    site.write_env(REPLICAS=2)
    assert site.manager("restart", check=False).returncode == 21
    with socket.create_server(("127.0.0.1", 0)) as other:
        site.write_env(ADMINER_PORT=other.getsockname()[1])
        taken = site.manager("restart", check=False)
    assert taken.returncode == 30 and "ADMINER_PORT" in taken.stderr, message(taken)
    assert site.docker.inspect(PRIMARY)["State"]["Running"]
    site.write_env()
    site.docker("rm", RESTORE)
    assert json.loads(site.manager("stop", "--json").stdout) == {"done": "stop", "ran": True}
    assert site.docker.out("ps", "-q") == ""
    assert site.manager("stop").stdout == "nothing was running\n"
    # What needs no server works on, and psql says itself that there is none.
    assert "in archive recovery" not in (
        said := site.manager("exec-replica", "pg_controldata").stdout) and "shut down in recovery" in said
    assert site.manager("exec-primary", "sh", "-c", "id -un; ls -d $PGDATA; exit 7", check=False
                        ).stdout == "postgres\n/var/lib/postgresql/data/pgdata\n"
    for node in ("primary", "replica"):
        refused = site.manager(f"psql-{node}", "-c", "select 1", check=False)
        assert refused.returncode == 2, message(refused)
        assert "psql: error: connection to server" in refused.stderr and "Is the server running" in refused.stderr
    assert site.docker.out("ps", "-q") == ""
    console = site.manager("console", check=False)
    assert console.returncode == 1 and console.stdout.endswith("/  (does not run)\n")
    # It waits for nobody, though it goes on: what it has to say is still being written.
    logs = set(pathlib.Path("/tmp").glob("pgrevive-start.*"))
    assert "is being brought up" in site.manager("start", "--detach").stdout
    assert set(pathlib.Path("/tmp").glob("pgrevive-start.*")) - logs
    site.healthy()
    site.write_env(NODE_TLS="on", CONSOLE_LISTEN="0.0.0.0", CONSOLE_HOSTS="db.example")
    assert not site.streams_over_tls()
    console = Console(site.ports["console"])
    assert console.ask("/", Host="db.example")[0] == 421
    restarted = site.manager("restart").stdout
    assert console.ask("/", Host="db.example")[0] == 200
    warning = "the console listens on 0.0.0.0 (CONSOLE_LISTEN)"
    assert warning in restarted and warning in site.manager("status").stdout
    assert site.manager("console", "--json", "--tokens", check=False).returncode == 21
    told = site.told("restart")
    assert told["done"] == "restart" and told["already_running"] is False
    assert restarted.startswith("stopped\nstarting postgres-cluster in containers\n")
    assert re.findall(r"^  (.*\S) +[0-9.]+ s$", restarted.partition("is running")[0], re.M) == [
        "preparing", "configuring", "joining replicas"]
    assert re.search(r"^  up after +[0-9.]+ s$", restarted, re.M)
    assert "postgres-cluster is running" in restarted and str(site.ports["primary"]) in restarted
    assert site.streams_over_tls()
    told = json.loads(site.manager("start", "--json").stdout)
    assert told["done"] == "start" and told["already_running"] is True
    assert [node["state"] for node in told["status"]["nodes"]] == ["accepting"] * 2


def test_logs_are_those_of_the_local_runtime(site):
    """Prefixes, the order of times, as many lines as were asked for of all together, and no passwords."""
    def asks(container, word):
        site.sql(container, f"select '{word}', $$password 'of-nobody'$$ from nowhere", check=False)
    for i in range(3):
        asks(REPLICA, f"said-{i}")
        asks(PRIMARY, f"said-{i}")
    lines = site.manager("logs", "-n", "12").stdout.splitlines()
    assert len(lines) == 12
    shape = r"(primary|replica|restore|adminer|console) *\| (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)"
    shown = [re.match(shape, line) for line in lines]
    assert all(shown) and len({line.index("|") for line in lines}) == 1, lines
    assert [found.group(2) for found in shown] == sorted(found.group(2) for found in shown)
    assert {found.group(1) for found in shown} == {"primary", "replica"}
    for words in (("logs-primary", "-n", "2"), ("logs", "primary", "-n2")):
        lines = site.manager(*words).stdout.splitlines()
        assert [line[:10] for line in lines] == ["primary | "] * 2, lines
        assert "said-2" in lines[1] and "password '***'" in lines[1] and "of-nobody" not in lines[1]
    assert site.manager("logs", "restore", "-n", "0").stdout == ""
    # What comes later than that.
    with site.begin("logs", "-f", "-n", "1", start_new_session=True) as child:
        first = child.stdout.readline()
        assert "said-2" in first, first
        # One for each container, also for those that may come, and one for files.
        wait_until(lambda: len(site.processes("container", "logs")) == 6, 60, "all are followed")
        said = ""
        for container in (PRIMARY, REPLICA):
            asks(container, "followed")
        while said.count("'followed'") < 2:
            line = child.stdout.readline()
            assert line, said
            said += line
        # A container that is started again goes on being followed, with what its server says at its end.
        def until(text, log):
            nonlocal said
            while not re.search(rf"^{log} \\| .*{text}", said, re.M):
                line = child.stdout.readline()
                assert line, said
                said += line
        site.docker("restart", "-t", "60", REPLICA)
        until("database system is shut down", "replica")
        until("started streaming WAL", "replica")
        assert said.count("received fast shutdown request") == 1
        assert said.count("entering standby mode") == 1
        # And files that the node had before it had a container.
        with open(site.volume("replica", "logs") / "later.log", "w", encoding="utf-8") as file:
            file.write("2026-01-01 00:00:00.000 UTC written later\n")
        until("written later", "replica")
        (site.volume("replica", "logs") / "later.log").unlink()
        os.killpg(child.pid, signal.SIGINT)
        said += child.communicate(timeout=60)[0]
        assert child.returncode == 0
    assert "primary | " in said and "replica | " in said and "said-2" not in said
    assert said.count("password '***'") == 2 and "of-nobody" not in said
    wait_until(lambda: not site.processes("container", "logs"), 30, "nothing is left of it")
    # Of the time before there was a container of its own.
    lines = site.manager("logs", "primary", "-n", "999999").stdout
    assert re.search(r"^primary \| .*to primary, replica in one pass$", lines, re.M)
    assert re.search(r"^primary \| .*LOG:  archive recovery complete", lines, re.M)
    for code, told in ((125, 29), (1, 29), (23, 23)):
        with site.instead({"'run '*": f"echo one moment >&2; exit {code}"}):
            failed = site.manager("logs", check=False)
        assert failed.returncode == told, message(failed)
        assert "one moment\n" in failed.stderr
        assert ("error: the logs of cluster postgres-cluster cannot be shown\n" in failed.stderr) == (told == 29)
    refused = site.manager("logs", "supervisor", check=False)
    assert refused.returncode == 21 and "with RUNTIME=docker there is no supervisor" in refused.stderr
    assert "primary, replica, restore, adminer or console" in re.sub(
        r"\s+", " ", site.manager("logs", "--help").stdout)
    site.healthy(REPLICA)


@contextlib.contextmanager
def standing_still(site, container):
    """A server that takes its time to end, as one does that has much to write."""
    def tell(signal_name):
        site.docker("exec", container, "sh", "-c", f"kill -{signal_name} $(head -n 1 $PGDATA/postmaster.pid)")
    tell("STOP")
    try:
        yield
    finally:
        tell("CONT")


def test_stop_kills_nothing(site):
    """What takes longer than it is given is told as in the local runtime, and ends by itself; Docker does
    not start it again."""
    def state():
        return site.docker.inspect(REPLICA)["State"]
    with standing_still(site, REPLICA):
        late = site.told("stop", "--timeout=1", code=30)
        assert late["kind"] == "busy" and late["message"].endswith(" is still stopping")
        # All were asked, and the others need not wait for it.
        wait_until(lambda: site.docker.out("ps", "--format", "{{.Names}}") == REPLICA, 60, "the others end")
        for words in (("stop", "--timeout", "2"), ("restart", "--timeout=1")):
            late = site.manager(*words, check=False)
            assert late.returncode == 30 and not late.stdout.startswith("stopped"), message(late)
            assert late.stderr == ("error: the server of replica is still stopping\n"
                                   f"  hint: its log: docker logs {REPLICA}\n")
            assert state()["Running"]
    wait_until(lambda: state()["Status"] == "exited", 60, "it ends by itself")
    assert state()["ExitCode"] == 0 and site.state_on_disk("replica") == "shut down in recovery"
    assert site.state_on_disk("primary") == "shut down"
    assert site.manager("stop", "--timeout", "0086400").stdout == "nothing was running\n"
    site.manager("start")
    # It is not thrown away while it may still write.
    with standing_still(site, REPLICA):
        script = site.directory / "scripts/docker-runtime.sh"
        text = script.read_text()
        script.write_text(text.replace("SECONDS + 120", "SECONDS + 2"))
        late = site.manager("rebuild", "--yes", check=False)
        script.write_text(text)
        assert late.returncode == 30 and "the server of replica is still stopping" in late.stderr
    wait_until(lambda: state()["Status"] == "exited", 60, "it ends by itself")
    assert state()["ExitCode"] == 0 and site.docker.inspect(PRIMARY)["State"]["Running"]
    site.manager("start")
    site.healthy()


def test_restart_that_fails_leaves_no_server_down(site):
    """The container, which has none then, starts one as soon as that can be."""
    conf = site.volume("replica") / "conf"
    owner = conf.stat()
    os.chown(conf, 0, 0)
    try:
        failed = site.manager("restart", "replica", check=False)
        assert failed.returncode >= 20, message(failed)
    finally:
        os.chown(conf, owner.st_uid, owner.st_gid)
    site.healthy(REPLICA)


def test_volume_that_is_gone_is_made_by_a_start_alone(site):
    """A look at the cluster makes none, which would be nobody's."""
    site.manager("stop")
    for container in (RESTORE, REPLICA, CONSOLE):
        site.docker("rm", container)
    gone = {"postgres_cluster_replica_data"}
    site.docker("volume", "rm", *gone)
    shown = site.manager("status", check=False)
    assert shown.returncode < 20 and re.search("^replica ", shown.stdout, re.M), message(shown)
    assert set(site.docker.out("volume", "ls", "-q").split()) == VOLUMES - gone
    assert "postgres-cluster is running" in site.manager("start").stdout
    site.healthy()
    wait_until(lambda: site.value(PRIMARY, "select count(*) from pg_stat_replication") == "1", 30,
               "the replica streams")


def test_docker_that_does_not_answer_is_no_reason_to_remove_anything(site):
    """What there is of the cluster is then not known; nor is it where the image is gone."""
    site.docker("rm", RESTORE, check=False)
    site.write_env()
    # By what it says of itself the client warns of its own, and that is no answer.
    for words, asked in (("volume ls", "doctor"), ("container inspect", "status"),
                         ("container inspect", "start"), ("volume inspect", "start"),
                         ("network inspect", "cleanup --yes"), ("ps -a", "start")):
        for end in ("echo 'WARNING: of itself' >&2; echo no answer >&2; exit 1", "exit 125"):
            with site.instead({f"'{words} '*": end}):
                failed = site.manager(*asked.split(), check=False)
            assert failed.returncode == 29, f"{words}: {message(failed)}"
            assert "Docker does not say what there is of cluster postgres-cluster" in failed.stderr
    assert set(site.docker.out("volume", "ls", "-q").split()) == VOLUMES
    # What a start finds out by itself, when nobody is beside it any more, is told all the same.
    with site.instead({"*State.Restarting*": f'echo >>{site.path}/asked; '
                       f'[ $(/usr/bin/wc -l <{site.path}/asked) != 2 ] || {{ echo one moment >&2; exit 1; }}'}):
        failed = site.manager("start", check=False)
    assert failed.returncode == 29 and "cluster postgres-cluster: one moment" in failed.stderr
    assert site.docker.inspect(PRIMARY)["State"]["Running"]
    # No registry is asked, nor anything run with .env that has the name.
    with site.instead({"'container inspect'*": "echo No such container >&2; exit 1",
                       "'image inspect'*": "exit 1", "run*": "echo ran >&2; exit 1"}):
        failed = site.manager("status", check=False)
    assert "the image pgrevive of cluster postgres-cluster is not in this Docker" in failed.stderr


@pytest.mark.skipif(rig.COMPOSE is not None, reason="v1 is held")
def test_stop_of_a_start_that_is_about_to_bring_the_nodes_up(site):
    """Which goes on by itself, and heard of nothing."""
    site.manager("stop")
    program, waits, go = site.path / "docker-compose", site.directory / "waits", site.directory / "go"
    program.unlink()
    program.write_text(HELD.format(waits=waits, go=go, program=shutil.which("docker-compose")))
    program.chmod(0o755)
    logs = set(pathlib.Path("/tmp").glob("pgrevive-start.*"))
    try:
        site.manager("start", "--detach")
        wait_until(waits.exists, 60, "the volumes are whole, and the nodes come up")
        assert site.manager("stop").stdout == "stopped\n"
        go.touch()
        wait_until(lambda: not set(pathlib.Path("/tmp").glob("pgrevive-start.*")) - logs, 240,
                   "the start has ended")
    finally:
        program.unlink()
        program.symlink_to(shutil.which("docker-compose"))
    assert site.docker.out("ps", "-q") == ""
    assert set(site.docker.out("volume", "ls", "-q").split()) == VOLUMES
    assert "postgres-cluster is running" in site.manager("start").stdout
    site.healthy()


def test_stop_of_a_start_that_has_made_nothing_yet(site):
    """As one that builds the image, or looks whether all is well."""
    site.manager("stop")
    waits, go = site.directory / "builds", site.directory / "is-built"
    for words in (("start",), ("start", "--detach")):
        with site.instead({"'image inspect pgrevive'": f": >{waits}; while [ ! -e {go} ]; do sleep 0.1; done"}):
            with site.begin(*words) as child:
                wait_until(waits.exists, 60, "it looks for the image")
                assert site.manager("stop").stdout == "stopped\n"
                go.touch()
                said = child.communicate(timeout=120)[0]
            assert child.returncode == 31 and "the cluster was stopped before it was up" in said, said
        waits.unlink()
        go.unlink()
        assert site.docker.out("ps", "-q") == ""
        assert set(site.docker.out("volume", "ls", "-q").split()) == VOLUMES
    assert "postgres-cluster is running" in site.manager("start").stdout
    site.healthy()


@pytest.mark.skipif(rig.COMPOSE is not None, reason="one is given")
def test_either_compose(site):
    """`docker compose` where Docker's client has it, else docker-compose, else a word about it."""
    plugin = site.docker.directory / "config/cli-plugins/docker-compose"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    log = plugin.with_suffix(".log")
    try:
        # With the brackets that Compose wants around such an address.
        site.write_env(ADMINER_LISTEN="::1")
        assert "0 failed" in site.manager("doctor").stdout
        assert "run --rm --no-deps" in log.read_text()
        assert "\nADMINER_LISTEN=[::1]\n" in log.read_text()
        site.write_env()
    finally:
        plugin.unlink()
    log.unlink()
    assert "pgrevive" in site.manager("version").stdout and not log.exists()
    (site.path / "docker-compose").unlink()
    try:
        neither = site.manager("version", check=False)
        assert neither.returncode == 29 and "needs Docker Compose" in neither.stderr
    finally:
        (site.path / "docker-compose").symlink_to(shutil.which("docker-compose"))


def test_container_that_is_gone_is_not_waited_for(site):
    """Who removes one while its health is waited for is told so."""
    script = ("fail() { echo \"$1\" >&2; exit $3; }; interrupted= name=nobody project=nobody "
              "wanted=(primary); . scripts/docker-runtime.sh; wait_for_health")
    gone = run(["bash", "-c", script], cwd=site.directory, env=site.commands_environment(), check=False,
               timeout=20)
    assert gone.returncode == 23 and gone.stderr == "the container nobody-primary is gone\n"


def test_image_alone(site, service):
    """docker run pgrevive info, restore, doctor: settings from the environment, keys from files."""
    gateway, address = service
    keys = site.directory / "keys"
    keys.mkdir()
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        (keys / name).write_text(site.values[name] + "\n")
    command = ["run", "--rm", "--network", "pgrevive-host", "--add-host", f"{S3_HOST}:{address}",
               "-v", f"{keys}:/keys:ro", "-v", f"{gateway.ca_file}:{gateway.ca_file}:ro"]
    for name in ("S3_BUCKET", "S3_ENDPOINT", "S3_REGION", "S3_PATH", "S3_URI_STYLE", "S3_CA_FILE",
                 "REPO_CIPHER_PASS"):
        command += ["-e", f"{name}={site.values[name]}"]
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
        command += ["-e", f"{name}_FILE=/keys/{name}"]
    assert "full" in site.docker(*command, "pgrevive", "info").stdout
    gone = site.docker(*command, "-e", "S3_SECRET_KEY_FILE=/keys/none", "pgrevive", "info", check=False)
    assert gone.returncode != 0 and "/keys/none" in gone.stderr, message(gone)
    restored = site.docker(*command, "--user", "postgres", "pgrevive", "restore", "--node", "a=/tmp/a",
                           "--tablespace-map-all", "/tmp/t", "--type", "none")
    assert "restored" in message(restored)
    # Of whose zone it is not told.
    at = ("pgrevive", "info", "--type", "time", "--target")
    refused = site.docker(*command, *at, "2001-11-22 14:05", check=False)
    assert refused.returncode == 21 and "give the container TZ" in refused.stderr, message(refused)
    out_of_reach = site.docker(*command, "-e", "TZ=America/Sao_Paulo", *at, "2001-11-22 14:05",
                               check=False)
    assert "2001-11-22 16:05" in message(out_of_reach)  # which was summer there
    doctor = site.docker(*command, "-e", "POSTGRES_PASSWORD=x", "pgrevive", "doctor", check=False)
    for name in ("TLS chain", "signature", "stanza", "chosen backup"):
        assert re.search(rf"^  ok +{name} ", doctor.stdout, re.M), doctor.stdout
    # The first process of a container has to heed Ctrl-C by itself.
    with socket.create_server((address, 0)) as silent:
        silent.settimeout(60)
        place = command.index(f"S3_ENDPOINT={site.values['S3_ENDPOINT']}")
        asked = [*command[:place], f"S3_ENDPOINT=https://{address}:{silent.getsockname()[1]}",
                 *command[place + 1:], "--name", "asked", "pgrevive", "info"]
        with subprocess.Popen(["docker", *asked], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              **child_options(env=site.docker.environment)) as child:
            silent.accept()
            site.docker("kill", "-s", "INT", "asked")
            assert child.wait(20) == 130


def test_locales_of_an_image(site):
    """By any of the names that databases have them by; this is how the Dockerfile makes them."""
    assert re.search(r"^ +make-locales \$LOCALES;", (ROOT / "Dockerfile").read_text(), re.M)
    def made(*names):
        return site.docker("run", "--rm", "--entrypoint", "sh", "pgrevive", "-c",
                           'make-locales "$@" && locale -a', "sh", *names, check=False)
    there = made("ca_ES.UTF-8@valencia", "de_DE@euro", "de_AT.utf8", "de_DE.iso88591").stdout.split()
    assert {"ca_ES.utf8@valencia", "de_DE@euro", "de_AT.utf8", "de_DE.iso88591", "en_US.utf8",
            "pt_BR.utf8"} <= set(there)
    for name in ("xx_YY.UTF-8", "de_DE.nosuch", "nosuch"):
        refused = made(name)
        assert refused.returncode == 21 and f"error: the C library has no locale '{name}'" in refused.stderr


@pytest.mark.thorough
def test_image_of_another_major(docker, workspace):
    """One that is not Debian's comes from where POSTGRES_APT says."""
    tree = workspace.directory("tree", "usr", "lib", "postgresql")
    versions.server_programs(17, tree).parent.rename(tree / "17")
    debs.make_repository(workspace.directory("packages"), "postgresql-17", "17.99",
                         workspace.path / "tree")
    port = free_port()
    server = Daemon(["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory",
                     workspace.path / "packages"], workspace.path / "http.log")
    try:
        wait_until(lambda: listening(port), 30, "the repository is served")
        docker("build", "--network", "host", "--target", "runtime", "-t", "pgrevive-17",
               "--build-arg", "POSTGRES_MAJOR=17", "--build-arg",
               f"POSTGRES_APT=deb [trusted=yes] http://127.0.0.1:{port} ./", docker.context)
    finally:
        server.stop()
    said = docker("run", "--rm", "--user", "postgres", "--entrypoint", "sh", "pgrevive-17", "-c",
                  "initdb -D /tmp/data >/tmp/log && cat /tmp/data/PG_VERSION && postgres -V").stdout
    assert said.startswith("17\npostgres (PostgreSQL) 17.")


def test_cleanup_removes_exactly_its_own(site):
    """What is not its own stays, whatever its name, and what would keep it from being removed is told
    before anything is stopped; so is the archive that stays."""
    docker = site.docker
    docker("volume", "create", "postgres_cluster_other")
    docker("network", "create", "postgres-cluster-other")
    def other(*words):
        docker("run", "-d", "--name", "postgres-cluster-other", *words, "--entrypoint", "sleep",
               "pgrevive", "600")
    for words, what in ((("-v", "postgres_cluster_replica_logs:/v"), "volume postgres_cluster_replica_logs"),
                        (("--network", "postgres-cluster-network"), "network postgres-cluster-network")):
        other(*words)
        refused = site.manager("cleanup", "--yes", check=False)
        assert refused.returncode == 30, message(refused)
        assert f"the {what} is in use" in refused.stderr
        assert "docker rm -f postgres-cluster-other" in refused.stderr
        docker("rm", "-f", "postgres-cluster-other")
    other()
    refused = site.manager("cleanup", check=False, input="no\n")
    assert refused.returncode == 31 and docker.inspect(PRIMARY)["State"]["Running"]
    gone = [*(f"container {name}" for name in (PRIMARY, REPLICA, ADMINER, CONSOLE, RESTORE)),
            *(f"volume {name}" for name in VOLUMES), "network postgres-cluster-network"]
    assert refused.stdout.startswith("This removes cluster postgres-cluster with all its data, and cannot be "
                                     "undone:\n")
    assert set(re.findall("^  (.*)$", refused.stdout, re.M)) == set(gone)
    (archive,) = re.findall(r"What stays: (WAL archive in s3://backups/repo-postgres-cluster-\S+, "
                            r"stanza main)\n", refused.stdout)
    site.prove_sound()
    *removed, kept = site.manager("cleanup", "--yes").stdout.splitlines()
    assert sorted(removed) == sorted(f"removed {what}" for what in gone) and kept == f"kept    {archive}"
    assert docker.out("ps", "-a", "--format", "{{.Names}}") == "postgres-cluster-other"
    assert set(docker.out("volume", "ls", "-q").split()) == {"postgres_cluster_other"}
    networks = set(docker.out("network", "ls", "--format", "{{.Name}}").split())
    assert networks == {"none", "host", "pgrevive-host", "postgres-cluster-other"}
    docker("rm", "-f", "postgres-cluster-other")
    docker("network", "rm", "postgres-cluster-other")
    assert site.manager("cleanup", "--yes", check=False).returncode == 23


WITHOUT_S3 = {name: None for name in (
    "S3_BUCKET", "S3_ENDPOINT", "S3_REGION", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_PATH",
    "S3_URI_STYLE", "S3_CA_FILE", "WAL_ARCHIVE_S3_ACCESS_KEY", "WAL_ARCHIVE_S3_SECRET_KEY")}


def look_and_stop_looking(site, *words):
    """What a start shows until Ctrl-C, pressed behind all that the restore shows, while the health of
    the nodes is waited for."""
    return site.manager_on_a_terminal("start", *words, code=31,
                                      until=r"joining replicas +[0-9.]+ s\r?\n")


def test_local_repository_taken_over_by_a_start_that_nobody_looks_at(site, story):
    """REPO_TYPE=posix and WAL_ARCHIVE=source, which makes it one to be written, to a target of the
    command line, by a start that goes on when Ctrl-C ends the looking."""
    repository = repository_of_its_own(site, story, "repository")
    site.write_env(REPO_TYPE="posix", REPO_PATH=repository, WAL_ARCHIVE="source",
                   WAL_ARCHIVE_SILENCE=0, NODE_TLS="on", CONSOLE_LISTEN="0.0.0.0", **WITHOUT_S3)
    shown = look_and_stop_looking(site, "--type", "name", "--target", "half way")
    assert "target: restore point 'half way'" in shown and "left to itself: it goes on" in shown
    # From the restore on, and once.
    warning = "the console listens on 0.0.0.0 (CONSOLE_LISTEN)"
    assert warning in shown
    # It is the console's container that has the port.
    assert not (site.volume("primary") / "pgrevive/logs/console.log").exists()
    site.healthy()
    told = json.loads((site.volume("primary") / "pgrevive/run/status.json").read_text())["warnings"]
    assert len([text for text in told if text.startswith(warning)]) == 1
    rows = ROWS.removesuffix(",last-archived")
    assert site.value(PRIMARY, MARKERS) == rows and site.value(REPLICA, MARKERS) == rows
    site.sql(PRIMARY, "select pg_switch_wal()")
    wait_until(lambda: site.value(PRIMARY, "select last_archived_wal > '000000020' "
                                  "from pg_stat_archiver") == "t",
               60, "a segment of the new timeline is archived")
    assert list(repository.rglob("00000002*/00000002*"))
    info = site.shell(f"docker exec {PRIMARY} pgbackrest --stanza=main info")
    assert story.repo.labels[0] in info and "repo2" not in info


def test_tls_in_containers(site):
    """NODE_TLS: the replica streams over TLS; from the host a client proves whom it talks to with the
    authority of either node's volume, which has signed for the ports' name here."""
    assert site.streams_over_tls()
    authorities = {site.docker.out("exec", container, "cat",
                                   "/var/lib/postgresql/data/conf/tls-authority.crt")
                   for container in (PRIMARY, REPLICA)}
    trusted, other = site.directory / "authority.crt", site.directory / "other.crt"
    trusted.write_text(authorities.pop() + "\n")
    assert not authorities
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=pgrevive postgres-cluster", "-keyout", "/dev/null", "-out", other])
    for node in ("primary", "replica"):
        for mode in ("verify-ca", "verify-full"):
            assert site.from_host(node, "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
                                  sslmode=mode, sslrootcert=trusted) == "t"
        for mode, said in (("disable", "no encryption"), ("verify-ca", "certificate verify failed")):
            refused = site.asked_from_host(node, "select 1", sslmode=mode, sslrootcert=other)
            assert refused.returncode != 0 and said in refused.stderr, message(refused)
    kept = site.docker.out("exec", PRIMARY, "sh", "-c", "stat -c '%U %a' "
                           "/var/lib/postgresql/data/pgrevive/secrets/tls-authority.key "
                           "/var/lib/postgresql/data/conf/tls-server.key")
    assert kept.splitlines() == ["postgres 600"] * 2
    assert site.docker("exec", REPLICA, "sh", "-c", "ls /var/lib/postgresql/data/*/*/*authority.key",
                       check=False).returncode != 0
    assert "Logout" in AdminerBrowser(site.ports["adminer"]).login(
        f"{PRIMARY}:5432", "postgres", PASSWORD, "testdb")


def test_restart_rebuild_and_reindex(site):
    """What a running cluster is asked for, while the other node runs on."""
    def started(container):
        return site.value(container, "select pg_postmaster_start_time()")
    primary, replica = started(PRIMARY), started(REPLICA)
    assert re.fullmatch(r"restart of replica: done in [0-9.]+ s\n",
                        site.manager("restart", "replica").stdout)
    assert started(REPLICA) != replica and started(PRIMARY) == primary
    assert site.streams_over_tls()
    assert json.loads(site.manager("restart", "primary", "--json").stdout)["state"] == "done"
    assert started(PRIMARY) != primary
    assert site.manager("rebuild", check=False, input="no\n").returncode == 31
    assert site.told("rebuild", "primary", "--yes", code=21)["message"] == "rebuild is for a replica"
    told = site.told("rebuild", "--yes")
    assert (told["act"], told["node"], told["state"]) == ("rebuild", "replica", "done")
    primary = started(PRIMARY)
    old = "/var/lib/postgresql/data/pgdata/of-the-old-one"
    site.docker("exec", REPLICA, "touch", old)
    assert "rebuild of replica: done in " in site.manager("rebuild", input="yes\n").stdout
    assert site.docker("exec", REPLICA, "test", "-e", old, check=False).returncode == 1
    assert started(PRIMARY) == primary and site.streams_over_tls()
    shown = site.manager("start", "--reindex").stdout
    assert re.search(r"^  reindexing +[0-9.]+ s$", shown, re.M)
    assert "  reindexed  0 of 0 indexes" in shown
    site.healthy()
    assert ", 0 failed" in site.manager("test").stdout
    shown = site.manager("status", check=False).stdout
    assert re.search(r"^asked for  rebuild of replica: done$", shown, re.M), shown


def test_status_is_of_all_nodes(site):
    """Each has its own container, and a person sees what one supervisor of all would tell; what is to be
    done against what is wrong works on the host as it stands."""
    def shown():
        return site.manager("status", check=False).stdout
    assert re.search(f"^directory  /var/lib/postgresql/data/pgrevive in {PRIMARY}$", shown(), re.M)
    for container in (PRIMARY, REPLICA):
        site.docker("exec", container, "test", "-d", site.told_status()["nodes"][0]["data_directory"])
    before = site.told_status()["supervisor"]["restarts"]
    site.docker("exec", REPLICA, "sh", "-c", "kill -9 $(head -n 1 $PGDATA/postmaster.pid)")
    wait_until(lambda: site.told_status()["supervisor"]["restarts"] == before + 1, 60,
               "that it was started again is seen")
    assert re.search(rf"^restarts   {before + 1} \(a server died", shown(), re.M)
    site.healthy(REPLICA)
    site.manager("restart", "replica")
    assert re.search("^asked for  restart of replica: done$", shown(), re.M)
    # Which the primary does not know.
    site.sql(REPLICA, "select pg_promote()")
    wait_until(lambda: "problem    replica was promoted" in shown(), 60, "it is seen", every=1)
    (act,) = re.findall(r"^ +if nobody needs what was written to it: `(.*)` makes it anew$", shown(), re.M)
    # The words of a command that fails name the file of settings, where that is not the usual one.
    other = site.directory / "of all.env"
    shutil.copy2(site.directory / ".env", other)
    left = site.manager("--env-file", other, "rebuild", check=False, input="no\n")
    assert left.returncode == 31
    console = site.manager("--env-file", other, "stop", "--timeout=no", check=False)
    line = re.search("hint: `(.* stop) --help`", console.stderr).group(1)
    assert line == f"{site.directory}/cluster-manager.sh --env-file {str(other).replace(' ', chr(92) + ' ')} stop"
    assert "Usage" in run(["bash", "-c", f"{line} --help"], env=site.commands_environment()).stdout
    site.manager(*act.split(), "--yes")
    site.healthy(REPLICA)
    assert "problem " not in shown()
    assert re.search(r"^asked for  rebuild of replica: done$", shown(), re.M)


def test_rebuild_that_nobody_looks_at_and_that_is_cut_off(site):
    """Ctrl-C ends the looking and not the work. What kill -9 leaves of it says what it is, and a start
    goes on with it beside the primary."""
    primary = site.value(PRIMARY, "select pg_postmaster_start_time()")
    site.docker("exec", REPLICA, "touch", "/var/lib/postgresql/data/pgdata/of-the-old-one")
    old = site.volume("replica") / "pgdata/of-the-old-one"
    shown = site.manager_on_a_terminal("rebuild", "--yes", until="making replica anew\r\n", code=31)
    assert "left to itself: it goes on" in shown
    (pid,) = wait_until(lambda: site.processes("container", "rebuild"), 60, "it works on", every=0.001)
    wait_until(lambda: not old.exists(), 60, "the old data is gone", every=0.001)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "the volume of replica is not whole" in site.log(REPLICA)
               and site.docker.inspect(REPLICA)["State"]["Restarting"], 60, "the replica waits")
    assert "postgres-cluster is running" in site.manager("start").stdout
    assert site.value(PRIMARY, "select pg_postmaster_start_time()") == primary
    assert site.streams_over_tls() and not old.exists()
    assert ", 0 failed" in site.manager("test").stdout


def test_anew_to_another_target(site, story):
    """Nothing is thrown away before the new one is known to be possible; its target is not .env's,
    and no later start is told of it."""
    refused = site.told("start", "--anew", "--yes", code=21)
    assert "WAL_ARCHIVE=source: a cluster that archives" in refused["message"]
    site.write_env(REPO_TYPE="posix", REPO_PATH=site.directory / "repository", WAL_ARCHIVE="off",
                   NODE_TLS="on", **WITHOUT_S3)
    words = ("start", "--anew", "--type", "immediate", "--set", story.repo.labels[0])
    assert site.manager(*words, check=False, input="no\n").returncode == 31
    assert site.docker.inspect(PRIMARY)["State"]["Running"]
    assert "postgres-cluster is running" in site.manager(*words, input="postgres-cluster\n").stdout
    for container in (PRIMARY, REPLICA):
        assert site.value(container, MARKERS) == AFTER_FULL_ALONE
    assert site.value(PRIMARY, "show archive_mode") == "off"
    site.docker("start", "-a", RESTORE)
    assert "the volumes are whole" in site.log(RESTORE)
    assert site.streams_over_tls()


def test_anew_that_is_cut_off_goes_on_to_its_target(site, story):
    """kill -9 while the volumes are emptied: no server comes up on what is left, and the next start
    makes the new cluster, as it was told then."""
    site.write_env(REPO_TYPE="posix", REPO_PATH=site.directory / "repository", WAL_ARCHIVE="off",
                   **WITHOUT_S3)
    many = site.volume("primary") / "pgdata/many"
    many.mkdir()
    os.chown(many, 999, 999)
    for i in range(30_000):
        (many / str(i)).touch()
    other = site.volume("replica") / "pgdata"
    words = ("start", "--anew", "--yes", "--type", "name", "--target", "half way")
    said, code = site.kill_in_the_middle(
        words, lambda: not other.exists(), ("container", "make-way"))
    assert code == 137 and many.exists(), said
    assert "the old data is not all gone yet" in said and "start` goes on" in said
    assert site.docker.out("ps", "-q") == ""
    site.docker("start", PRIMARY)
    def waits():
        return site.docker.inspect(PRIMARY)["State"]["Restarting"] and (
            "the volume of primary is not whole" in site.log(PRIMARY))
    wait_until(waits, 30, "it says so")
    # One that fails leaves it saying so.
    (site.directory / "repository/backup").rename(site.directory / "backup")
    assert "backup.info" in site.manager("start", check=False).stderr
    wait_until(waits, 30, "it says so again")
    (site.directory / "backup").rename(site.directory / "repository/backup")
    assert "postgres-cluster is running" in site.manager("start").stdout
    for container in (PRIMARY, REPLICA):
        assert site.value(container, MARKERS) == ROWS.removesuffix(",last-archived")
    assert not many.exists()
    assert "makes-way" not in site.docker.out("exec", PRIMARY, "ls", "/var/lib/postgresql/data/pgrevive")
    site.prove_sound()


def test_second_cluster_beside_it_without_a_backup(site):
    """RESTORE_FROM_BACKUP=false, shown on a terminal phase by phase, of a name that is none of a Compose
    project, without Adminer and console. Whichever of the two is removed, the other stays."""
    first = set(site.left_behind()) - {"postgres_cluster_other"}  # another test's
    site.write_env(**EMPTY, CLUSTER_NAME="Second.One")
    shown = site.manager_on_a_terminal("start")
    lines = [line.rsplit("\x1b[K", 1)[-1] for line in shown.split("\n")]
    for phase in ("preparing", "configuring", "joining replicas"):
        assert any(re.fullmatch(rf"  {phase} +[0-9.]+ s", line) for line in lines), shown
    assert "\r\x1b[K" in shown and "stopping" not in shown
    assert "Second.One is running" in lines
    assert "10 passed, 0 failed" in site.manager("test").stdout
    assert set(site.docker.out("ps", "--format", "{{.Names}}").split()) == {
        "Second.One-primary", "Second.One-replica"}
    site.manager("stop")
    site.manager("start", "--detach")
    site.write_env()
    assert site.manager("cleanup", "--yes").stdout.startswith("removed")
    assert first and set(site.left_behind()) <= {"postgres_cluster_other"}
    site.write_env(CLUSTER_NAME="Second.One")
    site.healthy("Second.One-primary", "Second.One-replica")
    site.manager("cleanup", "--yes")
    for kind in ("ps -aq", "volume ls -qf name=Second", "network ls -qf name=Second"):
        assert site.docker.out(*kind.split()) == ""


@pytest.mark.thorough(words=(("start", "--detach"),))
@pytest.mark.parametrize("words", [("start",), ("start", "--detach")], ids=" ".join)
def test_start_that_waits_for_a_cleanup(site, words):
    """Of what is removed by the one that it waits for it makes nothing anew."""
    site.write_env(**EMPTY)
    site.manager("start")
    with open(site.directory / "docker-compose.yml", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with site.begin(*words) as child:
            said = ""
            while "waiting for another call" not in said:
                line = child.stdout.readline()
                assert line, said
                said += line
            site.compose("down", "--volumes")
            fcntl.flock(file, fcntl.LOCK_UN)
            said = child.communicate(timeout=120)[0]
    assert child.returncode == 31 and "cluster postgres-cluster was removed meanwhile" in said, said
    assert set(site.left_behind()) <= {"postgres_cluster_other"}


def test_cleanup_leaves_what_has_the_name_of_a_service_that_is_left_out(site):
    """With ADMINER_PORT=0 a cluster has no Adminer, and somebody else's may have its name."""
    site.write_env(**EMPTY)
    site.manager("start")
    site.docker("run", "-d", "--name", ADMINER, "--entrypoint", "sleep", "pgrevive", "600")
    site.manager("stop")
    assert site.docker.out("ps", "--format", "{{.Names}}") == ADMINER
    *removed, kept = site.manager("cleanup", "--yes").stdout.splitlines()
    assert kept == f"kept    container {ADMINER}, which is not of this cluster"
    assert sorted(removed) == sorted(f"removed {what}" for what in (
        *(f"container {name}" for name in (PRIMARY, REPLICA, RESTORE)), *(f"volume {name}" for name in VOLUMES),
        "network postgres-cluster-network"))
    assert set(site.left_behind()) <= {ADMINER, "postgres_cluster_other"}
    assert site.docker.inspect(ADMINER)["State"]["Running"]
    site.docker("rm", "-f", ADMINER)


def test_each_line_of_the_documents_was_run(site, request):
    """By these tests, all along."""
    here = {item.name for item in request.session.items if item.module is request.module}
    missing = [name for name, test in vars(request.module).items() if name.startswith("test_")
               and not {mark.name for mark in getattr(test, "pytestmark", [])} & {"thorough", "skipif"}
               and not any(item.partition("[")[0] == name for item in here)]
    if missing:
        pytest.skip(f"of all of them, and there is no {missing[0]}")
    # Whichever generation of Compose they run with.
    def whose(lines):
        return {line.replace("docker-compose", "docker compose") for line in lines}
    assert whose(lines_of_the_documents() - set(SAID)) <= whose(site.called)
