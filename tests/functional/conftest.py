"""What the tests share: temporary directories, the program, the S3 service, sources."""

import itertools
import os
import shutil
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from rig import fixtures, repofiles, rgw, seals  # noqa: E402
from rig.case import FILES, FORM, Case  # noqa: E402
from rig.matrix import Matrix  # noqa: E402
from rig.postgres import server_user  # noqa: E402
from rig.program import ROOT, Program  # noqa: E402
from rig.s3 import S3  # noqa: E402
from rig.story import Story  # noqa: E402
from rig.telling import NOT_BEGUN, Telling  # noqa: E402
from rig.workspace import Workspace, give, temporary_root  # noqa: E402

# Begun first where several run side by side: none of these should be what all wait for at the end.
LONG = ("test_docker.py", "test_versions.py", "test_fault_sweep.py", "test_hostile_repository.py",
        "test_acts.py", "test_soak.py", "test_failovers.py", "test_cluster.py", "test_matrix.py")

# Run by one of several side by side: each that uses the matrix has to make it, which takes minutes.
OF_MATRIX = ("test_matrix.py", "test_archive_get.py", "test_errors.py", "test_info.py",
             "test_places.py")

_left_out = pytest.StashKey[int]()
_failed = pytest.StashKey[bool]()
_kept = []


def pytest_addoption(parser):
    parser.addoption("--thorough", action="store_true",
                     help="also the tests that do over again what others do, in further variants")
    parser.addoption("--within", type=float, metavar="SECONDS",
                     help="begin no test later than that; how many were not begun is told")


_began = time.monotonic()


@pytest.hookimpl(tryfirst=True)  # no fixture is made for it
def pytest_runtest_setup(item):
    within = item.config.getoption("--within")
    if within is not None and time.monotonic() - _began > within:
        pytest.skip(NOT_BEGUN)


@pytest.hookimpl(trylast=True)  # when there is a terminal to write to
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Telling(config))


def _is_thorough(item):
    """Whether it is marked so, as a whole or with these values of its parameters."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    return any(all(values.get(name) in of for name, of in mark.kwargs.items())
               for mark in item.iter_markers("thorough"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not config.getoption("--thorough"):
        left_out = [item for item in items if _is_thorough(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[_left_out] = len(left_out)
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))
    for item in items:
        of_matrix = item.path.name in OF_MATRIX
        item.add_marker(pytest.mark.xdist_group("matrix" if of_matrix else item.path.name))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[_failed] = True
        item.session.stash[_failed] = True


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Of those that run side by side each collects all, and only they do."""
    if error is None:
        node.config.stash[_left_out] = node.workeroutput.get("left_out", 0)


def pytest_terminal_summary(terminalreporter, config):
    if left_out := config.stash.get(_left_out, 0):
        terminalreporter.write_line(f"left out: {left_out} further variants, which --thorough runs")
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
