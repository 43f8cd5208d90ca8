"""The proof machinery itself: a check that cannot fail proves nothing."""

import os
import shutil

import pytest

from rig import tree
from rig.cluster import Cluster
from rig.matrix import FORMS
from rig.process import Failed

FORM = FORMS[0]


@pytest.fixture(scope="module")
def restored(matrix, session_workspace):
    """Two restores of one backup by pgBackRest, with different numbers of processes."""
    repo = matrix.repository(FORM)
    space = session_workspace.directory("rig")
    return [repo.restore(repo.labels[-1], space / name / "data", space / name / "ts", jobs=jobs)
            for name, jobs in (("one", 1), ("two", 4))]


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
    with open(cluster.root / "replica" / "data" / path, "r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"\xff" * 8)
    with pytest.raises(Failed, match="pg_amcheck of testdb on replica of unsound"):
        cluster.gone()
    assert not cluster.processes()
