"""A host that sorts texts by other versions than the source did, or that lacks a locale of it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from rig import soundness
from rig.backrest import BackrestRepo
from rig.cluster import PASSWORD, Cluster
from rig.postgres import SourceCluster, binaries
from rig.process import run, wait_until
from rig.program import message
from rig.versions import server_programs
from rig.workspace import Workspace

NOT_FOUND, POSTGRES = 23, 27
SHOP = "shop ü"
DIFFERENT = ("select count(*) from pg_database where datcollversion is distinct from "
             "pg_database_collation_actual_version(oid) and datname = current_database()")
DIFFERENT_EXPLICIT = ("select count(*) from pg_collation where collversion <> "
                      "pg_collation_actual_version(oid) and collname in ('pt', 'de-x-icu', 'alike')")
# Every index of the test's own tables, with what it lies in.
FILES = ("select string_agg(c.relname || '=' || c.relfilenode, ',' order by c.relname) "
         "from pg_class c where relkind = 'i' and relnamespace = 'public'::regnamespace")


_made = {}  # name to the place of the first, which took a while to make


def make_locales(directory, *names):
    """Locales of the C library in a directory that LOCPATH can name. What they are made of comes with
    the package locales."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    for name in names:
        place = directory / f"{name}.utf8"
        if place.exists():
            continue
        if name in _made and _made[name].exists():
            shutil.copytree(_made[name], place)
        else:
            run(["localedef", "-i", name, "-f", "UTF-8", place])
            _made[name] = place
    if not (directory / "C.utf8").exists():
        shutil.copytree("/usr/lib/locale/C.utf8", directory / "C.utf8")
    return directory


