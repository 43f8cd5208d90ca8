"""Whether a cluster's data is sound all through: the last thing that every scenario asks.

Rows that are right say nothing about an index that is not used, or about a page that nobody reads.
What pgbench did while a backup was taken is there as a whole or not at all.
"""

import functools
import pathlib
import re
import shutil
import tempfile

from rig.postgres import binaries, server_user
from rig.process import Failed, run, wait_until
from rig.workspace import give

MAJOR = 15  # whose programs Debian has: they are clients of all others too
FIRST_WITH_HEAPS = 14  # of which pg_amcheck's function for tables is a part

# What pg_amcheck says of an unlogged index on a replica, where there is none to look at.
_OF_A_REPLICA = re.compile("NOTICE: .*unlogged index .* during recovery")
# What everybody is told who connects where the source sorted by another version: three lines.
_OF_A_COLLATION = re.compile("WARNING: .* has (a collation )?version mismatch|DETAIL: .* was created "
                             "using (collation )?version|HINT: .* REFRESH (COLLATION )?VERSION")


def prove(cluster, without=(), balanced=True):
    """Every index and every heap of every database by amcheck, on each node; then stops the cluster and
    has every page's checksum looked at. Raises Failed; else returns the names of the nodes.

    Does nothing for a cluster that is not up. One that is up is proven with all of its nodes, but for
    those that a test has broken on purpose, and with the sums of pgbench, but for a source in which
    something else has changed its tables.
    """
    status = cluster.status_or_none()
    phase = ((status or {}).get("supervisor") or {}).get("phase")
    if phase == "stopped" and not cluster.proven:
        raise Failed(f"{cluster.name} was stopped before it was proven to be sound")
    if phase != "running":
        return []
    nodes = [node["name"] for node in status["nodes"] if node["name"] not in without]
    wait_until(lambda: _are_up(cluster, nodes), 30, f"{nodes} of {cluster.name} are up")
    data = {node: cluster.root / node / "data" for node in nodes}
    major = int((data["primary"] / "PG_VERSION").read_text())
    databases = _with_amcheck(cluster, {entry["name"] for entry in status.get("left_out") or []})
    for node in nodes:
        if node != "primary":
            cluster.caught_up(database=cluster.values["POSTGRES_DB"], user=_superuser(cluster),
                              node=node)
    for node in nodes:
        for database in databases:
            _amcheck(cluster, major, node, database)
            if balanced:
                balances(cluster, node, database)
    cluster.stop()
    for node in nodes:
        _page_checksums(major, data[node], cluster.user or server_user())
    cluster.proven, cluster.owed = True, False
    return nodes


def prove_server(server, database, balanced=True):
    """The same of a server that a test has started itself on what `restore` made, and of one database;
    stops it."""
    where = f"{database} in {server.data}"
    major = int((server.data / "PG_VERSION").read_text())
    server.sql("create extension if not exists amcheck", database)
    if major >= FIRST_WITH_HEAPS:
        run_pg_amcheck(where, "-h", server.sockets, "-p", str(server.port), "-U", server.superuser,
                       database)
    else:
        _many(server.sql(_of_all_indexes(major), database), where)
    if balanced:
        no_difference(server.sql(BALANCES, database), where)
    server.stop()
    _page_checksums(major, server.data, server.user)


def _are_up(cluster, nodes):
    up = {node["name"] for node in cluster.status()["nodes"] if node["state"] == "accepting"
          and (node["name"] == "primary" or node.get("replication") == "streaming")}
    return up.issuperset(nodes)


def _superuser(cluster):
    return cluster.values.get("POSTGRES_USER", "postgres")


def _with_amcheck(cluster, left_out):
    """The databases that are whole, with the extension in each."""
    result = []
    for database in cluster.sql(
            "primary", "select datname from pg_database where datallowconn order by 1",
            cluster.values["POSTGRES_DB"], user=_superuser(cluster)).splitlines():
        if database in left_out:
            continue  # nothing but zeros in its files
        made = cluster.sql("primary", "set client_min_messages = error; "
                           "create extension if not exists amcheck", database,
                           user=_superuser(cluster), check=False)
        if made.returncode != 0:
            raise Failed(f"database {database} cannot be checked: {made.stderr}")
        result.append(database)
    return result


def _amcheck(cluster, major, node, database):
    if major >= FIRST_WITH_HEAPS:
        return _pg_amcheck(cluster, node, database)
    _many(cluster.sql(node, _of_all_indexes(major), database, user=_superuser(cluster)),
          f"{database} on {node} of {cluster.name}")


