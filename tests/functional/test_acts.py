"""What a person asks of a cluster that runs: that nodes change places, a replica is made again, a server
is started again, and all of it is made anew as of another moment."""

import contextlib
import errno
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from rig.cluster import PASSWORD, Cluster
from rig.console import ARCHIVE_METRICS, Console, Described, Metrics
from rig.faulty_calls import Call, FaultyCalls
from rig.postgres import binaries, server_user
from rig.process import child_options, free_port, run, wait_until
from rig.program import message
from rig.story import MARKERS, ROWS


@pytest.fixture(scope="module")
def asked(pgrevive, space, story):
    """A cluster that archives, with a console, whose nodes speak TLS; the source has a tablespace."""
    cluster = Cluster(pgrevive, space.directory("h"), {
        **story.values(), "ADMINER_PORT": 0, "CONSOLE_PORT": free_port(), "NODE_TLS": "on"},
        name="asked")
    cluster.console = Console(cluster.values["CONSOLE_PORT"])
    try:
        cluster.start()
        cluster.sql("primary", "create table written (i int)")
        yield cluster
    finally:
        cluster.gone()


def token(cluster):
    return cluster.run("console", "--token").stdout.strip()


def places(cluster):
    """Which directory is whose, whatever it is called."""
    return [(cluster.root / node / "data").stat().st_ino for node in ("primary", "replica")]


def mark_data(cluster, *nodes):
    """Data that is thrown away takes its mark along; a new directory may have an old one's number."""
    for node in nodes:
        (cluster.root / node / "data" / "marked").touch()


def marked(cluster):
    return [node for node in ("primary", "replica")
            if (cluster.root / node / "data" / "marked").exists()]


def timeline(cluster, node="primary"):
    return cluster.node(node)["timeline"]


def request_file(cluster):
    return cluster.root / "run" / "request.json"


def leave(cluster, act, node):
    """As one would who is killed behind it, or who does not look at what is asked for."""
    beside = request_file(cluster).with_suffix(".new")
    beside.write_text(json.dumps({"id": "left", "act": act, "node": node,
                                  "left_ms": int(time.time() * 1000)}))
    beside.chmod(0o644)
    beside.rename(request_file(cluster))


def set_for(cluster, node, name, value):
    """As a person does."""
    cluster.sql(node, f"alter system set {name} = '{value}'")
    cluster.sql(node, "select pg_reload_conf()")


def streams_over_tls(cluster):
    """What the primary says of its only receiver."""
    wait_until(lambda: cluster.sql("primary", "select count(*) from pg_stat_replication") == "1",
               30, "the replica streams")
    return cluster.sql("primary", "select ssl, version from pg_stat_ssl join pg_stat_replication "
                                  "using (pid)") == "t|TLSv1.3"


def is_whole(cluster, rows):
    """Both nodes are what their names say, and have all."""
    cluster.caught_up()
    assert cluster.sql("primary", "select pg_is_in_recovery()") == "f"
    assert cluster.sql("replica", "select pg_is_in_recovery()") == "t"
    for node in ("primary", "replica"):
        assert cluster.sql(node, "select count(*) from written") == str(rows)
        assert cluster.sql(node, MARKERS) == ROWS
        assert int(cluster.sql(node, "select count(*) from fast_t")) > 0  # in a tablespace
        own = cluster.root / node / "tablespaces"
        links = list((cluster.root / node / "data" / "pg_tblspc").iterdir())
        assert links and all(own in link.readlink().parents for link in links)
        assert not (cluster.root / node / "switchover.json").exists()
    assert streams_over_tls(cluster)
    # Nothing keeps WAL back for nobody.
    assert cluster.sql("replica", "select count(*) from pg_replication_slots") == "0"
    assert cluster.sql("primary", "select bool_and(active) from pg_replication_slots") == "t"
    status = cluster.status()
    assert status["supervisor"]["phase"] == "running"
    assert not [problem for problem in status["problems"] if problem["grave"]]


