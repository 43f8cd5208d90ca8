"""A PostgreSQL server that backups are taken from, with everything in it that a restore can get wrong."""

import contextlib
import os
import pathlib
import re
import signal

from rig.load import ACCOUNTS, Load
from rig.process import Daemon, Failed, free_port, run, wait_until
from rig.workspace import give

PACKAGES = ["postgresql-15", "postgresql-client-15", "postgresql-contrib"]


def server_user():
    """Who runs servers: PostgreSQL refuses root."""
    return "postgres" if os.geteuid() == 0 else None


def binaries(major=15):
    directory = pathlib.Path(f"/usr/lib/postgresql/{major}/bin")
    if not (directory / "postgres").exists():
        raise Failed(f"no {directory}/postgres (package postgresql-{major})")
    return directory


def trusting_hba(directory):
    """A pg_hba.conf in that directory that lets in everybody of this host."""
    path = pathlib.Path(directory) / "pg_hba.conf"
    path.write_text("local all all trust\n")
    path.chmod(0o644)
    return path


class Server:
    """A server on a data directory that exists. Only what tests need to run and ask one. `bin`
    holds another major's server programs; Debian's clients talk to it."""

    superuser = "postgres"

    def __init__(self, data, *, port=None, sockets=None, log=None, user=True, bin=None):
        self.data = pathlib.Path(data)
        self.bin = pathlib.Path(bin or binaries())
        self.clients = binaries()
        self.port = port or free_port()
        self.user = server_user() if user is True else user
        self.sockets = pathlib.Path(sockets or self.data.parent)
        self.log = pathlib.Path(log or self.data.parent / "server.log")
        self.daemon = None

    def launch(self, **settings):
        """Starts the postmaster without waiting for it to accept connections."""
        settings = {"port": self.port, "unix_socket_directories": self.sockets,
                    "listen_addresses": "localhost", **settings}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.daemon = Daemon([self.bin / "postgres", "-D", self.data, *options], self.log,
                             user=self.user, cwd=self.data)
        return self

    def start(self, seconds=60, **settings):
        self.launch(**settings)
        wait_until(lambda: self.ready() or not self.daemon.running(), seconds,
                   f"server on {self.data} accepts connections; see {self.log}")
        if not self.daemon.running():
            raise Failed(f"the server on {self.data} ended:\n{self.daemon.tail()}")
        return self

    def ready(self):
        return run([self.clients / "pg_isready", "-q", "-h", self.sockets, "-p", str(self.port)],
                   check=False).returncode == 0

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop(signal.SIGINT, 30)
            self.daemon = None

    def sql(self, statements, database="postgres", check=True, timeout=120):
        """Runs statements and returns the output, a line per row, fields divided by |."""
        result = run([self.clients / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1",
                      "-h", self.sockets, "-p", str(self.port), "-U", self.superuser,
                      "-d", database, "-f", "-"], input=statements, user=self.user, check=check,
                     timeout=timeout)
        return result.stdout.rstrip("\n") if check else result


