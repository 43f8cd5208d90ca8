#!/bin/bash
# Installs the Debian packages that pgrevive needs: only what is missing, without questions.
#
#   scripts/install-packages.sh GROUP...           GROUP is build-program, build, page, unit, run,
#                                                  adminer, demo, test, bench, coverage or fuzz
#   scripts/install-packages.sh --check GROUP...   only name what is missing (exit status 1)
#
# This is the one place that knows the lists. Who is not root is told what to ask root for.
set -euo pipefail

packages_of() {
  case "$1" in
    build-program)  # to compile the program alone, as the Dockerfile does
      echo g++ cmake ninja-build pkg-config \
        libcurl4-openssl-dev libssl-dev libisal-dev zlib1g-dev libzstd-dev liblz4-dev libbz2-dev \
        libxxhash-dev liburing-dev libpq-dev libfmt-dev nlohmann-json3-dev libpugixml-dev libcli11-dev \
        libhowardhinnant-date-dev ;;
    build)  # to compile the program and its unit tests
      packages_of build-program
      echo libgtest-dev libgmock-dev libbenchmark-dev ;;
    page)  # to build the console's page, beside build; without it there is none
      echo nodejs npm ;;
    unit)  # to run the unit tests, some of which start a server
      packages_of build
      echo postgresql tzdata ;;
    run)  # to run a cluster
      echo postgresql pgbackrest ca-certificates tzdata ;;
    adminer)  # for its Adminer, unless ADMINER_PORT is 0
      echo adminer php-cli php-pgsql
      # Any of several packages satisfies adminer; php-cgi is the one that brings no web server.
      is_installed adminer || echo php-cgi ;;
    demo)  # `demo` makes and backs up its own source
      packages_of run
      packages_of adminer ;;
    test)  # for tests/functional, beside build
      packages_of demo
      packages_of page  # npm is for scripts/install-postgres-versions.sh too
      echo python3 python3-pytest python3-pytest-xdist python3-pytest-timeout radosgw ceph-mon ceph-osd ceph-base \
        ceph-common s3cmd openssl zstd procps locales postgresql-15-cron faketime chromium docker.io \
        docker-compose mmdebstrap iptables e2fsprogs xfsprogs ;;
    bench)  # for bench/compare.sh, beside build
      packages_of test
      echo e2fsprogs xfsprogs btrfs-progs ;;
    coverage)  # for scripts/coverage.sh, beside what its tests need
      echo gcovr ;;
    fuzz)  # for scripts/fuzz.sh, beside build; the inputs it left run without
      echo clang libclang-rt-14-dev llvm ;;
    *)
      echo "install-packages: there is no group '$1' (build-program, build, page, unit, run, adminer, demo, test, bench, coverage, fuzz)" >&2
      return 2 ;;
  esac
}

is_installed() {
  case "$1" in
    # The meta package follows the release; a server of any version will do.
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0 ;;
    # Packages of Node.js that are not Debian's bring it along, and Debian's does not go with them.
    npm) command -v npm >/dev/null && return 0 ;;
  esac
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

check=0
if [ "${1:-}" = --check ]; then
  check=1
  shift
fi
if [ $# -eq 0 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
  sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'
  exit 0
fi

wanted=
for group in "$@"; do
  wanted+=" $(packages_of "$group")"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install-packages: this system has no apt; on Debian 12 these packages are needed:$wanted" >&2
  exit $check
fi

missing=()
for package in $(printf '%s\n' $wanted | awk '!seen[$0]++'); do
  is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ $check = 1 ]; then
  printf '%s\n' "${missing[@]}"
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "error: packages are missing: ${missing[*]}" >&2
  echo "  hint: have root run: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 21
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp /tmp/pgrevive-packages.XXXXXX.log)
apt() {
  apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1 </dev/null
}
# Lists that are missing or older than a day may name versions that the mirror has no more.
update() {
  echo "reading the package lists" >&2
  apt update
}
install() {
  apt install --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
}

# The first installation of PostgreSQL on Debian makes and starts a cluster "main" on port 5432,
# which nobody asked for here. The file says no, and goes again when it has been heard.
no_cluster=/etc/postgresql-common/createcluster.d/pgrevive.conf
if ! is_installed postgresql-common && [ ! -e "$no_cluster" ]; then
  mkdir -p "$(dirname "$no_cluster")"
  echo 'create_main_cluster = false' >"$no_cluster"
  trap 'rm -f "$no_cluster"' EXIT
fi

if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit 2>/dev/null)" ]; then
  update || echo "warning: the package lists could not be read again" >&2
fi
echo "installing ${#missing[@]} packages: ${missing[*]}" >&2
if ! install && ! { update && install; }; then
  tail -n 15 "$log" >&2
  echo "error: these packages could not be installed: ${missing[*]}" >&2
  echo "  hint: the whole output is in $log" >&2
  exit 29
fi
rm -f "$log"
