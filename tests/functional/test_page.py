"""The console's page in a real browser, against a real cluster and a restore over a slow line."""

import contextlib
import datetime
import errno
import http.client
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import zoneinfo

import pytest

from rig import browser, repofiles
from rig.browser import amount
from rig.cluster import PASSWORD, Cluster
from rig.console import Console, Described, Metrics
from rig.faults import FaultyService, Rule
from rig.faulty_calls import Call, FaultyCalls
from rig.postgres import binaries
from rig.process import free_port, wait_until
from rig.program import ROOT, message
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.throttle import SlowLine


def picture(name):
    """Where a picture of the page goes, for people to look at; nowhere unless they ask for it."""
    place = os.environ.get("PGREVIVE_SCREENSHOTS")
    return pathlib.Path(place) / f"{name}.png" if place else None


LISTEN = "127.0.0.2"
HOST = "console.example"  # what CONSOLE_HOSTS names, for a browser that comes from elsewhere


def incomplete(story, space):
    """A copy of the story's repository in which the WAL between its two backups is not whole: the path
    and the segment that is missing. Only the first backup needs it."""
    full, diff = story.repo.info()[0]["backup"]
    between = [name for name in repofiles.segments(story.repo.path)
               if full["archive"]["stop"] < name < diff["archive"]["start"]]
    repo = repofiles.copy(story.repo.path, space.path / "incomplete")
    repofiles.archive(repo)[between[0]].unlink()
    return repo, between[0]


@pytest.fixture(scope="module")
def seen(pgrevive, space, story, bucket):
    """A cluster whose first start failed, and what a browser saw from before its second one on, with a
    reload in the midst of the restore."""
    browser.install()
    repo, missing = incomplete(story, space)
    prefix = bucket.upload_once(repo, "incomplete/pgbackrest")
    service = FaultyService(bucket.gateway, space.directory("ca"))
    # Slow until the browser has seen enough, however slow that is itself.
    line = SlowLine(service.port, 150 << 10)
    cluster = Cluster(pgrevive, space.directory("h"), {
        **cluster_values(bucket, prefix), "S3_ENDPOINT": f"https://localhost:{line.port}",
        "S3_VERIFY_TLS": "false", "REPO_CIPHER_PASS": CIPHER_PASS, "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0, "CONSOLE_PORT": free_port(), "CONSOLE_LISTEN": LISTEN,
        "CONSOLE_HOSTS": HOST}, name="seen")
    cluster.missing = missing
    cluster.console = Console(cluster.values["CONSOLE_PORT"], LISTEN)
    cluster.url = f"http://{LISTEN}:{cluster.console.port}/"
    watching = None
    try:
        service.revive()
        service.add(Rule("/pg_data/|/bundle/", "not_found"))
        cluster.failed = cluster.start(check=False)
        service.clear()
        watching = browser.begin(cluster.url, until="running", midway=picture("restore"))
        browser.told(watching, "ready")
        cluster.start("--detach")
        # Not before: what the checks read of the backup is no restore.
        cluster.slow_down = service.add(Rule("/pg_data/|/bundle/", "slow_down", times=3))
        browser.told(watching, "seen")
        line.rate = 16 << 20
        cluster.watched = browser.finish(watching)
        yield cluster
    finally:
        if watching:
            browser.end(watching)
        line.close()
        service.die()
        cluster.gone()


def is_sound(looked, url):
    """Nobody complains, nothing comes from elsewhere, and axe has nothing to say."""
    assert looked["complaints"] == []
    assert {re.match(r"[a-z]+://[^/]+/", asked)[0] for asked in looked["requests"]} == {url}
    assert looked["violations"] == [] and looked["rules_passed"] > 20, looked["violations"]


def test_a_start_that_failed_in_the_browser(seen):
    """The page lives on to say why, and lives through the start that follows."""
    assert seen.failed.returncode != 0
    [past] = [past for past in seen.status()["restores"] if past["outcome"] == "failed"]
    why = past["error"].split("\n")[0]
    assert why and why in message(seen.failed), (past, message(seen.failed))
    first = seen.watched["looks"][0]
    assert first["phase"] == "failed" and "failed" in first["problems"], first
    assert first["restores"] == ["failed"] and first["reasons"] == [why], first
    last = seen.watched["looks"][-1]
    assert last["restores"] == ["done", "failed"] and last["reasons"] == ["", why], last


def test_a_restore_in_the_browser(seen):
    looks = seen.watched["looks"]
    # The start that it lives through starts the console anew: for a moment nobody listens.
    others = [told for told in seen.watched["complaints"]
              if told != "Failed to load resource: net::ERR_CONNECTION_REFUSED"]
    is_sound({**seen.watched, "complaints": others}, seen.url)
    bars = [look["bar"] for look in looks if look["phase"] == "restoring" and look["bar"] is not None]
    assert len(set(bars)) >= 3 and bars == sorted(bars), bars
    # It was seen before and after the reload.
    assert seen.watched["enough"] and 0 < seen.watched["reloaded_at"] < len(looks)
    assert any(look["phase"] == "restoring" for look in looks[seen.watched["reloaded_at"]:])
    numbers = [look["restore"] for look in looks if look["bar"]]
    assert any(number["Rate now"].endswith("B/s") and number["Time left"] != "unknown"
               for number in numbers)
    at_work = [worker for look in looks for worker in look["workers"] if " of " in worker[2]]
    assert at_work and all(worker[1].startswith("pg_") for worker in at_work), looks[-1]
    done = seen.status()["restores"][0]
    assert numbers[-1]["Backup"] == done["backup_label"]
    assert numbers[-1]["Files"].replace(",", "").endswith(f"of {done['progress']['files_total']}")
    # The host's disk may be as full as it likes.
    assert looks[-1]["phase"] == "running" and set(looks[-1]["problems"]) <= {"disk"}
    # Up to when, which is how much is lost.
    told = seen.status()["supervisor"]["recovery_end"]["last_commit_time"]
    last = datetime.datetime.fromisoformat(told + ":00").astimezone(datetime.timezone.utc)
    assert looks[-1]["end"].endswith(
        f"is of {last:%b} {last.day}, {last.year}, {last.hour % 12 or 12}:{last:%M:%S}"
        f".{last.microsecond // 1000:03} {last:%p} UTC."), (looks[-1]["end"], told)
    # Of its log the last lines, whole and in order; at the end those that are the last.
    log = [line for line in (seen.root / "primary" / "logs" / "main-restore.log").read_text().split("\n") if line]
    tails = [look["restore_log"] for look in looks if look["restore_log"]]
    assert len({tuple(tail) for tail in tails}) > 2
    for tail in tails:
        assert len(tail) <= 12 and tail in [log[at:at + len(tail)] for at in range(len(log))], tail
    assert max(log.index(tail[-1]) for tail in tails) > len(log) - 5, (tails[-1], log[-5:])
    # What was read of the log is not read again.
    assert any(re.search(r"logs\?of=restore&lines=\d+&from=\d", asked)
               for asked in seen.watched["requests"])


