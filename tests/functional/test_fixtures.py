"""Repositories of a newer pgBackRest: block incremental, raw bundles, PostgreSQL 15 to 18.

Against the SHA-256 of every file of pgBackRest's own restore, recorded when they were made, and
against what recovery to recorded targets gave.
"""


import pytest

from rig import tree
from rig.fixtures import ALL, KINDS, QUERY
from rig.postgres import server_user
from rig.restored import recovered


def found_hashes(data):
    """Path to SHA-256 as Fixture.hashes() has them: its one tablespace is @ots/fast."""
    result = {}
    for path, entry in tree.data_directory(data).items():
        if entry.kind == "file":
            if path.startswith("@tblspc/"):
                path = "@ots/fast/" + path.split("/", 2)[2]
            result[path] = entry.sha256
    return result


def compare(fixture, label, data, what):
    expected, found = fixture.hashes(label), found_hashes(data)
    wrong = sorted(path for path in expected.keys() | found.keys()
                   if expected.get(path) != found.get(path))
    assert len(expected) > 500
    assert not wrong, f"{what}: {len(wrong)} of {len(expected)} files differ: {wrong[:20]}"
    for path, entry in tree.data_directory(data).items():
        if entry.kind == "file" and not path.startswith("@tblspc/"):
            assert entry.mode == "0600", path


@pytest.mark.thorough(way=("s3",), kind=("full", "incr"))
@pytest.mark.parametrize("way", ["directory", "s3"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALL)
def test_every_file_is_the_recorded_one(pgrevive, workspace, unpack_fixture, request, name, kind,
                                        way):
    """Two nodes of each label, through both storages."""
    fixture = unpack_fixture(name)
    options = {}
    if way == "s3":
        bucket = request.getfixturevalue("bucket")
        gateway = bucket.gateway
        prefix = bucket.upload_once(fixture.repo, f"fixtures/{name}")
        options = {"repo1-type": "s3", "repo1-path": f"/{prefix}", "repo1-s3-bucket": bucket.name,
                   "repo1-s3-endpoint": f"127.0.0.1:{gateway.port}",
                   "repo1-s3-region": gateway.region, "repo1-s3-key": gateway.reader[0],
                   "repo1-s3-key-secret": gateway.reader[1], "repo1-s3-uri-style": "path",
                   "repo1-storage-ca-file": gateway.ca_file}
    conf = fixture.conf(workspace.path / "pgbackrest.conf", options)
    nodes = {node: workspace.path / node for node in ("primary", "replica")}
    pgrevive.restore(conf, nodes, "--set", fixture.label(kind),
                     tablespaces=workspace.path / "tablespaces")
    for node, data in nodes.items():
        compare(fixture, fixture.label(kind), data, f"{name} {kind} {way} {node}")


@pytest.mark.parametrize("name", [name for name, (major, _) in ALL.items() if major == 15])
def test_recovery_to_each_recorded_target(pgrevive, workspace, unpack_fixture, name):
    """Restore with a target, start PostgreSQL on it, and ask it the recorded question."""
    fixture = unpack_fixture(name)
    for number, (kind, target, answer) in enumerate(fixture.expectations()):
        space = workspace.directory(f"r{number}", owner=server_user())
        conf = fixture.conf(space / "pgbackrest.conf", owner=server_user())
        arguments = ["--type", kind]
        if target:
            arguments += ["--target", target, "--target-action", "promote"]
        pgrevive.restore(conf, {"primary": space / "data"}, *arguments,
                         tablespaces=space / "ts", user=server_user())
        with recovered(space / "data", space, balanced=False,  # the source changed pgbench's tables
                       data_sync_retry="off", fsync="off", logging_collector="off") as server:
            assert server.sql(QUERY, "testdb") == answer, f"{kind} {target}"