class Story:
    """A source of locale pt_BR that is gone; what it left says that glibc 2.28 sorted it."""

    def __init__(self, directory, locales):
        os.environ["LOCPATH"] = str(locales)  # for whatever is started below
        try:
            self.source = source = SourceCluster(directory / "source", locale="pt_BR.utf8").create()
            source.start()
            self.repo = BackrestRepo(directory / "backups", source).create_stanza()
            self.fill(source)
            source.prepare_load("testdb")
            self.make_older(source)
            self.repo.backup("full")
            source.switch_wal()
            source.stop()
            self.repo.finished()
        finally:
            del os.environ["LOCPATH"]

    def fill(self, source):
        source.sql(f"""
create database testdb template template0 locale 'C.UTF-8';
create database "{SHOP}";
create database twins;
create database essen template template0 locale_provider icu icu_locale 'de';
create database lost template template0 locale 'de_DE.utf8';
create database alpine;
alter role postgres set log_statement = 'all';
""")
        # A worker of the source's that must not awake when the locale is installed.
        source.sql("create subscription feed connection 'host=127.0.0.1 port=1' publication p "
                   "with (connect = false); alter subscription feed enable", "lost")
        source.sql("""
create collation pt (provider = libc, locale = 'pt_BR.utf8');
create collation alike (provider = icu, locale = 'de-u-ks-level2', deterministic = false);
create table explicit (id int primary key, plain text, german text collate "de-x-icu",
                       brazilian text collate pt, alike text collate alike);
create index plain on explicit (plain);
create index german on explicit (german);
create index german_c on explicit (german collate "C");
create index brazilian on explicit (id, brazilian);
create index both_of_them on explicit (german, brazilian);
create index alike_hash on explicit using hash (alike);  -- equal is not of equal bytes
create index german_hash on explicit using hash (german);
create index by_predicate on explicit (id) where german > 'm';
insert into explicit select i, i::text, md5(i::text), md5(i::text) from generate_series(1, 300) i;
""", "testdb")
        source.sql("""
create extension btree_gist;
create extension pg_trgm;
create table items (id int primary key, name text, code text collate "C", tags text[],
                    what jsonb, at timestamptz, unique (name, id),
                    exclude using gist (name with =, id with =));
create index items_by_name on items (name);
create index items_lower on items (lower(name));
create index items_predicate on items (at) where name > 'm';
create index items_tags on items using gin (tags);
create index items_brin on items using brin (name);
create index "Items ""of"" ü" on items (name desc);
-- None of these depends on an order of texts.
create index items_at on items (at);
create index items_code on items (code);
create index items_c on items (name collate "C");
create index items_pattern on items (name text_pattern_ops);
create index items_hash on items using hash (name);
create index items_include on items (id) include (name);
create index items_what on items using gin (what);
create index items_lower_c on items (lower(code));
create index items_predicate_c on items (at) where code > 'm';
insert into items select i, md5(i::text), md5(i::text), array[md5(i::text)], '{}', now()
  from generate_series(1, 500) i;
create type span as range (subtype = text);
create type pair as (a int, b text);
create table odd (id int, s span, p pair, n int4range);
create index odd_span on odd using gist (s);
create index odd_pair on odd (p);
create index odd_number on odd using gist (n);

create table parted (name text, id int) partition by range (name);
create index parted_name on parted (name);
create index parted_id on parted (id);
create table parted_l partition of parted for values from ('a') to ('m');
create table parted_m (name text, id int);
insert into parted values ('anna', 1), ('luis', 2);
-- A row that by today's order belongs elsewhere, as another order would have put it.
insert into parted_m values ('zoe', 3), ('bert', 4);
alter table parted_m add constraint m check (name is not null and name >= 'm') not valid;
update pg_constraint set convalidated = true where conname = 'm';
alter table parted attach partition parted_m for values from ('m') to (maxvalue);
create table by_hash (name text) partition by hash (name);
create table by_number (name text, id int) partition by range (id);

-- Who owns a function decides what it does, to whoever calls it.
create role guest;
create function guest_says(text) returns text immutable language plpgsql as $$
begin raise log 'guest_says ran as %', current_user; return $1; end $$;
alter function guest_says(text) owner to guest;
create table by_guest (name text) partition by range (guest_says(name));
create table by_guest_l partition of by_guest for values from ('a') to ('m');
insert into by_guest values ('anna');
""", SHOP)
        source.sql("""
create table once (id int, name text);
create unique index once_name on once (name);
create index once_id on once (id);
create index once_other on once (name, id);
insert into once select i, md5(i::text) from generate_series(1, 100) i;
-- A duplicate that a unique index in another order would not have noticed.
update pg_index set indisready = false where indexrelid = 'once_name'::regclass;
insert into once select 1000, md5('1');
update pg_index set indisready = true where indexrelid = 'once_name'::regclass;
""", "twins")
        source.sql("""
create collation pt (provider = libc, locale = 'pt_BR.utf8');
create table musl (id int primary key, name text, explicit text collate pt);
create index musl_name on musl (name);
create index musl_explicit on musl (explicit);
insert into musl select i, md5(i::text), md5(i::text) from generate_series(1, 100) i;
""", "alpine")

    def make_older(self, source):
        assert source.sql("select count(*) from pg_database where datcollversion is not null") > "3"
        # initdb leaves template0 without one.
        source.sql("update pg_database set datcollversion = '2.28' "
                   "where datcollversion is not null or datname = 'template0'")
        source.sql("update pg_collation set collversion = case collprovider when 'i' then '150.1' "
                   "else '2.28' end where collname in ('pt', 'de-x-icu', 'alike')", "testdb")
        # A C library that tells no version: PostgreSQL keeps none.
        source.sql("update pg_database set datcollversion = null where datname = 'alpine'")
        source.sql("update pg_collation set collversion = null where collname = 'pt'", "alpine")
        source.sql("create table t (id int primary key, name text); create index t_name on t(name)",
                   "essen")


@pytest.fixture(scope="module")
def source_locales(session_workspace):
    return make_locales(session_workspace.directory("locales"), "pt_BR", "de_DE")


@pytest.fixture(scope="module")
def story(session_workspace, source_locales):
    return Story(session_workspace.directory("collations"), source_locales)


class Host(Cluster):
    """A cluster on a host with the locales of a directory of its own."""

    def __init__(self, *arguments, locales, **options):
        self.locales = locales
        super().__init__(*arguments, **options)

    @property
    def environment(self):
        return {**super().environment, "LOCPATH": self.locales}

    def databases(self):
        """Name to findings."""
        found = self.status()["collations"]["databases"]
        return {one["database"]: one for one in found}

    def server_log(self):
        return (self.root / "primary" / "logs" / "postgresql.log").read_text(errors="replace")

    def statements(self):
        """REINDEX and REFRESH as the server got them, in order."""
        return re.findall(r"execute <unnamed>: ((?:reindex|alter (?:database|collation)|"
                          r"drop index concurrently)[^\n]*)", self.server_log())


