"""Restores of some databases only, and where tablespaces of several nodes go.

Every restore is compared file by file with pgBackRest's own with the same --db-include and
--db-exclude; what was left out has to be sparse. A server is then started on it: WAL of all
databases is replayed, and what was left out can be dropped.
"""

import hashlib
import json
import os
import re
import shutil

import pytest

from rig import fixtures, repofiles, soundness, tree
from rig.case import SYSTEM
from rig.cluster import Cluster
from rig.postgres import binaries, server_user
from rig.process import run, wait_until
from rig.program import message
from rig.restored import recovered
from rig.shop import GOODS, ORDERS, Shop
from rig.workspace import give

CHOICES = {
    "include": ["--db-include=shop"],
    "include two": ["--db-include=shop", "--db-include=odd name ü"],
    "exclude": ["--db-exclude=testdb", "--db-exclude=fast only"],
    "both": ["--db-include=fast only", "--db-exclude=template1", "--db-exclude=shop"],
    "exclude postgres": ["--db-exclude=postgres"],
    "all there are": [f"--db-include={name}" for name in ("shop", "testdb", "odd name ü", "fast only",
                                                          "doomed")],
}
LEFT_OUT = {
    "include": {"testdb", "odd name ü", "fast only", "doomed"},
    "include two": {"testdb", "fast only", "doomed"},
    "exclude": {"testdb", "fast only"},
    "both": {"testdb", "odd name ü", "shop", "doomed", "template1"},
    "exclude postgres": {"postgres"},
    "all there are": set(),
}


@pytest.fixture(scope="module")
def shop(session_workspace):
    return Shop(session_workspace.directory("shop"))


def oids_in(text):
    """The databases that a restore says it has left out."""
    line = next((line for line in text.splitlines() if line.startswith("left out")), "")
    return set(re.findall(r"\((\d+)\)", line))


def restore_two_nodes(pgrevive, workspace, conf, *arguments):
    nodes = {name: workspace.path / name for name in ("primary", "replica")}
    result = pgrevive.restore(conf, nodes, *arguments, tablespaces=workspace.path / "tablespaces")
    return nodes, result


def oracle(repo, workspace, *arguments):
    """pgBackRest's own restore: its tree."""
    places = [workspace.path / name for name in ("oracle", "oracle-ts")]
    for place in places:
        workspace.directory(place.name, owner=server_user(), mode=0o700)
    repo.pgbackrest(f"--pg1-path={places[0]}", f"--tablespace-map-all={places[1]}", "--type=none",
                    *arguments, "restore", user=None)
    return tree.data_directory(places[0])


def files_of(data, oids):
    """All files of these databases, in all tablespaces."""
    roots = [data / "base", *(path for link in (data / "pg_tblspc").iterdir()
                              for path in link.resolve().iterdir())]
    return [file for root in roots for oid in oids if (root / oid).is_dir()
            for file in (root / oid).iterdir()]


def assert_sparse(data, oids):
    """Zeros that take no space, but for PG_VERSION."""
    files = files_of(data, oids)
    assert bool(files) == bool(oids)
    for file in files:
        if file.name == "PG_VERSION":
            assert file.read_text() == "15\n"
        else:
            assert file.stat().st_blocks == 0, file
            assert not any(file.read_bytes()), file


@pytest.mark.parametrize("kind", [0, 1], ids=["full", "incr"])
@pytest.mark.parametrize("form", ["bundled", "files"])
@pytest.mark.parametrize("choice", CHOICES)
def test_like_pgbackrest(pgrevive, workspace, shop, choice, form, kind):
    repo = shop.repos[form]
    words = [f"--set={repo.labels[kind]}", *CHOICES[choice]]
    expected = oracle(repo, workspace, *words)
    nodes, result = restore_two_nodes(pgrevive, workspace, repo.conf, *words)
    left_out = {shop.oids_at_backup[name] for name in LEFT_OUT[choice]}
    assert oids_in(result.stdout) == left_out
    for name, data in nodes.items():
        tree.assert_equal(expected, tree.data_directory(data), name)
        assert_sparse(data, left_out)


