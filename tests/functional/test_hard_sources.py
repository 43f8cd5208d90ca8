"""Sources whose configuration would not start on this host, or would act as production on it."""

import json
import pathlib
import shutil
import socket
import threading

import pytest

from rig import soundness
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, binaries, server_user
from rig.process import free_port, run, wait_until
from rig.program import message
from rig.workspace import give

# What ALTER SYSTEM of the source left in postgresql.auto.conf, none of which may work here.
HOST_BOUND = {
    "restore_command": "/usr/bin/false",
    "primary_conninfo": "host=production port=5432", "primary_slot_name": "of_production",
    "listen_addresses": "10.9.8.7", "port": "5999", "unix_socket_directories": "/nonexistent",
    "external_pid_file": "/nonexistent/pid", "log_directory": "/nonexistent/log",
    "ssl": "on", "ssl_cert_file": "/nonexistent/server.crt", "ssl_key_file": "/nonexistent/key",
    "hba_file": "/nonexistent/pg_hba.conf", "ident_file": "/nonexistent/pg_ident.conf",
    "shared_preload_libraries": "no_such_library,pg_cron,pg_stat_statements,timescaledb",
    "timescaledb.max_background_workers": "16",
    "session_preload_libraries": "not_this_either",
    "huge_pages": "on", "shared_buffers": "900GB", "effective_cache_size": "1800GB",
    "synchronous_standby_names": "\"of production\"", "synchronous_commit": "remote_apply",
    "default_transaction_read_only": "on", "default_transaction_isolation": "serializable",
    "cluster_name": "production",
    "recovery_target_time": "2020-01-01 00:00:00+00", "temp_tablespaces": "no_such_tablespace",
}
# Kept, so that who loads the library again has them.
CRON = {"cron.database_name": "testdb", "cron.use_background_workers": "on"}
# A job of pg_cron's that is begun as soon as its worker is there, and what it has done.
JOB = "insert into acted values (now())"
ACTED = "select count(*) from acted"
RUNS = "select count(*) from cron.job_run_details where status = 'succeeded'"
CRON_WORKER = "select count(*) from pg_stat_activity where backend_type = 'pg_cron launcher'"
# What replay demands of a standby: more than any default, and more after the backup than before.
DEMANDS = {"max_connections": (300, 420), "max_worker_processes": (20, 31),
           "max_wal_senders": (15, 33), "max_prepared_transactions": (7, 19),
           "max_locks_per_transaction": (128, 300)}
# More origins than any default has room for, in the backup and in the WAL behind it. What the source
# has set for them was on its command line, as it may be in a file of Debian's.
ROOM = {"max_replication_slots": 100}
ORIGINS = ("select pg_replication_origin_create(name), pg_replication_origin_advance(name, '0/1') "
           "from (select 'of ' || generate_series({}, {})) o(name)")


class Production:
    """What the source talks to, and no clone of it may: where its subscription leads, and what its
    archive_command would leave behind."""

    def __init__(self, directory):
        self.archived = directory / "archived-as-production"
        self.archive_command = f"touch {self.archived}"
        self.port = free_port()
        self.callers = 0
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            self.callers += 1
            caller.close()

    def hears_of_nobody_from_now_on(self):
        self.callers = 0
        self.archived.unlink(missing_ok=True)

    def assert_nobody_came(self):
        assert self.callers == 0 and not self.archived.exists()

    def close(self):
        self._server.close()


@pytest.fixture(scope="module")
def production(session_workspace):
    production = Production(session_workspace.directory("production", owner=server_user()))
    yield production
    production.close()


