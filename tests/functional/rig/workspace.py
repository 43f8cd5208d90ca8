"""Temporary directories with short names that are kept when something failed."""

import os
import pathlib
import pwd
import re
import shutil
import tempfile


# What a whole run has at the same time in files, with room to spare.
_NEEDED = 6 << 30


def temporary_root(on_disk=False):
    """PGREVIVE_TEST_TMPDIR if set, else /dev/shm if it can hold a run, else /tmp."""
    if "PGREVIVE_TEST_TMPDIR" in os.environ:
        return pathlib.Path(os.environ["PGREVIVE_TEST_TMPDIR"])
    memory = pathlib.Path("/dev/shm")
    if not on_disk and os.access(memory, os.W_OK | os.X_OK):
        free = os.statvfs(memory)
        available = re.search(r"MemAvailable:\s+(\d+) kB",
                              pathlib.Path("/proc/meminfo").read_text())
        if (free.f_bavail * free.f_frsize > _NEEDED and available
                and int(available[1]) << 10 > _NEEDED + (2 << 30)):
            return memory
    return pathlib.Path("/tmp")


class Workspace:
    """A directory of a test, module or session.

    The name is short because PostgreSQL's socket paths may have 107 bytes. It is open to the user
    the servers run as. `on_disk` asks for a real file system; others are in memory where there is
    enough of it, because pgBackRest syncs each of thousands of files.
    """

    def __init__(self, name, on_disk=False):
        root = temporary_root(on_disk)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"pgrv-{name[:16]}-", dir=root))
        self.path.chmod(0o755)

    def directory(self, *names, owner=None, mode=0o755):
        """Makes (parents too) and returns a directory; `owner` counts where we are root."""
        path = self.path
        for name in names:
            path = path / name
            if not path.is_dir():
                path.mkdir()
                path.chmod(mode)
                give(path, owner)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def give(path, owner):
    """Makes `owner` the owner of path, where we are root."""
    if owner is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(owner)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