@pytest.mark.parametrize("form", ["bundled", "files"])
def test_delta_over_another_choice(pgrevive, workspace, shop, form):
    """Files with content become zeros, zeros get their content, and all is kept that is right."""
    repo = shop.repos[form]
    full, incr = repo.labels
    nodes, _ = restore_two_nodes(pgrevive, workspace, repo.conf, f"--set={full}")
    expected = oracle(repo, workspace, f"--set={incr}", "--db-include=shop")
    left_out = {shop.oids_at_backup[name] for name in LEFT_OUT["include"]}
    _, result = restore_two_nodes(pgrevive, workspace, repo.conf, f"--set={incr}", "--delta",
                                  "--db-include=shop")
    assert "of it was there already" in result.stdout
    for name, data in nodes.items():
        tree.assert_equal(expected, tree.data_directory(data), name)
        assert_sparse(data, left_out)

    # What somebody wrote into what was left out, without a change of its size, is gone.
    victim = max(files_of(nodes["primary"], left_out), key=lambda file: file.stat().st_size)
    with open(victim, "r+b") as file:
        file.seek(victim.stat().st_size // 2)
        file.write(b"something")
    expected = oracle(repo, workspace, f"--set={incr}", "--delta", "--db-exclude=shop")
    restore_two_nodes(pgrevive, workspace, repo.conf, f"--set={incr}", "--delta",
                      "--db-include=testdb", "--db-include=odd name ü", "--db-include=fast only",
                      "--db-include=doomed")
    for name, data in nodes.items():
        tree.assert_equal(expected, tree.data_directory(data), name)
        assert_sparse(data, {shop.oids_at_backup["shop"]})

    expected = oracle(repo, workspace, f"--set={incr}", "--delta")
    restore_two_nodes(pgrevive, workspace, repo.conf, f"--set={incr}", "--delta")
    for name, data in nodes.items():
        tree.assert_equal(expected, tree.data_directory(data), name)


@pytest.mark.parametrize("form", ["bundled", "files"])
def test_replay_goes_on_and_the_rest_can_be_dropped(pgrevive, workspace, shop, form):
    repo = shop.repos[form]
    data = workspace.path / "trial"
    result = pgrevive.restore(repo.conf, {"trial": data}, "--type=default", "--db-include=shop",
                              f"--set={repo.labels[0]}", "--archive-mode=off",
                              tablespaces=workspace.path / "ts", user=server_user())
    assert "DROP DATABASE" in result.stdout
    # A standby asks for as much as its source has: rig/shop.py.
    with recovered(data, workspace.path, database="shop", archive_mode=None,
                   max_prepared_transactions=4) as server:
        assert server.sql("show archive_mode") == "off"
        assert server.sql(GOODS, "shop") == shop.goods
        assert server.sql(ORDERS, "shop") == shop.orders
        assert server.sql("select id from news", "later") == "1"
        assert server.sql("select count(*) from pg_database where datname = 'doomed'") == "0"
        # It keeps its database from being dropped, and DROP SUBSCRIPTION wants to be in there.
        server.sql("delete from pg_subscription")
        for name in ("testdb", "odd name ü", "fast only"):
            assert server.sql("select 1", name, check=False).returncode != 0, name
            server.sql(f'drop database "{name}"')
            assert not files_of(data, {shop.oids[name]})
        server.sql("vacuum", "shop")
        assert server.sql("select count(*) from pg_class a join pg_class b using (oid)", "shop")


@pytest.mark.parametrize("name", fixtures.ALL)
def test_block_incremental(pgrevive, workspace, unpack_fixture, name):
    """What Debian's pgBackRest cannot read: all is as recorded but for what was left out, and a delta
    brings that as well."""
    fixture = unpack_fixture(name)
    conf = fixture.conf(workspace.path / "pgbackrest.conf")
    label = fixture.label("incr")
    data = workspace.path / "data"
    words = [conf, {"one": data}, "--set", label, "--delta"]
    expected = fixture.hashes(label)
    result = pgrevive.restore(*words, "--db-exclude=testdb", tablespaces=workspace.path / "ts")
    oids = oids_in(result.stdout)
    assert len(oids) == 1
    zeroed = files_of(data, oids)
    assert len(zeroed) > 250
    sizes = {file: file.stat().st_size for file in zeroed}
    for file in zeroed:
        if file.name != "PG_VERSION":
            assert file.stat().st_blocks == 0 and not any(file.read_bytes()), file
    for file in (data / "base").rglob("*"):
        if file.is_file() and file not in sizes:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert digest == expected[str(file.relative_to(data))], file

    pgrevive.restore(*words, tablespaces=workspace.path / "ts")
    assert {file: file.stat().st_size for file in sizes} == sizes
    for file in data.joinpath("base").rglob("*"):
        if file.is_file():
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            assert digest == expected[str(file.relative_to(data))], file


@pytest.mark.parametrize("name", [name for name, (major, _) in fixtures.ALL.items() if major == 15])
def test_block_incremental_recovers(pgrevive, workspace, unpack_fixture, name):
    """The one database has the recorded rows when the WAL of all has been replayed."""
    fixture = unpack_fixture(name)
    conf = fixture.conf(workspace.path / "pgbackrest.conf", owner=server_user())
    data = workspace.path / "data"
    pgrevive.restore(conf, {"one": data}, "--type=default", "--db-include=testdb",
                     "--archive-mode=off", tablespaces=workspace.path / "ts", user=server_user())
    answer = next(answer for kind, _, answer in fixture.expectations() if kind == "default")
    with recovered(data, workspace.path, balanced=False,  # the source changed its tables
                   data_sync_retry="off", logging_collector="off") as server:
        assert server.sql(fixtures.QUERY, "testdb") == answer
        assert server.sql("select 1", "odd name ü", check=False).returncode != 0
        server.sql('drop database "odd name ü"')


def test_a_pgbackrest_conf_chooses_too(pgrevive, workspace, shop):
    """db-include, db-exclude and archive-mode where pgBackRest takes them from as well."""
    repo = shop.repos["bundled"]
    conf = workspace.path / "pgbackrest.conf"
    conf.write_text(repo.conf.read_text() + "\n[main:restore]\ndb-include=shop\n"
                    "db-include=testdb\ndb-exclude=template1\narchive-mode=off\n")
    give(conf, server_user())
    places = workspace.directory("theirs", owner=server_user(), mode=0o700)
    workspace.directory("theirs-ts", owner=server_user(), mode=0o700)
    repo.pgbackrest(f"--pg1-path={places}", f"--tablespace-map-all={workspace.path / 'theirs-ts'}",
                    "--type=default", "restore", conf=conf, user=None)
    expected = tree.data_directory(places)
    data = workspace.path / "ours"
    pgrevive.restore(conf, {"ours": data}, "--type=default", tablespaces=workspace.path / "ts")
    found = tree.data_directory(data)
    for entries in (expected, found):
        entries.pop("postgresql.auto.conf")  # each has its own restore_command
    tree.assert_equal(expected, found, "with a pgbackrest.conf")
    for where in (places, data):
        assert "archive_mode = 'off'" in (where / "postgresql.auto.conf").read_text()
    # A word is stronger than the file.
    result = pgrevive.restore(conf, {"ours": data}, "--delta", "--db-include=fast only",
                              tablespaces=workspace.path / "ts")
    assert shop.oids_at_backup["shop"] in oids_in(result.stdout)


@pytest.mark.parametrize("words, text", [
    (["--db-include=nothing"], "database to include 'nothing' does not exist"),
    (["--db-exclude=12345678"], "database to exclude '12345678' does not exist"),
    (["--db-include=later"], "'later' does not exist"),
    (["--db-include=postgres"], "is one of the system's own"),
    (["--db-include=1"], "is one of the system's own"),
    (["--db-include=shop", "--db-exclude=shop"], "to be excluded too"),
])
def test_refused_as_pgbackrest_does(pgrevive, workspace, shop, words, text):
    repo = shop.repos["bundled"]
    theirs = workspace.directory("theirs", owner=server_user(), mode=0o700)
    workspace.directory("ts", owner=server_user(), mode=0o700)
    assert repo.pgbackrest(f"--pg1-path={theirs}", f"--tablespace-map-all={workspace.path / 'ts'}",
                           *words, "restore", check=False).returncode in (80, 81)
    data = workspace.path / "ours"
    result = pgrevive.restore(repo.conf, {"ours": data}, *words, check=False,
                              tablespaces=workspace.path / "ours-ts")
    assert result.returncode == 21 and text in result.stderr, message(result)
    assert "hint: " in result.stderr
    assert not data.exists() and not (workspace.path / "ours-ts").exists()


@pytest.mark.parametrize("mode, kind, code", [("off", "preserve", 21), ("always", "default", 21)])
def test_archive_mode_that_cannot_be(pgrevive, workspace, shop, mode, kind, code):
    data = workspace.path / "ours"
    result = pgrevive.restore(shop.repos["files"].conf, {"ours": data}, f"--archive-mode={mode}",
                              f"--type={kind}", check=False)
    assert result.returncode == code and "--archive-mode" in result.stderr, message(result)
    assert not data.exists()


def test_archive_mode_always(pgrevive, workspace, shop):
    """Along a timeline that is named the server may get segments without their end."""
    def told(place, *words):
        return pgrevive.restore(shop.repos["files"].conf, {"ours": workspace.path / place}, *words,
                                tablespaces=workspace.path / f"{place}-ts").stderr
    warning = "archives what it replays (archive_mode = always)"
    assert warning in told("named", "--type=default", "--target-timeline=1")
    assert warning not in told("off", "--type=default", "--target-timeline=1", "--archive-mode=off")
    assert warning not in told("latest", "--type=default")


@pytest.mark.parametrize("kind", ["default", "standby", "none"])
def test_archive_mode_off(pgrevive, workspace, shop, kind):
    """As pgBackRest writes it; for --type=none too, where pgBackRest forgets it."""
    data = workspace.path / "ours"
    pgrevive.restore(shop.repos["files"].conf, {"ours": data}, "--archive-mode=off",
                     f"--type={kind}", tablespaces=workspace.path / "ts")
    lines = (data / "postgresql.auto.conf").read_text().splitlines()
    assert lines.count("archive_mode = 'off'") == 1
    assert run_postgres(data, "archive_mode") == "off"


def run_postgres(data, setting):
    """What a server on that directory would have."""
    return run([binaries() / "postgres", "-C", setting, "-D", data],
               user=server_user()).stdout.strip()


def test_tablespaces_of_each_node(pgrevive, workspace, shop):
    """NODE:ID=DIR for every node, with a choice of databases; a server finds it there."""
    repo = shop.repos["bundled"]
    expected = oracle(repo, workspace, "--db-include=shop")
    nodes = {name: workspace.path / name for name in ("primary", "replica")}
    places = {"primary": workspace.path / "ssd", "replica": workspace.path / "disk"}
    words = ["--db-include=shop", "--tablespace-map", f"primary:fast={places['primary']}",
             "--tablespace-map", f"replica:{shop.tablespace}={places['replica']}"]
    pgrevive.restore(repo.conf, nodes, *words)
    for name, data in nodes.items():
        assert os.readlink(data / "pg_tblspc" / shop.tablespace) == str(places[name])
        tree.assert_equal(expected, tree.data_directory(data), name)
    # As the backup has it: its WAL moves the table out of there.
    pgrevive.restore(repo.conf, nodes, *words, "--delta", "--type=immediate",
                     "--target-action=promote", "--archive-mode=off")
    for name, data in nodes.items():
        with recovered(data, workspace.path, database="shop", archive_mode=None,
                       max_prepared_transactions=4) as server:
            assert server.sql("select pg_tablespace_location(reltablespace) from pg_class "
                              "where relname = 'orders'", "shop") == str(places[name])
            assert server.sql(ORDERS, "shop") == "2000 2001000"


@pytest.mark.parametrize("maps, text", [
    ([], "tablespace directory"),
    (["fast={0}/x"], "of 2 nodes into one directory"),
    (["primary:fast={0}/x", "replica:fast={0}/x"], "lies in"),
    (["primary:fast={0}/x", "replica:fast={0}/primary/ts"], "lies in"),
    (["primary:fast={0}/x", "primary:{1}={0}/y"], "twice"),
    (["primary:fast={0}/x", "other:fast={0}/y"], "no node 'other'"),
    (["primary:fast={0}/x", "replica:slow={0}/y"], "no tablespace 'slow'"),
])
def test_nodes_cannot_share_a_tablespace(pgrevive, workspace, shop, maps, text):
    nodes = {name: workspace.path / name for name in ("primary", "replica")}
    words = [part for each in maps
             for part in ("--tablespace-map", each.format(workspace.path, shop.tablespace))]
    result = pgrevive.restore(shop.repos["files"].conf, nodes, *words, check=False)
    assert result.returncode == 21 and text in result.stderr, message(result)
    assert "hint: " in result.stderr or "twice" in text or "no node" in text
    assert not any((workspace.path / name).exists() for name in ("primary", "replica", "x", "y"))


def make_cluster(pgrevive, space, shop, name, values):
    return Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": shop.repos["bundled"].path, "PGBACKREST_STANZA": "main",
        "POSTGRES_DB": "shop", "ADMINER_PORT": 0, **values}, name=name)


