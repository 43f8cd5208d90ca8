"""Docker for the tests: a daemon of their own, the base image, the image of the program."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import warnings

import pytest

from rig.cluster import env_text
from rig.process import Daemon, Failed, run, wait_until
from rig.program import ROOT

PACKAGES = ["docker.io", "docker-compose", "mmdebstrap", "iptables"]
PROGRAMS = ["dockerd", "docker", "docker-compose", "mmdebstrap", "iptables"]

# Debian 12 has v1 only. A plugin of Docker's client that is named here is used for all of it, as a person
# has Compose v2; for a run by hand.
COMPOSE = os.environ.get("PGREVIVE_TEST_COMPOSE")

# A secret of whoever builds an image, in each .env that lies about in what it is built of.
IN_CONTEXT = "of-whoever-builds-the-image-7c41"

BASE = "debian:bookworm-slim"  # the tag that the Dockerfile names
# Addresses of the daemon's networks: no default bridge, so that another daemon's is left alone.
ADDRESSES = "base=10.231.0.0/16,size=24"


def missing():
    """Why no daemon can be asked to run here: the programs that are not installed, with the packages that
    bring them, or that nobody may run them; empty if it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} (packages: {' '.join(PACKAGES)})"
    return "" if os.geteuid() == 0 else "dockerd runs as root only"


def started(daemon):
    """Starts it. Where it is missing, that is skipped by who says that this is meant; one that does not come
    up fails, whatever the environment says."""
    why_not = missing()
    if why_not and os.environ.get("PGREVIVE_TEST_WITHOUT_DOCKER") == "1":
        warnings.warn(f"NOTHING OF RUNTIME=docker IS TESTED HERE: {why_not}", stacklevel=1)
        pytest.skip(why_not)
    assert not why_not, f"no Docker daemon can run here: {why_not}"
    return daemon.start()