def test_a_restore_shows_what_the_api_says(seen):
    """All that is told of it, at the same moment: phases, bytes and files, rates, time left, workers. And
    the same as the record that is kept of it."""
    looks = [look for look in seen.watched["looks"] if look["phase"] == "restoring" and look["view"]]
    assert len(looks) > 5
    for look in looks:
        view, shown = look["view"], look["restore"]
        supervisor, pace = view["supervisor"], view["pace"]
        restore = supervisor["restore"]
        assert supervisor["phase"] == "restoring"
        total = restore["bytes_total"]
        assert look["bar"] == (int(restore["bytes_done"] / total * 100) if total else 0)
        for name, told in (("Bytes", [restore["bytes_done"], total]),
                           ("Fetched", [restore["fetched"]]),
                           ("Rate now", [pace["bytes_per_second"]]),
                           ("Average", [pace["average_bytes_per_second"]])):
            # Three digits of each are shown.
            assert [amount(part) for part in shown[name].split(" of ")] == pytest.approx(
                told, rel=0.006, abs=0.6), (name, look)
        counts = [shown["Files"], shown["Requests"], shown["Retries"]]
        assert [int(number) for text in counts for number in re.findall(r"\d+", text.replace(",", ""))] == [
            restore["files_done"], restore["files_total"], restore["requests"],
            supervisor["restore_retries"], supervisor["restore_throttled"]], look
        left = shown["Time left"]
        assert (left == "unknown") == (pace["left_ms"] is None), look
        if pace["left_ms"] is not None:
            assert amount(left) == pytest.approx(pace["left_ms"] / 1000, abs=1)
        passed = [(phase["phase"], (phase["ended_ms"] or view["time_ms"]) - phase["began_ms"])
                  for phase in supervisor["phases"]]
        for (phase, took), text in zip(passed, look["phases"], strict=False):
            name, time_of_it, *_ = text.split("\n")
            close = 0.06 if took < 60_000 else 1
            assert name == phase and amount(time_of_it) == pytest.approx(took / 1000, abs=close), look
        assert len(look["workers"]) == len(restore["workers"])
        for worker, (_, doing, size) in zip(restore["workers"], look["workers"], strict=True):
            assert doing.startswith(worker["file"] or ("Files" if worker["files"] else "waiting"))
            if worker["file"]:
                assert [amount(part) for part in size.split(" of ")] == pytest.approx(
                    [worker["bytes_done"], worker["bytes_total"]], rel=0.006, abs=0.6), look
    past = seen.status()["restores"][0]
    done, last = past["progress"], seen.watched["looks"][-1]["restore"]
    assert amount(last["Fetched"]) == pytest.approx(done["fetched"], rel=0.006)
    assert int(last["Requests"].replace(",", "")) == done["requests"]
    # The storage has asked to slow down so often, and nothing else went wrong.
    assert seen.slow_down.hits == 3 == past["retries"] == past["throttled"], past
    assert last["Retries"] == "3, 3 throttled", last


def test_a_narrow_page_during_a_restore(seen):
    narrow = seen.watched["narrow"]
    assert narrow["scroll_width"] <= 360
    assert narrow["violations"] == [] and narrow["rules_passed"] > 20, narrow


def test_no_time_is_promised_that_nobody_knows(seen):
    """Of each phase of a first restore what is left of it, where its pace tells, or that it is unknown;
    the other phases are ahead, and none ever was."""
    restoring = [look["phases"] for look in seen.watched["looks"] if look["phase"] == "restoring"]
    assert all(phases[-4:] == [f"{name}\ntime unknown" for name in (
        "recovering", "promoting", "configuring", "joining replicas")] for phases in restoring), restoring
    current = [next(phase for phase in phases if phase.startswith("restoring")) for phases in restoring]
    assert any(re.search(r"\d s left$", phase) for phase in current), current
    assert all(re.search(r"( left|\ntime left unknown)$", phase) for phase in current), current
    # Nor are the first bytes taken for a pace, of which nobody can tell.
    assert not any(re.search(r" [dh] .*left", phase) for phase in current), current


def disk_use(directory):
    """In bytes of content, as `du` counts them."""
    return int(subprocess.run(["du", "-sb", "--apparent-size", directory], check=True,
                              capture_output=True, text=True).stdout.split()[0])


@contextlib.contextmanager
def sessions(cluster, node, many, **variables):
    """So many clients of a node, who do nothing."""
    clients = [subprocess.Popen([binaries() / "psql", "-X", "-q", "-h", "127.0.0.1", "-p",
                                 str(cluster.port(node)), "-U", "postgres", "-d", "testdb"],
                                stdin=subprocess.PIPE, env={"PGPASSWORD": PASSWORD, **variables})
               for _ in range(many)]
    try:
        yield
    finally:
        for client in clients:
            client.communicate()


_CLIENTS = ("select count(*) from pg_stat_activity where backend_type = 'client backend' "
            "and datname = 'testdb' and application_name <> 'pgrevive' and pid <> pg_backend_pid()")
_LINE = "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
_WRITTEN = "select pg_current_wal_lsn()"