class SourceCluster(Server):
    """A cluster of its own, with life in it: see fill()."""

    MARKERS = "select string_agg(what, ',' order by id) from markers"

    def __init__(self, directory, *, data=None, segment_mb=1, locale="C.UTF-8", bin=None,
                 superuser="postgres"):
        self.directory = pathlib.Path(directory)
        self.segment_mb = segment_mb
        self.locale = locale
        self.superuser = superuser
        self.tablespace = self.directory / "fast"
        self.outside = self.directory / "outside"
        # Every pgbackrest.conf linked here gets each WAL segment.
        self.archive_to = self.directory / "archive.d"
        self.load = None
        super().__init__(data or self.directory / "data", sockets=self.directory,
                         log=self.directory / "server.log", bin=bin)

    def create(self):
        self._make_directories()
        self._make_cluster()
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(self._settings())
        self._odd_files()
        return self

    def _make_directories(self):
        for path in (self.directory, self.tablespace, self.outside, self.archive_to):
            path.mkdir(exist_ok=True)
            give(path, server_user())
        self.tablespace.chmod(0o700)

    def _make_cluster(self):
        run([self.bin / "initdb", "-D", self.data, "-U", self.superuser, "-k", "--no-sync",
             "--auth=trust", f"--locale={self.locale}", "--encoding=UTF8",
             f"--waldir={self.directory / 'wal'}",
             # PostgreSQL 10 has segments of 16 MB and no such option.
             *([] if self.segment_mb == 16 else [f"--wal-segsize={self.segment_mb}"])],
            user=self.user)

    def _settings(self):
        push = self.directory / "pgbackrest-push.sh"
        push.write_text(f"""#!/bin/sh
# Hands a WAL segment to every repository of this source.
for conf in {self.archive_to}/*.conf; do
  [ -e "$conf" ] || exit 1
  pgbackrest --config="$conf" --stanza=main archive-push "$1" || exit 1
done
""")
        push.chmod(0o755)
        return f"""
port = {self.port}
listen_addresses = 'localhost'
unix_socket_directories = '{self.directory}'
wal_level = replica
archive_mode = on
archive_command = '{push} %p'
archive_timeout = 0
fsync = off
shared_buffers = 32MB
max_wal_size = {max(self.segment_mb * 2, 64)}MB
min_wal_size = {max(self.segment_mb * 2, 5)}MB
autovacuum_naptime = 5s
log_checkpoints = off
"""

    def _odd_files(self):
        """Files a data directory of the real world has, beside PostgreSQL's own."""
        (self.outside / "tuned.conf").write_text("# settings kept outside\n")
        (self.outside / "reports").mkdir()
        (self.outside / "reports" / "one.txt").write_text("kept outside\n")
        (self.data / "tuned.conf").symlink_to(self.outside / "tuned.conf")
        (self.data / "reports").symlink_to(self.outside / "reports")
        (self.data / "notes.txt.gz").write_text("not compressed at all\n")
        (self.data / "a=b [c] #d.txt").write_text("a name that an INI reader stumbles over\n")
        (self.data / "empty.txt").write_text("")
        (self.data / "open").mkdir()
        (self.data / "open").chmod(0o755)
        (self.data / "open" / "tool.sh").write_text("#!/bin/sh\nexit 0\n")
        (self.data / "open" / "tool.sh").chmod(0o755)
        for path in (self.outside, *self.outside.rglob("*"), self.data / "notes.txt.gz",
                     self.data / "a=b [c] #d.txt", self.data / "empty.txt", self.data / "open",
                     self.data / "open" / "tool.sh"):
            give(path, server_user())
        for name in ("tuned.conf", "reports"):
            give(self.data / name, server_user())
        if os.geteuid() == 0:
            (self.data / "of-root.txt").write_text("root's\n")
            (self.data / "of-root.txt").chmod(0o644)
            (self.data / "of-nobody-known.txt").write_text("a user without a name\n")
            os.chown(self.data / "of-nobody-known.txt", 54321, 54321)
            (self.data / "of-nobody-known.txt").chmod(0o644)

    def fill(self):
        self.sql(f"""
create tablespace fast location '{self.tablespace}';
create database testdb;
create database "odd name ü";
""")
        self.sql("""
create table docs as
  select i as id, md5(i::text) as name, repeat(md5(i::text), 20) as body
  from generate_series(1, 1500) i;
create table fast_t (id bigint primary key, filler text) tablespace fast;
insert into fast_t select i, repeat('x', 100) from generate_series(1, 5000) i;
create unlogged table scratch (id bigint primary key, what text);
insert into scratch select i, 'gone after recovery' from generate_series(1, 500) i;
create table empty_t (id int);
create table markers (id serial primary key, what text, at timestamptz default clock_timestamp());
select lo_from_bytea(0, decode(repeat('00ff10', 20000), 'hex')) from generate_series(1, 3);
insert into markers (what) values ('m1-filled');
""", "testdb")
        self.sql("create table names (name text); insert into names values ('ü');", "odd name ü")
        return self.prepare_load("testdb")

    def prepare_load(self, database, accounts=ACCOUNTS):
        """Makes pgbench's tables there; backups are taken under load from now on. Fewer accounts than
        pgbench makes are less WAL, for tests that count segments or make many sources."""
        self.load = Load(self, database, accounts).prepare()
        return self

    def work(self, transactions=200):
        """Changes pages all over pgbench's tables."""
        self.load.work(transactions)

    def under_load(self):
        """For as long as a backup is taken, where the source has pgbench's tables."""
        return self.load.going_on() if self.load else contextlib.nullcontext()

    def mark(self, what):
        """A row that tells how far a recovery came."""
        self.sql(f"insert into markers (what) values ('{what}')", "testdb")

    def markers(self):
        return self.sql(self.MARKERS, "testdb")

    def switch_wal(self, seconds=60):
        """Ends the current segment and waits until it is archived; returns its name."""
        name = self.sql("select pg_walfile_name(pg_current_wal_lsn())")
        self.sql("select pg_switch_wal()")
        wait_until(lambda: self.sql("select coalesce(last_archived_wal, '') >= "
                                    f"'{name}' from pg_stat_archiver") == "t",
                   seconds, f"{name} is archived; see {self.log}")
        return name

    def system_identifier(self):
        text = run([self.clients / "pg_controldata", self.data]).stdout
        return int(re.search(r"Database system identifier:\s+(\d+)", text)[1])