@pytest.fixture(scope="module")
def hard(session_workspace, production):
    """All of it at once, under load, with a transaction that is prepared and never ends."""
    HOST_BOUND["archive_command"] = production.archive_command
    directory = session_workspace.directory("hard", owner=server_user())
    source = SourceCluster(directory / "source", superuser="The Boss").create()
    demands = {name: low for name, (low, _) in DEMANDS.items()}
    acting = {"shared_preload_libraries": "pg_cron", **CRON}
    source.start(**demands, **acting, **ROOM).fill()
    source.sql(ORIGINS.format(1, 30))
    source.sql("create extension pg_cron; create table acted (at timestamptz); "
               f"select cron.schedule('at once', '@reboot', $${JOB}$$)", "testdb")
    repo = BackrestRepo(directory / "backups", source, compress="zst").create_stanza()
    # As somebody who came to the running server; nothing of it is in force before a restart.
    auto = source.data / "postgresql.auto.conf"
    with open(auto, "a", encoding="utf-8") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in {**HOST_BOUND, **CRON}.items())
    good = (source.data / "pg_hba.conf").read_text()
    (source.data / "pg_hba.conf").write_text("local all all reject\nhost all all all reject\n")
    source.sql("begin; insert into markers (what) values ('prepared'); "
               "prepare transaction 'in doubt'", "testdb")
    source.sql("create table subscribed (i int)", "testdb")
    source.sql(f"create subscription feed connection 'host=127.0.0.1 port={production.port} dbname=x' "
               "publication p with (connect = false)", "testdb")
    source.sql("alter subscription feed enable", "testdb")  # which it is not by itself there
    wait_until(lambda: production.callers > 0, 30, "the source calls where its subscription leads")
    source.sql("select pg_create_physical_replication_slot('of_production', true)")
    brings_no_slot(source, repo, repo.backup("full"))
    (source.data / "pg_hba.conf").write_text(good)
    kept = auto.read_text()
    auto.write_text("")
    ran = int(source.sql(RUNS, "testdb"))
    source.stop()
    source.start(**{name: high for name, (_, high) in DEMANDS.items()}, **acting, **ROOM)
    source.sql(ORIGINS.format(31, 50))
    wait_until(lambda: int(source.sql(RUNS, "testdb")) > ran, 30, "the job runs on the source")
    auto.write_text(kept)
    source.sql("select pg_create_restore_point('raised')")
    late = directory / "mnt" / "late"
    make_place(late)
    source.sql(f"create tablespace late location '{late}'")
    source.sql("create table late_t tablespace late as select generate_series(1, 1000) i", "testdb")
    source.work()
    source.mark("last")
    ran = int(source.sql(ACTED, "testdb"))
    # Nor may what roles and databases have, of whom we are one and connect to one. Nobody is let in
    # as this one by then.
    end = source.sql('alter role "The Boss" set default_transaction_isolation = serializable; '
                     "alter database postgres set default_transaction_isolation = serializable; "
                     'alter role "The Boss" set session_preload_libraries = "no_such_either"; '
                     'alter role "The Boss" set default_transaction_read_only = on; '
                     "select pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: any(repo.path.rglob(f"{end}-*")), 60, f"{end} is archived")
    auto.write_text("")
    source.stop()
    shutil.rmtree(source.directory)
    shutil.rmtree(late.parent)
    make_place(late)  # as on a host that was prepared for it
    production.hears_of_nobody_from_now_on()
    return repo.finished(), late, ran


def make_place(place):
    for directory in (place.parent, place):
        directory.mkdir(mode=0o700, exist_ok=True)
        give(directory, server_user())


def brings_no_slot(source, repo, label):
    """pgBackRest itself leaves them out, so that there is nothing of a slot that could act."""
    assert (source.data / "pg_replslot" / "of_production" / "state").exists()
    manifest = (repo.path / "backup" / "main" / label / "backup.manifest").read_text()
    assert "pg_data/pg_replslot=" in manifest and "of_production" not in manifest


def values(repo, **more):
    return {"REPO_TYPE": "posix", "REPO_PATH": repo.path, "PGBACKREST_STANZA": "main", **more}


def test_comes_up_without_a_human(pgrevive, space, hard, production):
    repo, late, ran = hard
    cluster = Cluster(pgrevive, space.directory("h"), values(repo))
    try:
        told = cluster.start(timeout=300).stdout
        cluster.caught_up()
        for node in ("primary", "replica"):
            assert cluster.sql(node, "select string_agg(what, ',' order by id) from markers") == \
                "m1-filled,last"
            assert cluster.sql(node, "select count(*) from late_t") == "1000"
            for name, (_, high) in DEMANDS.items():
                assert int(cluster.sql(node, f"show {name}")) >= high, (node, name)
            for name, value in HOST_BOUND.items():
                assert cluster.sql(node, f"show {name}") != value, (node, name)
            assert cluster.sql(node, "show shared_preload_libraries") == "pg_stat_statements"
            assert cluster.sql(node, "select count(*) from pg_replication_origin_status "
                               "where external_id ~ '^of '") == "50"
            assert cluster.sql(node, "show timescaledb.max_background_workers") == "0"
            assert cluster.sql(node, CRON_WORKER) == "0"
            assert cluster.sql(node, "select command, active from cron.job") == f"{JOB}|t"
        # Whoever made it may still decide.
        assert cluster.sql("primary", "select gid from pg_prepared_xacts") == "in doubt"
        cluster.sql("primary", "commit prepared 'in doubt'")
        cluster.caught_up()
        assert "prepared" in cluster.sql("replica", "select string_agg(what, ',') from markers")
        assert cluster.sql("primary", "select subenabled, subslotname is null from "
                           "pg_subscription") == "f|t"
        assert cluster.sql("primary", "select slot_name from pg_replication_slots "
                           "order by 1") == "pgrevive_replica"
        assert cluster.sql("primary", "select rolsuper from pg_roles where rolname = "
                           "'The Boss'") == "t"
        # Each is named with its reason, by `start` and in the status.
        dropped = dict(line.split(": ", 1) for line in cluster.status()["supervisor"]["dropped_settings"])
        assert HOST_BOUND.keys() <= dropped.keys(), HOST_BOUND.keys() - dropped.keys()
        assert all(dropped.values())
        for name in HOST_BOUND:
            assert name in told, told
        # And what is another than there: with what it was and what it is.
        changed = cluster.status()["supervisor"]["changed_settings"]
        by_itself = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10,
                     "max_prepared_transactions": 0, "max_locks_per_transaction": 64}
        for line in [*(f"{name}: {by_itself[name]} -> {high}, demanded by the WAL"
                       for name, (_, high) in DEMANDS.items()),
                     "pg_hba.conf: the cluster has its own in conf/; the source's stays in the data "
                     "directory, and is not in force"]:
            assert line in changed and f"\n  {line}\n" in told, (line, changed, told)
        assert "local all all reject" in (cluster.root / "primary/data/pg_hba.conf").read_text()
        # Of roles and databases they came with the data: said, and not changed.
        assert "ALTER ROLE The Boss: session_preload_libraries names" in told, told
        assert "(no_such_either)" in told, told
        assert "ALTER DATABASE postgres: default_transaction_isolation = serializable" in told, told
        assert cluster.run("test").returncode == 0
        assert cluster.sql("primary", ACTED) == cluster.sql("primary", RUNS) == str(ran)
        # Who wants it has it, and then it acts: so it would have all along.
        cluster.sql("primary", 'alter role "The Boss" reset all')  # whose job it is
        cluster.sql("primary", "alter database postgres reset all")
        cluster.sql("primary", "alter system set shared_preload_libraries = pg_stat_statements, pg_cron")
        cluster.run("restart", "primary")
        wait_until(lambda: cluster.sql("primary", ACTED) == str(ran + 1), 30, "the job runs here too")
        assert cluster.sql("primary", CRON_WORKER) == "1"
        # A worker that is there when the primary is set up is told of, whoever has loaded it.
        cluster.stop()
        path = cluster.root / "primary" / "pgrevive-node.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "set_up": False}))
        told_again = cluster.start().stdout
        assert "not PostgreSQL's own run here as they did on the source: pg_cron launcher" in told_again, \
            told_again
        # The tablespace that WAL made lies where it lay on the source, and is the primary's alone.
        places = places_of_late(cluster)
        assert places["primary"] == str(late)
        assert places["replica"].startswith(str(cluster.root / "replica")), places
        assert f"tablespace in {late}" in told and "copied from the primary" in told, told
        production.assert_nobody_came()
        assert soundness.prove(cluster) == ["primary", "replica"]
        not_with_the_memory_of_the_source(cluster)
    finally:
        cluster.gone()