def _of_all_indexes(major):
    """The question that has every index of a database checked, and counted."""
    # heapallindexed came with 11.
    check = "bt_index_check(c.oid, true)" if major >= 11 else "bt_index_check(c.oid)"
    return f"""
select count({check}::text) from pg_class c join pg_am a on a.oid = c.relam
 where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p'"""


def _many(checked, where):
    if int(checked) < 100:  # the catalog alone has more
        raise Failed(f"amcheck looked at {checked} indexes of {where}")


def _pg_amcheck(cluster, node, database):
    run_pg_amcheck(f"{database} on {node} of {cluster.name}", "-h", "127.0.0.1", "-p",
                   str(cluster.port(node)), "-U", _superuser(cluster), database,
                   password=cluster.values["POSTGRES_PASSWORD"])


def run_pg_amcheck(what, *words, password=""):
    """Of the database that the words of a client name, where the extension is."""
    result = run([binaries(MAJOR) / "pg_amcheck", "--heapallindexed", *words], user=server_user(),
                 # Where a client certificate is looked for as soon as the server speaks TLS.
                 env={"PGPASSWORD": password, "HOME": "/nonexistent"}, check=False)
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if not _OF_A_REPLICA.match(line) and not _OF_A_COLLATION.match(line)]
    if result.returncode != 0 or said:
        raise Failed(f"pg_amcheck of {what}: exit {result.returncode}\n" + "\n".join(said))


# Each of pgbench's transactions adds one amount to four of its tables.
BALANCES = r"""
select to_regclass('public.pgbench_history') is not null as loaded \gset
\if :loaded
select case when a = b and a = t and a = h then 'equal' else concat_ws(' ', a, b, t, h) end
  from (select coalesce(sum(abalance), 0) a from pgbench_accounts) accounts,
       (select coalesce(sum(bbalance), 0) b from pgbench_branches) branches,
       (select coalesce(sum(tbalance), 0) t from pgbench_tellers) tellers,
       (select coalesce(sum(delta), 0) h from pgbench_history) history;
\else
\echo equal
\endif
"""


def balances(cluster, node, database):
    """Raises Failed where pgbench's tables are in that database and a transaction is there in part."""
    no_difference(cluster.sql(node, BALANCES, database, user=_superuser(cluster)),
                  f"{database} on {node} of {cluster.name}")


def no_difference(said, where):
    """What BALANCES gave."""
    if said != "equal":
        raise Failed(f"pgbench's tables in {where} do not add up: {said}")


def _page_checksums(major, data, user):
    """Of a node that has stopped."""
    if major == MAJOR:
        return _pg_checksums(data, user)
    place = pathlib.Path(tempfile.mkdtemp(prefix="pages-", dir=data.parent))
    try:
        _pg_checksums(_as_of_debian(data, place / "data"), user)
    finally:
        shutil.rmtree(place)


def _pg_checksums(data, user):
    are_sound(run([binaries(MAJOR) / "pg_checksums", "--check", "-D", data], user=user,
                  check=False), data)


def are_sound(result, data):
    """What pg_checksums has found in a data directory."""
    blocks = re.search(r"Blocks scanned: +(\d+)\n", result.stdout)
    # initdb alone makes more than 2000.
    if result.returncode != 0 or not blocks or int(blocks[1]) < 1000:
        raise Failed(f"pg_checksums of {data}: exit {result.returncode}\n"
                     f"{result.stdout}{result.stderr}")


def _as_of_debian(data, place):
    """The files of a node under other names (hard links). A page's checksum is the same in all majors,
    but pg_checksums wants a pg_control of its own kind, and tablespaces under its own name."""
    give(place.parent, server_user())
    run(["cp", "-al", data, place])
    control = place / "global" / "pg_control"
    control.unlink()
    control.write_bytes(_empty_control())
    give(control, server_user())
    for link in (place / "pg_tblspc").iterdir():
        files = next(link.resolve().glob("PG_*"))
        link.unlink()
        link.mkdir()
        run(["cp", "-al", files, link / "PG_15_202209061"])
    run(["chown", "-R", "--reference", data, place / "pg_tblspc"])
    return place


@functools.cache
def _empty_control():
    """pg_control of a cluster with checksums."""
    with tempfile.TemporaryDirectory(prefix="pgrv-control-") as place:
        give(pathlib.Path(place), server_user())
        data = pathlib.Path(place) / "data"
        run([binaries(MAJOR) / "initdb", "-D", data, "-U", "postgres", "-k", "--no-sync",
             "--auth=trust"], user=server_user())
        return (data / "global" / "pg_control").read_bytes()
