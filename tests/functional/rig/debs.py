"""A repository of Debian packages, for who installs from another one than Debian's."""

import hashlib
import pathlib

from rig.process import run


def make_repository(place, name, version, tree):
    """`place` holds one package from here on, of the files below `tree`; the line of a sources.list is
    deb [trusted=yes] URI ./"""
    fields = {"Package": name, "Version": version, "Architecture": "amd64",
              "Maintainer": "the tests <root@localhost>", "Description": f"{name} of the tests"}
    control = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(control)
    package = pathlib.Path(place) / f"{name}.deb"
    run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, package])
    content = package.read_bytes()
    (place / "Packages").write_text(
        f"{control}Filename: ./{package.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n")