def _apt_of_host():
    """The host's way to Debian's packages, in words of mmdebstrap: its sources, and as options what
    it has set for fetching, which may be a proxy."""
    places = [pathlib.Path("/etc/apt/sources.list"),
              *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    sources = [path for path in places if path.is_file() and "debian" in path.read_text()
               and "bookworm" in path.read_text()]
    options = [f"--aptopt={path}" for path in sorted(pathlib.Path("/etc/apt/apt.conf.d").glob("*"))
               if path.is_file() and "Acquire::" in path.read_text()
               and "Dir::" not in path.read_text()]
    return options, sources


class Docker:
    """A daemon and what talks to it; all of it lies in one directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.daemon = None
        self.environment = {"DOCKER_HOST": f"unix://{self.directory}/docker.sock",
                            "DOCKER_CONFIG": str(self.directory / "config"),
                            "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}

        if COMPOSE:
            plugins = self.directory / "config/cli-plugins"
            plugins.mkdir(parents=True)
            (plugins / "docker-compose").symlink_to(COMPOSE)

    def start(self):
        # It gives its own containerd 15 seconds to answer, which a busy machine may not.
        for _ in range(4):
            if self._start():
                return self
        raise Failed(f"dockerd ended: {self.daemon.tail()}")

    def _start(self):
        self.daemon = Daemon(
            ["dockerd", "--data-root", self.directory / "data", "--exec-root",
             self.directory / "exec", "--pidfile", self.directory / "pid", "--bridge", "none",
             "--default-address-pool", ADDRESSES, "-H", self.environment["DOCKER_HOST"]],
            self.directory / "dockerd.log")
        wait_until(lambda: not self.daemon.running() or self("info", check=False).returncode == 0,
                   60, "dockerd answers")
        return self.daemon.running()

    def stop(self):
        """Ends the daemon, and with it the containers, as a shutdown of the host would."""
        if self.daemon is not None:
            self.daemon.stop(signal.SIGTERM, 120)
            self.daemon = None

    def crash(self):
        """Ends all that there is of it at one moment: the daemon, who holds its containers, and every
        process in them. What a host has mounted, and has in /run, is gone when it comes up again."""
        ours = set()
        while more := self._processes() - ours:  # what was made before its maker stood still
            for pid in more:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            ours |= more
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.process.wait(30)
        self.daemon = None
        wait_until(lambda: not self._processes(), 30, "nothing is left of it")
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(f"{self.directory}/"):
                run(["umount", place])
        shutil.rmtree(self.directory / "exec")

    def _processes(self):
        parents, found = {}, set()
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    pid, rest = int(entry.name), (entry / "stat").read_text().rsplit(")", 1)[1]
                    if rest.split()[0] == "Z":
                        continue
                    parents[pid] = int(rest.split()[1])
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    # A shim is nobody's child.
                    if (words[0].rsplit(b"/", 1)[-1].startswith((b"dockerd", b"containerd"))
                            and f"{self.directory}/".encode() in b" ".join(words)):
                        found.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def gone(self):
        """Nothing is left of it."""
        if self.daemon is None:
            return
        try:
            for container in self.out("ps", "-aq", check=False).split():
                self("rm", "-f", "-v", container, check=False)
            self("network", "prune", "-f", check=False)
        finally:
            self.stop()
            # The daemon leaves it mounted.
            run(["umount", self.directory / "exec/netns/default"], check=False)

    def __call__(self, *words, check=True, timeout=300, **options):
        return run(["docker", *words], env=self.environment, check=check, timeout=timeout,
                   **options)

    def out(self, *words, **options):
        return self(*words, **options).stdout.strip()

    def inspect(self, name):
        return json.loads(self.out("inspect", name))[0]

    def make_base(self):
        """As no registry of images is asked: Debian itself, under the name that the image has."""
        archive = self.directory / "base.tar"
        options, sources = _apt_of_host()
        run(["mmdebstrap", "--variant=minbase", "--components=main", *options, "bookworm", archive,
             *sources], timeout=300)
        self("import", archive, BASE)
        archive.unlink()

    def make_context(self):
        """A checkout as far as an image is made of it, with somebody's settings in it."""
        self.context = self.directory / "context"
        self.context.mkdir()
        for name in ("Dockerfile", ".dockerignore", "docker", "scripts", "CMakeLists.txt",
                     "CMakePresets.json", "cmake", "src"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.context / name)
        for name in (".env", "docker/.env", "scripts/.env", "src/.env.production"):
            (self.context / name).write_text(env_text({"S3_SECRET_KEY": IN_CONTEXT}))

    def make_image(self, pgrevive, tag="pgrevive"):
        """What the Dockerfile makes, as a checkout has it that lay_checkout() fills."""
        self.programs = self.directory / "programs"
        self.programs.mkdir()
        for program in (pgrevive.path, pgrevive.archive_get):
            run(["strip", "-o", self.programs / program.name, program])
        place = self.directory / "image"
        place.mkdir()
        self.lay_checkout(place)
        self("build", "--network", "host", "-t", tag, place, timeout=900)

    def lay_checkout(self, place):
        """What an image is made of, but for its stage that compiles the programs anew, for minutes: that
        has those that are there."""
        text, stages = re.subn(r"^FROM \S+ AS compiler\n.*?(?=\nFROM runtime\n)",
                               "FROM runtime AS compiler\nCOPY programs /out\n",
                               (ROOT / "Dockerfile").read_text(), flags=re.S | re.M)
        assert stages == 1
        (place / "Dockerfile").write_text(text)
        (place / ".dockerignore").write_text(
            (ROOT / ".dockerignore").read_text().replace("!src\n", "!src\n!programs\n"))
        shutil.copytree(ROOT / "docker", place / "docker", dirs_exist_ok=True)
        shutil.copytree(self.programs, place / "programs")
        for name in (".env", "docker/.env", "programs/.env"):
            (place / name).write_text(env_text({"S3_SECRET_KEY": IN_CONTEXT}))

    def network_of_host(self, name="pgrevive-host"):
        """Makes a network and returns the address that the host has in it, where containers of
        every network reach what listens there."""
        self("network", "create", name)
        return self.inspect(name)["IPAM"]["Config"][0]["Gateway"]
