"""The databases that are backed up, and their repositories.

A source is made, stopped, backed up offline in every form that is wanted, and removed: nothing of
it runs while restores are measured. Block incremental backups are not made, because Debian's
pgBackRest cannot: they are the fixtures of the functional tests.
"""

import json
import pathlib
import shutil
import tempfile

from rig import fixtures
from rig.backrest import BackrestRepo, s3_options
from rig.postgres import Server, server_user
from rig.process import run
from rig.workspace import give

from compare.targets import Skipped

# Rows as business tables have them: times, numbers, random tokens, words, a little JSON.
_EVENTS = """
create table {name} (id bigint not null, at timestamptz not null, customer_id int not null,
  kind text not null, amount numeric(12,2), token text not null, email text, payload jsonb);
select setseed(0.42);
insert into {name}
  select i, timestamptz '2024-01-01' + i * interval '7 seconds' + random() * interval '5 seconds',
    (random() * 500000)::int,
    (array['order','payment','refund','login','shipment'])[1 + (random() * 4)::int],
    round((random() * 9000)::numeric, 2), md5(i::text || random()::text),
    'user' || (random() * 500000)::int || '@example.org',
    jsonb_build_object('ip', '10.' || (random() * 255)::int || '.' || (random() * 255)::int || '.1',
      'items', (random() * 12)::int, 'ok', random() < 0.97)
  from generate_series(1, {rows}) i;
"""
_INDEXES = """
create unique index on {name} (id);
create index on {name} (at);
create index on {name} (customer_id);
create index on {name} (token);
"""
_HEAP_BYTES = 182
_ROW_BYTES = 309  # with the four indexes
_PGBENCH_SCALE_BYTES = 15_000_000


def _events(server, name, rows, indexes=True):
    server.sql(_EVENTS.format(name=name, rows=rows))
    if indexes:
        server.sql(_INDEXES.format(name=name))


def _pgbench(server, *words):
    run([server.bin / "pgbench", "-q" if "-i" in words else "-n", *words, "-h", server.sockets,
         "-p", str(server.port), "-U", "postgres", "postgres"], user=server.user, timeout=3600)


