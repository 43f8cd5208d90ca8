"""For every backup of every form of repository: our restore of two nodes is pgBackRest's own.

Repositories are made by Debian's pgBackRest in the test (rig/matrix.py: compress types, cipher,
bundles, hardlinks; full, differential and incremental; a tablespace, files of other owners, links).
Each label is restored by pgBackRest once and by us from the local directory and from Ceph RGW, and
the trees are compared file by file: content, size, mode, owner, group, modification time, links.
"""

import os
import pathlib
import shutil

import pytest

from rig import tree
from rig.matrix import FORMS, FURTHER, KINDS
from rig.postgres import binaries

BY_NAME = {form.name: form for form in FORMS}


class Restored:
    """What there is to know about a data directory that pgBackRest restored."""

    def __init__(self, data):
        self.tree = tree.data_directory(data)
        self.control = (data / "global" / "pg_control").read_bytes()


@pytest.fixture(scope="session")
def oracle(matrix, session_workspace):
    """A function: form and kind of backup to (repository, label, pgBackRest's restore)."""
    known = {}

    def look(form, kind):
        if (form, kind) not in known:
            repo = matrix.repository(form)
            label = repo.labels[KINDS.index(kind)]
            space = session_workspace.directory("oracle", form.name, kind)
            data = repo.restore(label, space / "data", space / "ts")
            known[form, kind] = repo, label, Restored(data)
            shutil.rmtree(space)
        return known[form, kind]
    return look


@pytest.fixture(scope="session")
def s3_conf(matrix, bucket):
    """A function: form to a pgbackrest.conf that reaches a copy of its repository in the bucket."""
    known = {}

    def make(form):
        if form not in known:
            repo = matrix.repository(form)
            prefix = bucket.upload_once(repo.path, f"matrix/{form.name}")
            known[form] = repo.write_conf("s3.conf", {
                "compress-type": form.compress,
                **repo.s3_options(bucket.gateway, bucket.name, prefix)})
        return known[form]
    return make


def restore_two_nodes(pgrevive, workspace, conf, label, *arguments, user=None):
    nodes = {name: workspace.path / name for name in ("primary", "replica")}
    pgrevive.restore(conf, nodes, "--set", label, *arguments,
                     tablespaces=workspace.path / "tablespaces", user=user, timeout=300)
    return nodes


