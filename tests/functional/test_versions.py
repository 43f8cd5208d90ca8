"""Every major from 10 to 18: backed up by pgBackRest, lifted by us, with both nodes as they were."""

import json
import re
import shutil

import pytest

from rig import fixtures, soundness
from rig.case import NOT_FOUND, UNSUPPORTED
from rig.cluster import Cluster
from rig.line import first_line
from rig.postgres import binaries, server_user
from rig.program import message
from rig.restored import ancestors, recovered
from rig.story import MARKERS
from rig.values import lsn
from rig.versions import (FIRST_WITH_DATABASE_VERSION, FIRST_WITH_LOGIN_TRIGGERS, HALF_WAY, MAJORS,
                          NEWEST_OF_BACKREST, ORIGINS, QUESTION, RAISED_CONNECTIONS, ROWS_HALF_WAY,
                          Left, server_programs)
from rig.workspace import Workspace

NODES = ("primary", "replica")
# What changed between majors changed before or behind these.
BETWEEN = (11, 13, 14, 16, 17)


class Lifted:
    """A cluster of that major, and what its source had."""

    def __init__(self, pgrevive, space, major):
        self.major = major
        self.space = space
        self.others = 0
        self.left = Left(major, space.directory("left"))
        known = {} if major <= NEWEST_OF_BACKREST else {"WAL_ARCHIVE": "off"}
        self.cluster = Cluster(pgrevive, space.directory("h"),
                               {**self.left.values(), "ADMINER_PORT": 0, **known}, name=f"v{major}")
        try:
            self.told = self.cluster.start().stdout
            self.logins = {database: self._logins(database) for database in ("postgres", "testdb")}
        except BaseException:
            self.cluster.gone()
            raise

    def _logins(self, database):
        """Whether the source's login trigger ran for a client, and whether for us."""
        if self.major < FIRST_WITH_LOGIN_TRIGGERS:
            return None
        self.cluster.sql("primary", "select 1", database)
        return self.cluster.sql("primary", "select bool_or(who = 'psql'), bool_or(who = 'pgrevive') "
                                "from logins", database)


@pytest.fixture(scope="module", params=MAJORS)
def lifted(request, pgrevive):
    space = Workspace(f"v{request.param}")
    made = None
    try:
        made = Lifted(pgrevive, space, request.param)
        yield made
    finally:
        if made is not None:
            made.cluster.gone()
        space.remove()


@pytest.mark.parametrize("node", NODES)
def test_rows(lifted, node):
    """Of the right major, with exactly the source's rows up to the last that was archived."""
    cluster = lifted.cluster
    assert cluster.sql(node, "show server_version_num")[:2] == str(lifted.major)
    assert cluster.sql(node, QUESTION) == lifted.left.answer
    assert cluster.sql(node, "select name from names", "odd name ü") == "ü"


def test_both_nodes_live(lifted):
    """The replica streams and gets what is written; `status` and `test` find all well."""
    cluster = lifted.cluster
    assert cluster.sql("primary", "select state from pg_stat_replication") == "streaming"
    cluster.sql("primary", "create table written as select generate_series(1, 1000) i; "
                "update docs set name = md5(name) where id % 100 = 0")
    cluster.caught_up()
    for node in NODES:
        soundness.balances(cluster, node, "testdb")
    assert cluster.sql("replica", "select count(*) from written") == "1000"
    assert cluster.sql("replica", QUESTION) == cluster.sql("primary", QUESTION)
    assert cluster.run("status").returncode == 0
    status = cluster.status()
    assert status["supervisor"]["phase"] == "running"
    assert [(node["name"], node["state"]) for node in status["nodes"]] == [
        (name, "accepting") for name in NODES]
    assert "FAILED" not in cluster.run("test").stdout


@pytest.mark.parametrize("node", NODES)
def test_raised_behind_the_backup(lifted, node):
    """What WAL demands of a standby, and this host never had: up to 13 the server ends where it reads
    of it, from 14 on it waits."""
    assert int(lifted.cluster.sql(node, "show max_connections")) >= RAISED_CONNECTIONS


@pytest.mark.parametrize("node", NODES)
def test_subscription_of_the_source(lifted, node):
    """Is not what it was there: enabled."""
    assert lifted.cluster.sql(node, "select subname, subenabled, subslotname is null "
                              "from pg_subscription") == "feed|f|t"


