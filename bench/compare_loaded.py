#!/usr/bin/env python3
"""A source under load, brought back whole: `start` beside pgBackRest and PostgreSQL by hand.

    cmake --workflow --preset release
    bench/compare_loaded.py [--scale 40] [--segments 60] [--rounds 3] [--compress zst]

pgbench writes as fast as it can while the backup is taken and after it, until so many segments of
16 MB are archived behind it (encrypted). All of it goes into Ceph RGW behind TLS on this machine,
which answers after 41 ms. Then, by turns and each from nothing: a primary that accepts writes, and a
primary with a replica that streams; made by `pgrevive start`, and by `pgbackrest restore` with
PostgreSQL's own recovery, where the replica's files are restored while the primary recovers. Every
side has to give the rows that the source had, and is proven to be sound by amcheck and page checksums
once, behind the clock. Needs what the functional tests need, 10 GB of disk, 6 GB of memory.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/functional"))

from rig import rgw, soundness  # noqa: E402
from rig.backrest import BackrestRepo  # noqa: E402
from rig.cluster import Cluster  # noqa: E402
from rig.postgres import Server, SourceCluster, server_user, trusting_hba  # noqa: E402
from rig.process import Daemon, run, wait_until  # noqa: E402
from rig.program import Program  # noqa: E402
from rig.repofiles import segments  # noqa: E402
from rig.s3 import S3  # noqa: E402
from rig.workspace import Workspace, give  # noqa: E402

# What has to be the same wherever the source came back.
ROWS = "select count(*) || ' ' || coalesce(sum(delta), 0) from pgbench_history"
BUFFERS = "128MB"


class Source:
    """The source, its repository, and what it held at the end of its archive."""

    def __init__(self, directory, arguments):
        server = SourceCluster(directory / "source", segment_mb=16).create()
        with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"shared_buffers = {BUFFERS}\nmax_wal_size = 1GB\n")  # as servers have it
        server.start()
        self.server = server
        self.repo = BackrestRepo(directory / "backups", server, compress=arguments.compress,
                                 cipher_pass="bench",
                                 options={"archive-async": "y", "archive-push-queue-max": "64GiB"})
        self.repo.create_stanza()
        server.sql("create database testdb")
        run(self._pgbench("-i", "-q", "-s", str(arguments.scale)), user=server.user, timeout=600)
        load = Daemon(self._pgbench("-n", "-c", "4", "-T", "3600"), directory / "pgbench.log",
                      user=server.user)
        try:
            wait_until(lambda: server.sql("select count(*) > 500 from pgbench_history",
                                          "testdb") == "t", 60, "pgbench works")
            self.repo.pgbackrest("--type=full", "backup", timeout=900)
            self.label = self.repo.info()[0]["backup"][0]["label"]
            self.first = self.repo.info()[0]["backup"][0]["archive"]["start"]
            wait_until(lambda: self.archived() >= arguments.segments, 1800, "its WAL is archived",
                       every=1)
        finally:
            load.stop()
        wait_until(lambda: server.sql("select count(*) from pg_stat_activity where application_name"
                                      " = 'pgbench'") == "0", 30, "pgbench ends")
        self.rows = server.sql(ROWS, "testdb")
        server.switch_wal(900)
        server.stop()

    def _pgbench(self, *words):
        server = self.server
        return [server.clients / "pgbench", *words, "-h", server.sockets, "-p", str(server.port),
                "-U", server.superuser, "testdb"]

    def archived(self):
        """Segments from the backup's first on."""
        return len([name for name in segments(self.repo.path) if name >= self.first])


