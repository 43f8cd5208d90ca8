#!/usr/bin/env python3
"""WAL from S3: our archive-get with and without a prefetcher beside pgBackRest's, sync and async.

    cmake --workflow --preset release
    bench/compare_wal.py [--segments 200] [--rounds 3] [--compress zst]
                         [--replays 3] [--only-replays]

Makes a source with so many segments of 16 MB, archives them with pgBackRest (encrypted), puts the
archive into Ceph RGW behind TLS on this machine, and then asks for the segments one after the other
as PostgreSQL would, each side in turn. Prints medians, and what share of a real replay PostgreSQL
spends waiting for WAL. Needs what the functional tests need, 10 GB of disk, 4 GB of memory.
"""

import argparse
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/functional"))

from rig import rgw, repofiles  # noqa: E402
from rig.backrest import BackrestRepo  # noqa: E402
from rig.postgres import Server, SourceCluster, server_user  # noqa: E402
from rig.process import run, wait_until  # noqa: E402
from rig.program import Program  # noqa: E402
from rig.s3 import S3  # noqa: E402
from rig.workspace import Workspace, give  # noqa: E402


def make_source(directory, count, compress):
    """A source with so many segments behind its backup; returns its repository."""
    source = SourceCluster(directory / "source", segment_mb=16).create().start()
    repo = BackrestRepo(directory / "backups", source, compress=compress, cipher_pass="bench",
                        options={"archive-async": "y", "archive-push-queue-max": "64GiB"})
    repo.create_stanza()
    source.sql("create database testdb")
    run([source.bin / "pgbench", "-i", "-q", "-s", "10", "-h", source.sockets,
         "-p", str(source.port), "-U", "postgres", "testdb"], user=source.user)
    source.sql("create table events (id bigint, at timestamptz, who text, what text)", "testdb")
    repo.backup("full")
    first = source.sql("select pg_walfile_name(pg_current_wal_lsn())")
    written = 0
    while written < count:
        # Updates all over a table, as of many small transactions, and rows that are appended.
        run([source.bin / "pgbench", "-n", "-c", "4", "-t", "1500", "-h", source.sockets,
             "-p", str(source.port), "-U", "postgres", "testdb"], user=source.user, timeout=900)
        source.sql("insert into events select i, now(), md5(i::text), 'user did something ' || "
                   "(random() * 1000)::int from generate_series(1, 250000) i; checkpoint", "testdb")
        name = source.sql("select pg_walfile_name(pg_current_wal_lsn())")
        written = int(name[16:], 16) - int(first[16:], 16) + 256 * (
            int(name[8:16], 16) - int(first[8:16], 16))
    source.switch_wal(900)
    source.stop()
    return repo


def ask_all(data, names, words, result):
    """Runs in a child that is the server's user; writes the seconds for each name to `result`."""
    os.chdir(data)
    times = []
    for name in names:
        command = [str(word).replace("%f", name) for word in words]
        begin = time.perf_counter()
        pid = os.posix_spawn(command[0], command, {"PATH": os.environ["PATH"], "HOME": "/tmp"})
        _, status = os.waitpid(pid, 0)
        times.append(time.perf_counter() - begin)
        if status != 0:
            print(f"{command}: status {status}", file=sys.stderr)
            os._exit(1)
        os.unlink("pg_wal/RECOVERYXLOG")
    result.write_text("\n".join(map(str, times)))
    os._exit(0)


def ask(data, names, words):
    result = data / "times"
    pid = os.fork()
    if pid == 0:
        try:
            if server_user():
                entry = pwd.getpwnam(server_user())
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            ask_all(data, names, words, result)
        finally:
            os._exit(2)
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit("a request failed")
    return [float(line) for line in result.read_text().split()]


