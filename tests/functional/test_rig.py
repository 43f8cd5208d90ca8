"""The proof machinery itself: a check that cannot fail proves nothing."""

import os
import shutil

import pytest

from rig import docker, repofiles, seals, signed, tree
from rig.cluster import Cluster
from rig.matrix import FORMS
from rig.process import Failed
from rig.s3 import S3

FORM = FORMS[0]


@pytest.fixture(scope="module")
def restored(matrix, session_workspace):
    """Two restores of one backup by pgBackRest, with different numbers of processes."""
    repo = matrix.repository(FORM)
    space = session_workspace.directory("rig")
    return [repo.restore(repo.labels[-1], space / name / "data", space / name / "ts", jobs=jobs)
            for name, jobs in (("one", 1), ("two", 4))]


def test_docker_is_missing_only_where_nobody_can_run_it(monkeypatch, workspace):
    """That is skipped where the environment says so. All else that keeps a daemon from running fails,
    whatever that says."""
    daemon = docker.Docker(workspace.path)
    def missing(what):
        assert docker.missing().startswith(what)
        monkeypatch.delenv("PGREVIVE_TEST_WITHOUT_DOCKER", raising=False)
        with pytest.raises(AssertionError, match="no Docker daemon can run here"):
            docker.started(daemon)
        monkeypatch.setenv("PGREVIVE_TEST_WITHOUT_DOCKER", "1")
        with pytest.raises(pytest.skip.Exception), pytest.warns(UserWarning, match="NOTHING OF RUNTIME"):
            docker.started(daemon)
    monkeypatch.setenv("PATH", str(workspace.path))
    missing("no dockerd, docker, docker-compose, mmdebstrap, iptables (")
    for name in docker.PROGRAMS:
        (workspace.path / name).symlink_to(shutil.which("false", path="/usr/bin:/bin"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    missing("dockerd runs as root only")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert docker.missing() == ""
    with pytest.raises(Failed, match="dockerd ended"):
        docker.started(daemon)


def test_two_restores_of_one_backup_are_equal(restored):
    """The comparison is neither blind (other tests below) nor too strict for pgBackRest itself."""
    first, second = map(tree.data_directory, restored)
    assert tree.differences(first, second) == []
    assert sum(entry.kind == "file" for entry in first.values()) > 500
    kinds = {entry.kind for entry in first.values()}
    assert {"file", "directory", "link"} <= kinds
    assert any(path.startswith("@tblspc/") and entry.kind == "file" and entry.size > 0
               for path, entry in first.items())
    assert any(entry.size == 0 for entry in first.values() if entry.kind == "file")


def change_content(data):
    with open(data / "PG_VERSION", "r+b") as file:
        stamp = os.fstat(file.fileno())
        file.write(b"99")
    os.utime(data / "PG_VERSION", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def remove_link(data):
    next((data / "pg_tblspc").iterdir()).unlink()


def change_tablespace_file(data):
    place = next((data / "pg_tblspc").iterdir()).resolve()
    next(p for p in sorted(place.rglob("*")) if p.is_file()).write_bytes(b"no page")


CHANGES = {
    "content": (change_content, "PG_VERSION: sha256"),
    "mtime": (lambda data: os.utime(data / "PG_VERSION", (1, 1)), "PG_VERSION: mtime"),
    "file mode": (lambda data: (data / "PG_VERSION").chmod(0o640), "PG_VERSION: mode"),
    "directory mode": (lambda data: (data / "base").chmod(0o750), "base: mode"),
    "absent file": (lambda data: (data / "PG_VERSION").unlink(), "PG_VERSION: absent"),
    "further file": (lambda data: (data / "base" / "x").write_text(""), "base/x: not expected"),
    "absent link": (remove_link, "absent, expected link"),
    "tablespace": (change_tablespace_file, "@tblspc/"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_kind_of_difference_is_seen(restored, workspace, name):
    """Copies a restore, changes one thing in the copy, and looks for that one complaint."""
    copy = workspace.path / "data"
    shutil.copytree(restored[0], copy, symlinks=True)
    link = next((copy / "pg_tblspc").iterdir())
    place = workspace.path / "ts"
    shutil.copytree(link.resolve(), place, symlinks=True)
    link.unlink()
    link.symlink_to(place)
    for source, target in ((restored[0], copy),):
        for path in target.rglob("*"):
            status = os.lstat(source / path.relative_to(target))
            os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
        os.chown(target, os.stat(source).st_uid, os.stat(source).st_gid)
    origin = next((restored[0] / "pg_tblspc").iterdir()).resolve()
    for path in [place, *place.rglob("*")]:
        status = os.lstat(origin / path.relative_to(place))
        os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
    expected = tree.data_directory(restored[0])
    assert tree.differences(expected, tree.data_directory(copy)) == []

    change, complaint = CHANGES[name]
    change(copy)
    lines = tree.differences(expected, tree.data_directory(copy))
    assert any(complaint in line for line in lines), lines
    if name != "absent link":
        assert len({line.split(":")[0] for line in lines}) == 1, lines


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")
def test_another_owner_is_seen(restored, workspace):
    """The owner counts as well."""
    before = tree.data_directory(restored[0])
    path = restored[0] / "PG_VERSION"
    status = path.stat()
    os.chown(path, 0, 0)
    try:
        lines = tree.differences(before, tree.data_directory(restored[0]))
    finally:
        os.chown(path, status.st_uid, status.st_gid)
    assert [line.split(" is ")[0] for line in lines] == ["PG_VERSION: owner", "PG_VERSION: group"]


def test_a_bad_page_ends_a_scenario(pgrevive, space, story):
    """What no query of a test has read is found in the end, on the replica too."""
    cluster = Cluster(pgrevive, space.directory("h"), {
        **story.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="unsound")
    cluster.start()
    path = cluster.sql("replica", "select pg_relation_filepath('docs')")
    cluster.stop()  # what replay has left in memory would be written over it
    with open(cluster.root / "replica" / "data" / path, "r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"\xff" * 8)
    cluster.start()
    with pytest.raises(Failed, match="pg_amcheck of testdb on replica of unsound"):
        cluster.gone()
    assert not cluster.processes()


def test_a_transaction_that_is_there_in_part_ends_a_scenario(pgrevive, space, story):
    """Of those that pgbench committed while the backup was taken."""
    cluster = Cluster(pgrevive, space.directory("h"), {
        **story.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0, "REPLICAS": 0}, name="torn")
    cluster.start()
    assert int(cluster.sql("primary", "select count(*) from pgbench_history")) > 700
    cluster.sql("primary", "delete from pgbench_history where ctid = (select min(ctid) from "
                "pgbench_history where delta <> 0)")
    with pytest.raises(Failed, match="in testdb on primary of torn do not add up"):
        cluster.gone()


@pytest.mark.parametrize("words, owes", [(["start"], True), (["demo", "--scale", "1"], True),
                                         (["start", "--preview"], False), (["stop"], False)])
def test_a_cluster_that_is_gone_was_proven_before(pgrevive, space, words, owes):
    """One that was up and was removed has proven nothing, unless its test says why it cannot."""
    cluster = Cluster(pgrevive, space.directory("w"), name="removed")
    cluster.noticed(*words)
    if owes:
        with pytest.raises(Failed, match="removed was up, and nobody has proven that it is sound"):
            cluster.gone()
        cluster.unproven = "it is for this test alone"
    cluster.gone()


def test_a_cluster_that_comes_up_again_owes_its_proof_again(pgrevive, space):
    cluster = Cluster(pgrevive, space.directory("w"), name="removed")
    cluster.noticed("start")
    cluster.proven, cluster.owed = True, False  # as soundness.prove() leaves it
    cluster.gone()
    cluster.noticed("restart")
    with pytest.raises(Failed, match="removed was up, and nobody has proven that it is sound"):
        cluster.gone()


def write_and_clean_up(path):
    (path / "probe").write_text("")
    (path / "probe").unlink()


def change_and_turn_back_time(file):
    stamp = file.stat()
    repofiles.flip(file)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


WRITES = {
    "written": (lambda path: (path / "backup" / "new").write_text(""), "backup/new: new"),
    "removed": (lambda path: (path / "archive.info").unlink(), "archive.info: gone"),
    "cleaned up": (lambda path: write_and_clean_up(path / "backup"), "backup: "),
    "same size and time": (lambda path: change_and_turn_back_time(path / "archive.info"),
                           "archive.info: "),
}


@pytest.mark.parametrize("how", WRITES)
def test_a_source_that_is_written_to_is_seen(workspace, how):
    """When its place goes, at the latest."""
    path = workspace.directory("repo")
    workspace.directory("repo", "backup")
    (path / "archive.info").write_text("[db]")
    seals.seal_directory(path)
    write, said = WRITES[how]
    write(path)
    with pytest.raises(Failed, match=f"in {path} has been written to:\n{said}"):
        seals.prove_below(workspace.path)


def test_a_source_that_is_read_is_not(workspace):
    path = workspace.directory("repo")
    (path / "archive.info").write_text("[db]")
    seals.seal_directory(path)
    (path / "archive.info").read_bytes()
    seals.prove_below(workspace.path)


def test_a_cluster_whose_source_was_written_to(pgrevive, space, workspace):
    path = workspace.directory("repo")
    seals.seal_directory(path)
    cluster = Cluster(pgrevive, space.directory("w"), {"REPO_TYPE": "posix", "REPO_PATH": path},
                      name="writer")
    cluster.gone()
    (path / "lock").write_text("")
    with pytest.raises(Failed, match="lock: new"):
        cluster.gone()
    with pytest.raises(Failed, match="lock: new"):
        seals.prove_below(workspace.path)


@pytest.fixture
def sealed(gateway, workspace, request):
    """A bucket with a source: its name, and what may write there."""
    s3 = S3(gateway)
    name = request.node.name.replace("_", "-")
    s3.make_bucket(name)
    s3.file = workspace.directory("repo", "archive") / "archive.info"
    s3.file.write_text("[db]")
    s3.upload(workspace.path / "repo", name, "source")
    return name, s3


def test_a_bucket_that_is_only_read(gateway, sealed):
    """The keys that clusters of tests have can do nothing else."""
    name, _ = sealed
    for key in ("source/archive/archive.info", "source/new"):
        for method in ("PUT", "DELETE"):
            with pytest.raises(Failed, match="403.*AccessDenied"):
                signed.request(gateway, gateway.reader, method, f"/{name}/{key}", body=b"x")
    signed.request(gateway, gateway.reader, "GET", f"/{name}/source/archive/archive.info")
    seals.prove_bucket(gateway, name)


def test_a_bucket_that_is_cleaned_up(sealed):
    """Nothing is left to see but versions."""
    name, s3 = sealed
    before = s3.listing(name)
    s3.put(s3.file, name, "source/probe")
    s3.remove(name, "source/probe")
    assert s3.listing(name) == before
    with pytest.raises(Failed, match=f"s3://{name}/source/ has been written to:\n.*probe"):
        seals.prove_source({"S3_BUCKET": name, "S3_PATH": "/source"})
    with pytest.raises(Failed, match=f"s3://{name}/source/ has been written to:\n.*probe"):
        seals.prove_bucket(s3.gateway, name)


def test_a_bucket_that_holds_more(sealed):
    name, s3 = sealed
    seals.allow(name, "source-again-")
    s3.put(s3.file, name, "source-again-1/archive.info")
    s3.put(s3.file, name, "source-other-1/archive.info")
    with pytest.raises(Failed, match=r"would hold \['source-other-1/archive.info'\]"):
        seals.prove_bucket(s3.gateway, name)


SEGMENTS = "archive/main/15-1/0000000100000000"
GROWS = {
    "a segment": (lambda path: (path / SEGMENTS / f"{'0' * 7}1{'0' * 15}2-{'a' * 40}.zst").touch(), None),
    "of another timeline": (lambda path: (path / SEGMENTS / f"{'0' * 7}2{'0' * 15}2-{'a' * 40}").touch(),
                            "000000020"),
    "of no segment": (lambda path: (path / SEGMENTS / "probe").touch(), "probe: new"),
    "a segment is removed": (lambda path: next((path / SEGMENTS).iterdir()).unlink(), ": gone"),
    "a segment is changed": (lambda path: change_and_turn_back_time(next((path / SEGMENTS).iterdir())),
                             ".zst: "),
    "cleaned up": (lambda path: write_and_clean_up(path / "backup"), "backup: "),
}


@pytest.mark.parametrize("how", GROWS)
def test_a_living_source_only_grows(workspace, how):
    path = workspace.directory("repo")
    workspace.directory("repo", "backup")
    segments = workspace.directory("repo", *SEGMENTS.split("/"))
    (segments / f"{'0' * 7}1{'0' * 15}1-{'a' * 40}.zst").write_bytes(b"0123456789")
    seals.seal_living(path)
    write, said = GROWS[how]
    write(path)
    if said is None:
        seals.end(path)
    else:
        with pytest.raises(Failed, match=said):
            seals.end(path)