def left_out_of(cluster):
    return {entry["name"] for entry in cluster.status()["left_out"]}


def assert_whole(cluster):
    """Both nodes have what was wanted, and replication goes on."""
    cluster.sql("primary", "insert into orders values (100000); delete from orders where id = 100000",
                "shop")
    cluster.caught_up(database="shop")


def assert_fetched(cluster, told, shop):
    """What the preview says of a part of the backup is what its restore then fetched; bundles have some
    more between what is wanted, which saves requests."""
    restored = cluster.status()["restores"][-1]["progress"]
    whole = shop.repos["bundled"].info()[0]["backup"][-1]["info"]["repository"]["size"]
    assert told["fetch_bytes"] <= restored["fetched"] < 1.1 * told["fetch_bytes"] + (64 << 10)
    assert told["fetch_bytes"] < 0.9 * whole, (told["fetch_bytes"], whole)
    stored = [path.stat().st_size for name, path
              in repofiles.archive(shop.repos["bundled"].path).items()
              if len(name) == 24 and told["wal"]["first"] <= name <= told["wal"]["last"]]
    assert told["wal"]["fetch_bytes"] == sum(stored) and len(stored) == told["wal"]["segments"]


def test_cluster_of_one_database(pgrevive, space, shop):
    """DB_INCLUDE: both nodes come up, the rest is listed, and dropped when that is asked for."""
    cluster = make_cluster(pgrevive, space, shop, "one", {"DB_INCLUDE": "shop"})
    rest = ["fast only", "odd name ü", "testdb"]
    told = json.loads(cluster.run("start", "--preview", "--json").stdout)
    try:
        text = cluster.start().stdout
        assert_fetched(cluster, told, shop)
        line = next(line for line in text.splitlines() if "DROP DATABASE" in line)
        assert all(f"{name} ({shop.oids[name]})" in line for name in rest), line
        assert "subscription feed was removed" in text
        assert left_out_of(cluster) == set(rest)
        collations = cluster.status()["collations"]
        assert not {found["database"] for found in collations["databases"]} & set(rest)
        assert not set(collations["not_comparable"]) & set(rest)
        assert "DROP DATABASE" in cluster.run("status").stdout
        for node in ("primary", "replica"):
            assert cluster.sql(node, GOODS, "shop") == shop.goods
            assert cluster.sql(node, ORDERS, "shop") == shop.orders
            assert cluster.sql(node, "select id from news", "later") == "1"
            assert cluster.sql(node, "select 1", "testdb", check=False).returncode != 0
            assert cluster.sql(node, "select count(*) from pg_subscription", "shop") == "0"
        checks = cluster.run("test").stdout
        assert "later, postgres, shop, template1" in checks
        assert_whole(cluster)
        cluster.sql("primary", 'drop database "odd name ü"', "shop")
        assert left_out_of(cluster) == {"fast only", "testdb"}

        # A replica that is made of its primary takes what was left out as it is.
        cluster.stop()
        for part in ("data", "tablespaces"):
            shutil.rmtree(cluster.root / "replica" / part)
        cluster.start()
        assert cluster.sql("replica", GOODS, "shop") == shop.goods
        assert_whole(cluster)

        cluster.values["DB_DROP_LEFT_OUT"] = "true"
        cluster.write_env()
        text = cluster.run("restart").stdout
        assert "DROP DATABASE" not in text
        assert left_out_of(cluster) == set()
        # Nothing that may get one of their OIDs one day will be dropped for it.
        record = json.loads((cluster.root / "primary" / "pgrevive-node.json").read_text())
        assert record["left_out"] == []
        cluster.caught_up(database="shop")
        for node in ("primary", "replica"):
            assert cluster.sql(node, "select string_agg(datname, ',' order by datname) from "
                               "pg_database", "shop") == "later,postgres,shop,template0,template1"
            for name in rest:
                assert not files_of(cluster.root / node / "data", {shop.oids[name]})
        assert_whole(cluster)
        cluster.run("test")
    finally:
        cluster.gone()


