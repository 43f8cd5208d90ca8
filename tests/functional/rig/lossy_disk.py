"""A file system of its own, in a file behind a loop device, that can lose its power.

What was not synced, its journal's newest part included, is lost then, as the kernel's own file system
has it: the ioctl that its tests use for that (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN) stops all that
would go to the disk. What the system has written back by itself before is kept.
"""

import fcntl
import os
import pathlib
import struct
import time

from rig.process import run

_SHUTDOWN = 0x8004587D
_WITHOUT_THE_JOURNAL = 2
_MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
_OPTIONS = {"ext4": ",commit=900", "xfs": ""}


class LossyDisk:
    def __init__(self, directory, kind="ext4", megabytes=1500):
        self.kind = kind
        self.image = pathlib.Path(directory) / "image"
        self.place = pathlib.Path(directory) / "d"
        self.place.mkdir(parents=True)
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        run([*_MAKE[kind], self.image])
        self._mount()

    def _mount(self):
        run(["mount", "-t", self.kind, "-o", "loop,noatime" + _OPTIONS[self.kind], self.image,
             self.place])

    def lose_power(self):
        """Whoever has files open there gets errors from now on."""
        top = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(top, _SHUTDOWN, struct.pack("I", _WITHOUT_THE_JOURNAL))
        finally:
            os.close(top)

    def come_back(self):
        """Mounted again, which replays what is left of the journal. Nobody may have files open."""
        self._unmount()
        self._mount()

    def _unmount(self):
        deadline = time.monotonic() + 20
        # A process that was killed closes its files a moment later.
        while run(["umount", self.place], check=time.monotonic() > deadline).returncode != 0:
            time.sleep(0.1)
        # ... and the system the file system: mounted before that, it would be the one without power.
        while run(["losetup", "--associated", self.image]).stdout:
            assert time.monotonic() < deadline, f"{self.image} is still in use"
            time.sleep(0.1)

    def remove(self):
        self._unmount()
        self.image.unlink()
