"""End to end: a source with known rows, backed up and gone; then every command of the front door."""

import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import time

import pytest

from rig import secrecy, soundness, tree
from rig.cluster import PASSWORD, AdminerBrowser, Cluster, Manager, command_lines
from rig.postgres import binaries, server_user
from rig.process import listening, run, wait_until
from rig.program import message
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.terminal import on_a_terminal

ON_DISK = True  # where O_DIRECT and syncing mean something


@pytest.fixture(scope="module")
def before(story):
    """The repository as it was before anybody restored from it."""
    return tree.plain(story.repo.path)


@pytest.fixture(scope="module")
def launched(pgrevive, story, before, space):
    """The cluster most tests look at, and what `start` said."""
    cluster = Cluster(pgrevive, space.directory("h"), story.values())
    try:
        result = cluster.start()
        yield cluster, result
    finally:
        cluster.gone()


@pytest.fixture
def cluster(launched):
    return launched[0]


def node_statuses(cluster):
    return {node["name"]: node for node in cluster.status()["nodes"]}


def test_start_returns_when_all_is_up(launched, story):
    """Right after `start`: the primary accepts writes and the replica streams."""
    cluster, result = launched
    assert cluster.sql("primary", "select pg_is_in_recovery()") == "f"
    assert cluster.sql("replica", "select pg_is_in_recovery()") == "t"
    assert cluster.sql("primary", "select state from pg_stat_replication") == "streaming"
    assert story.label in result.stdout
    assert PASSWORD not in message(result) and CIPHER_PASS not in message(result)


@pytest.mark.parametrize("node", ["primary", "replica"])
def test_rows_up_to_the_last_archived_segment(cluster, node):
    """Neither less than was archived nor anything else."""
    assert cluster.sql(node, MARKERS) == ROWS
    assert cluster.sql(node, "select count(*) from pgbench_accounts") == "100000"
    assert cluster.sql(node, "select count(*) from docs") == "1500"
    assert cluster.sql(node, "select count(*) from fast_t") == "5000"
    assert cluster.sql(node, "select count(*) from pg_largeobject_metadata") == "3"
    assert cluster.sql(node, "select name from names", "odd name ü") == "ü"


def test_unlogged_table_is_empty_and_usable(cluster):
    assert cluster.sql("primary", "select count(*) from scratch") == "0"
    cluster.sql("primary", "insert into scratch values (1, 'x'); truncate scratch;")


def test_tablespaces_are_apart(cluster):
    """Both nodes on one host, each with a tablespace directory of its own below its own root."""
    places = {name: cluster.sql(name, "select pg_tablespace_location(oid) from pg_tablespace "
                                "where spcname = 'fast'") for name in ("primary", "replica")}
    assert places["primary"] != places["replica"]
    for name, place in places.items():
        assert pathlib.Path(place).is_relative_to(cluster.root / name)


def test_one_system_one_timeline(cluster, story):
    asked = {cluster.sql(node, "select system_identifier from pg_control_system()")
             for node in ("primary", "replica")}
    assert asked == {str(story.system_identifier)}
    assert cluster.sql("primary", "select timeline_id from pg_control_checkpoint()") == "2"


def test_replication(cluster):
    """A row arrives on the replica; the replica refuses writes; it uses a slot."""
    cluster.sql("primary", "create table if not exists seen (i int); insert into seen values (1)")
    cluster.caught_up()
    assert cluster.sql("replica", "select count(*) from seen") == "1"
    result = cluster.sql("replica", "insert into seen values (2)", check=False)
    assert result.returncode != 0 and "read-only" in result.stderr
    assert cluster.sql("primary", "select count(*) from pg_replication_slots where active") == "1"
    cluster.sql("primary", "drop table seen")


