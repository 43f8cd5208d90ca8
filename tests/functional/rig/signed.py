"""Requests that s3cmd has no words for, signed with Signature V4."""

import datetime
import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request

from rig.process import Failed


def request(gateway, keys, method, path, query=None, body=b""):
    """The answer's body; raises Failed with the service's words. `keys`: (access key, secret key)."""
    access_key, secret_key = keys
    host = f"127.0.0.1:{gateway.plain_port}"  # a name could be taken for a bucket's
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    path = urllib.parse.quote(path)
    words = "&".join(f"{urllib.parse.quote(key, safe='')}={urllib.parse.quote(value, safe='')}"
                     for key, value in sorted((query or {}).items()))
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(headers)
    canonical = "\n".join([method, path, words, *(f"{k}:{v}" for k, v in headers.items()), "",
                           names, digest])
    scope = f"{day}/{gateway.region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (day, gateway.region, "s3", "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, "
                                f"SignedHeaders={names}, Signature={key.hex()}")
    asked = urllib.request.Request(f"http://{host}{path}?{words}", method=method, headers=headers,
                                   data=body if method == "PUT" else None)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as refusal:
        raise Failed(f"{method} {path}?{words}: {refusal.code} "
                     f"{refusal.read().decode('utf-8', 'replace')}") from refusal
