"""Whether a cluster's data is sound all through: the last thing that every scenario asks.

Rows that are right say nothing about an index that is not used, or about a page that nobody reads.
What pgbench did while a backup was taken is there as a whole or not at all.
"""

import re

from rig.postgres import binaries, server_user
from rig.process import Failed, run

MAJOR = 15  # whose programs Debian has; test_versions.py does the same for the others its own way

# What pg_amcheck says of an unlogged index on a replica, where there is none to look at.
_OF_A_REPLICA = re.compile("NOTICE: .*unlogged index .* during recovery")


def prove(cluster):
    """Every index and every heap of every database by amcheck, on each node that accepts connections;
    then stops the cluster and has every page's checksum looked at. Raises Failed; else returns the
    names of the nodes.

    Does nothing for a cluster that is not up, or is not of the major that is installed.
    """
    status = cluster.status_or_none()
    nodes = _nodes_that_are_up(cluster, status)
    if not nodes:
        return []
    databases = _with_amcheck(cluster, {entry["name"] for entry in status.get("left_out") or []})
    if "replica" in nodes:
        cluster.caught_up(database=cluster.values["POSTGRES_DB"])
    for node in nodes:
        for database in databases:
            _amcheck(cluster, node, database)
            balances(cluster, node, database)
    cluster.stop()
    for node in nodes:
        _page_checksums(cluster.root / node / "data")
    return nodes


def _nodes_that_are_up(cluster, status):
    """The nodes to look at: none, unless the cluster is up."""
    if not status or (status.get("supervisor") or {}).get("phase") != "running":
        return []
    nodes = [node["name"] for node in status["nodes"] if node["state"] == "accepting"
             and (node["name"] == "primary" or node.get("replication") == "streaming")]
    if "primary" not in nodes:
        return []
    version = (cluster.root / "primary" / "data" / "PG_VERSION").read_text().strip()
    return nodes if version == str(MAJOR) else []


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


def _amcheck(cluster, node, database):
    result = run([binaries(MAJOR) / "pg_amcheck", "--heapallindexed", "-h", "127.0.0.1",
                  "-p", str(cluster.port(node)), "-U", _superuser(cluster), database],
                 env={"PGPASSWORD": cluster.values["POSTGRES_PASSWORD"]}, check=False)
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if not _OF_A_REPLICA.match(line)]
    if result.returncode != 0 or said:
        raise Failed(f"pg_amcheck of {database} on {node} of {cluster.name}: exit "
                     f"{result.returncode}\n" + "\n".join(said))


# Each of pgbench's transactions adds one amount to four of its tables.
_BALANCES = r"""
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
    said = cluster.sql(node, _BALANCES, database, user=_superuser(cluster))
    if said != "equal":
        raise Failed(f"pgbench's tables in {database} on {node} of {cluster.name} do not add up: "
                     f"{said}")


def _page_checksums(data):
    result = run([binaries(MAJOR) / "pg_checksums", "--check", "-D", data], user=server_user(),
                 check=False)
    if result.returncode != 0:
        raise Failed(f"pg_checksums of {data}: exit {result.returncode}\n"
                     f"{result.stdout}{result.stderr}")