def _fill_small(server, size):
    """90 MB in 1,600 files whatever the size asked for: two more databases and a table."""
    server.sql("create database shop;")
    server.sql("create database reports;")
    _events(server, "events", 18_000_000 // _ROW_BYTES)


def _fill_mix(server, size):
    """pgbench, which compresses all too well, for three fifths, and business rows."""
    _pgbench(server, "-i", "-s", str(max(1, size * 3 // 5 // _PGBENCH_SCALE_BYTES)))
    _events(server, "events", size * 2 // 5 // _ROW_BYTES)
    _pgbench(server, "-t", "2000")


def _fill_events(server, size):
    """Business rows in the order they came, and twice in another order."""
    rows = size // 3 // _ROW_BYTES
    _events(server, "events", rows)
    for name, order in (("by_customer", "customer_id"), ("by_token", "token")):
        server.sql(f"create table {name} as select * from events order by {order};"
                   + _INDEXES.format(name=name))


def _fill_segment(server, size):
    """One table of one segment: a gigabyte, or half of the size asked for."""
    _events(server, "events", min(1_060_000_000, size // 2) // _HEAP_BYTES, indexes=False)


def _fill_tiny(server, size):
    """30,000 files whatever the size asked for: tables of one row, and the two maps of each that
    vacuum makes."""
    server.sql("select format('create table t%s as select %s as i', i, i)"
               " from generate_series(1, 10000) i \\gexec")


def _fill_empty(server, size):
    """Nothing but what initdb makes."""


DATA_SETS = {"small": _fill_small, "mix": _fill_mix, "events": _fill_events,
             "segment": _fill_segment, "tiny": _fill_tiny, "empty": _fill_empty}


class Source(Server):
    """A cluster that is filled once, without archiving."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        give(directory, server_user())
        # A socket's path may have 107 bytes, and the work area's may be longer.
        self.socket_directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrv-"))
        give(self.socket_directory, server_user())
        super().__init__(directory / "data", sockets=self.socket_directory)

    def sql(self, statements, **options):
        return super().sql(statements, timeout=3600, **options)

    def fill(self, data_set, size):
        run([self.bin / "initdb", "-D", self.data, "-U", "postgres", "-k", "--no-sync",
             "--auth=trust", "--locale=C.UTF-8", "--wal-segsize=1"], user=self.user)
        # Little WAL is left over, because a backup of a stopped server holds it.
        self.start(fsync="off", wal_level="minimal", max_wal_senders=0, full_page_writes="off",
                   autovacuum="off", min_wal_size="2MB", max_wal_size="32MB",
                   shared_buffers="256MB", maintenance_work_mem="256MB", synchronous_commit="off")
        try:
            DATA_SETS[data_set](self, size)
            # As a database that has lived a while: no hint bit is left to be set.
            self.sql("vacuum analyze; checkpoint;")
        finally:
            self.stop()

    def remove(self):
        shutil.rmtree(self.socket_directory, ignore_errors=True)
        shutil.rmtree(self.data.parent, ignore_errors=True)


class Repositories:
    """All repositories of a run, made when they are needed; an earlier run's are used again."""

    def __init__(self, work, size, jobs, say):
        self.work = pathlib.Path(work)
        self.size = size
        self.jobs = jobs
        self.say = say
        self._gateway = None
        self._confs = {}

    def _directory(self, data, form):
        return self.work / f"{data}-{self.size // 1_000_000}" / form.name

    def prepare(self, rows):
        """Makes what is missing: for each data set one source, backed up in all forms at once."""
        for data in DATA_SETS:
            forms = {row.form for row in rows if row.data == data
                     and not (self._directory(data, row.form) / "facts.json").exists()}
            if not forms:
                continue
            self.say(f"making the data set {data}")
            source = Source(self.work / "source")
            try:
                source.fill(data, self.size)
                for form in sorted(forms, key=lambda form: form.name):
                    self._back_up(source, data, form)
            finally:
                source.remove()

    def _back_up(self, source, data, form):
        self.say(f"backing up {data} as {form.name}")
        directory = self._directory(data, form)
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(exist_ok=True)
        repo = self._repo(directory, form, source)
        # With pgBackRest's own sizes of bundles, not the rig's small ones.
        options = {"repo1-path": repo.path, "compress-type": form.compress, **repo.secrets(),
                   **({"repo1-bundle": "y"} if form.bundle else {})}
        repo.write_conf("pgbackrest.conf", {**options, "process-max": self.jobs})
        repo.pgbackrest("--no-online", "stanza-create")
        repo.pgbackrest("--no-online", "--type=full", "--repo1-retention-full=9", "backup",
                        timeout=7200)
        backup = repo.info()[0]["backup"][-1]
        files = sum(1 for path in source.data.rglob("*") if path.is_file())
        (directory / "facts.json").write_text(json.dumps({
            "plain": backup["info"]["size"], "stored": backup["info"]["repository"]["size"],
            "files": files, "data": str(source.data), "port": source.port,
            "sockets": str(source.sockets)}))

    @staticmethod
    def _repo(directory, form, source):
        return BackrestRepo(directory, source, compress=form.compress, bundle=form.bundle,
                            cipher_pass="the passphrase" if form.cipher else None)

    def facts(self, row):
        if row.data == "fixture":
            fixture = self._fixture(row)
            # What is stored of one backup of these is not told; this is the whole chain.
            stored = sum(path.stat().st_size for path in (fixture.repo / "backup").rglob("*"))
            return {"plain": fixture.info()[0]["backup"][-1]["info"]["size"], "stored": stored,
                    "files": len(fixture.hashes(fixture.label("incr")))}
        return json.loads((self._directory(row.data, row.form) / "facts.json").read_text())

    def conf(self, row):
        """A pgbackrest.conf that both programs restore this row's backup with."""
        key = (row.storage, row.data, row.form)
        if key not in self._confs:
            make = self._fixture_conf if row.data == "fixture" else self._own_conf
            self._confs[key] = make(row)
        return self._confs[key]

    def _own_conf(self, row):
        directory = self._directory(row.data, row.form)
        facts = self.facts(row)
        source = type("Gone", (), {"data": facts["data"], "port": facts["port"],
                                   "sockets": facts["sockets"], "superuser": "postgres"})
        repo = self._repo(directory, row.form, source)
        return repo.write_conf(f"{row.storage}.conf",
                               {**self._place(row, repo.path), **repo.secrets(),
                                "process-max": self.jobs})

    def _fixture_conf(self, row):
        fixture = self._fixture(row)
        return fixture.conf(fixture.directory / f"{row.storage}.conf",
                            {**self._place(row, fixture.repo), "process-max": self.jobs})

    def _fixture(self, row):
        name = f"pg15-{row.form.name}"
        if fixtures.find(name) is None:
            raise Skipped(f"there is no {name}; PGREVIVE_FIXTURES names where such archives lie")
        if not (self.work / name).exists():
            return fixtures.Fixture.unpack(name, self.work)
        return fixtures.Fixture(name, self.work / name, *fixtures.ALL[name])

    def _place(self, row, path):
        """Options that name the repository: the directory, or a copy of it in a bucket."""
        if row.storage != "s3":
            return {"repo1-path": path}
        prefix = f"{row.data}/{row.form.name}"
        self.say(f"uploading {prefix}")
        gateway, s3 = self._s3()
        s3.upload(path, "backups", prefix)
        return s3_options(gateway, "backups", prefix)

    def _s3(self):
        if self._gateway is None:
            from rig.rgw import CephRGW
            from rig.s3 import S3
            self.say("starting the S3 service")
            directory = self.work / "rgw"
            self._gateway = CephRGW(directory, like_far_away=True).start()
            directory.chmod(0o755)
            S3(self._gateway).make_bucket("backups")
        from rig.s3 import S3
        return self._gateway, S3(self._gateway)

    def close(self):
        if self._gateway is not None:
            self._gateway.stop()
            shutil.rmtree(self._gateway.directory, ignore_errors=True)