def position(lsn):
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def test_what_is_shown_is_what_the_servers_say(seen):
    """Of a replica that is behind, since it replays nothing, and of servers with clients."""
    seen.caught_up()
    with contextlib.ExitStack() as after:
        seen.sql("replica", "select pg_wal_replay_pause()")
        after.callback(seen.sql, "replica", "select pg_wal_replay_resume()")
        wait_until(lambda: seen.sql("replica", "select pg_get_wal_replay_pause_state()") == "paused",
                   30, "replay pauses")
        seen.sql("primary", "create table seen as select n, repeat('x', 100) from "
                            "generate_series(1, 30000) n; checkpoint")
        # Whoever looks as we do is no client.
        after.enter_context(sessions(seen, "replica", 1, PGAPPNAME="pgrevive"))
        for node, many in (("primary", 3), ("replica", 2)):
            after.enter_context(sessions(seen, node, many))
            wait_until(lambda node=node, many=many: seen.sql(node, _CLIENTS) == str(many), 30,
                       "the clients are there")
        before = position(seen.sql("primary", _WRITTEN))
        # The size of a data directory is looked at once a minute; and while nobody watches, the rest is
        # older than the clients, or of a moment when somebody asked whether they are there.
        def looked_at():
            nodes = seen.console.json("/api/v1/status")["status"]["nodes"]
            return min(node["data_bytes"] for node in nodes) > 0 and [
                node["connections"] for node in nodes] == [3, 2]
        wait_until(looked_at, 90, "it has looked at the sizes and the clients")
        looked = browser.look(seen.url, screenshot=picture("page"))
        said, after_it = seen.status(), position(seen.sql("primary", _WRITTEN))
        replayed = seen.sql("replica", "select pg_last_wal_replay_lsn()")
        is_sound(looked, seen.url)
        last = looked["last"]
        assert last["cluster"] == "seen" and last["lang"] == "en" and last["chart"] == 1
        assert last["drawn"] > 20, "the line of the lag"
        for node in said["nodes"]:
            name, shown = node["name"], last["nodes"][node["name"]]
            assert shown["state"] == "accepting connections"
            assert shown["Port"] == str(node["port"]) == seen.sql(name, "show port")
            clients = "3" if name == "primary" else "2"
            assert shown["Connections"] == f"{clients} of {seen.sql(name, 'show max_connections')}"
            assert shown["Version"] == seen.sql(name, "show server_version").split()[0]
            up = float(seen.sql(name, "select extract(epoch from now() - pg_postmaster_start_time())"))
            assert up - 30 < amount(shown["Up for"]) <= up
            # The page has it from up to a minute ago.
            data = seen.root / name / "data"
            assert node["data_bytes"] == pytest.approx(disk_use(data), rel=0.05)
            assert amount(shown["Data"]) == pytest.approx(node["data_bytes"], rel=0.3)
            free, total = map(amount, shown["Disk free"].split(" of "))
            disk = shutil.disk_usage(data)
            assert total == pytest.approx(disk.total, rel=0.01)
            assert free == pytest.approx(disk.free, abs=0.05 * disk.total)
        primary, replica = last["nodes"]["primary"], last["nodes"]["replica"]
        assert before <= position(primary["LSN"]) <= after_it
        assert replica["LSN"] == replayed and before - position(replayed) > 3e6
        # The primary has measured no time yet, perhaps.
        lag_bytes, *lag_time = replica["Lag"].split(", ")
        # Three digits of it are shown.
        assert amount(lag_bytes) == pytest.approx(position(primary["LSN"]) - position(replayed), rel=0.005)
        assert "Lag" not in primary and [time[-2:] for time in lag_time] in ([], [" s"])
        assert primary["Timeline"] == replica["Timeline"] == seen.sql("primary", _LINE) == seen.sql(
            "replica", "select received_tli from pg_stat_wal_receiver") == "2"
    assert [link.removeprefix("→ ") for link in last["links"]] == [seen.sql(
        "primary", "select state from pg_stat_replication")]
    # What the line shows, for who does not see it.
    lags = [lag for sample in seen.console.json("/api/v1/history")["samples"]
            if sample["time_ms"] <= last["view"]["time_ms"] for lag in sample["nodes"].values()]
    [legend] = last["legend"]
    *times, size = legend.removeprefix("replica: at most ").split(", ")
    seconds = [lag["lag_seconds"] for lag in lags if lag["lag_seconds"] is not None]
    assert [amount(time) for time in times] == pytest.approx([max(seconds)] if seconds else [], abs=0.051), lags
    assert amount(size) == pytest.approx(max(lag["lag_bytes"] or 0 for lag in lags), rel=0.006), lags
    seen.caught_up()


def test_the_repository_in_the_browser(seen, story):
    """What builds on what, and the gap in the WAL, in the picture and in the table; a moment in the gap
    is said to be out of reach."""
    full, diff = story.repo.info()[0]["backup"]
    moment = datetime.datetime.fromtimestamp(diff["timestamp"]["stop"] - 1, datetime.timezone.utc)
    looked = browser.look(seen.url, preview=True, moment=f"{moment:%Y-%m-%dT%H:%M:%S}",
                          screenshot=picture("gap"))
    is_sound(looked, seen.url)
    assert looked["asked_from"] == "submit"
    last, shown = looked["last"], looked["picture"]
    assert last["backups"] == [full["label"], diff["label"]] == list(shown["marks"])
    assert last["picture"] == 2
    assert last["built_on"] == [None, full["label"]]
    assert shown["builds"] == [[diff["label"], full["label"]]]
    assert last["gaps"] == [f"1 segment, {seen.missing}", "none"]
    before, window = last["windows"]
    assert before.endswith("not from there on") and window.endswith("at least"), last["windows"]
    # In the lane of the one that needs it, between the two.
    [gap] = shown["gaps"]
    assert gap["of"] == full["label"]
    assert shown["marks"][full["label"]] <= gap["right"]
    assert gap["left"] <= shown["marks"][diff["label"]]
    assert "This moment cannot be reached." in looked["preview"], looked["preview"]
    assert seen.missing in looked["preview"] and looked["command"] == []
    assert re.search(r"\nChoose a moment up to .*, or one from .* on\.\n", looked["preview"]), looked["preview"]

    # In Portuguese it is said of what kind it is, and where one could go instead; and so it is of a
    # moment of which there is no preview.
    for told, words in ((moment, ["falta algo que tem de existir", "\nEscolha um momento até ", ", ou um a partir de ", seen.missing]),
                        (moment.replace(year=2001), ["Prever: falta algo que tem de existir", full["label"]])):
        looked = browser.look(seen.url, preview=True, moment=f"{told:%Y-%m-%dT%H:%M:%S}",
                              language="pt-BR", screenshot=picture("gap-pt"))
        # A browser complains of each answer that is none.
        looked["complaints"] = [said for said in looked["complaints"] if "409 (Conflict)" not in said]
        is_sound(looked, seen.url)
        shown = "\n".join([looked["preview"], *looked["last"]["alerts"]])
        assert all(word in shown for word in words), shown


def test_gaps_lie_where_they_do_whatever_the_size_of_segments(seen):
    """Also across 4 GiB of log, where with segments of 1 MB a name's last digits go on to FFF."""
    def named(high, low):
        return f"00000001{high:08X}{low:08X}"
    told = seen.console.json("/api/v1/repository")
    full, diff = told["stanza"]["databases"][0]["backups"]
    for backup in (full, diff):
        for line in backup["recovery"]["lines"]:
            number = int(line["last_segment"][8:16], 16) * 256 + int(line["last_segment"][16:], 16)
            assert position(line["end_lsn"]) == (number + 1) * (16 << 20), line
    full["wal_last"], diff["wal_last"] = named(0, 0xffe), named(1, 2)
    gap = {"first": named(1, 0), "last": named(1, 0), "segments": 1}
    for line in full["recovery"]["lines"]:
        line |= {"last_segment": named(0, 0xfff), "end_lsn": "1/0", "gaps": [gap]}
    for line in diff["recovery"]["lines"]:
        line |= {"last_segment": named(1, 0x10), "end_lsn": "1/1100000"}
    shown = browser.look(seen.url, answers={"/api/v1/repository": told})["picture"]
    left, right = shown["marks"][full["label"]], shown["marks"][diff["label"]]
    assert shown["gaps"], shown
    for gap in shown["gaps"]:
        assert gap["of"] == full["label"]
        assert gap["left"] == pytest.approx((left + right) / 2, abs=(right - left) / 10), shown