def test_cluster_without_some(pgrevive, space, shop):
    """DB_EXCLUDE and DB_DROP_LEFT_OUT from the first start on."""
    cluster = make_cluster(pgrevive, space, shop, "without", {
        "DB_EXCLUDE": f"testdb, {shop.oids['fast only']}", "DB_DROP_LEFT_OUT": "true",
        "WAL_ARCHIVE": "off"})
    try:
        assert "DROP DATABASE" not in cluster.start().stdout
        assert left_out_of(cluster) == set()
        for node in ("primary", "replica"):
            assert cluster.sql(node, "select string_agg(datname, ',' order by datname) from "
                               "pg_database", "shop") == ("later,odd name ü,postgres,shop,template0,"
                                                          "template1")
            assert cluster.sql(node, "select name from names", "odd name ü") == "ü"
        assert_whole(cluster)
    finally:
        cluster.gone()


def test_a_whole_node_decides_what_the_others_are_made_of(pgrevive, space, shop):
    """.env says something else when a replica is restored beside a primary that is there."""
    cluster = make_cluster(pgrevive, space, shop, "decides", {"DB_INCLUDE": "shop",
                                                              "WAL_ARCHIVE": "off"})
    path = repofiles.copy(shop.repos["bundled"].path, space.path / "own")
    cluster.values["REPO_PATH"] = path
    cluster.write_env()
    victim = repofiles.archive(path)[repofiles.segments(path)[-1]]
    good = victim.read_bytes()
    try:
        # The primary is restored and cannot recover.
        repofiles.flip(victim)
        assert cluster.start(check=False).returncode != 0
        record = json.loads((cluster.root / "primary" / "pgrevive-node.json").read_text())
        assert {entry["name"] for entry in record["left_out"]} == LEFT_OUT["include"]
        victim.write_bytes(good)
        for part in ("data", "tablespaces"):
            shutil.rmtree(cluster.root / "replica" / part)
        cluster.values.update({"DB_INCLUDE": "", "DB_EXCLUDE": "odd name ü"})
        cluster.write_env()
        cluster.start()
        assert left_out_of(cluster) == {"testdb", "odd name ü", "fast only"}
        for node in ("primary", "replica"):
            assert cluster.sql(node, GOODS, "shop") == shop.goods
            assert cluster.sql(node, "select 1", "testdb", check=False).returncode != 0
        assert_whole(cluster)
    finally:
        victim.write_bytes(good)
        cluster.gone()


