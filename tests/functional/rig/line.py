"""A source that fails over: its primaries, one after the other or side by side."""

import shutil
import signal
import time

from rig.backrest import BackrestRepo
from rig.postgres import Server, SourceCluster, server_user
from rig.process import run, wait_until
from rig.workspace import give


class Line(Server):
    """One primary of the source: the data directory of the one before it, or a copy."""

    def __init__(self, repo, data, sockets):
        super().__init__(data, sockets=sockets, log=sockets / f"{data.name}.log",
                         bin=repo.source.bin)
        self.repo = repo
        self.load = repo.source.load.on(self)
        push, get = (f"pgbackrest --config={repo.conf} --stanza=main --pg1-path={data} archive-"
                     f"{verb}" for verb in ("push %p", "get %f %p"))
        self.settings = {"archive_command": push}
        self.recovery = {"restore_command": get}
        # Before 12 these are no settings of the server's, but a standby's alone.
        self.old = int((self.data / "PG_VERSION").read_text()) < 12
        if not self.old:
            self.settings |= self.recovery

    def promote(self):
        """As a standby that has all of what was written before, and follows nobody else."""
        if self.old:
            self._signal("recovery.conf", {"standby_mode": "on", **self.recovery})
            self.start(**self.settings)
            run([self.bin / "pg_ctl", "promote", "-D", self.data], user=self.user)
        else:
            self._signal("standby.signal", {})
            self.start(**self.settings, recovery_target_timeline="current")
            self.sql("select pg_promote()")
        self.sql("checkpoint")  # pgBackRest asks pg_control which timeline this is
        return self

    def _signal(self, name, settings):
        path = self.data / name
        path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        give(path, server_user())

    def die(self):
        """With its last segment unfinished, so that the next timeline begins in the midst of it."""
        self.daemon.stop(signal.SIGQUIT)
        self.daemon = None

    def mark(self, what):
        self.sql(f"insert into markers (what) values ('{what}')", "testdb")

    def moment(self):
        """A time that parts what was marked before it from what is marked after it."""
        return self.sql("select pg_sleep(0.01); select clock_timestamp(); select pg_sleep(0.01)") \
            .split("\n")[1]

    def switch_wal(self):
        name = self.sql("select pg_walfile_name(pg_current_wal_lsn()); select pg_switch_wal()") \
            .split("\n")[0]
        wait_until(lambda: self.sql("select coalesce(last_archived_wal, '') >= "
                                    f"'{name}' from pg_stat_archiver") == "t", 60,
                   f"{name} is archived; see {self.log}")
        return name

    def work(self):
        """Of pgbench, as much as leaves a segment of 1 MB with room."""
        self.load.work(20)

    def backup(self):
        with self.load.going_on():
            self.repo.pgbackrest(f"--pg1-path={self.data}", f"--pg1-socket-path={self.sockets}",
                                 f"--pg1-port={self.port}", "--type=full", "--no-expire-auto",
                                 "--repo1-retention-full=9", "backup")
        next_second()

    def copy(self, data):
        """Of a server that is stopped; its WAL with it."""
        run(["cp", "-a", self.data, data])
        wal = (data / "pg_wal").resolve()
        (data / "pg_wal").unlink()
        run(["cp", "-a", wal, data / "pg_wal"])
        return Line(self.repo, data, self.sockets)


def next_second():
    """Behind a backup, of whose end the second is all that is written: a time now is later."""
    time.sleep(1 - time.time() % 1)


def first_line(directory, segment_mb=1, bin=None):
    """A source on timeline 1 with a full backup under load and an empty table of markers, in directory/source; its
    repository is in directory/backups. `bin` has the programs of its major, where that is not Debian's."""
    source = SourceCluster(directory / "source", segment_mb=segment_mb, bin=bin).create().start()
    source.sql("create database testdb")
    source.sql("create table markers (id serial primary key, what text)", "testdb")
    source.prepare_load("testdb", accounts=500)
    repo = BackrestRepo(directory / "backups", source, compress="zst").create_stanza()
    repo.backup("full")
    next_second()
    source.stop()
    line = Line(repo, source.data, source.sockets)
    return line.start(**line.settings)