def as_replica(cluster, **words):
    """A connection as a replica makes it, with other words in it than its own."""
    conf = (cluster.root / "replica" / "conf" / "postgresql.conf").read_text()
    own = re.search(r"^primary_conninfo = '(.*)'$", conf, re.M)[1].replace("''", "'")
    assert "sslmode=verify-ca" in own, own
    more = " ".join(f"{name}={value}" for name, value in words.items())
    return run([binaries() / "psql", "-XAtc", "IDENTIFY_SYSTEM",
                f"{own} dbname=postgres replication=true {more}"],
               env={"HOME": "/nonexistent"}, check=False, user=server_user())


def test_tls_between_nodes(asked, space):
    """NODE_TLS: who replicates does so over TLS and knows its primary by the cluster's authority; no
    key is anybody else's to read. An authority that is not the cluster's is refused, and mended."""
    assert streams_over_tls(asked)
    assert as_replica(asked).returncode == 0
    for mode, said in (("disable", "no encryption"), ("verify-ca", "certificate verify failed")):
        wrong = space.path / "wrong.crt"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=pgrevive asked", "-keyout", "/dev/null", "-out", wrong])
        wrong.chmod(0o644)
        refused = as_replica(asked, sslmode=mode, sslrootcert=wrong)
        assert refused.returncode != 0 and said in refused.stderr, message(refused)
    refused = run([binaries() / "psql", "-Xc", "select 1", f"host=127.0.0.1 sslmode=disable "
                   f"port={asked.primary_port} user=postgres dbname=testdb"],
                  env={"PGPASSWORD": PASSWORD}, check=False)
    assert "no encryption" in refused.stderr, message(refused)
    for key in [*asked.root.glob("*/conf/tls-server.key"), asked.root / "secrets/tls-authority.key"]:
        entry = key.stat()
        owner = (asked.root / "primary" / "data").stat()
        assert stat.S_IMODE(entry.st_mode) == 0o600 and entry.st_uid == owner.st_uid, key

    trusted = asked.root / "replica" / "conf" / "tls-authority.crt"
    right = trusted.read_bytes()
    trusted.write_bytes(wrong.read_bytes())
    asked.sql("primary", "select pg_terminate_backend(pid) from pg_stat_replication")
    log = asked.root / "replica" / "logs" / "postgresql.log"
    wait_until(lambda: "certificate verify failed" in log.read_text(errors="replace"), 30,
               "the replica refuses its primary")
    assert asked.sql("primary", "select count(*) from pg_stat_replication") == "0"
    asked.run("restart", "replica")
    assert trusted.read_bytes() == right
    assert streams_over_tls(asked)


def test_switchover(asked):
    """Nothing that was committed is lost, names and ports go on to say what a node does, and the old
    primary follows the new one."""
    before, line = places(asked), timeline(asked)
    asked.sql("primary", "insert into written select generate_series(1, 1000)")
    # What is said so belongs to the place, and what we write waits for no standby that is down.
    set_for(asked, "primary", "synchronous_standby_names", "replica")
    set_for(asked, "replica", "work_mem", "7MB")
    said = json.loads(asked.run("switchover", "--json").stdout)
    assert said["act"] == "switchover" and said["state"] == "done" and said["error"] == ""
    assert places(asked) == before[::-1]
    is_whole(asked, 1000)
    assert asked.sql("primary", "show synchronous_standby_names") == "replica"
    assert asked.sql("replica", "show work_mem") == "7MB" != asked.sql("primary", "show work_mem")
    assert timeline(asked) == timeline(asked, "replica") == line + 1
    # Its WAL goes into the same archive, on its own timeline.
    name = asked.sql("primary", "insert into written values (0); select pg_walfile_name("
                                "pg_switch_wal())")
    wait_until(lambda: list((asked.root / "archive").rglob(name + "*")), 30, "it is archived")
    asked.sql("primary", "delete from written where i = 0")
    asked.run("test")


