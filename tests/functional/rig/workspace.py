"""Temporary directories with short names that are kept when something failed."""

import os
import pathlib
import pwd
import shutil
import tempfile


class Workspace:
    """A directory of a test, module or session.

    The name is short because PostgreSQL's socket paths may have 107 bytes. It is open to the user
    the servers run as.
    """

    def __init__(self, name):
        root = pathlib.Path(os.environ.get("PGREVIVE_TEST_TMPDIR", "/tmp"))
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
