"""PostgreSQL 10 to 18: their server programs, and what a source of each has left.

Debian has one major only; the programs of the others are those of npm. They are servers only, so
that clients are Debian's (15) for all of them.
"""

import hashlib
import json
import re
import shutil

from rig.backrest import BackrestRepo
from rig.postgres import SourceCluster, binaries, server_user
from rig.process import Failed, run
from rig.program import ROOT
from rig.workspace import give

MAJORS = range(10, 19)
INSTALLED = ROOT / "build" / "postgres-versions"

# Debian's pgBackRest 2.45 knows none newer.
NEWEST_OF_BACKREST = 15
# From this one on a database knows by which version its own collation sorted.
FIRST_WITH_DATABASE_VERSION = 15
RAISED_CONNECTIONS = 300
FIRST_WITH_LOGIN_TRIGGERS = 17
# Before, max_replication_slots counted for both.
FIRST_WITH_ROOM_FOR_ORIGINS = 18
ORIGINS = 25
_CONTROL_VERSION = {16: 1300, 17: 1700, 18: 1800}

ROWS = "m1-filled,before-backup,after-backup,last-archived"
HALF_WAY = "half way"
ROWS_HALF_WAY = "m1-filled,before-backup,after-backup"
QUESTION = """select (select string_agg(what, ',' order by id) from markers),
 (select count(*) || ' ' || md5(string_agg(aid || ':' || abalance, ',' order by aid))
    from pgbench_accounts),
 (select count(*) || ' ' || sum(delta) from pgbench_history),
 (select md5(string_agg(id || name || body, ',' order by id)) from docs),
 (select count(*) from fast_t), (select count(*) from pg_largeobject_metadata)"""


def server_programs(major, place):
    """The directory of postgres, initdb and pg_ctl of that major. They are copied below `place`,
    because the servers' user may have no way into this checkout."""
    installed = INSTALLED / "node_modules" / f"pg{major}" / "native"
    if not (INSTALLED / "installed").exists() or not (installed / "bin" / "postgres").exists():
        raise Failed(f"no PostgreSQL {major} in {INSTALLED}: run scripts/install-postgres-versions.sh")
    copy = place / f"pg{major}"
    shutil.copytree(installed, copy, symlinks=True)
    run(["chmod", "-R", "a+rX", copy])
    return copy / "bin"


