"""The console as a browser, Prometheus or curl see it, and whether what it says is as it is described."""

import http.client
import json
import re
import urllib.parse


class Console:
    """What a browser, Prometheus or curl get of it."""

    def __init__(self, port, address="127.0.0.1"):
        self.port = port
        self.address = address

    def ask(self, path, method="GET", body=None, timeout=60, **headers):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers={
                name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def json(self, path, **headers):
        status, text, _ = self.ask(path, **headers)
        assert status == 200, text
        return json.loads(text)

    def answers(self):
        try:
            return self.ask("/healthz")[0] == 200
        except OSError:
            return False

    def act(self, name, token, **query):
        status, text, _ = self.ask(f"/api/v1/actions/{name}?{urllib.parse.urlencode(query)}", "POST",
                                   Authorization=f"Bearer {token}", timeout=300)
        return status, json.loads(text)

    def events(self):
        """The looks that the stream brings, one after the other."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        connection.request("GET", "/api/v1/events")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
        try:
            while line := answer.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()


# Those that only a cluster tells that archives.
ARCHIVE_METRICS = ("archive_segments_total", "archive_failures_total",
                   "archive_last_success_timestamp_seconds")


def metrics_of(text):
    """The samples of Prometheus' text format, by name and labels; refuses what is not of that format."""
    samples, family, types = {}, None, {}
    for line in text.splitlines():
        if match := re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line):
            kind, name, rest = match.groups()
            if kind == "HELP":
                assert name not in types, f"{name} stands in two places"
            else:
                assert rest in ("gauge", "counter") and name == family
                assert (rest == "counter") == name.endswith("_total"), name
                types[name] = rest
            family = name
            continue
        match = re.fullmatch(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (-?[0-9.e+]+)', line)
        assert match, line
        name, labels, value = match.groups()
        assert name == family, line
        key = (name, *sorted(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels)))
        assert key not in samples, line
        samples[key] = float(value)
    return samples


class Metrics:
    def __init__(self, text, cluster):
        self.samples = metrics_of(text)
        self.cluster = cluster

    def __call__(self, name, **labels):
        return self.samples[("pgrevive_" + name, *sorted({"cluster": self.cluster, **labels}.items()))]


_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
          "number": (int, float)}


class Described:
    """Answers compared with an OpenAPI description: nothing in them that is not described, and at the
    end nothing described that was never seen."""

    def __init__(self, api):
        self.api = api
        self.seen = set()

    def check(self, path, value, method="get", status="200"):
        """An answer from `path` as the description names it."""
        answer = self.api["paths"][path][method]["responses"][status]
        if "$ref" in answer:
            answer = self._find(answer["$ref"])
        self._check(answer["content"]["application/json"]["schema"], value, path)

    def _find(self, reference):
        found = self.api
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _check(self, schema, value, at):
        if "$ref" in schema:
            at = schema["$ref"].rpartition("/")[2]
            schema = self._find(schema["$ref"])
        if value is None:
            assert schema.get("nullable"), f"{at} is null"
            return
        assert isinstance(value, _TYPES[schema["type"]]), f"{at}: {value!r}"
        assert schema["type"] == "boolean" or not isinstance(value, bool), f"{at}: {value!r}"
        if "enum" in schema:
            assert value in schema["enum"], f"{at}: {value!r}"
        if schema["type"] == "array":
            for entry in value:
                self._check(schema["items"], entry, f"{at}[]")
        if schema["type"] == "object":
            self._check_object(schema, value, at)

    def _check_object(self, schema, value, at):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        missing = set(schema.get("required", ())) - value.keys()
        assert not missing, f"{at} lacks {missing}"
        for name, entry in value.items():
            if name in properties:
                self.seen.add(f"{at}.{name}")
                self._check(properties[name], entry, f"{at}.{name}")
            else:
                assert others, f"{at}.{name} is not described"
                if others is not True:
                    self._check(others, entry, f"{at}.*")

    def never_seen(self):
        """Fields that are described and that no answer had."""
        described = set()

        def walk(schema, at):
            if "$ref" in schema:
                return  # it is walked under its own name
            for name, entry in schema.get("properties", {}).items():
                described.add(f"{at}.{name}")
                walk(entry, f"{at}.{name}")
            if isinstance(others := schema.get("additionalProperties"), dict):
                walk(others, f"{at}.*")
            if "items" in schema:
                walk(schema["items"], f"{at}[]")
        for name, schema in self.api["components"]["schemas"].items():
            walk(schema, name)
        return described - self.seen
