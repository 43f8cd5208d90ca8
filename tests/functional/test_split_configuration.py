"""Sources whose configuration lies outside of their data directory, as Debian keeps it, or includes files
from there: nothing of that is in a backup, and nothing of this host may be taken for it."""

import os
import pathlib
import shutil

import pytest

from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, server_user
from rig.process import Daemon, run
from rig.workspace import give

MARKERS = SourceCluster.MARKERS


def make_certificate(directory):
    run(["openssl", "req", "-new", "-x509", "-days", "9", "-nodes", "-subj", "/CN=source", "-out",
         directory / "server.crt", "-keyout", directory / "server.key"])
    for name in ("server.crt", "server.key"):
        (directory / name).chmod(0o600)
        give(directory / name, server_user())


class DebianCluster(SourceCluster):
    """By pg_createcluster: its configuration is in /etc/postgresql, and none in its data directory."""

    def __init__(self, directory):
        super().__init__(directory)
        self.name = f"pgrv{os.getpid()}"
        self.etc = pathlib.Path("/etc/postgresql/15") / self.name

    def _make_cluster(self):
        run(["pg_createcluster", "15", self.name, "-d", self.data, "-p", str(self.port), "-l",
             self.directory / "debian.log", "--start-conf=disabled", "--locale=C.UTF-8", "-e",
             "UTF8", "--", "-k", "--wal-segsize=1"])

    def create(self):
        self._make_directories()
        self._make_cluster()
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            assert (self.etc / name).exists() and not (self.data / name).exists()
        main = (self.etc / "postgresql.conf").read_text()
        for setting in ("data_directory", "hba_file", "ident_file", "external_pid_file",
                        "include_dir"):
            assert f"\n{setting} = " in main
        (self.etc / "pg_hba.conf").write_text("local all all trust\n")
        # As the package ssl-cert would have made it, at a place of this test's own.
        make_certificate(self.etc)
        (self.etc / "conf.d" / "tuned.conf").write_text(
            self._settings() + f"""
ssl = on
ssl_cert_file = '{self.etc}/server.crt'
ssl_key_file = '{self.etc}/server.key'
max_connections = 222
max_prepared_transactions = 5
work_mem = '7MB'
shared_preload_libraries = 'pg_stat_statements'
external_pid_file = '{self.directory}/source.pid'
""")
        self._odd_files()
        return self

    def launch(self, **settings):
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.daemon = Daemon([self.bin / "postgres", "-D", self.data, "-c",
                              f"config_file={self.etc}/postgresql.conf", *options], self.log,
                             user=self.user, cwd=self.data)
        return self

    def drop(self):
        """Also where it was not made to its end. Other clusters of this host stay as they are."""
        self.stop()
        run(["pg_dropcluster", "15", self.name], check=False)
        shutil.rmtree(self.etc, ignore_errors=True)


def backed_up(directory, source):
    repo = BackrestRepo(directory / "backups", source, compress="lz4").create_stanza()
    repo.backup("full")
    source.work()
    source.mark("last")
    source.switch_wal()
    return repo


def told_of_start(pgrevive, space, repo, name, settings):
    """Both nodes are up with the rows and settings; returns what start said."""
    repo.finished()
    cluster = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": repo.path, "ADMINER_PORT": 0, "WAL_ARCHIVE": "off"},
        name=name)
    try:
        told = cluster.start().stdout
        cluster.sql("primary", "insert into markers (what) values ('of the new line')")
        cluster.caught_up()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == "m1-filled,last,of the new line"
            for setting, value in settings.items():
                assert cluster.sql(node, f"show {setting}") == value, (node, setting)
            for setting in ("config_file", "hba_file", "ident_file", "data_directory"):
                assert cluster.sql(node, f"show {setting}").startswith(str(cluster.root))
        assert cluster.run("test").returncode == 0
        return told
    finally:
        cluster.gone()


@pytest.mark.skipif(os.geteuid() != 0, reason="pg_createcluster writes into /etc")
def test_debian(pgrevive, space):
    directory = space.directory("debian", owner=server_user())
    source = DebianCluster(directory / "source")
    others = run(["pg_lsclusters", "-h"]).stdout
    try:
        source.create().start().fill()
        assert source.sql("show ssl") == "on"
        repo = backed_up(directory, source)
        manifest = (repo.path / "backup" / "main" / repo.labels[0] / "backup.manifest").read_text()
        assert "PG_VERSION" in manifest and "postgresql.conf" not in manifest
        assert "pg_hba.conf" not in manifest
    finally:
        source.drop()
    assert run(["pg_lsclusters", "-h"]).stdout == others
    shutil.rmtree(source.directory)
    told = told_of_start(pgrevive, space, repo, "debian", {
        "ssl": "off", "max_connections": "222", "max_prepared_transactions": "5",
        "external_pid_file": ""})
    assert "postgresql.conf: not in the backup" in told, told


def test_includes(pgrevive, space):
    """Files inside of the data directory came with the backup. What lies outside is of this host, even
    where it can be read."""
    directory = space.directory("includes", owner=server_user())
    source = SourceCluster(directory / "source").create()
    host = directory / "host"
    (host / "conf.d").mkdir(parents=True)
    shutil.copy(source.data / "pg_hba.conf", host / "hba.conf")
    (host / "ident.conf").write_text("")
    (host / "tuned.conf").write_text("work_mem = '5MB'\nrandom_page_cost = 1.5\n")
    (host / "conf.d" / "more.conf").write_text("maintenance_work_mem = '99MB'\n")
    for path in (host, *host.rglob("*")):
        give(path, server_user())
    make_certificate(host)
    (source.data / "inside.conf").write_text("random_page_cost = 2.5\ninclude 'deeper.conf'\n")
    (source.data / "deeper.conf").write_text("default_statistics_target = 77\n")
    for name in ("inside.conf", "deeper.conf"):
        give(source.data / name, server_user())
    with open(source.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"""
data_directory = '{source.data}'
hba_file = '{host}/hba.conf'
ident_file = '{host}/ident.conf'
external_pid_file = '{host}/source.pid'
ssl = on
ssl_cert_file = '{host}/server.crt'
ssl_key_file = '{host}/server.key'
include 'inside.conf'
include '{host}/tuned.conf'
include_dir '{host}/conf.d'
include_if_exists '/nonexistent/host.conf'
""")
    try:
        source.start().fill()
        assert source.sql("show random_page_cost") == "1.5"
        # As on a host with so much memory; here it would not start with them.
        with open(source.data / "inside.conf", "a", encoding="utf-8") as conf:
            conf.write("shared_buffers = '900GB'\nhuge_pages = on\n")
        repo = backed_up(directory, source)
    finally:
        source.stop()
    shutil.rmtree(source.directory)
    (host / "tuned.conf").write_text("random_page_cost = 9\ndefault_statistics_target = 9\n"
                                     "this is another's file\n")
    told = told_of_start(pgrevive, space, repo, "includes", {
        "ssl": "off", "random_page_cost": "2.5", "default_statistics_target": "77",
        "external_pid_file": "", "shared_buffers": "32MB", "huge_pages": "try"})
    for name in ("shared_buffers", "huge_pages", "hba_file", "ident_file", "external_pid_file", "data_directory", "ssl_cert_file",
                 f"include {host}/tuned.conf", f"include_dir {host}/conf.d",
                 "include_if_exists /nonexistent/host.conf"):
        assert name in told, told
    assert "another's file" not in told, told