def test_a_recovery_shows_how_far_the_wal_is_replayed(seen):
    """With the bar, the rate and the time that is left of it, and with what the last restore took."""
    look = seen.console.json("/api/v1/status")
    now = look["time_ms"]
    done = next(restore for restore in look["status"]["restores"] if restore["outcome"] == "done")
    past = {phase["phase"]: phase["ended_ms"] - phase["began_ms"] for phase in done["phases"]}
    recovering = {"pace": {"segments_per_second": 2.5, "wal_left_ms": 90_000}, "status": {"supervisor": {
        "phase": "recovering", "wal_segments_total": 40, "wal_segments_done": 10,
        "phases": [{"phase": "preparing", "began_ms": now - 9000, "ended_ms": now - 8000},
                   {"phase": "restoring", "began_ms": now - 8000, "ended_ms": now - 5000},
                   {"phase": "recovering", "began_ms": now - 5000, "ended_ms": 0}]}}}
    looked = browser.look(seen.url, alters=recovering, screenshot=picture("recovering"))
    is_sound(looked, seen.url)
    last = looked["last"]
    assert last["phase"] == "recovering" and last["bar"] == 25, last
    facts = last["restore"]
    assert facts["WAL segments"] == "10 of 40" and facts["Rate now"] == "2.5 WAL segments/s", facts
    assert facts["Time left"] == "1 min 30 s", facts
    phases = [line.split("\n") for line in last["phases"]]
    assert [phase[0] for phase in phases] == ["preparing", "restoring", "recovering", "promoting",
                                              "configuring", "joining replicas"]
    assert phases[1][1] == "3 s" and phases[2][2] == "1 min 30 s left", phases
    assert phases[3][1].startswith("last time "), phases
    assert amount(phases[3][1].removeprefix("last time ")) == pytest.approx(
        past["promoting"] / 1000, abs=0.06)
    # Each restore in the table of those that are over, with its time, size, retries and backup.
    for told, shown in zip(look["status"]["restores"], last["past"], strict=True):
        assert amount(shown[2]) == pytest.approx((told["ended_ms"] - told["began_ms"]) / 1000, rel=0.02, abs=0.06)
        assert amount(shown[3]) == pytest.approx(told["progress"]["bytes_total"], rel=0.006)
        assert shown[4:] == [str(told["retries"]), told["backup_label"]], shown


def test_an_archive_that_nobody_can_read(seen):
    """Is not one from which nothing can be recovered, nor one without gaps; and where there is no source
    nothing is wrong."""
    told = seen.console.json("/api/v1/repository")
    for backup in told["stanza"]["databases"][0]["backups"]:
        backup["recovery"] = None
    told |= {"error": "cannot list archive/main: access denied", "recoverable": []}
    # As long as a primary that answers is in recovery, there is no archiver to be asked.
    recovering = {"status": {"archiving": "own: not known, the primary does not answer",
                             "archiver": None, "archiving_ok": False}}
    for language, window, archiving in (
            ("en-US", "What can be recovered is not known", ("Archiving", "not known yet")),
            ("pt-BR", "Não se sabe o que pode ser recuperado", ("Arquivamento", "ainda não se sabe"))):
        looked = browser.look(seen.url, language=language, answers={"/api/v1/repository": told},
                              alters=recovering, screenshot=picture("unreadable"))
        is_sound(looked, seen.url)
        last = looked["last"]
        assert archiving in last["archive"].items(), last["archive"]
        assert len(last["windows"]) == 1 and last["windows"][0].startswith(window), last
        [alert] = last["alerts"]
        assert alert.endswith(": " + told["error"]), alert
        assert last["gaps"] == last["reaches"] == ["–", "–"], last
    told |= {"error": "", "place": "", "stanza": None}
    looked = browser.look(seen.url, answers={"/api/v1/repository": told}, screenshot=picture("none"))
    is_sound(looked, seen.url)
    last = looked["last"]
    assert last["no_source"].startswith("This cluster was not made of a backup"), last
    assert last["windows"] == last["alerts"] == []


def test_the_lag_of_a_day_and_of_its_end(seen):
    """What lies further back is drawn when one asks for it."""
    now = int(time.time() * 1000)
    samples = [{"time_ms": now - age * 60_000, "nodes": {"replica": {"lag_bytes": 5, "lag_seconds": lag}}}
               for age, lag in ((300, 1.0), (299, 40.0), (298, 1.0), (10, 2.0), (9, 2.0))]
    looked = browser.look(seen.url, day=True, answers={"/api/v1/history": {"samples": samples}},
                          screenshot=picture("day"))
    is_sound(looked, seen.url)
    for look, span, most in ((looked["day"], "24 hours", "40 s"), (looked["quarter"], "15 minutes", "2 s")):
        assert look["span"] == [span] and look["drawn"] > 0, look
        [legend] = look["legend"]
        assert legend == f"replica: at most {most}, 5 B", look


def test_a_look_that_fails_is_told(seen):
    """With when the last one was that did not, by the page also if it is loaded then; and nothing of it
    is told when the next has succeeded."""
    settings = seen.root / "settings.json"
    hidden = settings.rename(seen.root / "settings.hidden")
    began = time.time()
    looking = None
    try:
        wait_until(lambda: seen.console.json("/api/v1/status")["failure"], 30, "it is told")
        looking = browser.begin(seen.url, stale=True, width=360, dark=True, midway=picture("stale"))
        browser.told(looking, "stale")
        wait_until(lambda: seen.console.ask("/healthz")[0] == 503, 60, "it is not well")
        health = json.loads(seen.console.ask("/healthz")[1])
        assert health["status"] == "stale" and "settings.json" in health["failure"], health
        look = seen.console.json("/api/v1/status")
        assert look["failure"] == health["failure"] and look["time_ms"] / 1000 < began + 5
        assert next(seen.console.events()) == look
        told = Metrics(seen.console.ask("/metrics")[1], "seen")("last_look_timestamp_seconds")
        assert told == look["time_ms"] / 1000
        hidden.rename(settings)
        looked = browser.finish(looking)
    finally:
        if hidden.exists():
            hidden.rename(settings)
        if looking:
            browser.end(looking)
    assert [urllib.parse.urlsplit(asked).path for asked in looked["requests"]].count(
        "/api/v1/history") == 2, "what the page could not see is asked for"
    assert looked["stale"].startswith("pgrevive cannot look at the cluster; what is shown is of "), looked
    assert look["failure"] in looked["stale"] and looked["scroll_width"] <= 360
    assert seen.console.answers() and seen.console.json("/api/v1/status")["failure"] == ""