def test_passwords(cluster, story):
    """The superuser has the .env's password, over scram; without or with another nobody comes in."""
    assert cluster.sql("primary", "select 1") == "1"
    for node in ("primary", "replica"):
        result = cluster.sql(node, "select 1", password="another", check=False)
        assert result.returncode != 0 and "password authentication failed" in result.stderr
    assert cluster.sql("primary", "select bool_and(rolpassword like 'SCRAM-SHA-256%') from pg_authid "
                       "where rolcanlogin and rolpassword is not null") == "t"
    # Replication has a role and a password of its own, which opens no database.
    secret = (cluster.root / "secrets" / "replication.pgpass").read_text().strip()
    assert PASSWORD not in secret and len(secret.rsplit(":", 1)[1]) >= 16
    assert cluster.sql("primary", "select string_agg(distinct usename, ',') from "
                       "pg_stat_replication") == "pgrevive_replication"
    assert cluster.sql("primary", "select rolsuper from pg_roles where rolname = "
                       "'pgrevive_replication'") == "f"
    password = secret.rsplit(":", 1)[1]
    for node in ("primary", "replica"):
        for role, word, database in (("pgrevive_replication", password, "testdb"),
                                     ("postgres", PASSWORD, "replication")):
            refused = connect(cluster, node, role, word, database)
            assert refused.returncode != 0, (node, role)
            assert "pg_hba.conf" in refused.stderr and "password" not in refused.stderr, refused.stderr
        system = connect(cluster, node, "pgrevive_replication", password, "replication")
        assert str(story.system_identifier) in system.stdout, message(system)