@pytest.fixture
def space():
    """Short paths, because sockets lie below."""
    workspace = Workspace("l")
    workspace.path.chmod(0o755)
    yield workspace
    workspace.remove()


@pytest.fixture
def make_cluster(pgrevive, story, space):
    made = []

    def make(locales=("pt_BR",), **values):
        values = {"REPO_TYPE": "posix", "REPO_PATH": story.repo.path, "PGBACKREST_STANZA": "main",
                  "WAL_ARCHIVE": "off", "ADMINER_PORT": 0, **values}
        cluster = Host(pgrevive, space.directory("h"), values,
                       locales=make_locales(space.path / "locales", *locales))
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


def mend(cluster):
    """What the source had broken, and what is missing here: nobody can look into a database otherwise."""
    make_locales(cluster.locales, "pt_BR", "de_DE")
    cluster.sql("primary", "delete from once where id = 1000", "twins")


def names(findings):
    return {index["name"] for index in findings["indexes"]}


def files(cluster, database):
    return dict(one.split("=") for one in cluster.sql("primary", FILES, database).split(","))


AFFECTED_IN_SHOP = {"items_name_id_key", "items_name_id_excl", "items_by_name", "items_lower",
                    "items_predicate", "items_tags", "items_brin", 'Items "of" ü', "odd_span",
                    "odd_pair", "parted_l_name_idx", "parted_m_name_idx"}
AFFECTED_IN_TESTDB = {"german", "brazilian", "both_of_them", "by_predicate", "alike_hash"}


def test_differences_are_found_and_repaired(make_cluster, story):
    """Exactly the indexes that depend on a changed collation are named, then rebuilt; a version is
    taken over only behind the last of them, and not where one could not be rebuilt."""
    cluster = make_cluster()
    started = cluster.start()
    found = cluster.databases()
    assert set(found) == {"postgres", "template0", "template1", "testdb", SHOP, "twins", "essen",
                          "lost", "alpine"}
    assert names(found[SHOP]) == AFFECTED_IN_SHOP
    assert names(found["testdb"]) == AFFECTED_IN_TESTDB
    assert {(one["name"], one["provider"], one["source_version"])
            for one in found["testdb"]["collations"]} == {("pt", "libc", "2.28"),
                                                          ("de-x-icu", "icu", "150.1"),
                                                          ("alike", "icu", "150.1")}
    assert names(found["twins"]) == {"once_name", "once_other"}
    assert {one["name"] for one in found[SHOP]["partitioned"]} == {"parted", "by_guest"}
    assert names(found["essen"]) == {"t_name"}
    assert found["essen"]["collations"][0]["provider"] == "icu"
    assert not names(found["postgres"])
    assert names(found["alpine"]) == {"musl_name", "musl_explicit"}
    assert [(one["name"], one["source_version"]) for one in found["alpine"]["collations"]] == [
        ("default", ""), ("pt", "")]
    assert cluster.sql("primary", "select subenabled, subslotname is null from pg_subscription") \
        == "f|t"
    total = len(AFFECTED_IN_SHOP | AFFECTED_IN_TESTDB) + 5
    for text in (started.stdout, cluster.run("status").stdout):
        assert "alpine: default unknown -> " in text and "the source kept no version" in text, text
        assert f"9 databases were sorted by other versions than this host's: {total} indexes" \
            in text, text
        assert "start --reindex" in text and "public.parted" in text, text
        assert str(cluster.root / "primary" / "collations.json") in text, text
        assert "database lost: nobody can connect" in text and "de_DE.UTF-8" in text, text

    before = {database: files(cluster, database) for database in ("testdb", SHOP, "twins")}
    result = cluster.start("--reindex", check=False)
    assert result.returncode == POSTGRES and "once_name" in result.stderr, message(result)
    assert "reindexing" in result.stdout and f"{total - 1} of {total} indexes" in result.stdout, \
        message(result)
    assert "rows of public.parted_m belong into another partition" in result.stdout, result.stdout
    assert "whether rows of public.by_guest belong into another partition" in result.stdout
    assert "guest_says ran as" not in cluster.server_log()

    changed = {database: {name for name, file in files(cluster, database).items()
                          if before[database].get(name) != file} for database in before}
    assert changed["testdb"] == AFFECTED_IN_TESTDB
    assert changed[SHOP] == AFFECTED_IN_SHOP
    assert changed["twins"] == {"once_other"}  # and nothing was left behind
    for database in ("testdb", SHOP, "essen", "postgres", "template1", "alpine"):
        assert cluster.sql("primary", DIFFERENT, database) == "0", database
    assert cluster.sql("primary", DIFFERENT_EXPLICIT, "testdb") == "0"
    assert cluster.sql("primary", "select collversion = pg_collation_actual_version(oid) "
                       "from pg_collation where collname = 'pt'", "alpine") == "t"
    assert cluster.sql("primary", DIFFERENT, "twins") == "1"
    check_order(cluster)

    found = cluster.databases()
    assert set(found) == {"twins", "lost"}
    assert names(found["twins"]) == {"once_name", "once_other"}

    # The cause is removed.
    cluster.sql("primary", "delete from once where id = 1000", "twins")
    result = cluster.start("--reindex", check=False)
    assert "once" not in result.stderr and "lost: this host has no locale" in result.stderr, \
        message(result)
    assert set(cluster.databases()) == {"lost"}
    assert set(files(cluster, "twins")) == {"once_name", "once_id", "once_other"}
    assert cluster.sql("primary", DIFFERENT, "twins") == "0"
    cluster.caught_up()
    assert cluster.sql("replica", DIFFERENT, "twins") == "0"
    assert cluster.sql("replica", "select count(*) from pg_index where not indisvalid",
                       "twins") == "0"

    # The locale is installed: restarted, the database is there, and can be repaired as the others.
    make_locales(cluster.locales, "de_DE")
    cluster.run("restart")
    assert cluster.sql("primary", "select 1", "lost") == "1"
    assert "nobody can connect" not in cluster.run("status").stdout
    cluster.start("--reindex")
    assert cluster.databases() == {}
    assert "collations" not in cluster.run("status").stdout
    assert soundness.prove(cluster) == ["primary", "replica"]


