"""What the tests share: temporary directories, the program, the S3 service, sources."""

import itertools
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from rig import fixtures, repofiles, rgw, seals  # noqa: E402
from rig.case import FILES, FORM, Case  # noqa: E402
from rig.matrix import Matrix  # noqa: E402
from rig.postgres import server_user  # noqa: E402
from rig.program import ROOT, Program  # noqa: E402
from rig.s3 import S3  # noqa: E402
from rig.story import Story  # noqa: E402
from rig.workspace import Workspace, give, temporary_root  # noqa: E402

# Begun first where several run side by side: none of these should be what all wait for at the end.
LONG = ("test_docker.py", "test_versions.py", "test_fault_sweep.py", "test_hostile_repository.py",
        "test_acts.py", "test_soak.py", "test_failovers.py", "test_cluster.py", "test_matrix.py")

_failed = pytest.StashKey[bool]()
_kept = []


def pytest_collection_modifyitems(items):
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[_failed] = True
        item.session.stash[_failed] = True


def pytest_terminal_summary(terminalreporter):
    for path in _kept:
        terminalreporter.write_line(f"kept for a look: {path}")


def _lent(space, of):
    """`space` for as long as a fixture lives; kept, and named at the end, when the test, or any of
    the session, that `of` is failed. Else the sources in it have to be what they were."""
    yield space
    if of.stash.get(_failed, False):
        _kept.append(space.path)
    else:
        seals.prove_below(space.path)
        space.remove()


@pytest.fixture
def workspace(request):
    """A temporary directory of one test."""
    space = Workspace(request.node.name.removeprefix("test_").split("[")[0].replace("_", "-"))
    give(space.path, server_user())
    yield from _lent(space, request.node)


@pytest.fixture(scope="session")
def session_workspace(request):
    """A temporary directory of the whole run."""
    yield from _lent(Workspace("session"), request.session)


@pytest.fixture(scope="module")
def space(request):
    """Where the clusters of one module live; on a real disk where the module's ON_DISK says so.

    The name is short because sockets lie below.
    """
    yield from _lent(Workspace("c", on_disk=getattr(request.module, "ON_DISK", False)),
                     request.session)


@pytest.fixture(scope="session")
def story(session_workspace):
    """Backups of a source that is gone; see rig/story.py."""
    return Story(session_workspace.directory("story"))


_copies = itertools.count(1)


@pytest.fixture
def own_repository(story, space):
    """The story's repository, a copy to break, of each test."""
    return repofiles.copy(story.repo.path, space.path / f"repo{next(_copies)}")


@pytest.fixture(scope="session")
def pgrevive(session_workspace):
    return Program(session_workspace.directory("bin"))


@pytest.fixture(scope="session")
def checkout(pgrevive, session_workspace):
    """A copy of what is in the repository, with the program built."""
    place = session_workspace.directory("checkout")
    for name in ("cluster-manager.sh", "scripts", "src", "cmake", "CMakeLists.txt",
                 "CMakePresets.json", ".env.cluster.example"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name)
        else:
            shutil.copy2(ROOT / name, place)
    build = place / "build" / "release"
    build.mkdir(parents=True)
    shutil.copy(pgrevive.path, build / "pgrevive")  # newer than all the sources
    return place


@pytest.fixture(scope="session")
def gateway(session_workspace):
    """Ceph RGW over TLS."""
    service = rgw.CephRGW(session_workspace.directory("rgw")).start()
    # Whoever the servers run as reads the CA's certificate.
    service.directory.chmod(0o755)
    try:
        yield service
        seals.prove_buckets(service)
    finally:
        service.stop()


class Bucket:
    """One bucket of the gateway, to put repositories into."""

    def __init__(self, gateway, name):
        self.gateway = gateway
        self.name = name
        self.s3 = S3(gateway)
        self.s3.make_bucket(name)
        self._uploaded = set()

    def upload_once(self, directory, prefix):
        if prefix not in self._uploaded:
            self.s3.upload(directory, self.name, prefix)
            self._uploaded.add(prefix)
        return prefix


@pytest.fixture(scope="session")
def bucket(gateway):
    return Bucket(gateway, "backups")


@pytest.fixture(scope="session")
def matrix(session_workspace):
    """Repositories of many forms; see rig/matrix.py."""
    made = Matrix(session_workspace.directory("matrix"))
    yield made
    made.stop()


@pytest.fixture
def case(pgrevive, workspace, matrix):
    """A repository of one's own to break: encrypted, with bundles."""
    return Case(pgrevive, workspace.path, matrix.repository(FORM)).own()


@pytest.fixture
def files_case(pgrevive, workspace, matrix):
    """The same, neither encrypted nor bundled."""
    return Case(pgrevive, workspace.path, matrix.repository(FILES)).own()


_unpacked = {}


@pytest.fixture(scope="session")
def unpack_fixture(session_workspace):
    """A function: the name of a recorded repository to the Fixture; skips where it is not there."""
    def unpack(name):
        if fixtures.find(name) is None:
            pytest.skip(f"{name}.tar.zst is neither in {fixtures.OWN} nor in {fixtures.ELSEWHERE}; "
                        "PGREVIVE_FIXTURES may name its directory")
        if name not in _unpacked:
            _unpacked[name] = fixtures.Fixture.unpack(
                name, session_workspace.directory("fixtures"))
            seals.seal_directory(_unpacked[name].repo)
        return _unpacked[name]
    return unpack


def pytest_report_header(config):
    return [f"as user {os.geteuid()}, temporary directories below "
            f"{temporary_root()}, "
            f"pgbackrest {shutil.which('pgbackrest')}, radosgw {shutil.which('radosgw')}"]