def test_replica_of_the_backup_replays_raised_values(pgrevive, space, hard, production):
    """A standby that has less than its WAL demands would stop in the middle of it."""
    repo, _, _ = hard
    cluster = Cluster(pgrevive, space.directory("h"), values(
        repo, WAL_ARCHIVE="off", RECOVERY_TARGET_TYPE="name", RECOVERY_TARGET="raised"), name="raised")
    try:
        cluster.start()
        cluster.caught_up()
        for node in ("primary", "replica"):
            for name, (_, high) in DEMANDS.items():
                assert int(cluster.sql(node, f"show {name}")) >= high, (node, name)
        replica = cluster.node("replica")
        assert replica["backup_label"] == repo.labels[0] and not replica["made_because"], replica
        production.assert_nobody_came()
    finally:
        cluster.gone()


def not_with_the_memory_of_the_source(cluster):
    """What was dropped is what it could not have started with, where the system promises no more memory
    than it has."""
    if pathlib.Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "1":
        return
    result = run([binaries() / "postgres", "-c",
                  f"config_file={cluster.root}/primary/conf/postgresql.conf",
                  *(f"--{name}={HOST_BOUND[name]}" for name in ("shared_buffers", "huge_pages"))],
                 user=server_user(), check=False, timeout=20)
    assert result.returncode != 0 and "shared memory" in result.stderr, message(result)