def test_a_log_that_cannot_be_read_is_not_an_empty_one(seen):
    for language, told in (("en-US", "This log cannot be read: "),
                           ("pt-BR", "Este log não pode ser lido: ")):
        looked = browser.look(seen.url, language=language,
                              refuses={"/api/v1/logs": [500, "the disk is gone"]},
                              screenshot=picture("log-unread"))
        last = looked["last"]
        assert last["log_failure"] == told + "500 Internal Server Error" and last["log_lines"] == "", last


@contextlib.contextmanager
def hanging(path):
    """Whoever reads that file waits until this is over."""
    kept, pipe = path.with_suffix(".kept"), path.with_suffix(".pipe")
    there = path.exists()
    if there:
        path.rename(kept)
    os.mkfifo(path)
    try:
        yield
    finally:
        path.rename(pipe)
        if there:
            kept.rename(path)
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        pipe.unlink()


def test_a_look_that_hangs_is_told(seen):
    """To whoever comes then, since it tells nothing by itself; and others are served meanwhile."""
    looking = None
    try:
        with hanging(seen.root / "primary" / "collations.json"):
            wait_until(lambda: seen.console.ask("/healthz")[0] == 503, 60, "it is not well")
            look = seen.console.json("/api/v1/status")
            assert look["failure"] == "the last look has not ended", look
            assert next(seen.console.events())["failure"] == look["failure"]
            assert json.loads(seen.console.ask("/healthz")[1])["failure"] == look["failure"]
            looking = browser.begin(seen.url, stale=True)
            browser.told(looking, "stale")
        looked = browser.finish(looking)
    finally:
        if looking:
            browser.end(looking)
    assert look["failure"] in looked["stale"], looked
    wait_until(lambda: seen.console.json("/api/v1/status")["failure"] == "", 30, "it looks again")


def test_a_search_that_takes_its_time_holds_nobody_up(seen):
    """Who asks for something else meanwhile is answered; of searches there may be four at a time."""
    searches = []
    try:
        with hanging(seen.root / "logs" / "prefetch.log"):
            for _ in range(5):
                searches.append(http.client.HTTPConnection(LISTEN, seen.console.port, timeout=60))
                searches[-1].request("GET", "/api/v1/logs?of=prefetch&search=x")
            assert json.loads(seen.console.ask("/healthz", timeout=20)[1])["status"] == "ok"
            refused = searches.pop().getresponse()
            told = json.loads(refused.read())["error"]
            assert (refused.status, told["message"]) == (503, "too many search just now"), told
        # One open of the writer lets all go who wait.
        assert [search.getresponse().status for search in searches] == [200] * 4
    finally:
        for search in searches:
            search.close()


def test_whoever_is_refused_is_told_alike(seen):
    """As JSON, also where it is no request at all; and no answer is of use to a page of somebody else."""
    with socket.create_connection((LISTEN, seen.console.port), timeout=20) as client:
        client.sendall(b"hello\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(4096), b"")).decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 ")
    answers = [(400, body, dict(line.split(": ", 1) for line in head.splitlines()[1:])),
               seen.console.ask("/api/v1/status", Origin="http://elsewhere.example"),
               seen.console.ask("/")]
    assert [status for status, _, _ in answers] == [400, 403, 200]
    for _, body, headers in answers[:2]:
        assert headers["Content-Type"] == "application/json"
        error = json.loads(body)["error"]
        assert error["message"] and error["exit_code"] and "hint" in error, error
    for _, _, headers in answers:
        policy = headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, policy
        assert not any("unsafe" in part or "*" in part for part in policy), policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def words(prefix):
    """Those of the page in Portuguese that begin so."""
    text = (ROOT / "src" / "console" / "page" / "src" / "words.ts").read_text("utf-8")
    return dict(re.findall(rf"^  {prefix}_(\w+): '(.*)',$", text, re.M))


def test_a_narrow_dark_page_in_portuguese(seen):
    looked = browser.look(seen.url, width=360, height=740, dark=True, language="pt-BR",
                          screenshot=picture("narrow"))
    is_sound(looked, seen.url)
    assert looked["scroll_width"] <= 360
    assert looked["background"] == "rgb(15, 19, 24)"
    last = looked["last"]
    assert last["lang"] == "pt-BR" and last["phase"] == "no ar"
    assert last["nodes"]["replica"]["state"] == "aceita conexões"
    assert "(alvo: o mais recente)" in last["end"], last["end"]
    # Why a restore failed is said by its kind, and in English only as somebody has said it.
    failed = next(past for past in seen.status()["restores"] if past["outcome"] == "failed")
    assert failed["exit_code"] == seen.failed.returncode
    assert [["", words("k")[str(failed["exit_code"])]], ["en", failed["error"].split("\n")[0]]] in \
        last["why"], last["why"]


def copies(story, url, zone="UTC", **told):
    """A preview of a moment behind the last backup, whose command is copied and pasted elsewhere."""
    moment = datetime.datetime.fromisoformat(story.newest_commit[0] + ":00").replace(microsecond=0)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    looked = browser.look(url, preview=True, copy=True, moment=f"{local:%Y-%m-%dT%H:%M:%S}",
                          zone=zone, **told)
    is_sound(looked, url)
    assert f"{story.label} (" in looked["preview"], looked["preview"]
    assert "The archive holds this moment." in looked["preview"], looked["preview"]
    assert looked["copied"] == "Copied" and [looked["pasted"]] == looked["command"], looked
    assert looked["pasted"].endswith(f"--type time --target '{moment:%Y-%m-%d %H:%M:%S}+00'")
    return looked


def test_a_preview_and_the_command_for_it(seen, story):
    looked = copies(story, seen.url, dark=True, screenshot=picture("preview"))
    # What is to be copied is what the program takes.
    command = shlex.split(looked["pasted"])
    assert command[:4] == ["pgrevive", "--cluster", "seen", "start"]
    assert "--anew" in seen.run("help", "start").stdout and "--anew" in command
    preview = json.loads(seen.run("console", "--get", "api/v1/preview?" + urllib.parse.urlencode(
        {"type": command[6], "target": command[8]})).stdout)
    assert preview["reachable"] is True and preview["backup"]["label"] in looked["preview"]


