"""What a company has left: the backups and the WAL of a server that is gone, with known rows."""

import dataclasses
import shutil
import time

from rig.backrest import BackrestRepo
from rig.postgres import SourceCluster

CIPHER_PASS = "never-in-a-process-list-5e1f"
MARKERS = SourceCluster.MARKERS

# What MARKERS gives after recovery to the end of the archive.
ROWS = ("m1-filled,before-backup,after-full,after-diff,by-transaction,at-a-time,by-position,"
        "by-name,last-archived")
AFTER_FULL_ALONE = "m1-filled,before-backup"


@dataclasses.dataclass(frozen=True)
class Target:
    """A point to recover to, in the words of pgBackRest and of an .env."""

    kind: str
    value: str = ""
    exclusive: bool = False
    label: str = ""      # of the backup to begin with, where it is not the newest that fits
    timeline: str = ""

    def backrest_options(self):
        options = [f"--type={self.kind}"]
        if self.value:
            options.append(f"--target={self.value}")
        if self.kind != "default":
            options.append("--target-action=promote")
        if self.exclusive:
            options.append("--target-exclusive")
        if self.label:
            options.append(f"--set={self.label}")
        if self.timeline:
            options.append(f"--target-timeline={self.timeline}")
        return options

    def env(self):
        names = {"RECOVERY_TARGET_TYPE": self.kind, "RECOVERY_TARGET": self.value,
                 "RECOVERY_TARGET_EXCLUSIVE": "true" if self.exclusive else "",
                 "RESTORE_SET": self.label, "RECOVERY_TARGET_TIMELINE": self.timeline}
        return {name: value for name, value in names.items() if value}


# Backups know whole seconds, and so does who picks a moment with a mouse: between one backup and what
# comes next there is a whole second on a fast machine, too.
APART = 2  # s


class Story:
    """A source that is gone, and what it left behind."""

    def __init__(self, directory, *, segment_mb=16):
        self.source = source = SourceCluster(directory / "source", segment_mb=segment_mb).create()
        with open(source.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("track_commit_timestamp = on\n")  # a target can be exactly a commit's time
        source.start().fill()
        self.repo = BackrestRepo(directory / "backups", source, compress="zst",
                                 cipher_pass=CIPHER_PASS, bundle=True).create_stanza()
        self.system_identifier = source.system_identifier()
        source.mark("before-backup")
        self.repo.backup("full")
        source.mark("after-full")
        time.sleep(APART)
        source.work()
        self.repo.backup("diff")
        source.mark("after-diff")
        time.sleep(APART)
        self.targets = self._targets()
        source.work(500)
        # The archive ends in the midst of what others write, as that of a source that dies does.
        with source.under_load():
            source.mark("last-archived")
            assert source.markers() == ROWS
            # What the server itself says: its newest archived transaction was committed in between.
            self.newest_commit = [source.sql("select timestamp from pg_last_committed_xact()")]
            self.newest_wal = source.switch_wal()
            self.newest_commit.append(source.sql("select clock_timestamp()"))
            source.mark("never-archived")
        source.stop()
        # Stopping archives the last segment as well; a source that dies does not.
        for path in (self.repo.path / "archive").rglob("*"):
            if len(path.name) > 24 and path.name[:24] > self.newest_wal:
                path.unlink()
        shutil.rmtree(source.directory)
        self.repo.finished()
        self.label = self.repo.labels[-1]

    def _targets(self):
        """Name to Target; each is reached in the midst of the WAL behind the last backup."""
        source = self.source
        xid = source.sql("begin; insert into markers (what) values ('by-transaction'); "
                         "select pg_current_xact_id(); commit", "testdb")
        source.mark("at-a-time")
        at = source.sql("select pg_xact_commit_timestamp(xmin) from markers "
                        "where what = 'at-a-time'", "testdb")
        time.sleep(0.01)
        # Where the record of the commit begins, so that to stop before it is one row less.
        lsn = source.sql("begin; insert into markers (what) values ('by-position'); "
                         "select pg_current_wal_insert_lsn(); commit", "testdb")
        source.mark("by-name")
        source.sql("select pg_create_restore_point('half way')")
        return {
            "immediate": Target("immediate", label=self.repo.labels[0]),
            "xid": Target("xid", xid),
            "xid, exclusive": Target("xid", xid, exclusive=True),
            "time": Target("time", at),
            "time, exclusive": Target("time", at, exclusive=True),
            "lsn": Target("lsn", lsn),
            "lsn, exclusive": Target("lsn", lsn, exclusive=True),
            "name": Target("name", "half way"),
        }

    def values(self):
        """Settings of an .env that reach what is left."""
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path,
                "REPO_CIPHER_PASS": CIPHER_PASS, "PGBACKREST_STANZA": "main"}