class ByHand:
    """pgBackRest restores, with WAL fetched ahead for PostgreSQL, which recovers."""

    def __init__(self, space, repo, conf):
        self.space, self.repo, self.conf = space, repo, conf
        self.hba = trusting_hba(space.path)
        self.hba.write_text(self.hba.read_text() + "local replication all trust\n")
        self.servers = []

    def restore(self, name, *words):
        data, places = (self.space.directory(kind, owner=server_user())
                        for kind in (name, f"{name}-tablespaces"))
        spool = self.space.directory(f"{name}-spool", owner=server_user())
        conf = self.repo.write_conf(f"{name}.conf", {
            **self.conf, "archive-async": "y", "archive-get-queue-max": "1GiB", "spool-path": spool})
        self.repo.pgbackrest(f"--pg1-path={data}", f"--tablespace-map-all={places}", "restore",
                             *words, conf=conf, timeout=900)
        sockets = self.space.directory(f"{name}-sockets", owner=server_user())
        server = Server(data, sockets=sockets)
        self.servers.append(server)
        return server

    def launch(self, server):
        return server.launch(archive_mode="off", hba_file=self.hba, fsync="on",
                             shared_buffers=BUFFERS)

    def run(self, nodes):
        primary = self.launch(self.restore("primary"))
        replica = self.restore("replica", "--type=standby") if nodes == 2 else None
        wait_until(lambda: primary.ready() and primary.sql("select pg_is_in_recovery()") == "f", 900,
                   f"recovery ends; see {primary.log}", every=0.05)
        if replica:
            with open(replica.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
                conf.write(f"primary_conninfo = 'host={primary.sockets} port={primary.port} "
                           "user=postgres'\n")
            self.launch(replica)
            wait_until(lambda: primary.sql("select count(*) from pg_stat_replication "
                                           "where state = 'streaming'") == "1", 900,
                       f"the replica streams; see {replica.log}", every=0.05)

    def rows(self):
        return [server.sql(ROWS, "testdb") for server in self.servers]

    def prove(self):
        """The primary goes last: the replica has amcheck from it."""
        primary = self.servers[0]
        primary.sql("create extension if not exists amcheck", "testdb")
        lsn = primary.sql("select pg_current_wal_lsn()")
        for server in reversed(self.servers):
            wait_until(lambda s=server: s is primary or s.sql(
                f"select pg_last_wal_replay_lsn() >= '{lsn}'") == "t", 60, "it has caught up")
            soundness.run_pg_amcheck(str(server.data), "-h", server.sockets, "-p", str(server.port),
                                     "-U", server.superuser, "testdb")
            soundness.no_difference(server.sql(soundness.BALANCES, "testdb"), str(server.data))

    def end(self):
        for server in reversed(self.servers):
            server.stop()
            shutil.rmtree(server.data)
        self.servers.clear()


class Ours:
    def __init__(self, space, source, gateway):
        program = Program(space.directory("bin"))
        space.path.chmod(0o755)
        self.cluster = Cluster(program, space.directory("home"), {
            "S3_ENDPOINT": gateway.endpoint, "S3_BUCKET": "loaded", "S3_PATH": "/repo",
            "S3_REGION": gateway.region, "S3_URI_STYLE": "path", "S3_CA_FILE": gateway.ca_file,
            "S3_ACCESS_KEY": gateway.reader[0], "S3_SECRET_KEY": gateway.reader[1],
            "REPO_CIPHER_PASS": source.repo.cipher_pass, "PGBACKREST_STANZA": "main",
            "PGBACKREST_PROCESS_MAX": 2, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0,
            "SHARED_BUFFERS": BUFFERS})
        self.cluster.unproven = "proven where it was measured"

    def run(self, nodes):
        self.nodes = ["primary", "replica"][:nodes]
        self.cluster.values["REPLICAS"] = nodes - 1
        self.cluster.write_env()
        self.cluster.start(timeout=900)

    def rows(self):
        return [self.cluster.sql(node, ROWS) for node in self.nodes]

    def prove(self):
        soundness.prove(self.cluster)

    def end(self):
        self.cluster.stop()
        shutil.rmtree(self.cluster.root)


def compare(arguments, space, place):
    source = Source(place.directory("s", owner=server_user()), arguments)
    gateway = rgw.CephRGW(place.directory("rgw"), like_far_away=True).start()
    try:
        gateway.directory.chmod(0o755)
        s3 = S3(gateway)
        s3.make_bucket("loaded")
        s3.upload(source.repo.path, "loaded", "repo")
        backup = source.repo.info()[0]["backup"][0]["info"]
        print(f"{backup['size'] / 1e6:.0f} MB ({backup['repository']['size'] / 1e6:.0f} stored), "
              f"{source.archived()} segments behind it, {arguments.compress}; {os.cpu_count()} "
              f"processors; {run(['pgbackrest', 'version']).stdout.strip()}; load "
              f"{os.getloadavg()[0]:.1f}", flush=True)
        by_hand = ByHand(space, source.repo, source.repo.s3_options(gateway, "loaded", "repo"))
        ours = Ours(space, source, gateway)
        times = {(who, nodes): [] for nodes in (1, 2) for who in (by_hand, ours)}
        for number in range(arguments.rounds):
            for (who, nodes), of_side in times.items():
                os.sync()
                begin = time.monotonic()
                try:
                    who.run(nodes)
                    of_side.append(time.monotonic() - begin)
                    rows = who.rows()
                    if set(rows) != {source.rows}:
                        raise SystemExit(f"the source had {source.rows}, these have {rows}")
                    if number == 0:
                        who.prove()
                finally:
                    who.end()
                print(type(who).__name__, nodes, f"{of_side[-1]:.1f}", file=sys.stderr, flush=True)
        print("| nodes | by hand, s | start, s | by hand : start | of each round |\n|---|---|---|---|---|")
        for nodes in (1, 2):
            hand, start = times[by_hand, nodes], times[ours, nodes]
            print(f"| {nodes} | {statistics.median(hand):.1f} | {statistics.median(start):.1f} "
                  f"| {statistics.median(hand) / statistics.median(start):.2f} x | "
                  + ", ".join(f"{a / b:.2f}" for a, b in zip(hand, start)) + " |")
    finally:
        gateway.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=int, default=40, help="of pgbench; 15 MB each")
    parser.add_argument("--segments", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compress", default="zst")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/pgrevive")
    arguments = parser.parse_args()
    os.environ["PGREVIVE_PROGRAM"] = str(arguments.program)
    os.umask(0o022)
    space, place = Workspace("loaded", on_disk=True), Workspace("source")
    for each in (space, place):
        give(each.path, server_user())
    try:
        compare(arguments, space, place)
    finally:
        for each in (space, place):
            each.remove()


if __name__ == "__main__":
    main()