def test_from_another_host(seen, story):
    """By a name that CONSOLE_HOSTS has, over plain HTTP, to which browsers give no clipboard; in a zone
    of its own, in which the same moment has another name."""
    url = f"http://{HOST}:{seen.console.port}/"
    looked = copies(story, url, leads=f"{HOST} {LISTEN}", zone="America/Sao_Paulo")
    assert looked["last"]["time"].endswith(" GMT-3"), looked["last"]
    # Nobody is at home at other addresses of this host than the one that was named.
    assert not Console(seen.console.port).answers()


def test_by_keyboard_alone(seen):
    """Through the whole page, with the focus in sight wherever it is; then a replica is made anew: to
    its button, the dialog, the cluster's name, and back to where one was."""
    made = (seen.root / "replica" / "data" / "PG_VERSION").stat().st_ino
    token = seen.run("console", "--token").stdout.strip()
    looked = browser.look(seen.url, keyboard=token, screenshot=picture("rebuilt"))
    is_sound(looked, seen.url)
    stops = [stop["what"] for stop in looked["stops"]]
    assert stops[:2] == ["Skip to content", "Cluster"] and len(stops) > 15, stops
    assert {"15 minutes", "Read again", "Preview", "Search", "Follow", "Token"} <= set(stops), stops
    unseen = [stop for stop in looked["stops"] + looked["led"] if not stop["visible"]]
    assert not unseen, unseen
    button, dialog, typed, closed, done = looked["led"]
    assert not button["dialog"] and dialog["dialog"] and typed == dialog
    assert button == closed == done and button["act"] == "rebuild"
    assert looked["said"] == "Rebuild replica: done"
    assert seen.status()["supervisor"]["request"]["state"] == "done"
    assert (seen.root / "replica" / "data" / "PG_VERSION").stat().st_ino != made
    assert seen.sql("replica", "select count(*) from seen") == "30000"


def test_logs_with_search_and_what_comes(seen):
    """What is written while one looks is shown, if it is what one searches for; what is not shown is
    told, and who has gone back stays there."""
    seen.sql("primary", "do $$ begin for i in 1..300 loop raise log 'nothing of that kind'; end loop; "
                        "end $$")
    word = f"nothing of that name {time.monotonic_ns()}"
    seen.sql("primary", 'select "nothing of this name"', check=False)
    looking = browser.begin(seen.url, search="nothing of", follow=word)
    try:
        browser.told(looking, "following")
        seen.sql("primary", f'select "another name"; select "{word}"', check=False)
        seen.sql("primary", f'select "{word}"', check=False)
        looked = browser.finish(looking)
    finally:
        browser.end(looking)
    is_sound(looked, seen.url)
    assert looked["log"] and all("nothing of" in line for line in looked["log"]), looked["log"]
    assert word in looked["log"][-1]
    [note] = looked["notes"]
    assert int(re.fullmatch(r"(\d+) earlier lines fit too\.", note)[1]) >= 100, note
    assert looked["scrolled"] == 0


def test_the_log_of_another_node(seen):
    """The one that is chosen, and no other's."""
    word = f"nobody knows {time.monotonic_ns()}"
    seen.sql("replica", f'select "{word}"', check=False)
    looked = browser.look(seen.url, of="replica", search=word)
    is_sound(looked, seen.url)
    assert looked["log"] and all(word in line for line in looked["log"]), looked["log"]
    assert browser.look(seen.url, search=word)["log"] == ["No lines."]


def parity():
    """The rows of docs/console.md that name fields: the command, and where the fields are in its JSON."""
    for row in (ROOT / "docs" / "console.md").read_text("utf-8").splitlines():
        if row.startswith("| ") and len(cells := row.strip("| ").split("|")) == 3 and "`" in cells[2]:
            yield shlex.split(re.findall("`([^`]+)`", cells[1])[0]), re.findall("`([^`]+)`", cells[2])


def lacks(value, path):
    """Whether a part of the path is not there; of a list each has to have it. Nothing is below null."""
    if not path or value is None:
        return False
    name, rest = path[0], path[1:]
    if name.endswith("[]"):
        value = value[name[:-2]] if name != "[]" else value
        return not isinstance(value, list) or any(lacks(entry, rest) for entry in value)
    return name not in value or lacks(value[name], rest)


def leads_to_something(value, path):
    """Whether it leads to a value at all, and does not end at null or in an empty list."""
    if not path or value is None:
        return value not in (None, [], {})
    name, rest = path[0], path[1:]
    value = value if name == "[]" else value.get(name.removesuffix("[]"))
    if not name.endswith("[]"):
        return leads_to_something(value, rest)
    return any(leads_to_something(entry, rest) for entry in value)


# Fields of what the page takes from the console (api.ts) that a command's JSON has under another name,
# which is pgBackRest's where it has one; and those that are not shown but say in which words it is.
BY_ANOTHER_NAME = {
    "started": "[].backup[].timestamp.start", "stopped": "[].backup[].timestamp.stop",
    "repository_size": "[].backup[].info.repository", "encrypted": "[].cipher",
    "wal_first": "[].backup[].archive.start", "wal_last": "[].backup[].archive.stop",
    "page_errors": "[].backup[].error", "last_segment": "[].backup[].recovery.line[].last-segment",
    "end_lsn": "[].backup[].recovery.line[].end-lsn", "act": "supervisor.request",
    "gaps": "[].backup[].recovery.line[].gap[].first"}
NOT_SHOWN = {"id", "of", "values", "restores", "current"}
OF_A_REFUSAL = {"problem", "message", "hint"}  # of a preview, which no command is asked for below


def test_each_thing_that_the_page_gets_is_in_the_table():
    """So that the test below sees what comes to be shown later."""
    named = {path for _, paths in parity() for path in paths}
    words = {word.removesuffix("[]") for path in named for word in path.split(".")}
    api = (ROOT / "src" / "console" / "page" / "src" / "api.ts").read_text("utf-8")
    fields = 0
    for interface, body in re.findall(r"export interface (\w+) \{\n(.*?)\n\}", api, re.S):
        for field in re.findall(r"(\w+)\??:", re.sub("//.*", "", body)):
            fields += 1
            assert field in words | NOT_SHOWN | OF_A_REFUSAL or BY_ANOTHER_NAME.get(field) in named, \
                f"{interface}.{field}"
    assert fields > 100


# Of a cluster that runs, archives nothing, has no Adminer, and was asked for nothing yet.
NOTHING_THERE = {"archiver.archived", "archiver.failed", "archiver.last_archived_seconds_ago",
                 "archive_backup", "problems[].grave", "problems[].subject", "target", "timeline",
                 "wal.gaps", "error", "stanza.databases[].recovery_problem", "supervisor.request", "problems[].text",
                 "problems[].remedy", "pace.left_ms", "pace.wal_left_ms",
                 "[].backup[].recovery.missing"}