def test_switchover_back_through_the_console(asked):
    before, line = places(asked), timeline(asked)
    assert asked.console.ask("/api/v1/actions/switchover", "POST")[0] == 401
    assert asked.console.act("switchover", token(asked), node="nobody")[0] == 400
    status, said = asked.console.act("switchover", token(asked), node="replica")
    assert status == 200 and said["request"]["state"] == "done", said
    described = Described(asked.console.json("/api/v1/openapi.json"))
    described.check("/api/v1/actions/{action}", said, "post")
    described.check("/api/v1/status", asked.console.json("/api/v1/status"))
    assert places(asked) == before[::-1] and timeline(asked) == line + 1
    is_whole(asked, 1000)
    assert asked.sql("primary", "show synchronous_standby_names") == "replica"
    set_for(asked, "primary", "synchronous_standby_names", "")


def test_no_switchover_where_somebody_has_a_slot(asked):
    """Who reads from it would miss something, and nobody would say so."""
    before, pid = places(asked), asked.node("primary")["pid"]
    asked.sql("primary", "select pg_create_physical_replication_slot('of_a_backup')")
    refused = asked.run("switchover", check=False)
    asked.sql("primary", "select pg_drop_replication_slot('of_a_backup')")
    assert refused.returncode != 0 and "of_a_backup (physical)" in message(refused)
    # Nor with fewer connections than the primary had, as which a standby does not start.
    set_for(asked, "primary", "max_connections", "20")
    refused = asked.run("switchover", check=False)
    asked.sql("primary", "alter system reset max_connections")
    assert refused.returncode != 0 and "max_connections from" in message(refused)
    assert "`restart primary` first" in message(refused)
    assert places(asked) == before and asked.node("primary")["pid"] == pid


def test_no_switchover_over_what_is_mounted(asked):
    """It would go along, and be at its old place again after a restart of the host."""
    before, pid = places(asked), asked.node("primary")["pid"]
    place = asked.root / "replica" / "tablespaces" / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        refused = asked.run("switchover", check=False)
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()
    assert refused.returncode != 0 and f"mounted on {place}" in message(refused)
    assert places(asked) == before and asked.node("primary")["pid"] == pid


@pytest.mark.skipif(server_user() is None, reason="root alone is not held up by a mode")
def test_no_switchover_without_an_archive_that_has_all(asked):
    """All stays as it was."""
    before, line = places(asked), timeline(asked)
    archive = asked.root / "archive"
    mode = archive.stat().st_mode
    archive.chmod(0)
    try:
        asked.sql("primary", "insert into written values (1001); select pg_switch_wal()")
        refused = asked.run("switchover", check=False)
    finally:
        archive.chmod(mode)
    assert refused.returncode != 0 and "not in the archive yet" in message(refused)
    assert places(asked) == before and timeline(asked) == line
    # After three failures PostgreSQL waits for a minute, or for the next segment.
    wait_until(lambda: asked.sql("primary", "select pg_switch_wal() is not null") and
               asked.status()["healthy"], 120, "it archives again", every=2)
    is_whole(asked, 1001)


def test_metrics_of_an_archive(asked):
    """What a dashboard asks of a cluster that archives is there, and is what its server says."""
    switched = asked.sql("primary", "select pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: asked.sql("primary", "select last_archived_wal from pg_stat_archiver") >= switched,
               60, "it is archived")

    def told():
        metrics = Metrics(asked.console.ask("/metrics")[1], asked.name)
        return [metrics(name) for name in ARCHIVE_METRICS]
    said = [float(value) for value in asked.sql(
        "primary", "select archived_count, failed_count, extract(epoch from last_archived_time) "
                   "from pg_stat_archiver").split("|")]
    wait_until(lambda: told()[0] >= said[0], 30, "the console has looked")
    assert told()[:2] == said[:2] and told()[2] == pytest.approx(said[2], abs=1)


def test_no_switchover_to_one_that_is_behind(asked):
    """Refused before anything is stopped: its replay would be waited for with nobody able to connect."""
    before, pid = places(asked), asked.node("primary")["pid"]
    asked.sql("replica", "select pg_wal_replay_pause()")
    try:
        asked.sql("primary", "select count(pg_logical_emit_message(false, '', repeat('x', 1000000))) "
                             "from generate_series(1, 70)")
        refused = asked.run("switchover", check=False)
    finally:
        asked.sql("replica", "select pg_wal_replay_resume()")
    assert refused.returncode != 0 and "behind the primary" in message(refused)
    assert places(asked) == before and asked.node("primary")["pid"] == pid
    is_whole(asked, 1001)


