# Sourced by the scripts that run one functional test at length: unless PGREVIVE_PROGRAM names a
# program, the one of run-tests.sh is built and named there.
if [ -z "${PGREVIVE_PROGRAM:-}" ]; then
  cmake --preset check >/dev/null
  cmake --build --preset check --target pgrevive -j "$(nproc)"
  export PGREVIVE_PROGRAM=$PWD/build/check/pgrevive
fi