def test_all_of_it_is_on_the_command_line(seen):
    """As docs/console.md says it, field by field."""
    said, fields, nowhere = {}, 0, set()
    for command, paths in parity():
        key = " ".join(command)
        if key not in said:
            said[key] = json.loads(seen.run(*command, check=False).stdout)
        absent = [path for path in paths if lacks(said[key], path.split("."))]
        assert not absent, f"{key} has no {absent}"
        nowhere |= {path for path in paths if not leads_to_something(said[key], path.split("."))}
        fields += len(paths)
    assert len(said) > 7 and fields > 60
    assert nowhere <= NOTHING_THERE, nowhere - NOTHING_THERE
    # The gap in the repository is there too.
    [report] = said["info --json --recovery-points"]
    assert [gap["first"] for backup in report["backup"] for line in backup["recovery"]["line"]
            for gap in line["gap"]] == [seen.missing]


def test_acts_need_the_token(seen):
    token = seen.run("console", "--token").stdout.strip()
    wrong = browser.look(seen.url, token="wrong")
    assert "this needs the token of the cluster" in wrong["said"]
    right = browser.look(seen.url, token=token)
    assert "Test: done" in right["said"] and "passed: " in right["said"], right["said"]
    assert "failed" not in right["said"]
    # What takes longer than who asks waits is no failure.
    status, answer = seen.console.act("restart-node", token, node="replica", wait=0)
    assert (status, answer) == (202, {"done": "restart", "goes_on": True})
    Described(seen.console.json("/api/v1/openapi.json")).check(
        "/api/v1/actions/{action}", answer, "post", status="202")
    wait_until(lambda: seen.status()["supervisor"]["request"]["state"] == "done", 60, "it is done")
    with clicking(seen, [{"act": "restart-node", "node": "replica"}],
                  answers={"/api/v1/actions/restart-node": answer}) as (looking, done):
        done("restart-node")
        browser.go_on(looking)
        [did] = browser.finish(looking)["did"]
    assert did["said"] == "Restart replica: goes on; the state tells how it ends", did
    seen.caught_up()
    # Where the connection is lost nobody knows yet what came of it; and what somebody else answers, who
    # stands in between, is told as that.
    for language, lost, refused in (
            ("en-US", "Restart replica: no answer came; the state tells how it ends",
             "Test: 502 Bad Gateway. "),
            ("pt-BR", "Reiniciar replica: não houve resposta; o estado diz como termina",
             "Testar: 502 Bad Gateway. ")):
        with clicking(seen, [{"act": "restart-node", "node": "replica"}, {"act": "test"}],
                      language=language, aborts=["/api/v1/actions/restart-node"],
                      refuses={"/api/v1/actions/test": [502, "the way is blocked"]}) as (looking, done):
            done("restart-node")
            browser.go_on(looking)
            done("test")
            browser.go_on(looking)
            assert [did["said"].strip() for did in browser.finish(looking)["did"]] == [
                lost, refused.strip()]
    told = browser.look(seen.url, token=token, language="pt-BR", screenshot=picture("checks-pt"))
    is_sound(told, seen.url)
    checks = words("c")
    assert len(checks) == 9
    assert [line.split(": ", 1)[1].split(",")[0] for line in told["last"]["checks"]] == [
        checks[check["id"]].replace("{node}", check["node"])
        for check in json.loads(seen.run("test", "--json").stdout)["checks"]], told["last"]["checks"]
    # What destroys data waits for the name.
    before = seen.status()["supervisor"]["request"]
    asked = browser.look(seen.url, token=token, rebuild=["seem", "seen"], width=360, dark=True,
                         asking=picture("dialog"))
    is_sound(asked, seen.url)
    assert asked["sure"] == [False, False, True] and "replica" in asked["asked"]
    assert asked["dialog"]["violations"] == [] and asked["dialog"]["scroll_width"] <= 360, asked
    assert seen.status()["supervisor"]["request"] == before


def pids(cluster):
    return {node: cluster.node(node)["pid"] for node in ("primary", "replica")}


@contextlib.contextmanager
def clicking(cluster, acts, **told):
    """A browser that does so; a function that waits until the next is done."""
    token = cluster.run("console", "--token").stdout.strip()
    looking = browser.begin(cluster.url, token=token, acts=acts, **told)

    def done(act):
        browser.told(looking, f"did {act}")
    try:
        yield looking, done
    finally:
        browser.end(looking)


def test_every_action_by_a_click(seen):
    """And what the servers say then."""
    acts = [{"act": "test"}, {"act": "restart-node", "node": "primary"},
            {"act": "restart-node", "node": "replica"}, {"act": "switchover", "node": "replica"},
            {"act": "rebuild", "node": "replica", "confirm": "seen"},
            {"act": "stop", "until": "stopped"}, {"act": "start", "until": "running"},
            {"act": "restart", "until": "running"}]
    with clicking(seen, acts) as (looking, done):
        def inode(node):
            return (seen.root / node / "data").stat().st_ino
        before = pids(seen)
        done("test")
        assert pids(seen) == before
        browser.go_on(looking)
        done("restart-node")
        first = pids(seen)
        assert first["primary"] != before["primary"] and first["replica"] == before["replica"]
        browser.go_on(looking)
        done("restart-node")
        second = pids(seen)
        assert second["primary"] == first["primary"] and second["replica"] != first["replica"]
        places, line = [inode("primary"), inode("replica")], seen.sql("primary", _LINE)
        browser.go_on(looking)
        done("switchover")
        assert [inode("replica"), inode("primary")] == places
        assert int(seen.sql("primary", _LINE)) == int(line) + 1
        assert seen.sql("primary", "select pg_is_in_recovery()") == "f"
        assert seen.sql("replica", "select pg_is_in_recovery()") == "t"
        made = (seen.root / "replica" / "data" / "PG_VERSION").stat().st_ino
        browser.go_on(looking)
        done("rebuild")
        assert (seen.root / "replica" / "data" / "PG_VERSION").stat().st_ino != made
        assert seen.sql("replica", "select count(*) from seen") == "30000"
        browser.go_on(looking)
        done("stop")
        left = seen.processes().values()
        assert left and all("serve-console" in line for line in left), left
        assert seen.status()["supervisor_running"] is False
        browser.go_on(looking)
        done("start")
        wait_until(lambda: seen.status()["healthy"], 60, "it is up")
        third = pids(seen)
        browser.go_on(looking)
        done("restart")
        wait_until(lambda: seen.status()["healthy"], 60, "it is up again")
        assert not {*pids(seen).values()} & {*third.values()}
        browser.go_on(looking)
        did = browser.finish(looking)["did"]
    titles = ["Test", "Restart primary", "Restart replica", "Switch over replica", "Rebuild replica",
              "Stop", "Start", "Restart"]
    assert [each["said"].split("\n")[0] for each in did] == [
        f"{title}: {'begun' if title in ('Start', 'Restart') else 'done'}" for title in titles]
    assert [each.get("sure") for each in did] == [
        None, [True], [True], [True], [False, True], [True], None, [True]]
    assert [each["phase"] for each in did[5:]] == ["stopped", "running", "running"]
    seen.caught_up()