def check_order(cluster):
    """The server's own log: a version is refreshed behind the last index that depends on it, and behind
    the look for rows that are in a wrong partition, which nobody takes afterwards."""
    statements = cluster.statements()

    def last(*indexes):
        return max(statements.index(f'reindex index concurrently "public"."{name}"')
                   for name in indexes)

    at = statements.index('alter collation "public"."pt" refresh version')
    assert at > last("brazilian", "both_of_them"), statements
    at = statements.index('alter collation "pg_catalog"."de-x-icu" refresh version')
    assert at > last("german", "by_predicate", "both_of_them"), statements
    at = statements.index(f'alter database "{SHOP}" refresh collation version')
    excluding = statements.index('reindex index "public"."items_name_id_excl"')  # under a lock
    assert at > max(excluding, last("items_by_name", "items_lower", "odd_pair",
                                    "parted_m_name_idx")), statements
    log = cluster.server_log()
    assert -1 < log.find('select from only "public"."parted_m"') < log.find(statements[at]), statements
    at = log.find("update pg_catalog.pg_database set datcollversion")
    assert at > log.find('reindex index concurrently "public"."musl_name"') > -1
    assert 'alter database "template0" refresh collation version' in statements
    assert 'alter database "twins" refresh collation version' not in statements


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_interrupted_repair_goes_on(make_cluster, story, how):
    """It ends while it waits for an index: the version is the old one then, and the next start does
    the rest, and removes what was left behind."""
    cluster = make_cluster(("pt_BR", "de_DE"), REPLICAS=0)
    cluster.start()
    cluster.sql("primary", "delete from once where id = 1000", "twins")
    with holding_lock(cluster, SHOP, "items"):
        cluster.start("--reindex", "--detach")
        waiting = ("select pid from pg_stat_activity where datname = current_database() "
                   "and query ~ '^reindex' and wait_event_type = 'Lock'")
        wait_until(lambda: cluster.sql("primary", waiting, SHOP), 60, "an index waits")
        wait_until(lambda: SHOP in cluster.status()["supervisor"]["reindex"]["now"], 10,
                   "the status names the index")
        assert cluster.status()["supervisor"]["phase"] == "reindexing"
        left = cluster.sql("primary", "select relname from pg_index join pg_class "
                           "on oid = indexrelid where not indisvalid", SHOP)
        assert "_ccnew" in left
        if how == "kill":
            os.kill(int((cluster.root / "run" / "supervisor.lock").read_text()), signal.SIGKILL)
            cluster.sql("primary", f"select pg_terminate_backend(pid) from ({waiting}) w", SHOP)
        else:
            cluster.stop(timeout=30)
    if how == "kill":
        assert cluster.sql("primary", DIFFERENT, SHOP) == "1"
        assert names(cluster.databases()[SHOP]) == AFFECTED_IN_SHOP  # as they were at the start
    started = cluster.start()

    assert "reindexed" in started.stdout, started.stdout
    assert cluster.databases() == {}
    assert cluster.sql("primary", DIFFERENT, SHOP) == "0"
    assert cluster.sql("primary", "select count(*) from pg_index where not indisvalid", SHOP) == "0"
    assert not (cluster.root / "run" / "reindex").exists()
    quoted = left.replace('"', '""')
    assert f'drop index concurrently if exists "public"."{quoted}"' in cluster.statements()
    assert soundness.prove(cluster) == ["primary"]


