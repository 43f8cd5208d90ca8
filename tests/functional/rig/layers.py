"""What is in an image: every file of every layer, and what the image says of itself."""

import io
import json
import subprocess
import tarfile

from rig.cluster import env_text
from rig.process import Failed, child_options


def spellings(secret):
    """As it would stand in a file, in an .env, and in JSON (an image's history, a container's
    environment)."""
    in_env = env_text({"X": secret})[3:-2]
    return {text.encode() for word in (secret, in_env) for text in (word, json.dumps(word)[1:-1])}


def _is_archive(stream):
    return stream.peek(512)[257:262] == b"ustar"


def _files(stream, place=""):
    """Path and content of all files in a tar, and in the tars in it."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if not member.isfile():
                continue
            path = f"{place}{member.name}"
            content = io.BufferedReader(archive.extractfile(member))
            # Of what `docker save` writes these are layers; in a layer it is somebody's file.
            if not place and _is_archive(content):
                yield from _files(content, f"{path}: ")
            else:
                yield path, content.read()


def files(docker, image):
    """Of an image, without keeping it anywhere: also what a later layer has removed again."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE,
                          **child_options(env=docker.environment)) as saved:
        yield from _files(saved.stdout)
    if saved.returncode != 0:
        raise Failed(f"docker save {image}: exit {saved.returncode}")