def test_what_a_switchover_puts_in_place_is_synced(asked, space):
    """Links of tablespaces before a record says what their node does, and that there is nothing left to do."""
    asked.run("stop")
    calls = FaultyCalls(space.directory("switchover-calls"), asked.root)
    asked.pgrevive("--env-file", asked.env_file, "start", env={**asked.environment, **calls.watched()})
    asked.noticed("start")
    asked.run("switchover")
    made = [(call.function, call.name) for call in calls.calls() if call.role == "supervise"]
    for node in ("primary", "replica"):
        put = made.index(("rename", f"@/{node}/data/pg_tblspc/#"))
        recorded = made.index(("rename", f"@/{node}/pgrevive-node.json"), put)
        assert ("fsync", f"@/{node}/data/pg_tblspc") in made[put:recorded], made[put:recorded]
    done = made.index(("unlink", "@/primary/switchover.json"))
    assert ("fsync", "@/primary") in made[done:done + 3], made[done:done + 9]
    # And without what is written down.
    asked.run("stop")
    asked.run("start")
    is_whole(asked, 1001)


def test_signal_file_that_cannot_be_removed(asked):
    """With it the primary would be a standby: the file is named, and no server is started on it."""
    asked.run("stop")
    place = asked.root / "primary" / "data" / "standby.signal"
    place.mkdir()
    (place / "kept").touch()
    result = asked.start(check=False)
    assert result.returncode == 29 and f"cannot remove {place}" in result.stderr, message(result)
    assert not (asked.root / "primary" / "data" / "postmaster.pid").exists()
    (place / "kept").unlink()
    place.rmdir()
    asked.start()
    is_whole(asked, 1001)


def test_switchover_whose_supervisor_is_killed(pgrevive, asked):
    """From the exchange on there is no way back, and the next start goes on."""
    before = places(asked)
    switching = pgrevive.launch("--env-file", asked.env_file, "switchover",
                                log=asked.home.parent / "switchover.log", env=asked.environment)
    wait_until((asked.root / "primary" / "switchover.json").exists, 60, "they change places",
               every=0.001)
    os.kill(int((asked.root / "run" / "supervisor.lock").read_text()), signal.SIGKILL)
    switching.process.wait(60)
    assert switching.process.returncode != 0
    # What was asked of the one that is gone is not carried out by the next.
    leave(asked, "rebuild", "replica")
    asked.start()
    assert not request_file(asked).exists()
    assert places(asked) == before[::-1]
    is_whole(asked, 1001)
    assert asked.status()["supervisor"].get("request") is None


def test_a_replica_is_made_again(asked):
    """By who types the cluster's name only: it destroys data."""
    mark_data(asked, "replica")
    refused = asked.run("rebuild", input="no\n", check=False)
    assert refused.returncode != 0 and marked(asked) == ["replica"]
    for query in ({}, {"confirm": "another"}):
        status, said = asked.console.act("rebuild", token(asked), node="replica", **query)
        assert status == 400 and "confirm" in said["error"]["message"], said
    assert asked.console.act("rebuild", token(asked), node="primary", confirm="asked")[0] == 400
    leave(asked, "rebuild", "primary")
    wait_until(lambda: (asked.status()["supervisor"].get("request") or {}).get("state") == "failed",
               20, "the supervisor looks at it too")
    assert "is for a replica" in asked.status()["supervisor"]["request"]["error"]
    assert marked(asked) == ["replica"]
    status, said = asked.console.act("rebuild", token(asked), node="replica", confirm="asked")
    assert status == 200 and said["request"]["state"] == "done", said
    assert marked(asked) == []
    is_whole(asked, 1001)