@contextlib.contextmanager
def holding_lock(cluster, database, table):
    session = subprocess.Popen(
        [binaries() / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1",
         "-p", str(cluster.primary_port), "-U", "postgres", "-d", database],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PGPASSWORD": PASSWORD})
    try:
        session.stdin.write(f"begin; lock table {table} in row exclusive mode; select 'held';\n")
        session.stdin.flush()
        assert session.stdout.readline().strip() == "held"
        yield
    finally:
        session.stdin.close()
        session.wait(20)


def test_start_with_reindex_from_the_first(make_cluster, story):
    """One command restores and repairs, and makes a database of a template of an old version."""
    cluster = make_cluster(("pt_BR", "de_DE"), POSTGRES_DB="new one")
    result = cluster.start("--reindex", check=False)
    assert result.returncode == POSTGRES and "once_name" in result.stderr, message(result)
    assert cluster.sql("primary", DIFFERENT, "new one") == "0"
    assert set(cluster.databases()) == {"twins"}
    cluster.caught_up()
    assert cluster.sql("replica", DIFFERENT, SHOP) == "0"
    assert cluster.status()["supervisor"]["phase"] == "running"
    mend(cluster)


def locales_of_doctor(cluster):
    """Its line, which is the only one that fails."""
    result = cluster.run("doctor", "--json", check=False)
    assert result.returncode == 1, message(result)
    failed = [line for line in json.loads(result.stdout)["checks"] if line["result"] == "failed"]
    assert [line["name"] for line in failed] == ["locales"], failed
    return failed[0]


def test_no_locale_of_the_source(make_cluster, story):
    """Nobody could connect to any database: told before anything is fetched, with what to install."""
    cluster = make_cluster(())
    line = locales_of_doctor(cluster)
    assert "pt_BR.utf8 is not here, and without it nobody can connect to" in line["detail"], line
    for words in (SHOP, "postgres", "template1", "de_DE.utf8 is not here"):
        assert words in line["detail"], line
    assert "'pt_BR.UTF-8 UTF-8' in /etc/locale.gen" in line["remedy"], line
    result = cluster.start(check=False, timeout=20)
    assert result.returncode == NOT_FOUND, message(result)
    assert not (cluster.root / "primary").exists()
    assert "hint: install the locale pt_BR.utf8" in result.stderr, message(result)
    assert "'pt_BR.UTF-8 UTF-8' in /etc/locale.gen" in result.stderr, message(result)
    make_locales(cluster.locales, "pt_BR")
    told = cluster.start().stdout
    assert ("warning    the locale de_DE.utf8 is not here, and without it nobody can connect to lost; "
            "install the locale") in told, told
    assert cluster.sql("primary", "select count(*) from items", SHOP) == "500"
    mend(cluster)


def test_no_locale_of_the_database_that_is_set_up(make_cluster, story):
    """POSTGRES_DB is what the cluster is for: without its locale nothing is restored."""
    cluster = make_cluster(POSTGRES_DB="lost", REPLICAS=0)
    line = locales_of_doctor(cluster)
    assert line["detail"] == "the locale de_DE.utf8 is not here, and without it nobody can connect to lost"
    result = cluster.start(check=False)
    assert result.returncode == NOT_FOUND, message(result)
    assert not (cluster.root / "primary").exists()
    assert line["detail"] in result.stderr, message(result)
    assert "hint: install the locale de_DE.utf8" in result.stderr, message(result)
    make_locales(cluster.locales, "de_DE")
    cluster.start()
    assert cluster.sql("primary", "select 1", "lost") == "1"
    mend(cluster)


# Georgian's capitals are of Unicode 11. An ICU that is older puts them behind all that it knows, a newer
# one beside their small letters.
GEORGIAN = """
create extension amcheck;
create table words (id int primary key, word text{collate});
insert into words select row_number() over (), chr(a) || chr(b)
  from unnest(array[x'10d0'::int, x'1c90'::int]) line, unnest(array[x'10d0'::int, x'1c90'::int]) other,
       generate_series(line, line + 32) a, generate_series(other, other + 5) b;
create index by_word on words (word);
create index by_bytes on words (word collate "C");
"""
EXPLICIT, DEFAULT = "testdb", "letters"
# Sorted anew, by whoever is asked.
ORDER = "select md5(string_agg(word, ' ' order by word || '')) from words"
CHECK = "select bt_index_check('{index}', true)"
VERSIONS = {
    EXPLICIT: "select collversion, pg_collation_actual_version(oid) from pg_collation "
              "where collname = 'ka-x-icu'",
    DEFAULT: "select datcollversion, pg_database_collation_actual_version(oid) from pg_database "
             "where datname = current_database()"}


class OlderIcu:
    """A source whose ICU is older than that of Debian's PostgreSQL; it is gone. What it sorted is in
    another order here, whatever the catalogs say."""

    def __init__(self, directory):
        source = SourceCluster(directory / "source", bin=server_programs(15, directory)).create()
        source.start()
        source.sql(f"create database {EXPLICIT}")
        source.sql(f"create database {DEFAULT} template template0 locale_provider icu icu_locale 'ka'")
        source.sql(GEORGIAN.format(collate=' collate "ka-x-icu"'), EXPLICIT)
        source.sql(GEORGIAN.format(collate=""), DEFAULT)
        self.order, self.version = {}, {}
        for database, question in VERSIONS.items():
            source.sql(CHECK.format(index="by_word"), database)
            self.order[database] = source.sql(ORDER, database)
            self.version[database] = source.sql(question, database).split("|")[0]
        source.prepare_load(EXPLICIT, accounts=500)
        self.repo = BackrestRepo(directory / "backups", source).create_stanza()
        self.repo.backup("full")
        source.switch_wal()
        source.stop()
        self.repo.finished()


def test_letters_that_the_older_icu_did_not_know(pgrevive, session_workspace, space):
    """Indexes that are in a wrong order here, by amcheck's word: they are named, and rebuilt. Of the
    same tables those by bytes are neither."""
    source = OlderIcu(session_workspace.directory("older-icu"))
    cluster = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": source.repo.path, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0},
        name="newer")
    try:
        cluster.start()
        found = {one["database"]: one for one in cluster.status()["collations"]["databases"]}
        here = {}
        for database, question in VERSIONS.items():
            assert cluster.sql("primary", ORDER, database) != source.order[database]
            before, here[database] = cluster.sql("primary", question, database).split("|")
            assert before == source.version[database] != here[database]
            assert names(found[database]) == {"by_word"}, found[database]
            (collation,) = found[database]["collations"]
            assert (collation["source_version"], collation["host_version"]) == (before, here[database])
            for node in ("primary", "replica"):
                cluster.sql(node, CHECK.format(index="by_bytes"), database)
                refused = cluster.sql(node, CHECK.format(index="by_word"), database, check=False)
                assert refused.returncode != 0 and "item order invariant violated" in refused.stderr, \
                    message(refused)

        cluster.start("--reindex")
        cluster.caught_up()
        for node in ("primary", "replica"):
            for database, question in VERSIONS.items():
                cluster.sql(node, CHECK.format(index="by_word"), database)
                assert cluster.sql(node, question, database) == "|".join([here[database]] * 2)
        assert cluster.status()["collations"]["databases"] == []
    finally:
        cluster.gone()