def places_of_late(cluster):
    return {node: cluster.sql(node, "select pg_tablespace_location(oid) from pg_tablespace "
                              "where spcname = 'late'") for node in ("primary", "replica")}


def let_amcheck_in(cluster):
    """What the source has set for all of its sessions keeps a look out of a replica."""
    cluster.sql("primary", 'alter role "The Boss" reset all')
    cluster.sql("primary", "alter database postgres reset all")
    cluster.caught_up()


def test_place_of_a_later_tablespace_is_made(pgrevive, space, hard):
    """As on any other host than the source's: it is there when the server asks for it, somebody is told,
    and it goes with the cluster."""
    repo, late, _ = hard
    shutil.rmtree(late.parent)
    cluster = Cluster(pgrevive, space.directory("h"), values(repo), name="makes")
    told = f"the WAL of the source makes a tablespace in {late}, which this host did not have"
    try:
        assert told in cluster.start().stdout
        assert any(told in warning for warning in cluster.status()["supervisor"]["warnings"])
        log = (cluster.root / "primary" / "logs" / "postgresql.log").read_text()
        assert f"made the directory {late} for tablespace" in log
        assert {path.stat().st_mode & 0o7777 for path in (late, late.parent)} == {0o700}
        for anew in (False, True):
            if anew:
                cluster.start("--anew", "--yes")  # and finds its place free
            cluster.caught_up()
            for node in ("primary", "replica"):
                assert cluster.sql(node, "select count(*) from late_t") == "1000"
            places = places_of_late(cluster)
            assert places["primary"] == str(late)
            assert places["replica"].startswith(str(cluster.root / "replica")), places
        foreign = late.parent / "of somebody else"
        foreign.touch()
        let_amcheck_in(cluster)
        assert soundness.prove(cluster) == ["primary", "replica"]
        removed = cluster.run("cleanup", "--yes").stdout
        assert f"removed {late}\n" in removed, removed
        assert f"kept    {late.parent}, made for a tablespace: Directory not empty" in removed, removed
        assert [*late.parent.iterdir()] == [foreign]
        foreign.unlink()
    finally:
        cluster.gone()
        make_place(late)


def test_place_of_a_later_tablespace_goes_with_its_node(pgrevive, space, hard):
    """Also where that has become a replica, and is made anew."""
    repo, late, _ = hard
    shutil.rmtree(late.parent)
    cluster = Cluster(pgrevive, space.directory("h"), values(repo), name="leaves")
    try:
        cluster.start()
        cluster.run("switchover", "replica")
        cluster.caught_up()
        assert places_of_late(cluster)["replica"] == str(late)
        cluster.run("rebuild", "replica", "--yes")
        cluster.caught_up()
        assert places_of_late(cluster)["replica"].startswith(str(cluster.root / "replica"))
        assert not late.parent.exists()
        for node in ("primary", "replica"):
            assert cluster.sql(node, "select count(*) from late_t") == "1000"
        let_amcheck_in(cluster)
        assert soundness.prove(cluster) == ["primary", "replica"]
    finally:
        cluster.gone()
        make_place(late)


def test_place_of_a_later_tablespace_is_denied(pgrevive, space, hard):
    """Where it cannot be made PostgreSQL cannot go on: said with its remedy, and `start` goes on once it
    is there."""
    repo, late, _ = hard
    shutil.rmtree(late.parent)
    late.parent.mkdir()
    late.parent.chmod(0o555)
    cluster = Cluster(pgrevive, space.directory("h"), values(repo, REPLICAS=0), name="denied")
    try:
        result = cluster.start(check=False)
        assert result.returncode == 27, message(result)
        assert f'"{late}" does not exist' in result.stderr, message(result)
        assert "Create this directory" in result.stderr, message(result)
        assert cluster.status()["supervisor"]["recovery_end"] is None
        log = (cluster.root / "primary" / "logs" / "postgresql.log").read_text()
        assert "no directory was made for tablespace" in log and f"{late}: Permission denied" in log
        late.parent.chmod(0o755)
        make_place(late)
        cluster.start()
        assert cluster.sql("primary", "select count(*) from late_t") == "1000"
        # What a person has made is nobody's to remove.
        assert soundness.prove(cluster) == ["primary"]
        assert f"kept    tablespace in {late}" in cluster.run("cleanup", "--yes").stdout
        assert [path.name[:6] for path in late.iterdir()] == ["PG_15_"]
    finally:
        cluster.gone()
        shutil.rmtree(late.parent)
        make_place(late)