def connect(cluster, node, role, password, database):
    """Over TCP, as somebody who has that password; of `replication` with what a replica says first."""
    words = (["dbname=x replication=true", "-c", "IDENTIFY_SYSTEM"] if database == "replication" else
             [f"dbname={database}", "-c", "select 1"])
    return run([binaries() / "psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p",
                str(cluster.port(node)), "-U", role, "-d", *words], check=False,
               env={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": 10})


def test_secrets_are_in_no_process_list(cluster):
    """Neither now nor, as test_secrets_while_starting looks at, during the restore."""
    lines = command_lines()
    assert str(cluster.root) in lines
    assert secrecy.told(secrecy.of(cluster), lines.encode()) == []


def test_files_with_secrets_are_private(cluster):
    """Nobody but the owner reads a file that holds a secret."""
    secrets = secrecy.of(cluster)
    assert {"POSTGRES_PASSWORD", "REPO_CIPHER_PASS", "password of replication"} <= set(secrets)
    assert secrecy.kept(cluster, secrets) == (set(secrets), [])


def test_status(cluster, story):
    """Text for people, JSON for programs."""
    nodes = node_statuses(cluster)
    assert nodes["primary"]["role"] == "primary" and nodes["replica"]["role"] == "replica"
    assert nodes["primary"]["port"] == cluster.primary_port
    assert nodes["replica"]["port"] == cluster.replica_port
    assert {node["timeline"] for node in nodes.values()} == {2}
    assert nodes["replica"]["replication"] == "streaming"
    assert nodes["replica"]["lag_bytes"] is not None
    assert nodes["replica"]["lag_seconds"] is not None
    for node in nodes.values():
        assert node["backup_label"] == story.label
        assert node["state"] == "accepting" and re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", node["lsn"])
        assert node["data_bytes"] > 50_000_000 and node["disk_free_bytes"] > 0
        assert node["version"].startswith("15.")
    status = cluster.status()
    assert status["adminer_answers"] is True
    assert status["archiving"].startswith("own: ") and status["archiving_ok"] is True
    end = status["supervisor"]["recovery_end"]
    assert end["newest_archived_wal"] == end["last_replayed_wal"] == story.newest_wal
    assert end["target"] == "latest" and end["wal_left"] == 0 and end["before_target_us"] is None
    # What was reached: the last commit that was archived, and not a byte behind it.
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", end["lsn"])
    newest, later = story.newest_commit
    assert seconds_between(newest, end["last_commit_time"]) >= 0
    assert seconds_between(end["last_commit_time"], later) > 0

    text = cluster.run("status").stdout
    for word in ("primary", "replica", "streaming", story.label, cluster.primary_port,
                 cluster.replica_port, "recovery", end["newest_archived_wal"], "archiving", "lag",
                 "disk free", end["lsn"], end["last_commit_time"], "target: latest",
                 f"WAL read to {story.newest_wal}, the newest in the archive"):
        assert str(word) in text
    log = (cluster.root / "logs" / "supervisor.log").read_text()
    assert (f"recovery ended at {end['lsn']} on timeline 1 (target: latest); last commit "
            f"{end['last_commit_time']}; WAL read to {story.newest_wal}, the newest in the archive"
            ) in log, log


def seconds_between(*times):
    """Of two times as PostgreSQL writes them in UTC."""
    first, second = (datetime.datetime.fromisoformat(f"{time}:00") for time in times)
    return (second - first).total_seconds()


def test_checks_pass(cluster):
    """`test` passes on a whole cluster and leaves nothing behind."""
    tables = "select count(*) from pg_class where relkind = 'r' and relnamespace <> 'pg_catalog'::regnamespace"
    count = cluster.sql("primary", tables)
    databases = cluster.sql("primary", "select string_agg(datname, ',' order by 1) from pg_database")
    result = cluster.run("test")
    assert "failed" not in result.stdout.replace("0 failed", "")
    assert cluster.sql("primary", tables) == count
    assert databases == cluster.sql("primary",
                                    "select string_agg(datname, ',' order by 1) from pg_database")


def test_logs(cluster):
    """The restore's log under its name, PostgreSQL's, a prefix for each node."""
    for node in ("primary", "replica"):
        log = cluster.root / node / "logs" / "main-restore.log"
        assert "restor" in log.read_text()
        text = cluster.run("logs", node, "-n", "1000").stdout
        assert "main-restore" in text or "restor" in text
        assert "database system is ready" in text
        assert all(node in line.split("|")[0] for line in text.splitlines()[:5])
    both = cluster.run("logs", "-n", "2000").stdout
    assert "primary" in both and "replica" in both


def test_logs_follow(cluster, space):
    """-f shows what is written while we look."""
    daemon = cluster.pgrevive.launch("--env-file", cluster.env_file, "logs", "primary", "-f",
                                     log=space.path / "follow.log", env=cluster.environment)
    try:
        wait_until(lambda: daemon.log.read_bytes(), 20, "logs -f begins")
        cluster.sql("primary", "do $$ begin raise log 'a line for the follower'; end $$")
        wait_until(lambda: b"a line for the follower" in daemon.log.read_bytes(), 10,
                   "the new line is shown")
    finally:
        daemon.stop(signal.SIGINT)
    assert daemon.process.returncode == 0


def test_psql_and_exec(cluster):
    """psql without a password for whoever runs the cluster; a shell with the PG variables set."""
    result = cluster.run("psql", "primary", "-At", "-c", "select current_database(), inet_server_port() "
                         "is not distinct from null or true, pg_is_in_recovery()")
    assert result.stdout.strip() == "testdb|t|f"
    result = cluster.run("psql", "replica", "-At", "-c", "select pg_is_in_recovery()")
    assert result.stdout.strip() == "t"
    assert cluster.run("psql", "primary", "-c", "select nonsense", check=False).returncode != 0
    result = cluster.run("exec", "replica", "--", "sh", "-c",
                         'echo "$PGPORT $PGUSER $PGDATABASE"; test -f "$PGDATA/PG_VERSION" && '
                         'test -n "$PGHOST" && psql -Atc "select pg_is_in_recovery()"; '
                         'pg_controldata --version; exit 7', check=False)
    lines = result.stdout.splitlines()
    assert lines[0] == f"{cluster.replica_port} postgres testdb", message(result)
    assert lines[1] == "t"
    assert lines[2].startswith("pg_controldata (PostgreSQL) 15")
    assert result.returncode == 7


def test_exec_of_an_unknown_program(pgrevive, cluster, tmp_path):
    """Also where the owner of the cluster may not look into all of root's PATH."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    env = {**cluster.environment, "PATH": f"{locked}:{os.environ['PATH']}"}
    for name in ("nosuch", "/nosuch/program"):
        result = pgrevive("--env-file", cluster.env_file, "exec", "primary", "--", name, check=False, env=env)
        assert (result.returncode, result.stderr) == (23, f"error: there is no program {name}\n")


def test_psql_and_exec_on_a_terminal(pgrevive, cluster):
    """As people use them: a prompt, and a shell that knows the node."""
    begin = [pgrevive.path, "--env-file", cluster.env_file]
    env = {**cluster.environment, "PSQL_PAGER": "cat"}
    text = on_a_terminal([*begin, "psql", "replica"], typed="select 40 + 2 as answer, "
                         "pg_is_in_recovery();\n\\q\n", env=env)
    assert "testdb=#" in text and re.search(r"answer.*\n.*\n +42 \| t\b", text), text
    text = on_a_terminal([*begin, "exec", "primary"], typed="echo =$PGPORT=$PGDATA=; exit\n", env=env)
    assert f"={cluster.primary_port}={cluster.root}/primary/data=" in text, text


def test_archiving_into_an_own_stanza(cluster, story):
    """WAL of the new timeline is archived, apart from the source; pgBackRest itself reads it."""
    conf = next(cluster.root.rglob("pgbackrest.conf"))
    name = cluster.sql("primary", "select pg_walfile_name(pg_current_wal_lsn())")
    cluster.sql("primary", "select pg_switch_wal()")
    wait_until(lambda: cluster.sql("primary", "select last_archived_wal >= "
                                   f"'{name}' from pg_stat_archiver") == "t", 60, f"{name} archived")
    stanza = "main"
    info = json.loads(run(["pgbackrest", f"--config={conf}", "--output=json", "info"],
                          user=server_user()).stdout)
    assert info[0]["name"] == stanza, info
    assert info[0]["archive"][0]["max"] >= name
    assert cluster.sql("primary", "select failed_count from pg_stat_archiver") == "0"
    assert str(story.repo.path) + "\n" not in conf.read_text()
    run(["pgbackrest", f"--config={conf}", f"--stanza={stanza}", "check"], user=server_user(),
        timeout=90)


def test_adminer(cluster):
    """Its login page lists both servers, and logging in to each works."""
    page = AdminerBrowser(cluster.adminer_port).get()
    assert str(cluster.primary_port) in page and str(cluster.replica_port) in page, page[:3000]
    for node in ("primary", "replica"):
        server = servers_on(page)[str(cluster.port(node))]
        browser = AdminerBrowser(cluster.adminer_port)
        inside = browser.login(server, "postgres", PASSWORD, "testdb")
        assert "docs" in inside and "fast_t" in inside, inside[:3000]
        refused = AdminerBrowser(cluster.adminer_port).login(server, "postgres", "wrong", "testdb")
        assert "fast_t" not in refused


def servers_on(page):
    """Port to the value of the login form's choice of servers."""
    values = re.findall(r"<option value=[\"']([^\"']*:(\d+))[\"']", page)
    return {port: value for value, port in values}


def test_adminer_is_local(cluster):
    """Nobody from outside reaches it; nor, where there is no outside, by another address."""
    own = run(["hostname", "-I"], check=False).stdout.split()
    for address in [*own, "127.0.0.2"]:
        if "." in address:
            with socket.socket() as probe:
                probe.settimeout(2)
                assert probe.connect_ex((address, cluster.adminer_port)) != 0, address


def test_start_again_changes_nothing(cluster):
    """Idempotent: running servers stay the same processes."""
    pids = {name: node["pid"] for name, node in node_statuses(cluster).items()}
    cluster.start()
    assert pids == {name: node["pid"] for name, node in node_statuses(cluster).items()}


def test_stop_and_start_without_a_second_restore(cluster):
    """Data written meanwhile is there; the restore log did not grow; same system."""
    logs = [cluster.root / node / "logs" / "main-restore.log" for node in ("primary", "replica")]
    sizes = [log.stat().st_size for log in logs]
    cluster.sql("primary", "insert into markers (what) values ('after-restore')")
    assert soundness.prove(cluster) == ["primary", "replica"]  # which stops it
    assert not listening(cluster.primary_port) and not listening(cluster.replica_port)
    assert not listening(cluster.adminer_port)
    assert cluster.processes() == {}
    for node in ("primary", "replica"):
        state = run(["/usr/lib/postgresql/15/bin/pg_controldata", cluster.root / node / "data"]).stdout
        assert re.search(r"cluster state: +shut down", state)
    assert cluster.run("status", check=False).returncode != 20
    assert cluster.run("test", check=False).returncode != 0

    cluster.start()
    assert [log.stat().st_size for log in logs] == sizes
    assert cluster.sql("primary", MARKERS) == ROWS + ",after-restore"
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == ROWS + ",after-restore"
    cluster.sql("primary", "delete from markers where what = 'after-restore'")


def test_restart(cluster):
    """New processes, same data."""
    pids = {node["pid"] for node in node_statuses(cluster).values()}
    cluster.run("restart")
    assert pids.isdisjoint({node["pid"] for node in node_statuses(cluster).values()})
    assert cluster.sql("replica", MARKERS) == ROWS


@pytest.mark.parametrize("node", ["primary", "replica"])
def test_server_that_dies_is_started_again(cluster, node):
    """kill -9 of a postmaster: back without anybody's doing, and replication goes on."""
    pid = cluster.node(node)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (cluster.node(node)["pid"] not in (0, pid)
                        and cluster.sql(node, "select 1", check=False).returncode == 0), 60,
               f"{node} is started again")
    cluster.sql("primary", "create table revived (i int)")
    wait_until(lambda: cluster.sql("primary", "select count(*) from pg_stat_replication "
                                   "where state = 'streaming'") == "1", 60, "streaming again")
    cluster.caught_up()
    cluster.sql("primary", "drop table revived")
    cluster.run("test")


def test_supervisor_that_dies_is_replaced(cluster):
    """kill -9 of the supervisor: servers go on; `start` takes them over without a restart."""
    before = cluster.status()
    pids = {node["name"]: node["pid"] for node in before["nodes"]}
    os.kill(before["supervisor"]["pid"], signal.SIGKILL)
    time.sleep(1)
    assert cluster.sql("primary", "select 1") == "1"
    cluster.start()
    after = cluster.status()
    assert after["supervisor_running"] is True
    assert after["supervisor"]["pid"] != before["supervisor"]["pid"]
    assert {node["name"]: node["pid"] for node in after["nodes"]} == pids
    os.kill(pids["replica"], signal.SIGKILL)
    wait_until(lambda: cluster.node("replica")["pid"] not in (0, pids["replica"])
               and cluster.run("test", check=False).returncode == 0, 60,
               "the new supervisor watches the servers it took over")


def test_second_cluster_beside_it(pgrevive, cluster, checkout):
    """An empty new one (RESTORE_FROM_BACKUP=false) with another name and ports, same home."""
    other = Cluster(pgrevive, cluster.home, {
        "RESTORE_FROM_BACKUP": "false", "POSTGRES_DB": "fresh", "POSTGRES_USER": "boss"},
        name="second")
    try:
        assert "running" in Manager(other, checkout)("start").stdout
        assert other.sql("primary", "select current_user", "fresh", "boss") == "boss"
        other.sql("primary", "create table t (i int); insert into t values (1)", "fresh", "boss")
        lsn = other.sql("primary", "select pg_current_wal_lsn()", "fresh", "boss")
        wait_until(lambda: other.sql("replica", f"select pg_last_wal_replay_lsn() >= '{lsn}'",
                                     "fresh", "boss") == "t", 30, "replica caught up")
        assert other.sql("replica", "select count(*) from t", "fresh", "boss") == "1"
        assert "archived" in other.run("test").stdout
        cluster.run("test")
        assert (other.sql("primary", "select system_identifier from pg_control_system()", "fresh",
                          "boss")
                != cluster.sql("primary", "select system_identifier from pg_control_system()"))
        other.run("cleanup", "--yes")
        assert not other.root.exists()
        cluster.run("test")
    finally:
        other.gone()


def test_port_in_use(pgrevive, cluster, space, story):
    """A second cluster on the first one's port is refused before anything is restored."""
    other = Cluster(pgrevive, cluster.home, story.values(), name="third")
    other.values["POSTGRES_PRIMARY_PORT"] = cluster.primary_port
    other.write_env()
    try:
        result = other.start(check=False)
        assert result.returncode == 30, message(result)
        assert str(cluster.primary_port) in result.stderr and "hint: " in result.stderr
        assert not (other.root / "primary" / "data" / "base").exists()
    finally:
        other.gone()


def test_cleanup_asks(cluster):
    """Without the word yes nothing is removed; a running cluster still runs."""
    for answer in ("", "no\n", "y\n", "YES please\n"):
        result = cluster.run("cleanup", input=answer, check=False)
        assert result.returncode != 0, answer
        assert (cluster.root / "primary" / "data" / "PG_VERSION").exists()
    assert cluster.sql("primary", "select 1") == "1"


def test_cleanup_removes_only_its_own(cluster, space, story, before):
    """The last test with this cluster: links out of its directory are not followed."""
    assert soundness.prove(cluster) == ["primary", "replica"]
    cluster.start()
    cluster.unproven = "it was a moment ago, and runs again only to be removed as it runs"
    precious = space.directory("precious")
    (precious / "thesis.odt").write_text("years of work")
    (cluster.root / "logs" / "link").symlink_to(precious)
    (cluster.root / "primary" / "outside").symlink_to(precious / "thesis.odt")
    (cluster.root / "notes.txt").write_text("somebody's")
    cluster.run("cleanup", input="yes\n")
    assert [path.name for path in cluster.root.iterdir()] == ["notes.txt"]
    shutil.rmtree(cluster.root)
    assert (precious / "thesis.odt").read_text() == "years of work"
    assert cluster.processes() == {}
    assert not listening(cluster.primary_port)
    # And the source repository is byte for byte what it was before the first start.
    assert tree.differences(before, tree.plain(story.repo.path)) == []
    again = cluster.run("cleanup", "--yes", check=False)
    assert again.returncode in (0, 23), message(again)
