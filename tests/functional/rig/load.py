"""pgbench on a source: what a backup is taken under, and what a restored cluster is asked about."""

import contextlib

from rig.process import Daemon, Failed, run, wait_until

ACCOUNTS = 100_000  # that pgbench makes

# What pgbench does by itself, with another number of accounts.
_FEWER_ACCOUNTS = r"""
\set aid random(1, ACCOUNTS)
\set tid random(1, 10)
\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = 1;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (:tid, 1, :aid, :delta, now());
end;
"""


class Load:
    """pgbench's tables in one database, and who writes there. What rig/soundness.py asks of them in the
    end holds in between any two of its transactions."""

    def __init__(self, server, database, accounts=ACCOUNTS):
        self.server = server
        self.database = database
        self.accounts = accounts

    def on(self, server):
        """The same on another server, whose database came with the data."""
        return Load(server, self.database, self.accounts)

    def prepare(self):
        if self.accounts == ACCOUNTS:
            run(self._pgbench("-i", "-q", "-s", "1"), user=self.server.user)
            return self
        run(self._pgbench("-i", "-q", "-I", "dtp"), user=self.server.user)
        self.server.sql(f"""
insert into pgbench_branches (bid, bbalance) values (1, 0);
insert into pgbench_tellers (tid, bid, tbalance) select i, 1, 0 from generate_series(1, 10) i;
insert into pgbench_accounts (aid, bid, abalance) select i, 1, 0
  from generate_series(1, {self.accounts}) i;
""", self.database)
        return self

    def work(self, transactions):
        """Changes pages all over the tables."""
        run(self._pgbench(*self._transaction(), "-t", str(transactions)), user=self.server.user)

    @contextlib.contextmanager
    def going_on(self):
        """Commits before, all the while, and after."""
        # So many that no page of the tables stays as it is, and not more WAL than is archived.
        load = Daemon(self._pgbench(*self._transaction(), "-c", "2", "-T", "600", "-R", "50"),
                      self.server.sockets / "pgbench.log", user=self.server.user)
        try:
            self._more_history(load)
            yield
            self._more_history(load)
        finally:
            load.stop()
        wait_until(lambda: self.server.sql("select count(*) from pg_stat_activity where "
                                           "application_name = 'pgbench'") == "0", 30,
                   "pgbench's sessions end")

    def _pgbench(self, *words):
        server = self.server
        return [server.clients / "pgbench", *words, "-h", server.sockets, "-p", str(server.port),
                "-U", server.superuser, self.database]

    def _transaction(self):
        if self.accounts == ACCOUNTS:
            return ["-n"]
        script = self.server.sockets / "load.sql"
        script.write_text(_FEWER_ACCOUNTS.replace("ACCOUNTS", str(self.accounts)))
        return ["-n", "-f", script]

    def _more_history(self, load):
        """Waits until one more of its transactions is committed."""
        count = "select count(*) from pgbench_history"
        now = self.server.sql(count, self.database)
        wait_until(lambda: self.server.sql(count, self.database) != now or not load.running(), 60,
                   "pgbench commits")
        if not load.running():
            raise Failed(f"pgbench ended: {load.tail()}")