def test_nothing_is_asked_of_a_replica_whose_primary_cannot_run(asked):
    """It may be all that is left of what the cluster wrote, so it stays as it is."""
    mark_data(asked, "replica")
    pid = asked.node("replica")["pid"]
    record = (asked.root / "replica" / "pgrevive-node.json").read_text()
    with open(asked.root / "primary" / "conf" / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write("nobody knows this\n")
    os.kill(asked.node("primary")["pid"], signal.SIGQUIT)
    wait_until(lambda: asked.status()["supervisor"]["phase"] == "failed", 60, "it is given up")
    assert "contains errors" in asked.status()["supervisor"]["error"]
    for act, words in (("rebuild", "there is no primary to make it anew from: "),
                       ("switchover", "there is no primary to change places with: ")):
        refused = asked.run(act, *(["--yes"] if act == "rebuild" else []), "replica", check=False)
        assert refused.returncode == 27 and words in refused.stderr, message(refused)
        assert refused.stderr.count("hint: ") == 1, message(refused)
        assert asked.status()["supervisor"]["request"]["state"] == "failed"
    assert asked.node("replica")["pid"] == pid and marked(asked) == ["replica"]
    assert (asked.root / "replica" / "pgrevive-node.json").read_text() == record
    assert asked.sql("replica", "select count(*) from written") == "1001"
    asked.start()  # writes the configuration anew
    assert asked.node("replica")["pid"] == pid
    is_whole(asked, 1001)


def test_one_server_is_started_again(asked):
    pids = {node: asked.node(node)["pid"] for node in ("primary", "replica")}
    status, said = asked.console.act("restart-node", token(asked), node="replica")
    assert status == 200 and said["request"]["state"] == "done", said
    assert asked.node("primary")["pid"] == pids["primary"]
    assert asked.node("replica")["pid"] != pids["replica"]
    asked.run("restart", "primary")
    assert asked.node("primary")["pid"] != pids["primary"]
    is_whole(asked, 1001)


def programs_beside():
    """Copies of the program that whoever makes a cluster anew runs from; of other tests too."""
    return set(pathlib.Path(tempfile.gettempdir()).glob("pgrevive-??????/pgrevive"))


def test_made_anew_as_of_a_moment(asked, story):
    """From the page, by who types the name; not where the moment cannot be reached."""
    mark_data(asked, "primary", "replica")
    past, held = asked.status()["restores"], token(asked)
    left = programs_beside()
    query = {"type": "time", "target": story.targets["time"].value}
    assert asked.console.act("restore", token(asked), **query)[0] == 400
    status, said = asked.console.act("restore", token(asked), confirm="asked", type="time",
                                     target="2101-01-01 00:00:00+00")
    assert status == 409 and marked(asked) == ["primary", "replica"], said
    assert asked.status()["supervisor"]["phase"] == "running"
    # The one that was asked is gone before it can answer.
    with contextlib.suppress(OSError, http.client.HTTPException):
        asked.console.act("restore", token(asked), confirm="asked", **query)
    wait_until(lambda: (status := asked.status_or_none() or {}).get("healthy") and
               len(status["restores"]) == len(past) + 1, 120, "it is there anew")
    assert marked(asked) == []
    assert asked.sql("primary", MARKERS) != ROWS and "at-a-time" in asked.sql("primary", MARKERS)
    assert asked.sql("primary", "select to_regclass('written') is null") == "t"
    assert asked.status()["restores"][-1]["outcome"] == "done"
    # A page that was open all the time can go on.
    assert token(asked) == held and asked.console.act("test", held)[0] == 200
    wait_until(lambda: programs_beside() <= left, 20,
               "no program is left behind")


@pytest.mark.parametrize("change, code, text", [("link", 26, "is a link"),
                                                ("source", 23, "no pgBackRest repository")])
def test_anew_is_judged_again_behind_the_question(asked, story, change, code, text):
    """Who is asked may take hours, and keeps nobody waiting for that. What has changed meanwhile
    counts: data lies behind a link, or the source is gone. It is refused while all still runs."""
    mark_data(asked, "primary", "replica")
    place = {"link": asked.root / "replica" / "tablespaces", "source": story.repo.path}[change]
    elsewhere = place.with_name("elsewhere")
    with subprocess.Popen([asked.pgrevive.path, "--env-file", asked.env_file, "start", "--anew"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **child_options(env=asked.environment)) as command:
        said = ""
        while "to go on: " not in said:
            said += command.stdout.read(1) or pytest.fail(said + command.stderr.read())
        assert "running already" in asked.start().stdout
        place.rename(elsewhere)
        if change == "link":
            place.symlink_to(elsewhere)
        try:
            _, errors = command.communicate("asked\n", timeout=60)
        finally:
            place.unlink(missing_ok=True)
            elsewhere.rename(place)
    assert command.returncode == code and text in errors, errors
    assert asked.status()["supervisor"]["phase"] == "running"
    assert marked(asked) == ["primary", "replica"]


def test_made_anew_where_the_removal_failed(asked, space):
    """Its status tells; a start takes nothing of it up; the same once more does what was asked."""
    calls = FaultyCalls(space.directory("calls"), asked.root)
    point = Call("unlink", "start", "@/.primary.gone/data/base/#/#")
    words = ["--env-file", asked.env_file, "start", "--anew", "--yes", "--type=immediate"]
    result = asked.pgrevive(*words, check=False, env={**asked.environment,
                                                      **calls.struck(point, 100, errno.EIO)})
    assert result.returncode == 29 and calls.hits(), message(result)
    status = asked.status()
    assert "Input/output error" in status["supervisor"]["error"], status
    assert status["problems"][0]["id"] == "half_removed" and not status["healthy"]
    # Who asked for it on the page is told there.
    wait_until(asked.console.answers, 20, "the console is there again")
    shown = asked.console.json("/api/v1/status")["status"]["supervisor"]
    assert shown["phase"] == "failed" and "Input/output error" in shown["error"], shown
    assert "Input/output error" in (asked.root / "logs" / "supervisor.log").read_text()
    assert "was cut off" in asked.start(check=False).stderr
    assert all("serve-console" in line for line in asked.processes().values()), asked.processes()
    asked.run("start", "--anew", "--yes", "--type=immediate")
    assert marked(asked) == [] and asked.status()["healthy"]
    # Made of the backup that was judged before the old one went.
    told = json.loads((asked.root / "settings.json").read_text())
    assert told["chosen_backup"] == asked.node("primary")["backup_label"]
    assert not list(asked.root.glob(".*.gone"))


def test_made_anew_as_of_the_end(asked):
    """Where the page says no type it is the end, as in its preview, whatever the cluster was told."""
    mark_data(asked, "primary", "replica")
    with contextlib.suppress(OSError, http.client.HTTPException):
        asked.console.act("restore", token(asked), confirm="asked")
    wait_until(lambda: (status := asked.status_or_none()) and status["healthy"] and
               not marked(asked), 120, "it is there anew")
    assert asked.sql("primary", MARKERS) == ROWS


def test_stopped_and_started_for_programs(asked):
    """One object on standard output, of a failure too, with its remedy; what is shown on the way does
    not come between."""
    def said(*words, code=0):
        result = asked.run(*words, "--json", check=False)
        assert result.returncode == code, message(result)
        return json.loads(result.stdout), result.stderr
    assert said("stop") == ({"done": "stop", "ran": True}, "")
    assert said("stop") == ({"done": "stop", "ran": False}, "")
    with socket.create_server(("127.0.0.1", asked.primary_port)):
        told, shown = said("start", code=30)
    assert told["error"]["kind"] == "busy" and told["error"]["exit_code"] == 30
    assert str(asked.primary_port) in told["error"]["message"] and told["error"]["hint"]
    assert told["error"]["message"] in shown
    told, shown = said("start")
    assert told["done"] == "start" and told["already_running"] is False
    assert told["status"]["healthy"] and told["status"]["nodes"][0]["state"] == "accepting"
    assert "starting asked in" in shown and "asked is running" in shown
    told, shown = said("start")
    assert told["already_running"] is True and "was running already" in shown
    told, shown = said("restart")
    assert told["done"] == "restart" and told["already_running"] is False and told["status"]["healthy"]