def cpu_seconds(*pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, space, arguments):
        self.space = space
        self.pgrevive = Program(space.directory("bin"))
        space.path.chmod(0o755)
        self.repo = make_source(space.directory("s", owner=server_user()), arguments.segments,
                                arguments.compress)
        self.gateway = rgw.CephRGW(space.directory("rgw"), like_far_away=True).start()
        self.gateway.directory.chmod(0o755)
        s3 = S3(self.gateway)
        s3.make_bucket("wal")
        s3.upload(self.repo.path, "wal", "repo")
        options = self.repo.s3_options(self.gateway, "wal", "repo")
        self.conf = self.repo.write_conf("s3.conf", options)
        spool = space.directory("backrest-spool", owner=server_user())
        self.async_conf = self.repo.write_conf("async.conf", {
            **options, "archive-async": "y", "archive-get-queue-max": "1GiB", "spool-path": spool})
        self.backrest_spool = spool
        self.label = self.repo.labels[0]
        stop = self.repo.info()[0]["backup"][0]["archive"]["start"]
        self.names = [name for name in repofiles.segments(self.repo.path)
                      if name >= stop][:arguments.segments]
        self.data = self.node("node")

    def node(self, name):
        """As much of a data directory in recovery as archive-get looks at."""
        data = self.space.directory(name, owner=server_user())
        for part in ("global", "pg_wal"):
            (data / part).mkdir()
            give(data / part, server_user())
        shutil.copy(self.repo.source.data / "global" / "pg_control", data / "global")
        (data / "global" / "pg_control").chmod(0o644)
        (data / "recovery.signal").touch()
        return data

    @contextlib.contextmanager
    def prefetcher(self, *nodes, size="1GiB", start=None):
        words = [word for node in nodes for word in ("--node", f"{node.name}={node}")]
        if start:
            words += ["--from", start]
        daemon = self.pgrevive.launch("prefetch", "--config", self.conf, "--stanza", "main",
                                      "--spool-size", size, *words,
                                      log=self.space.path / "prefetch.log", user=server_user())
        try:
            wait_until(lambda: all((node / "pg_wal/pgrevive.spool/socket").exists()
                                   for node in nodes), 30, "the prefetcher listens", every=0.005)
            yield daemon
        finally:
            daemon.stop()

    def ours(self):
        return [self.pgrevive.archive_get, "--config", self.conf, "--stanza", "main",
                "--report", self.data / "report", "%f", "pg_wal/RECOVERYXLOG"]

    def backrest(self, conf):
        return ["/usr/bin/pgbackrest", f"--config={conf}", "--stanza=main",
                f"--pg1-path={self.data}", "--log-level-console=error", "archive-get", "%f",
                "pg_wal/RECOVERYXLOG"]

    def sync(self, names):
        return ask(self.data, names, self.backrest(self.conf))

    def asynchronous(self, names):
        for path in self.backrest_spool.iterdir():
            shutil.rmtree(path)
        return ask(self.data, names, self.backrest(self.async_conf))

    def alone(self, names):
        return ask(self.data, names, self.ours())

    def prefetched(self, names):
        with self.prefetcher(self.data):
            return ask(self.data, names, self.ours())

    def at_hand(self, names):
        """All of it lies ready: what the client alone costs."""
        with self.prefetcher(self.data, size="8GiB", start=names[0]):
            self.whole(self.data)
            return ask(self.data, names, self.ours())

    def replay(self):
        """A real recovery, the prefetcher told where it begins, as `start` does."""
        data = self.restored()
        command = "exec " + " ".join(str(word) for word in self.ours()[:-1]).replace(
            str(self.data), str(data)) + ' "%p"'
        storage = cpu_seconds(*self.gateway.pids)
        with self.prefetcher(data, start=self.names[0]) as prefetcher:
            result = self.recover(data, command)
            spent = {"the prefetcher": cpu_seconds(prefetcher.pid),
                     "the storage": cpu_seconds(*self.gateway.pids) - storage}
        return *result, spent

    def floor(self):
        """The same with every segment lying there already and a command that only renames it: what
        PostgreSQL waits for a shell and a program to start, whatever the program."""
        data = self.restored()
        ready = self.space.directory("ready", owner=server_user())
        with self.prefetcher(data, size="8GiB", start=self.names[0]):
            for path in self.whole(data):
                shutil.move(path, ready)
        return *self.recover(data, f'exec mv {ready}/%f "%p"'), {}

    def whole(self, data):
        """All segments in the spool of that server, once they are there."""
        spool = data / "pg_wal/pgrevive.spool"

        def found():
            return [p for p in spool.rglob("0*") if re.fullmatch(r"[0-9A-F]{24}", p.name)]

        wait_until(lambda: len(found()) >= len(self.names), 300, "all is ready")
        return found()

    def restored(self):
        data = self.space.directory("replayed", owner=server_user())
        tablespaces = self.space.directory("ts", owner=server_user())
        self.pgrevive.restore(self.conf, {"primary": data}, "--set", self.label, "--type",
                              "default", user=server_user(), tablespaces=tablespaces,
                              timeout=600)
        return data

    def recover(self, data, command):
        """Seconds from the first request to the last, and of each wait in it."""
        hba = self.space.path / "pg_hba.conf"
        hba.write_text("local all all trust\n")
        hba.chmod(0o644)
        log = self.space.path / "replay.log"
        log.unlink(missing_ok=True)
        server = Server(data, sockets=self.space.path, log=log)
        try:
            server.launch(archive_mode="off", hba_file=hba, hot_standby="off",
                          shared_buffers="512MB", log_min_messages="debug3",
                          log_line_prefix="%n ", restore_command=command,
                          recovery_target_action="shutdown", recovery_target_timeline="current")
            wait_until(lambda: "archive recovery complete" in log.read_text(errors="replace")
                       or not server.daemon.running(), 900, "recovery ends", every=1)
        finally:
            server.stop()
        asked, first, last, waits = None, None, None, []
        for line in log.read_text(errors="replace").splitlines():
            match = re.match(r"(\d+\.\d+) \w+:  (executing restore command|restored log file)", line)
            if not match:
                continue
            at = float(match[1])
            if match[2].startswith("executing"):
                asked = at
                first = first or at
            elif asked:
                waits.append(at - asked)
                last = at
        if not waits:
            raise SystemExit(f"nothing was replayed:\n{log.read_text(errors='replace')[-2000:]}")
        shutil.rmtree(data)
        return last - first, waits