class Left:
    """What a source of that major has left: an online backup, taken while it worked, and the WAL
    behind it."""

    def __init__(self, major, directory):
        self.major = major
        self.programs = server_programs(major, directory)
        self.source = source = SourceCluster(directory / "source", bin=self.programs,
                                             segment_mb=16 if major == 10 else 4).create()
        source.start(**self.room()).fill()
        self._sort_by_another_version()
        self._follow_somebody()
        self._note_logins()
        known = major <= NEWEST_OF_BACKREST
        self.repo = BackrestRepo(directory / "backups", source, compress="zst", bundle=True,
                                 stanza_options=None if known else self._claim())
        self.repo.create_stanza()
        source.mark("before-backup")
        self.repo.backup("full")
        self.xid, *self.commit = source.sql(
            "begin; insert into markers (what) values ('after-backup'); select txid_current(); "
            "select pg_current_wal_insert_lsn(); commit; select pg_current_wal_insert_lsn()",
            "testdb").split()  # and what lies around the record of its commit
        self.half_way = source.sql(f"select pg_create_restore_point('{HALF_WAY}')")
        self._raise_demands()
        source.work()
        source.mark("last-archived")
        self.answer = source.sql(QUESTION, "testdb")
        assert self.answer.startswith(ROWS + "|100000 ")
        self.newest_wal = source.switch_wal()
        source.stop()
        shutil.rmtree(source.directory)
        if not known:
            relabel(self.repo.path, major)
        self.repo.finished()

    def _sort_by_another_version(self):
        """What the catalog says of a collation is that another ICU sorted by it."""
        self.source.sql("""
create collation sorted (provider = icu, locale = 'de');
create table names_sorted (id int primary key, name text collate sorted);
create index by_name on names_sorted (name);
create index by_bytes on names_sorted (name collate "C");
insert into names_sorted select i, md5(i::text) from generate_series(1, 100) i;
update pg_collation set collversion = '1.2.3' where collname = 'sorted';""", "testdb")
        if self.major < FIRST_WITH_DATABASE_VERSION:
            return
        # The C library has no version for C.UTF-8, so that this one sorts by ICU.
        self.source.sql("create database essen template template0 locale_provider icu icu_locale 'de'")
        self.source.sql("""
create table names_sorted (id int primary key, name text);
create index by_name on names_sorted (name);
create index by_bytes on names_sorted (name collate "C");
insert into names_sorted select i, md5(i::text) from generate_series(1, 100) i;
update pg_database set datcollversion = '1.2.3' where datname = current_database();""", "essen")

    def _follow_somebody(self):
        """An enabled subscription, as nobody who recovers this may have one."""
        self.source.sql("create subscription feed connection 'host=/nowhere dbname=x' publication p "
                        "with (connect = false, slot_name = 'of_the_source'); "
                        "alter subscription feed enable", "testdb")
        assert self.source.sql("select subenabled from pg_subscription") == "t"
        # With more tables under way than a server has room for by default.
        self.source.sql("select pg_replication_origin_create(name), "
                        "pg_replication_origin_advance(name, '0/1') "
                        f"from (select 'of ' || generate_series(1, {ORIGINS})) o(name)")

    def room(self):
        """On the server's command line, so that the backup does not tell of it."""
        name = ("max_replication_slots" if self.major < FIRST_WITH_ROOM_FOR_ORIGINS
                else "max_active_replication_origins")
        return {name: ORIGINS + 10}

    def _note_logins(self):
        """An event trigger that acts when somebody comes."""
        if self.major < FIRST_WITH_LOGIN_TRIGGERS:
            return
        for database in ("postgres", "testdb"):
            self.source.sql("""
create table logins (who text);
create function note_login() returns event_trigger language plpgsql as $$
begin
  if not pg_is_in_recovery() then
    insert into logins values (current_setting('application_name'));
  end if;
end $$;
create event trigger note_login on login execute function note_login();
alter event trigger note_login enable always;""", database)

    def _raise_demands(self):
        """What a standby has to have at least, as the WAL from here on says."""
        self.source.stop()
        self.source.start(max_connections=RAISED_CONNECTIONS, **self.room())

    def _claim(self):
        """Has pgBackRest 2.45 take the server for a 15. From 15 to 18 neither what it asks a server
        nor what it reads of pg_control and of WAL pages has changed, so that its work is the one a
        newer release does; but it wants to hear it from the server too. It is let into a database
        of its own, where pg_settings says so."""
        source = self.source
        # It would look for the files of a tablespace under the name of version 15.
        source.sql("alter table fast_t set tablespace pg_default;"
                   "alter index fast_t_pkey set tablespace pg_default", "testdb")
        source.sql("drop tablespace fast")
        source.sql("create database forbackrest")
        source.sql(f"""
set allow_system_table_mods = on;
do $$ begin execute 'create or replace view pg_catalog.pg_settings as ' ||
  replace(pg_get_viewdef('pg_catalog.pg_settings'::regclass), 'SELECT name,
    setting,', 'SELECT name,
    case name when ''server_version_num'' then ''{NEWEST_OF_BACKREST}0018'' else setting end as setting,');
end $$;""", "forbackrest")
        assert source.sql("select setting from pg_settings where name = 'server_version_num'",
                          "forbackrest") == f"{NEWEST_OF_BACKREST}0018"
        return {"pg-version-force": NEWEST_OF_BACKREST, "pg1-database": "forbackrest"}

    def values(self):
        """Settings of an .env that reach what is left."""
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path, "PGBACKREST_STANZA": "main",
                "POSTGRES_BIN": self.programs}


def relabel(repository, major, stanza="main"):
    """Gives a repository the version it is of: see Left._claim(). What a newer pgBackRest would have
    written differs in nothing but these names and numbers (and its own version)."""
    old = NEWEST_OF_BACKREST
    for path in repository.rglob("*"):
        if path.is_file() and re.match(r"(archive\.info|backup\.info|backup\.manifest)(\.copy)?$",
                                       path.name):
            text = path.read_text()
            text = text.replace(f'db-version="{old}"', f'db-version="{major}"')
            text = text.replace(f'"db-version":"{old}"', f'"db-version":"{major}"')
            text = re.sub(r'(db-control-version"?[=:])1300\b',
                          rf"\g<1>{_CONTROL_VERSION[major]}", text)
            path.write_text(signed(text))
    archive = repository / "archive" / stanza
    (archive / f"{old}-1").rename(archive / f"{major}-1")


def signed(text):
    """An info file or manifest of pgBackRest with its checksum made anew; see docs/format."""
    sections = {}
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], [])
        elif line and not line.startswith("backrest-checksum="):
            section.append(_key_and_value(line))
    body = "},".join(f'"{name}":{{' + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{value}"
                                              for key, value in entries)
                     for name, entries in sections.items() if entries)
    checksum = hashlib.sha1(("{" + body + "}}").encode()).hexdigest()
    return re.sub('backrest-checksum="[0-9a-f]{40}"', f'backrest-checksum="{checksum}"', text)


def _key_and_value(line):
    """Divided at the first '=' whose right side is JSON: a file's name may have one too."""
    at = line.index("=")
    while True:
        try:
            json.loads(line[at + 1:])
            return line[:at], line[at + 1:]
        except ValueError:
            at = line.index("=", at + 1)