def test_the_head_says_that_something_is_wrong(seen):
    """Where a cluster runs with a problem, it and the tab do not call it well."""
    line = seen.sql("replica", "show primary_conninfo")
    assert line
    seen.sql("replica", "alter system set primary_conninfo = ''")
    seen.sql("replica", "select pg_reload_conf()")

    def ids():
        return [problem["id"] for problem in seen.console.json("/api/v1/status")["status"]["problems"]]
    try:
        wait_until(lambda: "not_streaming" in ids(), 60, "it is noticed")
        many = len(ids())
        for language, text in (("en-US", f"running, {many} problem"), ("pt-BR", f"no ar, {many} problema")):
            looked = browser.look(seen.url, language=language, widths=[720, 360],
                                  screenshot=picture(f"problem-{language}"))
            is_sound(looked, seen.url)
            last = looked["last"]
            for width, shown in looked["widths"].items():
                assert shown["broken"] == [] and shown["scroll_width"] <= int(width), looked["widths"]
            assert last["state"] == text + "s" * (many > 1) and "bad" in last["look"], last
            assert last["title"] == f"seen: {last['state']} – pgrevive", last
    finally:
        seen.sql("replica", "alter system reset primary_conninfo")
        seen.sql("replica", "select pg_reload_conf()")
    seen.caught_up()


def test_a_problem_is_told_with_its_remedy(seen):
    """While nobody looks after the servers; in both languages."""
    os.kill(int((seen.root / "run" / "supervisor.lock").read_text()), signal.SIGKILL)
    wait_until(lambda: not seen.console.json("/api/v1/status")["status"]["supervisor_running"], 30,
               "it is noticed")
    english = "nobody looks after the cluster, while servers of it run"
    for language, state, problem, not_said in (
            ("en-US", "unattended", english, "ninguém"),
            ("pt-BR", "sem supervisor", "Ninguém cuida do cluster, e servidores dele rodam.",
             english)):
        looked = browser.look(seen.url, language=language)
        is_sound(looked, seen.url)
        last = looked["last"]
        assert last["state"] == last["phase"] == state and "bad" in last["look"], last
        told = dict(zip(last["problems"], last["told"], strict=True))["unattended"]
        assert problem in told and "start" in told and not_said not in told, last
        assert {node["state"] for node in last["nodes"].values()} <= {
            "accepting connections", "aceita conexões"}


def test_a_console_for_others_is_warned_of(seen):
    """It listens at the addresses that it is told, and where that is more than this host it is said:
    at the start, in the status, and on the page, there in the reader's language."""
    assert not any("CONSOLE_LISTEN" in told for told in seen.status()["supervisor"]["warnings"])
    seen.values["CONSOLE_LISTEN"] = "0.0.0.0"
    seen.write_env()
    started = seen.start()
    [told] = seen.status()["supervisor"]["warnings"]
    assert "listens on 0.0.0.0 (CONSOLE_LISTEN)" in told and told in started.stdout, started
    for address in ("127.0.0.1", LISTEN):
        assert Console(seen.console.port, address).answers()
    assert browser.look(seen.url)["last"]["warnings"] == [[["en", told]]]
    looked = browser.look(seen.url, language="pt-BR")
    is_sound(looked, seen.url)
    portuguese = words("w")["console_exposed"].format(address="0.0.0.0", port=seen.console.port)
    assert looked["last"]["warnings"] == [[["", portuguese]]]


def test_a_restore_by_a_click(seen, story, space):
    """To the picked moment, by who types the name. One that fails when the old cluster is gone already
    is told on the page at once; the same page, with the token it had, does it again and goes on."""
    # The last second begins, on a slow machine, behind the last row.
    moment = datetime.datetime.fromisoformat(story.targets["time"].value + ":00").replace(microsecond=0)
    calls = FaultyCalls(space.directory("calls"), seen.root)
    point = Call("unlink", "start", "@/.primary.gone/data/base/#/#")
    seen.run("stop")
    seen.home.chmod(0o777)  # where the programs are run that outlive the cluster's own
    seen.values["CONSOLE_LISTEN"] = LISTEN
    seen.write_env()
    seen.pgrevive("--env-file", seen.env_file, "start", env={
        **seen.environment, **calls.struck(point, 10, errno.EIO),
        "TMPDIR": "/nonexistent"})  # where nothing can be run
    seen.noticed("start")
    token = seen.run("console", "--token").stdout
    restore = {"act": "restore", "confirm": "seen"}
    fails, works = {**restore, "until": "failed"}, {**restore, "until": "running"}
    began = time.monotonic()
    with clicking(seen, [fails, works, {"act": "test"}],
                  moment=f"{moment:%Y-%m-%dT%H:%M:%S}") as (looking, done):
        done("restore")
        assert calls.hits() and time.monotonic() - began < 60
        assert "half_removed" in [problem["id"] for problem in seen.status()["problems"]]
        browser.go_on(looking)
        done("restore")
        wait_until(lambda: seen.status()["healthy"], 60, "it is there anew")
        told = seen.status()["supervisor"]
        assert told["recovery_end"]["target"] == f"time {moment:%Y-%m-%d %H:%M:%S}+00", told
        assert seen.sql("primary", "select to_regclass('seen') is null") == "t"
        assert seen.run("console", "--token").stdout == token
        browser.go_on(looking)
        done("test")
        browser.go_on(looking)
        failed, again, test = browser.finish(looking)["did"]
    assert "Input/output error" in failed["said"] and failed["phase"] == "failed", failed
    assert again["sure"] == failed["sure"] == [False, True]
    assert again["said"] == again["restore_said"] == "Restore: begun" and test["said"].startswith("Test: done"), again
    # Behind that second there are commits, which the end of the archive has: what is restored to where
    # nobody picks a moment.
    assert seen.sql("primary", MARKERS) != ROWS
    with clicking(seen, [{**restore, "until": "running"}]) as (looking, done):
        done("restore")
        wait_until(lambda: seen.status()["healthy"], 60, "it is there anew")
        assert seen.status()["supervisor"]["recovery_end"]["target"] == "latest"
        assert seen.sql("primary", MARKERS) == ROWS
        browser.go_on(looking)
        [end] = browser.finish(looking)["did"]
    assert "all that the archive has" in end["asked"] and end["said"] == "Restore: begun", end
    assert os.listdir(seen.home) == ["seen"]