@pytest.mark.parametrize("node", NODES)
def test_origins_of_the_source(lifted, node):
    """More than a server has room for that was told nothing; it does not start without."""
    assert lifted.cluster.sql(node, "select count(*) from pg_replication_origin_status "
                              "where external_id ~ '^of '") == str(ORIGINS)


def test_login_triggers_of_the_source(lifted):
    """None of our sessions ran one until the cluster was up; those of clients do, which is told."""
    if lifted.major < FIRST_WITH_LOGIN_TRIGGERS:
        return
    assert lifted.logins == {"postgres": "t|f", "testdb": "t|f"}
    assert "event triggers of the source run when a client logs in, in postgres, testdb" in lifted.told


def test_a_restore_command_that_is_too_long(lifted, pgrevive):
    """Is told before anything is fetched, where a server would run half of it."""
    if lifted.major >= 13:
        return
    home = lifted.space.directory("long") / ("of-a-long-name" * 10)
    cluster = Cluster(pgrevive, home, {**lifted.left.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0},
                      name="long")
    result = cluster.start(check=False)
    assert result.returncode == 21, message(result)
    assert re.search(r"error: restore_command has \d+ bytes, and PostgreSQL \d+ runs no more than 1023",
                     result.stderr) and "choose a shorter PGREVIVE_HOME" in result.stderr, message(result)
    assert not (cluster.root / "primary/data").exists()
    cluster.run("cleanup", "--yes")


def sorted_by_another_version(major):
    """Database to the collation of which the source has said so."""
    return {"testdb": "sorted",
            **({"essen": "default"} if major >= FIRST_WITH_DATABASE_VERSION else {})}


def test_collation_of_another_version(lifted):
    """Found in this major's catalog, of a column and of a database, with the index that depends on it
    and no other."""
    found = {one["database"]: one for one in lifted.cluster.status()["collations"]["databases"]}
    expected = sorted_by_another_version(lifted.major)
    assert found.keys() == expected.keys()
    for database, collation in expected.items():
        assert [(one["name"], one["provider"], one["source_version"])
                for one in found[database]["collations"]] == [(collation, "icu", "1.2.3")]
        assert [one["name"] for one in found[database]["indexes"]] == ["by_name"], found[database]


@pytest.fixture
def another(lifted, pgrevive):
    """A function: settings to a further cluster from the same backup."""
    made = []

    def make(**values):
        lifted.others += 1
        cluster = Cluster(pgrevive, lifted.space.directory(f"h{lifted.others}"),
                          {**lifted.cluster.values, **values}, name=f"other{lifted.others}")
        cluster.values.update({"CLUSTER_NAME": cluster.name, "POSTGRES_PRIMARY_PORT":
                               cluster.primary_port, "POSTGRES_REPLICA_PORT": cluster.replica_port})
        cluster.write_env()
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()
        shutil.rmtree(cluster.home)


def refused(cluster, code, *words):
    """It is said, with a remedy, before there is anything of the cluster."""
    result = cluster.start(check=False)
    assert result.returncode == code, message(result)
    assert "hint: " in result.stderr
    for word in words:
        assert word in result.stderr, message(result)
    assert not cluster.root.exists()


@pytest.mark.thorough(lifted=BETWEEN)
def test_to_a_target(lifted, another):
    """A name and a transaction are found in this major's WAL, where the server says they are; recovery
    goes to there, and no further."""
    left = lifted.left
    cluster = another(RECOVERY_TARGET_TYPE="name", RECOVERY_TARGET=HALF_WAY, WAL_ARCHIVE="off")
    point = found(cluster)
    assert (point["what"], point["end_lsn"]) == ("restore point", left.half_way)
    cluster.start()
    for node in NODES:
        assert cluster.sql(node, MARKERS) == ROWS_HALF_WAY
    assert cluster.status()["supervisor"]["recovery_end"]["lsn"] == left.half_way
    assert cluster.run("status").returncode == 0

    cluster = another(RECOVERY_TARGET_TYPE="xid", RECOVERY_TARGET=left.xid, WAL_ARCHIVE="off",
                      REPLICAS=0)
    # What the databases need is read from this major's pg_database.
    checks = json.loads(cluster.run("doctor", "--json", check=False).stdout)["checks"]
    assert [line["detail"] for line in checks if line["name"] == "locales"] == [
        "all that the databases of the backup need: C.UTF-8"]
    point = found(cluster)
    assert point["what"] == "commit"
    assert lsn(left.commit[0]) < lsn(point["end_lsn"]) <= lsn(left.commit[1])
    cluster.start()
    assert cluster.sql("primary", MARKERS) == ROWS_HALF_WAY
    assert cluster.status()["supervisor"]["recovery_end"]["lsn"] == point["end_lsn"]