def test_a_drop_that_takes_long(pgrevive, space, shop):
    """It may take as long as it likes, until somebody asks to stop; and is done at the next start."""
    cluster = make_cluster(pgrevive, space, shop, "patient", {"DB_INCLUDE": "shop", "REPLICAS": 0,
                                                              "WAL_ARCHIVE": "off"})
    log = cluster.root / "primary" / "logs" / "postgresql.log"
    try:
        cluster.start()
        # A lock that outlives a restart.
        cluster.sql("primary", "begin; lock table pg_database in share mode; "
                    "prepare transaction 'for long'", "shop")
        cluster.stop()
        cluster.values["DB_DROP_LEFT_OUT"] = "true"
        cluster.write_env()
        cluster.start("--detach")
        # Others may wait too: the end of an autovacuum writes there.
        wait_until(lambda: cluster.sql(
            "primary", "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and "
            "query like 'drop database %'", "shop", check=False).stdout.strip() == "1", 60,
            "it waits to drop a database")
        cluster.stop()
        assert 'STATEMENT:  drop database "' in log.read_text()
        assert "statement timeout" not in log.read_text()

        cluster.values["DB_DROP_LEFT_OUT"] = "false"
        cluster.write_env()
        cluster.start()
        assert left_out_of(cluster) == {"testdb", "odd name ü", "fast only"}
        cluster.sql("primary", "rollback prepared 'for long'", "shop")
        cluster.values["DB_DROP_LEFT_OUT"] = "true"
        cluster.write_env()
        cluster.run("restart")
        assert left_out_of(cluster) == set()
        assert cluster.sql("primary", GOODS, "shop") == shop.goods
    finally:
        cluster.gone()


