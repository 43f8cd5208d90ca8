"""Where restores go: file systems to measure on, emptied before each run."""

import os
import pathlib
import shutil
import tempfile

from rig.process import run

_MAKE = {"ext4": ["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
         "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}


class Skipped(Exception):
    """A row that this machine cannot measure, and why."""


class _Image:
    """A file system that is mounted from a file."""

    def __init__(self, kind, directory, size, name="image"):
        if os.geteuid() != 0:
            raise Skipped("mounting takes root")
        if shutil.which(_MAKE[kind][0]) is None:
            raise Skipped(f"there is no {_MAKE[kind][0]}")
        self._file = directory / f"{kind}-{name}"
        self.root = directory / f"{kind}-{name}-mount"
        self.root.mkdir(exist_ok=True)
        with open(self._file, "wb") as image:
            image.truncate(size)
        run([*_MAKE[kind], self._file])
        run(["mount", "-o", "loop", self._file, self.root])

    def remove(self):
        run(["umount", self.root], check=False)
        self.root.rmdir()
        self._file.unlink()


class Targets:
    """Directories for the nodes of one row.

    disk: both on the disk of the work area. tmpfs: both in memory. disks: each on an ext4 of its
    own, whose device is a file in memory, so that neither waits for the other or for a real disk.
    xfs, btrfs: both on one, mounted from a file in the work area.
    """

    def __init__(self, kind, work, plain_size):
        self._images = []
        self._directory = None
        work = pathlib.Path(work)
        if kind == "disk":
            self._directory = work / "targets"
            self._directory.mkdir(exist_ok=True)
        elif kind in ("tmpfs", "disks"):
            self._directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrv-compare-", dir="/dev/shm"))
        self._roots = [self._directory] * 2
        try:
            if kind == "disks":
                self._check_room(self._directory, 2 * plain_size)
                for name in ("one", "two"):
                    self._images.append(
                        _Image("ext4", self._directory, plain_size * 5 // 4 + (1 << 30), name))
                self._roots = [image.root for image in self._images]
            elif kind in ("xfs", "btrfs"):
                self._images = [_Image(kind, work, 4 * plain_size + (1 << 30))]
                self._roots = [self._images[0].root] * 2
            self._check_room(self._roots[0], plain_size if kind == "disks" else 2 * plain_size)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _check_room(root, size):
        space = os.statvfs(root)
        if space.f_bavail * space.f_frsize < size + (512 << 20):
            raise Skipped(f"{root} has no room for the nodes")

    def tablespaces(self, whose):
        return self._roots[0] / f"tablespaces-{whose}"

    def fresh(self):
        """Two directories that do not exist yet, on a file system that has come to rest."""
        nodes = [root / name for root, name in zip(self._roots, ("one", "two"))]
        for old in [*nodes, *self._roots[0].glob("tablespaces-*")]:
            shutil.rmtree(old, ignore_errors=True)
        self.sync()
        os.sync()
        return nodes

    def sync(self):
        for root in set(self._roots):
            run(["sync", "-f", root], timeout=600)

    def remove(self):
        for image in self._images:
            image.remove()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
