"""Docker for the tests: a daemon of their own, the base image, the image of the program."""

import contextlib
import json
import os
import pathlib
import shutil
import signal

from rig.process import Daemon, Failed, run, wait_until
from rig.program import ROOT

PACKAGES = ["docker.io", "docker-compose", "mmdebstrap", "iptables"]
PROGRAMS = ["dockerd", "docker", "docker-compose", "mmdebstrap", "iptables"]

# Debian has v1 only. A plugin of Docker's client that is named here is used for it, as a person has
# Compose v2; for a run by hand.
COMPOSE = os.environ.get("PGREVIVE_TEST_COMPOSE")

BASE = "debian:bookworm-slim"  # the tag that the Dockerfile names
# Addresses of the daemon's networks: no default bridge, so that another daemon's is left alone.
ADDRESSES = "base=10.231.0.0/16,size=24"


def missing():
    """The programs that are not installed here, with the packages that bring them; empty if all are."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(absent)} (packages: {' '.join(PACKAGES)})" if absent else ""


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
        if os.geteuid() != 0:
            raise Failed("dockerd runs as root only")
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

    def make_context(self, env):
        """A checkout as far as an image is made of it, with somebody's .env in it."""
        self.context = self.directory / "context"
        self.context.mkdir()
        for name in ("Dockerfile", ".dockerignore", "docker", "scripts", "CMakeLists.txt",
                     "CMakePresets.json", "cmake", "src"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.context / name)
        (self.context / ".env").write_text(env)

    def make_image(self, pgrevive, tag="pgrevive"):
        """What the Dockerfile makes, with the programs that are there instead of its last stage,
        which compiles them anew for minutes."""
        self("build", "--network", "host", "--target", "runtime", "-t", f"{tag}-runtime",
             self.context, timeout=900)
        place = self.directory / "programs"
        place.mkdir(exist_ok=True)
        for program in (pgrevive.path, pgrevive.archive_get):
            run(["strip", "-o", place / program.name, program])
        (place / "Dockerfile").write_text(
            f"FROM {tag}-runtime\nCOPY pgrevive pgrevive-archive-get /usr/local/bin/\n")
        self("build", "-t", tag, place)
        return tag

    def network_of_host(self, name="pgrevive-host"):
        """Makes a network and returns the address that the host has in it, where containers of
        every network reach what listens there."""
        self("network", "create", name)
        return self.inspect(name)["IPAM"]["Config"][0]["Gateway"]
