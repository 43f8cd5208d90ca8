"""Where restores go: file systems to measure on, emptied before each run."""

import os
import pathlib
import shutil
import tempfile

from rig.process import run


class Skipped(Exception):
    """A row that this machine cannot measure, and why."""


class Targets:
    """Directories for the nodes of one row, on a disk, in memory or on a mounted image."""

    def __init__(self, kind, work, plain_size):
        self.kind = kind
        self._mounted = None
        self._image = None
        if kind == "disk":
            self.root = pathlib.Path(work) / "targets"
            self.root.mkdir(exist_ok=True)
        elif kind == "tmpfs":
            self.root = pathlib.Path(tempfile.mkdtemp(prefix="pgrv-compare-", dir="/dev/shm"))
        else:
            self.root = self._mount(kind, pathlib.Path(work), plain_size)
        try:
            self._check_room(plain_size)
        except Skipped:
            self.remove()
            raise

    def _mount(self, kind, work, plain_size):
        if os.geteuid() != 0:
            raise Skipped("mounting takes root")
        if shutil.which(f"mkfs.{kind}") is None:
            raise Skipped(f"there is no mkfs.{kind}")
        self._image = work / f"{kind}.img"
        root = work / f"{kind}-mount"
        root.mkdir(exist_ok=True)
        with open(self._image, "wb") as image:
            image.truncate(4 * plain_size + (1 << 30))
        run(["mkfs.xfs", "-q", "-m", "reflink=1", self._image] if kind == "xfs"
            else ["mkfs.btrfs", "-q", self._image])
        run(["mount", "-o", "loop", self._image, root])
        self._mounted = root
        return root

    def _check_room(self, plain_size):
        space = os.statvfs(self.root)
        if space.f_bavail * space.f_frsize < 2 * plain_size + (512 << 20):
            raise Skipped(f"{self.root} has no room for two nodes")

    def tablespaces(self, whose):
        return self.root / f"tablespaces-{whose}"

    def fresh(self):
        """Two directories that do not exist yet, on a file system that has come to rest."""
        nodes = [self.root / name for name in ("one", "two")]
        for old in [*nodes, *self.root.glob("tablespaces-*")]:
            shutil.rmtree(old, ignore_errors=True)
        self.sync()
        os.sync()
        return nodes

    def sync(self):
        run(["sync", "-f", self.root], timeout=600)

    def remove(self):
        if self._mounted is not None:
            run(["umount", self._mounted], check=False)
            self._mounted.rmdir()
        else:
            shutil.rmtree(self.root, ignore_errors=True)
        if self._image is not None:
            self._image.unlink(missing_ok=True)