def fill(file, *, leave):
    """Takes all of a small file system but that much."""
    free = os.statvfs(file.parent)
    run(["fallocate", "-l", str(free.f_bavail * free.f_frsize - leave), file])


def test_a_copy_that_does_not_fit(pgrevive, space, shop):
    """What was left out has its full size in a copy of the primary. A replica that is there, and has
    it as holes, is not given away for one."""
    cluster = make_cluster(pgrevive, space, shop, "narrow", {"DB_INCLUDE": "shop", "REPLICAS": 0})
    replica = cluster.root / "replica"
    try:
        cluster.start()
        cluster.stop()
        replica.mkdir()
        give(replica, server_user())
        if run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", replica],
               check=False).returncode != 0:
            pytest.skip("this user may not mount a small file system")
        try:
            give(replica, server_user())
            filler = replica / "filler"
            fill(filler, leave=24 << 20)
            cluster.values.update(REPLICAS=1, REPLICA_REBUILD="primary")
            cluster.write_env()
            result = cluster.start(check=False)
            assert result.returncode == SYSTEM, message(result)
            for words in (str(replica), "a copy of the primary", "does not fit",
                          "DB_DROP_LEFT_OUT"):
                assert words in result.stderr, message(result)
            assert not (replica / "data" / "base").exists()
            cluster.stop()

            filler.unlink()
            cluster.values["REPLICA_REBUILD"] = "backup"
            cluster.write_env()
            cluster.start()
            assert_whole(cluster)
            cluster.values["REPLICA_REBUILD"] = "primary"
            cluster.write_env()
            cluster.run("restart")
            pid = cluster.node("replica")["pid"]
            fill(filler, leave=1 << 20)
            result = cluster.run("rebuild", "--yes", "replica", check=False)
            assert result.returncode != 0 and "a copy of the primary" in result.stdout + result.stderr, \
                message(result)
            assert cluster.node("replica")["pid"] == pid
            filler.unlink()
            cluster.run("rebuild", "--yes", "replica")
            assert_whole(cluster)
            soundness.prove(cluster)
        finally:
            cluster.stop()
            run(["umount", replica])
    finally:
        cluster.gone()


@pytest.mark.parametrize("values, text", [
    ({"DB_INCLUDE": "shop,nothing"}, "database to include 'nothing' does not exist"),
    ({"DB_INCLUDE": "testdb"}, "POSTGRES_DB=shop would be left out"),
    ({"DB_EXCLUDE": "postgres"}, "cannot do without postgres"),
])
def test_choices_that_a_cluster_refuses(pgrevive, space, shop, values, text):
    cluster = make_cluster(pgrevive, space, shop, "refused", {**values, "WAL_ARCHIVE": "off"})
    try:
        result = cluster.start(check=False)
        assert result.returncode == 21 and text in result.stderr, message(result)
        assert "hint: " in result.stderr
        assert not (cluster.root / "primary" / "data").exists()
    finally:
        cluster.gone()
