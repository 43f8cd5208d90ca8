#!/bin/bash
# Restores the same backups with pgBackRest and with pgrevive, by turns, and prints a table of
# medians and ratios.
#
#   bench/compare.sh [OPTION...] [ROW...]
#
#   ROW            run only these rows: words of a row's name joined by +, as s3 or local+disk+zst
#                  (default: all but those that --list marks as extra)
#   --list         show the rows and end
#   --size MB      of the large databases (default 2000; 200 for a trial)
#   --rounds N     measurements of each (default 3)
#   --jobs N       processes of pgBackRest, threads of pgrevive (default: processors)
#   --program P    the pgrevive to measure (default: build/release/pgrevive)
#   --pgbackrest P the pgBackRest to measure (default: the installed one, which also makes the
#                  repositories); rows with block incremental backups need 2.46 or later
#   --work DIR     where repositories and targets lie: the disk that is measured. What is made there
#                  stays for the next run, but for the targets. Default: a new directory below
#                  /var/tmp, removed at the end
#   --no-compare   do not compare the restored directories with each other
#
# Both restore the same nodes: pgBackRest one after the other with process-max as many processes as
# --jobs says, pgrevive in one pass. Both end with the targets' file system synced. Each row is also
# measured for one node alone. Root is needed only for the rows with xfs, btrfs and disks, which lie in
# mounted files; disks and tmpfs need memory for the nodes. Needs the packages of `scripts/install-packages.sh bench` and a release build.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

for word in "$@"; do
  case "$word" in
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  esac
done
export PYTHONPATH="$here:$here/../tests/functional" PYTHONDONTWRITEBYTECODE=1
exec python3 -m compare "$@"