def found(cluster, *words):
    """The point that a preview finds for the target."""
    return json.loads(cluster.run("start", "--preview", "--json", *words).stdout)["point"]


@pytest.mark.thorough(lifted=BETWEEN)
@pytest.mark.parametrize("kind", ["default", "xid"])
def test_restore_command_alone(lifted, pgrevive, kind):
    """`restore` to the end of the archive and to a transaction, and this major's server started by hand
    on what it wrote, be it a recovery.conf."""
    left = lifted.left
    place = lifted.space.directory(f"alone-{kind}", owner=server_user())
    to = ["--target", left.xid, "--target-action", "promote"] if kind == "xid" else []
    pgrevive.restore(left.repo.conf, {"primary": place / "data"}, "--type", kind, *to,
                     tablespaces=place / "ts", user=server_user())
    # Which WAL demands, and nobody is there to see to it.
    with recovered(place / "data", place, bin=left.programs,
                   max_connections=RAISED_CONNECTIONS, **left.room()) as server:
        if kind == "xid":
            assert server.sql(MARKERS, "testdb") == ROWS_HALF_WAY
        else:
            assert server.sql(QUESTION, "testdb") == left.answer
    shutil.rmtree(place)


def test_a_missing_major(lifted, another):
    """What is needed, what is there, and what to install."""
    major = lifted.major
    if not binaries().parent.with_name(str(major)).exists():
        refused(another(POSTGRES_BIN=""), NOT_FOUND, f"PostgreSQL {major} is not installed",
                f"apt-get install postgresql-{major} ", "apt.postgresql.org")
    if major != 15:
        refused(another(POSTGRES_BIN=binaries()), NOT_FOUND,
                f"holds PostgreSQL 15, but version {major} is needed",
                f"apt-get install postgresql-{major} ")


def test_an_archive_that_pgbackrest_cannot_make(lifted, another):
    """Of a version that the installed pgBackRest does not know; the others archive."""
    if lifted.major <= NEWEST_OF_BACKREST:
        assert lifted.cluster.sql("primary", "select archived_count > 0 from pg_stat_archiver") == "t"
        return
    refused(another(WAL_ARCHIVE="own"), UNSUPPORTED, f"knows PostgreSQL {lifted.major}", "2.45",
            "WAL_ARCHIVE=off", "or newer")


@pytest.mark.thorough(lifted=BETWEEN)
def test_a_new_cluster(lifted, another):
    """Without a backup. Replicas of one are copies by pg_basebackup, which npm does not have;
    Debian's (15) copies no newer server."""
    values = {"RESTORE_FROM_BACKUP": "false"}
    refused(another(**values), NOT_FOUND, "has no pg_basebackup", "REPLICAS=0",
            f"postgresql-client-{lifted.major}")
    nodes = NODES if lifted.major <= 15 else NODES[:1]
    program = lifted.left.programs / "pg_basebackup"
    if len(nodes) == 2:
        program.symlink_to(binaries() / "pg_basebackup")
    else:
        values["REPLICAS"] = "0"
    cluster = another(**values)
    try:
        cluster.start()
        cluster.sql("primary", "create table t as select generate_series(1, 10) i")
        if len(nodes) == 2:
            cluster.caught_up()
        for node in nodes:
            assert cluster.sql(node, "select sum(i) from t") == "55"
            assert cluster.sql(node, "show data_checksums") == "on"
    finally:
        program.unlink(missing_ok=True)


def file_of(cluster, database, index):
    return cluster.sql("primary", f"select pg_relation_filenode('{index}')", database)


@pytest.mark.thorough(lifted=BETWEEN)
def test_stopped_and_started(lifted):
    """The last with this cluster, which is sound; its collations have been put right: the index that
    depends on each is another one, and no version is of another ICU."""
    cluster = lifted.cluster
    answer = cluster.sql("primary", QUESTION)
    databases = sorted_by_another_version(lifted.major)
    before = {(database, index): file_of(cluster, database, index)
              for database in databases for index in ("by_name", "by_bytes")}
    cluster.stop()
    cluster.start("--reindex")
    assert cluster.run("status").returncode == 0
    assert not cluster.status()["collations"]["databases"]
    assert {where for where, file in before.items() if file_of(cluster, *where) != file} == {
        (database, "by_name") for database in databases}
    assert cluster.sql("primary", "select count(*) from pg_collation where collname = 'sorted' and "
                       "collversion = pg_collation_actual_version(oid)") == "1"
    if "essen" in databases:
        assert cluster.sql("primary", "select datcollversion = pg_database_collation_actual_version("
                           "oid) from pg_database where datname = 'essen'") == "t"
    for node in NODES:
        assert cluster.sql(node, QUESTION) == answer
    assert soundness.prove(cluster) == list(NODES)