def show(name, times, base=None):
    total = sum(times)
    ordered = sorted(times)
    ratio = f"{base / (total / len(times)):6.1f} x" if base else ""
    print(f"| {name:38} | {total / len(times) * 1000:8.1f} | {statistics.median(times) * 1000:8.1f} "
          f"| {ordered[int(len(ordered) * 0.99)] * 1000:8.1f} | {ratio} |", flush=True)


def delivery(bench, names, arguments):
    sides = {"pgbackrest archive-get": lambda: bench.sync(names[:arguments.sync]),
             "pgbackrest archive-get, async": lambda: bench.asynchronous(names),
             "pgrevive archive-get alone": lambda: bench.alone(names[:arguments.sync]),
             "pgrevive-archive-get, prefetched": lambda: bench.prefetched(names)}
    times = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, measure in sides.items():
            times[side].append(measure())
    print("| milliseconds for a segment | mean | median | 99 % | sync : this |\n"
          "|---|---|---|---|---|")
    middle = {side: sorted(runs, key=sum)[len(runs) // 2] for side, runs in times.items()}
    base = statistics.mean(middle["pgbackrest archive-get"])
    for side, of_side in middle.items():
        show(side, of_side, base)
    show("pgrevive-archive-get, all of it ready", bench.at_hand(names), base)
    ours = statistics.mean(middle["pgrevive-archive-get, prefetched"])
    theirs = statistics.mean(middle["pgbackrest archive-get, async"])
    print(f"async : prefetched = {theirs / ours:.2f}")


def replays(bench, rounds):
    sides = {"from the storage, prefetched": bench.replay,
             "the least: all of it there, exec mv": bench.floor}
    print("| replay: who delivers | segments | seconds | waiting : replaying | a wait, ms: first "
          "| median | 90 % | CPU ms for a segment |\n|---|---|---|---|---|---|---|---|")
    for _ in range(rounds):
        for side, measure in sides.items():
            whole, waits, spent = measure()
            ordered = sorted(waits)
            cpu = ", ".join(f"{who} {seconds / len(waits) * 1000:.0f}"
                            for who, seconds in spent.items())
            print(f"| {side} | {len(waits)} | {whole:.1f} "
                  f"| {sum(waits) / (whole - sum(waits)) * 100:.1f} % | {waits[0] * 1000:.0f} "
                  f"| {statistics.median(waits) * 1000:.1f} "
                  f"| {ordered[len(waits) * 9 // 10] * 1000:.1f} | {cpu} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--segments", type=int, default=200)
    parser.add_argument("--sync", type=int, default=30, help="segments for the slow sides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compress", default="zst")
    parser.add_argument("--replays", type=int, default=3)
    parser.add_argument("--only-replays", action="store_true")
    arguments = parser.parse_args()
    os.umask(0o022)
    space = Workspace("bench")
    give(space.path, server_user())
    try:
        bench = Bench(space, arguments)
        names = bench.names
        size = sum(repofiles.archive(bench.repo.path)[name].stat().st_size for name in names)
        print(f"{len(names)} segments, {arguments.compress}, {size / len(names) / 1e6:.1f} MB each "
              f"in the archive; {os.cpu_count()} processors; pgBackRest "
              f"{run(['pgbackrest', 'version']).stdout.split()[1]}")
        if not arguments.only_replays:
            delivery(bench, names, arguments)
        replays(bench, arguments.replays)
        bench.gateway.stop()
    finally:
        space.remove()


if __name__ == "__main__":
    main()
