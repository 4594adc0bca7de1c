"""Whether a request is signed as AWS wants it, worked out anew from the request as it came.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from urllib.parse import quote

_AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_fault(method: str, path: str, headers: dict[str, str], body: bytes, secrets: dict[str, str]) -> str:
    """What is wrong with a signature; empty if it is right. `path` is as it stood on the wire, `secrets` are by access key."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        return f"no signature: {headers.get('authorization')}"
    access, date, region, service, end = found[1].split("/")
    if (service, end) != ("bedrock", "aws4_request") or access not in secrets:
        return f"the scope is {found[1]}"
    payload = hashlib.sha256(body).hexdigest()
    if headers.get("x-amz-content-sha256") != payload:
        return f"x-amz-content-sha256 is {headers.get('x-amz-content-sha256')}, and the body has {payload}"
    signed = found[2].split(";")
    if not {"host", "x-amz-date"} <= set(signed) or signed != sorted(signed):
        return f"signed are {signed}"
    bare, _, query = path.partition("?")
    # All services but S3 encode the path once more: `%3A` is `%253A` here.
    canonical = "\n".join(
        [
            method,
            "/".join(quote(segment, safe="-_.~") for segment in bare.split("/")),
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            found[2],
            payload,
        ]
    )
    when = headers["x-amz-date"]
    if not when.startswith(date):
        return f"x-amz-date is {when}, and the scope is of {date}"
    scope = f"{date}/{region}/{service}/{end}"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secrets[access]}".encode()
    for part in (date, region, service, end):
        key = _hmac(key, part)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(expected, found[3]) else f"the signature does not fit; the canonical request is\n{canonical}"