@pytest.mark.thorough(kind=("default",), name=("pg17-none-bundle-block", "pg18-gz-bundle-block-aes"))
@pytest.mark.parametrize("name, kind", [
    ("pg16-none-bundle-block", "default"), ("pg16-none-bundle-block", "xid"),
    ("pg17-none-bundle-block", "default"), ("pg17-none-bundle-block", "time"),
    ("pg18-gz-bundle-block-aes", "default"), ("pg18-gz-bundle-block-aes", "name")])
def test_of_a_newer_pgbackrest(pgrevive, workspace, unpack_fixture, name, kind):
    """PostgreSQL 16 to 18 as a pgBackRest that knows them backs them up: block incremental, with a
    tablespace; recovered to recorded targets."""
    left = unpack_fixture(name)
    target, answer = next((target, answer) for of, target, answer in left.expectations()
                          if of == kind)
    cluster = Cluster(pgrevive, workspace.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": left.repo, "REPO_CIPHER_PASS": left.cipher_pass or "",
        "POSTGRES_BIN": server_programs(left.major, workspace.path), "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0, "RECOVERY_TARGET_TYPE": kind, "RECOVERY_TARGET": target},
        name=f"v{left.major}")
    try:
        cluster.start()
        assert cluster.status()["supervisor"]["backup_label"] == left.label("incr")
        for node in NODES:
            assert cluster.sql(node, fixtures.QUERY) == answer
        cluster.run("test")
    finally:
        # Behind the name somebody has deleted accounts.
        cluster.gone(balanced=kind not in ("default", "xid"))


@pytest.fixture(scope="module")
def failed_over(session_workspace):
    """What a source of 11 has left that was promoted once behind its backup. Up to 11 a server that is
    told no timeline stays on the backup's."""
    directory = session_workspace.directory("failed-over", owner=server_user())
    line = first_line(directory, bin=server_programs(11, directory))
    line.mark("1a")
    line.switch_wal()
    line.mark("1b")
    line.die()
    line.promote()
    line.work()
    line.mark("2a")
    line.switch_wal()
    line.die()
    shutil.rmtree(directory / "source")
    return line.repo.finished(), line.bin


@pytest.mark.parametrize("wanted, rows, come_of", [
    pytest.param([], "1a,1b,2a", [1, 2], id="latest"),
    # 1b was archived on 1 itself only in the ".partial" of a segment.
    pytest.param(["--target-timeline", "current"], "1a,1b", [1], id="current")])
def test_timelines_before_12(pgrevive, failed_over, workspace, wanted, rows, come_of):
    """`restore` tells the server the timeline that it has judged."""
    repo, programs = failed_over
    pgrevive.restore(repo.conf, {"primary": workspace.path / "data"}, "--type", "default", *wanted,
                     user=server_user())
    with recovered(workspace.path / "data", workspace.path, bin=programs) as server:
        assert server.sql(MARKERS, "testdb") == rows
        assert ancestors(server) == come_of


@pytest.mark.parametrize("wanted, rows, line", [
    pytest.param([], "1a,1b,2a", 2, id="latest"),
    pytest.param(["--target-timeline", "1"], "1a,1b", 1, id="named")])
def test_start_along_timelines_before_12(pgrevive, failed_over, workspace, wanted, rows, line):
    """Before 13 a server asks for each place of the log on the newest timeline of its line first, so that
    most of what is absent is no end."""
    repo, programs = failed_over
    cluster = Cluster(pgrevive, workspace.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": repo.path, "POSTGRES_BIN": programs, "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0}, name="along")
    try:
        cluster.start(*wanted)
        for node in NODES:
            assert cluster.sql(node, MARKERS) == rows
        end = cluster.status()["supervisor"]["recovery_end"]
        assert (end["timeline"], end["new_timeline"]) == (line, 3)
    finally:
        cluster.gone()
