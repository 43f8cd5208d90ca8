"""The console: what it tells of a real cluster is what the servers say, and whom it tells nothing."""

import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.parse

import pytest

from rig import soundness
from rig.cluster import PASSWORD, Cluster
from rig.console import ARCHIVE_METRICS, Console, Described, Metrics, metrics_of
from rig.faults import FaultyService, Rule
from rig.process import free_port, wait_until
from rig.program import ROOT
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.terminal import on_a_terminal, screens
from rig.throttle import SlowLine


def phase_of(look):
    return look["status"]["supervisor"]["phase"]


def bytes_done(look):
    return look["status"]["supervisor"]["restore"]["bytes_done"]


def problems(look):
    """Those that are not of the host's disk, which may be as full as it likes."""
    return [problem for problem in look["status"]["problems"] if problem["id"] != "disk"]


def looks_until(console, enough):
    looks = []
    for look in console.events():
        assert phase_of(look) != "failed", look
        looks.append(look)
        if enough(look):
            return looks
    raise AssertionError(f"the stream ended early: {looks[-1:]}")


def console_pid(cluster):
    return int((cluster.root / "run" / "console.pid").read_text())


def kill_console(cluster):
    """Another one comes."""
    pid = console_pid(cluster)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: console_pid(cluster) != pid and cluster.console.answers(), 60, "another one")


def listen(console, listeners, many):
    """So many looks of each of them, who listen at the same time."""
    def looks(_):
        stream = console.events()
        seen = [next(stream) for _ in range(many)]
        stream.close()
        return seen
    with concurrent.futures.ThreadPoolExecutor(listeners) as pool:
        return list(pool.map(looks, range(listeners)))


def crowd(cluster):
    """What fifty who listen cost the console in the midst of a restore, as a share of a core; and what
    they saw, the first look and the last."""
    pid = console_pid(cluster)
    began = _cpu_seconds(pid)[0]
    looks = listen(cluster.console, 50, 6)
    took = _cpu_seconds(pid)[0] - began
    first, last = looks[0][0], looks[0][-1]
    return took * 1000 / (last["time_ms"] - first["time_ms"]), first, last


