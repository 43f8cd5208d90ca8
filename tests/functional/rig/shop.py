"""A source with several databases, of which a restore may leave some out: backups, and WAL that
goes on in all of them."""

import shutil

from rig.backrest import BackrestRepo
from rig.postgres import SourceCluster

# Of the database "shop", after recovery to the end of the archive.
GOODS = "select count(*) || ' ' || sum(id) || ' ' || md5(string_agg(name, ',' order by id)) from goods"
ORDERS = "select count(*) || ' ' || sum(id) from orders"  # in the tablespace


class Shop:
    """Repositories `bundled` (zst) and `files` (gz, without bundles), each with a full and an
    incremental backup. Databases: shop, testdb and "odd name ü" (rig/postgres.py), "fast only"
    that lies in the tablespace as a whole, doomed (dropped after the backups), later (made after
    them). All but later have tables in both places."""

    def __init__(self, directory):
        self.source = source = SourceCluster(directory / "source").create()
        source.start(max_prepared_transactions=4).fill()
        source.sql('create database shop; create database "fast only" tablespace fast; '
                   "create database doomed")
        for database in ("shop", "fast only", "doomed"):
            source.sql("""
create table goods as select i as id, md5(i::text) as name from generate_series(1, 3000) i;
create index on goods (name);
create table orders (id bigint primary key) tablespace fast;
insert into orders select generate_series(1, 2000);
create table large as select i, repeat('x', 1000) filler from generate_series(1, 3000) i;
""", database)
        self.repos = {
            "bundled": BackrestRepo(directory / "bundled", source, compress="zst", bundle=True),
            "files": BackrestRepo(directory / "files", source, compress="gz")}
        # One that a copy must never act on, in a database that can be left out.
        source.sql("create subscription feed connection 'host=/nowhere dbname=x' publication p "
                   "with (connect = false, slot_name = 'of_the_source'); "
                   "alter subscription feed enable", "testdb")
        source.sql("alter system set archive_mode = 'always'")
        self.oids_at_backup = self._oids()
        for repo in self.repos.values():
            repo.create_stanza()
            repo.backup("full")
        for database in ("shop", "fast only", "testdb"):
            source.sql("create table between_backups as select generate_series(1, 2000) i",
                       database)
        for repo in self.repos.values():
            repo.backup("incr")
        self._live_on()
        self.goods, self.orders = source.sql(GOODS, "shop"), source.sql(ORDERS, "shop")
        self.oids = self._oids()
        self.tablespace = source.sql("select oid from pg_tablespace where spcname = 'fast'")
        source.switch_wal()
        source.stop()
        shutil.rmtree(source.directory)
        for repo in self.repos.values():
            repo.finished()

    def _oids(self):
        """Of all databases, by name."""
        rows = self.source.sql("select datname, oid from pg_database").splitlines()
        return dict(row.split("|") for row in rows)

    def _live_on(self):
        """Work that changes, moves, cuts and removes files of every database."""
        source = self.source
        for database in ("shop", "fast only", "doomed"):
            source.sql("""
update goods set name = md5(name) where id % 3 = 0;
delete from goods where id > 2900;
vacuum goods;
insert into orders select generate_series(2001, 9000);
truncate between_backups;
alter table orders set tablespace pg_default;
vacuum full large;
create index on large (i);
checkpoint;
update goods set name = md5(name) where id % 5 = 0;
drop table large;
""" if database != "doomed" else "update goods set name = md5(name);", database)
        source.work()
        source.sql("vacuum full pg_class", "testdb")  # a new map of the catalog's files
        source.sql("drop database doomed")
        source.sql("create database later")
        source.sql("create table news as select 1 as id", "later")
