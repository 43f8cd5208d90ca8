"""What cluster-manager.sh asks for before it hands over."""

import os

import pytest

from rig.process import run
from rig.program import ROOT, message


@pytest.fixture
def host_without_adminer(workspace):
    """A directory for PATH in which nobody is root and only Adminer's packages are missing."""
    fake = workspace.directory("bin")
    (fake / "id").write_text("#!/bin/sh\necho 65534\n")
    (fake / "dpkg-query").write_text("""#!/bin/sh
for package; do :; done
case "$package" in adminer|php*) exit 1 ;; *) printf installed ;; esac
""")
    for program in fake.iterdir():
        program.chmod(0o755)
    return fake


@pytest.mark.parametrize("line, wanted", [
    ("ADMINER_PORT=8081", True), ("", True), ("#ADMINER_PORT=0", True), ("ADMINER_PORT=08", True),
    ("ADMINER_PORT=0", False), ("export ADMINER_PORT='0'  # none", False)])
@pytest.mark.parametrize("option", ["--env-file FILE", "--env-file=FILE", "start --env-file FILE"])
def test_adminer_is_asked_for_only_where_it_is_wanted(workspace, host_without_adminer, line, wanted,
                                                      option):
    """A cluster without Adminer starts on a host without its packages."""
    env_file = workspace.path / "some.env"
    env_file.write_text(f"POSTGRES_PASSWORD=secret\n{line}\n")
    build = workspace.directory("build")
    program = build / "pgrevive"
    program.write_text("#!/bin/sh\necho handed over: \"$@\"\n")
    program.chmod(0o755)
    words = option.replace("FILE", str(env_file)).split()
    if "start" not in words:
        words.append("start")
    result = run([ROOT / "cluster-manager.sh", *words], check=False, env={
        "PATH": f"{host_without_adminer}:{os.environ['PATH']}", "PGREVIVE_BUILD": build})
    if wanted:
        assert result.returncode == 21 and "adminer" in result.stderr, message(result)
    else:
        assert result.returncode == 0 and "handed over" in result.stdout, message(result)