def compare(nodes, workspace, expected, what):
    places = {}
    for name, data in nodes.items():
        tree.assert_equal(expected.tree, tree.data_directory(data), f"{what}, node {name}")
        tree.assert_same_control(expected.control, data, binaries() / "pg_controldata")
        for link in (data / "pg_tblspc").iterdir():
            places[name] = pathlib.Path(os.readlink(link))
            assert places[name].is_relative_to(workspace.path / "tablespaces" / name)
    assert len(set(places.values())) == len(nodes), places


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.thorough(form=FURTHER)
@pytest.mark.parametrize("form", BY_NAME)
def test_from_directory(pgrevive, workspace, oracle, form, kind):
    """Every label of every form, from the local directory."""
    repo, label, expected = oracle(BY_NAME[form], kind)
    nodes = restore_two_nodes(pgrevive, workspace, repo.conf, label)
    compare(nodes, workspace, expected, f"{form} {label}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.thorough(form=FURTHER)
@pytest.mark.parametrize("form", BY_NAME)
def test_from_s3(pgrevive, workspace, oracle, s3_conf, form, kind):
    """Every label of every form, from Ceph RGW over TLS with the certificate checked."""
    _, label, expected = oracle(BY_NAME[form], kind)
    nodes = restore_two_nodes(pgrevive, workspace, s3_conf(BY_NAME[form]), label)
    compare(nodes, workspace, expected, f"{form} {label} from S3")


def test_pgbackrest_reads_the_same_s3_configuration(workspace, matrix, oracle, s3_conf):
    """The file our tests hand to both tools is one that pgBackRest itself restores with."""
    form = FORMS[0]
    _, label, expected = oracle(form, "incr")
    data = matrix.repository(form).restore(label, workspace.path / "data", workspace.path / "ts",
                                           conf=s3_conf(form), jobs=4)
    assert tree.differences(expected.tree, tree.data_directory(data)) == []


@pytest.mark.parametrize("change", ["host style", "plain HTTP", "path below the bucket's root"])
def test_other_ways_to_a_bucket(pgrevive, workspace, matrix, oracle, bucket, s3_conf, change):
    """Host style with the address given beside the name; HTTP; repo1-path=/."""
    form = FORMS[4]
    repo, label, expected = oracle(form, "incr")
    s3_conf(form)
    options = repo.s3_options(bucket.gateway, bucket.name, f"matrix/{form.name}")
    if change == "host style":
        options.update({"repo1-s3-uri-style": "host", "repo1-storage-host": "127.0.0.1"})
    elif change == "plain HTTP":
        del options["repo1-storage-ca-file"]
        options.update({"repo1-s3-endpoint": bucket.gateway.plain_endpoint})
        del options["repo1-storage-port"]
    else:
        bucket.s3.make_bucket("whole")
        bucket.s3.upload(repo.path, "whole", "")
        options.update({"repo1-s3-bucket": "whole", "repo1-path": "/"})
    conf = repo.write_conf("other.conf", options)
    nodes = restore_two_nodes(pgrevive, workspace, conf, label)
    compare(nodes, workspace, expected, change)


@pytest.mark.skipif(os.geteuid() != 0, reason="compares with what root restored")
def test_as_the_servers_user(pgrevive, workspace, matrix):
    """Not root: everything belongs to whom we run as, and all else is still equal."""
    repo = matrix.repository(FORMS[3])
    label = repo.labels[1]
    data = repo.restore(label, workspace.path / "expected", workspace.path / "expected-ts",
                        user="postgres")
    nodes = restore_two_nodes(pgrevive, workspace, repo.conf, label, user="postgres")
    compare(nodes, workspace, Restored(data), "as postgres")


def test_newest_backup_is_the_default(pgrevive, workspace, oracle):
    """Without --set the newest backup is taken, as pgBackRest does."""
    repo, _, expected = oracle(FORMS[3], "incr")
    nodes = {"only": workspace.path / "only"}
    pgrevive.restore(repo.conf, nodes, tablespaces=workspace.path / "tablespaces")
    compare(nodes, workspace, expected, "newest")


def test_delta_makes_any_directory_equal(pgrevive, workspace, oracle):
    """--delta over an older restore that was then damaged in every way gives the backup again."""
    form = FORMS[4]
    repo, label, expected = oracle(form, "full")
    nodes = restore_two_nodes(pgrevive, workspace, repo.conf, label)

    data = nodes["primary"]
    (data / "base" / "further").mkdir()
    (data / "base" / "further" / "file").write_text("no part of any backup")
    (data / "PG_VERSION").write_text("14")
    (data / "global" / "pg_control").unlink()
    (data / "pg_hba.conf").chmod(0o644)
    (data / "postgresql.conf").unlink()
    (data / "postgresql.conf").symlink_to("/etc/hostname")
    biggest = max((p for p in (data / "base").rglob("*") if p.is_file()),
                  key=lambda p: p.stat().st_size)
    with open(biggest, "r+b") as file:
        file.seek(8192 * 3)
        file.write(b"\xff" * 100)
    (data / "PG_VERSION").write_text("15\n")  # a directory that is no cluster's is not touched

    _, label, expected = oracle(form, "incr")
    restore_two_nodes(pgrevive, workspace, repo.conf, label, "--delta")
    compare(nodes, workspace, expected, "delta")


@pytest.mark.parametrize("name", ["number", "name"])
def test_tablespace_map(pgrevive, workspace, oracle, name):
    """--tablespace-map ID=DIR as pgBackRest has it; for several nodes NODE:ID=DIR, and the rest
    where --tablespace-map-all says."""
    repo, label, expected = oracle(FORMS[3], "diff")
    places = {who: workspace.path / f"ts-{who}" for who in ("pgbackrest", "alone", "primary")}
    number = next(path for path in expected.tree if path.startswith("pg_tblspc/")).split("/")[1]
    data = workspace.directory("pgbackrest", owner=repo.user, mode=0o700)
    workspace.directory("ts-pgbackrest", owner=repo.user, mode=0o700)
    repo.pgbackrest(f"--pg1-path={data}", f"--tablespace-map={number}={places['pgbackrest']}",
                    f"--set={label}", "--type=none", "restore", user=None)
    tree.assert_equal(expected.tree, tree.data_directory(data), "pgBackRest with a map")

    known_as = number if name == "number" else "fast"
    alone = {"alone": workspace.path / "alone"}
    pgrevive.restore(repo.conf, alone, "--set", label, "--tablespace-map",
                     f"{known_as}={places['alone']}")
    nodes = {who: workspace.path / who for who in ("primary", "replica")}
    pgrevive.restore(repo.conf, nodes, "--set", label, "--tablespace-map",
                     f"primary:{known_as}={places['primary']}",
                     tablespaces=workspace.path / "others")
    for who, directory in {**alone, **nodes}.items():
        tree.assert_equal(tree.data_directory(data), tree.data_directory(directory), who)
    links = {who: os.readlink(directory / "pg_tblspc" / number)
             for who, directory in {"pgbackrest": data, **alone, **nodes}.items()}
    others = links.pop("replica")
    assert links == {who: str(place) for who, place in places.items()}
    assert others.startswith(f"{workspace.path}/others/replica/")