def fetched_without_console(cluster, enough):
    """What the restore fetches while the console stands still, with fifty who listen; not much more
    than is enough."""
    def fetched():
        status = json.loads((cluster.root / "run" / "status.json").read_text())
        assert status["phase"] == "restoring", status
        return status["restore"]["fetched"]
    pid = console_pid(cluster)
    with contextlib.ExitStack() as listeners:
        for _ in range(50):
            next(listeners.enter_context(contextlib.closing(cluster.console.events())))
        os.kill(pid, signal.SIGSTOP)
        try:
            began, end = fetched(), time.monotonic() + 60
            before = time.monotonic()
            while fetched() - began < enough and time.monotonic() < end:
                time.sleep(0.2)
            return fetched() - began, time.monotonic() - before
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def seen(pgrevive, space, story, bucket):
    """A cluster from the far end of a slow line, with a console; and every look at its start, in
    whose midst the console is killed."""
    prefix = bucket.upload_once(story.repo.path, "story/pgbackrest")
    # Very slow until there is another console.
    service = FaultyService(bucket.gateway, space.directory("ca"))
    line = SlowLine(service.port, 150 << 10)
    cluster = Cluster(pgrevive, space.directory("h"), {
        **cluster_values(bucket, prefix), "S3_ENDPOINT": f"https://localhost:{line.port}",
        "S3_VERIFY_TLS": "false", "REPO_CIPHER_PASS": CIPHER_PASS, "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0, "CONSOLE_PORT": free_port()}, name="seen")
    cluster.console = Console(cluster.values["CONSOLE_PORT"])
    try:
        service.revive()
        cluster.slow_down = service.add(Rule("/pg_data", "slow_down", times=3))
        cluster.start("--detach")
        wait_until(cluster.console.answers, 60, "the console answers")
        cluster.console_begun = (cluster.root / "run" / "console.pid").stat().st_mtime
        cluster.looks = looks_until(cluster.console, lambda look: bytes_done(look) > 0)
        line.rate = 60 << 10
        kill_console(cluster)
        seen_bytes = bytes_done(cluster.looks[-1])
        cluster.asked = [cluster.console.ask(path, X_Pgrevive="1") for path in (
            "/api/v1/preview", "/api/v1/repository?fresh", "/api/v1/repository")]
        cluster.crowd = crowd(cluster)
        # More than may have been on its way.
        cluster.enough = 2 * line.rate
        cluster.fetched_alone = fetched_without_console(cluster, cluster.enough)
        cluster.after = looks_until(cluster.console, lambda look: bytes_done(look) > seen_bytes)
        line.rate = 2 << 20
        cluster.looks += cluster.after
        cluster.looks += looks_until(cluster.console, lambda look: phase_of(look) == "running")
        yield cluster
        # The page has to live through a stop that it asked for, and no other.
        assert soundness.prove(cluster) == ["primary", "replica"]
        assert not cluster.console.answers()
    finally:
        line.close()
        service.die()
        cluster.gone()


def test_a_restore_is_seen_as_it_goes(seen):
    """From its first seconds on: phases, bytes and files, the rate and the time that is left."""
    phases = [phase_of(look) for look in seen.looks]
    assert phases[0] in ("preparing", "restoring"), phases
    # Whoever asks as soon as it is there, on a slow machine too, is told of the first phase.
    first = seen.looks[0]["status"]["supervisor"]["phases"][0]
    assert first["phase"] == "preparing"
    assert abs(seen.console_begun - first["began_ms"] / 1000) < 3, first
    assert phases[-1] == "running"
    restoring = [look for look in seen.looks if phase_of(look) == "restoring"]
    done = [bytes_done(look) for look in restoring]
    assert len(done) > 2 and done == sorted(done) and done[-1] > done[0], done
    assert any(look["pace"]["bytes_per_second"] > 0 and look["pace"]["left_ms"] for look in restoring)
    total = restoring[-1]["status"]["supervisor"]["restore"]["bytes_total"]
    assert all(count <= total for count in done)
    # It is not called a problem that nothing is up while it is made.
    assert not any(problems(look) for look in restoring), restoring


def test_what_each_worker_does_and_what_the_storage_asked_for_is_seen(seen):
    told = [look["status"]["supervisor"] for look in seen.looks if phase_of(look) == "restoring"]
    at_work = [worker for supervisor in told for worker in supervisor["restore"]["workers"]
               if worker["file"]]
    assert at_work, told
    for worker in at_work:
        assert worker["file"].startswith("pg_") and worker["files"] >= 1, worker
        assert worker["bytes_done"] <= worker["bytes_total"], worker
    assert seen.slow_down.hits == 3
    done = seen.status()["restores"][0]
    assert done["throttled"] == 3 <= done["retries"]
    metrics = Metrics(seen.console.ask("/metrics")[1], "seen")
    assert metrics("restore_throttled_requests") == 3


def test_a_console_that_dies_during_a_restore_comes_back(seen):
    assert phase_of(seen.after[0]) == phase_of(seen.after[-1]) == "restoring", seen.after


def test_fifty_who_watch_do_not_hold_a_restore_up(seen):
    """What they could take from it is time on a core, and that is hardly any; all they see is what
    the restore writes down whoever looks. Nothing in it waits for the console."""
    share, first, last = seen.crowd
    assert phase_of(first) == phase_of(last) == "restoring"
    print(f"share of a core: {share:.4f} for fifty listeners to a restore")
    assert share < 0.02  # also of a debug build
    fetched, took = seen.fetched_alone
    # What the line brings in two seconds; it is not slowed down to a tenth of that.
    assert fetched >= seen.enough and took < 20, seen.fetched_alone


def test_a_restore_shares_its_line_with_nobody(seen):
    preview, fresh, known = seen.asked
    assert preview[0] == fresh[0] == 503, seen.asked
    assert known[0] == 200 and json.loads(known[1])["read_ms"] == 0, known


def test_shows_what_the_servers_say(seen):
    primary = seen.sql("primary", "select pg_postmaster_start_time(), timeline_id "
                                  "from pg_control_checkpoint()")
    assert primary
    wait_until(lambda: seen.console.json("/api/v1/status")["status"]["healthy"], 30, "it is well")
    look = seen.console.json("/api/v1/status")
    shown = look["status"]
    said = seen.status()
    for ours, theirs in zip(shown["nodes"], said["nodes"], strict=True):
        for key in ("name", "role", "port", "state", "pid", "version", "timeline", "replication",
                    "max_connections", "started_ms", "backup_label", "disk_total_bytes"):
            assert ours[key] == theirs[key], key
    assert problems(look) == []
    assert shown["restores"][0]["outcome"] == "done"
    assert shown["restores"] == said["restores"]
    # An open connection is counted, and so is its end.
    assert seen.sql("replica", MARKERS) == ROWS


def test_metrics(seen):
    status, text, headers = seen.console.ask("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    metrics = Metrics(text, "seen")
    assert metrics("supervisor_up") == 1
    assert metrics("phase", phase="running") == 1 and metrics("phase", phase="failed") == 0
    assert metrics("node_up", node="replica") == 1
    assert metrics("node_primary", node="primary") == 1
    assert metrics("replica_streaming", node="replica") == 1
    restore = seen.status()["restores"][0]
    assert metrics("last_restore_success") == 1
    assert metrics("last_restore_duration_seconds") == pytest.approx(
        (restore["ended_ms"] - restore["began_ms"]) / 1000)
    assert metrics("restore_done_bytes") == restore["progress"]["bytes_total"]
    position = int(seen.sql("primary", "select pg_current_wal_lsn() - '0/0'"))
    assert 0 < metrics("node_wal_position_bytes", node="primary") <= position


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(seen):
    """Every name in packaging/, while a cluster runs; those of one that archives are asked for in
    test_acts.py."""
    wait_until(lambda: seen.console.json("/api/v1/repository")["read_ms"], 60, "it was read")
    told = {sample[0] for sample in metrics_of(seen.console.ask("/metrics")[1])}
    told |= {f"pgrevive_{name}" for name in ARCHIVE_METRICS}
    board = json.loads((ROOT / "packaging" / "grafana" / "pgrevive.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += re.findall(r"^ +expr: (.+)$", (ROOT / "packaging" / "prometheus" /
                                           "pgrevive-alerts.yml").read_text(), re.MULTILINE)
    assert len(asked) > 30
    for panel in board["panels"]:
        # What is told as of now must not be what was true somewhere in the range.
        assert panel["type"] != "stat" or all(target["instant"] for target in panel["targets"]), panel
    # What may go back is no counter; and a range has samples however seldom they are taken.
    assert not [expression for expression in asked
                if re.search(r"\b(rate|increase)\(", expression) and "_total{" not in expression]
    assert not [expression for expression in asked if re.search(r"deriv\(.*\[\d", expression)]
    for expression in asked:
        names = set(re.findall(r"pgrevive_[a-z_]+", expression))
        assert names <= told, f"{names - told} in {expression}"


def test_metrics_follow_the_servers(seen):
    """A position that the primary reached is seen within a few looks, and so is a server that died."""
    seen.sql("primary", "select pg_switch_wal()")
    seen.caught_up()
    position = int(seen.sql("primary", "select pg_current_wal_lsn() - '0/0'"))

    def shown(name, **labels):
        return Metrics(seen.console.ask("/metrics")[1], "seen")(name, **labels)
    wait_until(lambda: shown("node_wal_position_bytes", node="primary") >= position, 30,
               "the position is shown")
    wait_until(lambda: shown("node_wal_position_bytes", node="replica") >= position, 30,
               "the replica's too")


def test_repository_and_preview(seen, story):
    assert seen.console.ask("/api/v1/preview")[0] == 403  # a link on a page of another site
    repository = seen.console.json("/api/v1/repository?fresh", X_Pgrevive="1")
    assert repository["error"] == "" and repository["stanza"]["status"] == "ok"
    backups = repository["stanza"]["databases"][0]["backups"]
    assert [backup["label"] for backup in backups] == story.repo.labels
    window, = repository["recoverable"]
    assert window["from"] == backups[0]["recovery"]["from"] == backups[0]["stopped"]
    # Up to its newest commit that was archived, which came between these two.
    said, later = (datetime.datetime.fromisoformat(text + ":00").timestamp()
                   for text in story.newest_commit)
    assert int(said - 1e-6) <= window["to"] <= later and window["to"] >= backups[-1]["stopped"]
    preview = seen.console.json("/api/v1/preview?type=time&target=" +
                                story.targets["time"].value.replace("+", "%2B").replace(" ", "+"),
                                X_Pgrevive="1")
    assert preview["restores"] is True and preview["reachable"] is True
    # The last one may have ended in the same second.
    moment = int(datetime.datetime.fromisoformat(story.targets["time"].value).timestamp())
    before = [backup["label"] for backup in backups if backup["stopped"] < moment]
    assert preview["backup"]["label"] == before[-1]
    far = seen.console.json("/api/v1/preview?type=time&target=2101-01-01+00:00:00%2B00",
                            X_Pgrevive="1")
    assert far["reachable"] is False and far["problem"]["message"], far
    status, text, _ = seen.console.ask("/api/v1/preview?type=time&target=2001-01-01+00:00:00%2B00",
                                       X_Pgrevive="1")
    assert status == 409 and story.repo.labels[0] in json.loads(text)["error"]["hint"], text
    assert seen.console.ask("/api/v1/preview?type=time", X_Pgrevive="1")[0] == 400


def test_logs_with_search_and_what_comes(seen):
    def ask(**query):
        return seen.console.json("/api/v1/logs?" + urllib.parse.urlencode(query))
    for node in ("primary", "replica"):
        found = ask(of=node, search="READY TO ACCEPT", lines=5)
        assert found["lines"] and all("ready to accept" in line for line in found["lines"]), found
    assert any("restoring backup" in line for line in ask(of="restore")["lines"])
    assert any("phase running" in line for line in ask(of="supervisor")["lines"])
    # What is too much to be looked at is told.
    then = ask(of="primary", lines=1)
    assert then["skipped"] > 0 and then["searched_from"] == 0
    log = seen.root / "logs" / "prefetch.log"
    kept = log.read_bytes() if log.exists() else None
    try:
        log.write_bytes(b"the first line\n" + (b"x" * 1023 + b"\n") * (9 << 10))
        found = ask(of="prefetch", search="first")
        assert found["lines"] == [] and found["searched_from"] >= (1 << 20), found
        assert ask(of="prefetch", **{"from": 0})["searched_from"] > 8 << 20
    finally:
        log.unlink() if kept is None else log.write_bytes(kept)
    assert ask(of="restore-replica")["lines"][-1:] == ask(of="restore")["lines"][-1:]
    assert len(then["lines"]) == 1 and "primary" in then["logs"] and "replica" in then["logs"]
    # A server logs what failed, with a password in it.
    secret = PASSWORD.replace("'", "''")
    seen.sql("primary", f"alter role nobody password '{secret}'; select '{secret}'::int", check=False)
    seen.sql("primary", f"select '{secret}'::int", check=False)
    new = []
    wait_until(lambda: new.extend(ask(of="primary", **{"from": then["next"]})["lines"]) or
               any("::int" in line for line in new), 20, "the statements are logged")
    text = "\n".join(new)
    assert "alter role nobody password '***'" in text and PASSWORD not in text and secret not in text
    assert seen.console.ask("/api/v1/logs?of=../secrets/console.token")[0] == 400


def test_acts_for_those_who_hold_the_token(seen):
    """Stop and start from the page: it lives on in between, and says what is the matter."""
    token = seen.run("console", "--token").stdout.strip()
    status, tested = seen.console.act("test", token)
    assert status == 200 and tested["passed"] is True, tested
    assert seen.console.act("nothing", token)[0] == 404
    status, stopped = seen.console.act("stop", token)
    assert status == 200 and stopped == {"done": "stop", "ran": True}
    seen.acted = {"test": tested, "stop": stopped}
    assert seen.status()["supervisor_running"] is False
    wait_until(lambda: [problem["id"] for problem in problems(
        seen.console.json("/api/v1/status"))] == ["stopped"], 30, "it is told")
    seen.stopped = seen.console.json("/api/v1/status")
    before = seen.console.json("/api/v1/history")["samples"]
    # A start that cannot be says why, and the one who was asked lives on.
    version = seen.root / "primary" / "data" / "PG_VERSION"
    true_version, pid = version.read_text(), console_pid(seen)
    version.write_text("99\n")
    status, refused = seen.console.act("start", token)
    version.write_text(true_version)
    assert status == 409 and "PostgreSQL 99" in refused["error"]["message"], refused
    assert seen.console.answers() and console_pid(seen) == pid
    # The start brings a console of its own, so this one may not live to answer.
    try:
        seen.console.act("start", token)
    except (OSError, http.client.HTTPException):
        pass

    def is_well():
        return seen.console.answers() and seen.console.json("/api/v1/status")["status"]["healthy"]
    wait_until(is_well, 120, "it runs again")
    assert seen.run("console").stdout.strip() == f"http://127.0.0.1:{seen.console.port}/"
    # It goes on with the lags that the one before it saw, minute by minute.
    after = seen.console.json("/api/v1/history")["samples"]
    assert after[0]["time_ms"] == before[0]["time_ms"], (before, after)
    assert {sample["time_ms"] // 60_000 for sample in before} <= {
        sample["time_ms"] // 60_000 for sample in after}
    assert any(lag["lag_bytes"] is not None for sample in after for lag in sample["nodes"].values()
               if sample["time_ms"] <= before[-1]["time_ms"]), after


# What is described and none of the answers below has, each with its reason.
_RARE = (
    r"Supervisor\.reindex\.",       # nobody asked for it
    r"RequestReport\.|Acted\.(request|output)$",  # test_acts.py
    r"Acted\.goes_on$",             # test_page.py waits for less than it takes
    r"Preview\.beside\[\]\.",       # no timeline leaves the chosen one
    r"Status\.left_out\[\]\.",      # a partial cluster
    r"Status\.archiver\.",          # this one archives nothing
    r"^Gap\.",                      # nothing is missing
    r"Preview\.point\.",            # of a target of name or xid
)


def test_answers_are_as_they_are_described(seen):
    """Each field that is answered is described, with its type, and each that is described is answered."""
    console = seen.console
    described = Described(console.json("/api/v1/openapi.json"))
    assert described.api["openapi"].startswith("3.0")
    for look in (*seen.looks, seen.stopped, console.json("/api/v1/status")):
        described.check("/api/v1/status", look)
    for path in ("history", "logs?of=primary", "repository?fresh", "preview",
                 "preview?type=time&target=2101-01-01+00:00:00%2B00"):
        described.check(f"/api/v1/{path.partition('?')[0]}",
                        console.json(f"/api/v1/{path}", X_Pgrevive="1"))
    described.check("/api/v1/repository", json.loads(seen.asked[2][1]))
    described.check("/healthz", console.json("/healthz"))
    status, text, _ = console.ask("/api/v1/preview?type=time", X_Pgrevive="1")
    assert status == 400
    described.check("/api/v1/preview", json.loads(text), status="default")
    for path, headers, status in (("status", {"Host": "attacker.example"}, "421"),
                                  ("preview", {}, "403")):
        got, text, _ = console.ask(f"/api/v1/{path}", **headers)
        assert str(got) == status
        described.check(f"/api/v1/{path}", json.loads(text), status=status)
    got, text, _ = console.ask("/api/v1/actions/stop", "POST")
    assert got == 401
    described.check("/api/v1/actions/{action}", json.loads(text), "post", status="401")
    for name, answer in seen.acted.items():
        described.check("/api/v1/actions/{action}", answer, "post")
        assert name in described.api["paths"]["/api/v1/actions/{action}"]["post"]["parameters"][0][
            "schema"]["enum"]
    never = {field for field in described.never_seen()
             if not any(re.search(rare, field) for rare in _RARE)}
    assert not never, never


def test_the_command_line_gets_all_of_it(seen):
    """What the page knows beyond `status --json`: rates, the lag of a day, the repository."""
    for path in ("api/v1/status", "api/v1/history", "api/v1/repository", "api/v1/logs?of=replica"):
        said = json.loads(seen.run("console", "--get", path).stdout)
        assert said.keys() == seen.console.json("/" + path).keys(), path
    assert "pgrevive_healthy" in seen.run("console", "--get", "metrics").stdout
    wrong = seen.run("console", "--get", "api/v1/nothing", check=False)
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["error"]["message"]


def test_who_watches_in_a_terminal_sees_the_source(seen):
    """As the console read it, asked past any proxy."""
    text = on_a_terminal([seen.pgrevive.path, "--env-file", seen.env_file, "status", "--watch"], 80,
                         env={**seen.environment, "http_proxy": "http://127.0.0.1:9/", "no_proxy": ""},
                         until=r"(?s)source .{0,400}recoverable from ")
    known = seen.console.json("/api/v1/repository")
    [shown] = re.findall(r"^source +((?:.*\n)(?: {11}.*\n)*)", "\n".join(screens(text)[-1]) + "\n", re.M)
    lines = [line.strip() for line in shown.splitlines()]
    assert re.sub(r"\s", "", lines[0]).startswith(known["place"][:40]), shown
    assert sum(line.startswith("recoverable from ") for line in lines) == len(known["recoverable"]) > 0


def test_whom_it_refuses(seen):
    console = seen.console
    api = "/api/v1/status"
    assert console.ask(api, Host=f"127.0.0.1:{console.port}")[0] == 200
    for headers, status in (({"Host": "attacker.example"}, 421),
                            ({"Origin": "http://attacker.example"}, 403),
                            ({"Sec_Fetch_Site": "cross-site"}, 403)):
        got, text, sent = console.ask(api, **headers)
        assert got == status and "nodes" not in text, text
        assert "Access-Control-Allow-Origin" not in sent
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert console.ask("/api/v1/actions/stop", "POST", **headers)[0] == 401
    assert console.ask(api, "PUT")[0] == 405
    assert console.ask("/api/v1/actions/stop", "POST", body="x" * 100_000)[0] == 413
    assert console.ask("/api/v1/nothing")[0] == 404
    # Who is not told otherwise listens at that one address, also of this host's own.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", console.port), timeout=20).close()
    assert seen.status()["supervisor_running"] is True


def test_no_secret_is_told(seen):
    secrets = [PASSWORD, CIPHER_PASS, seen.values["S3_SECRET_KEY"],
               (seen.root / "secrets" / "console.token").read_text().strip()]
    for path in ("/api/v1/status", "/api/v1/history", "/api/v1/repository", "/api/v1/logs",
                 "/metrics", "/healthz", "/api/v1/openapi.json", "/"):
        text = seen.console.ask(path)[1]
        for secret in secrets:
            assert secret not in text and json.dumps(secret)[1:-1] not in text, path


def _cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(fields[17])


def test_many_listeners(seen):
    """Each of fifty gets every look, and to send it to fifty costs hardly more than to one."""
    pid = console_pid(seen)

    def share_of_a_core(listeners):
        began, _ = _cpu_seconds(pid)
        times = [[look["time_ms"] for look in looks] for looks in listen(seen.console, listeners, 8)]
        ended, threads = _cpu_seconds(pid)
        assert threads < 10
        for seen_times in times:
            assert seen_times == sorted(seen_times) and seen_times[0] < seen_times[-1]
        return (ended - began) * 1000 / (max(map(max, times)) - min(map(min, times)))
    one, fifty = share_of_a_core(1), share_of_a_core(50)
    print(f"share of a core: {one:.4f} for one listener, {fifty:.4f} for fifty")
    assert fifty < 0.02  # also of a debug build


def test_another_cluster_is_not_taken_for_this_one(seen):
    """Whoever listens on the port of a console that does not run is not asked."""
    seen.run("stop")
    with socket.create_server(("127.0.0.1", seen.values["CONSOLE_PORT"])) as other:
        other.settimeout(0.1)
        wrong = seen.run("console", "--get", "api/v1/status", check=False)
        on_a_terminal([seen.pgrevive.path, "--env-file", seen.env_file, "status", "--watch"], 80,
                      env=seen.environment, until=r"(?s)(\x1b\[H.*){4}", code=1)
        with pytest.raises(TimeoutError):
            other.accept()
    assert wrong.returncode == 22 and "this cluster's console does not run" in wrong.stderr
    seen.run("start")


def test_a_console_that_dies_comes_back(seen):
    # As a power cut may leave what it keeps.
    (seen.root / "logs" / "lag.json").write_text('{"version":1,"nodes":["replica"],"samples":[[7,')
    died = seen.console.json("/api/v1/status")["time_ms"]
    kill_console(seen)
    samples = seen.console.json("/api/v1/history")["samples"]
    assert samples and samples[0]["time_ms"] > died
    assert seen.status()["supervisor_running"] is True
