"""Where a provider says at which URL an upload goes on, the client is told the same place at this gateway.

Google's uploads begin with a request that is answered by a URL (`x-goog-upload-url`), and its clients send the file there, without a
key: whoever knows the URL may. Here the way leads through the gateway again, and to the same provider. So that it knows the client
there, too, the URL that it gives to a client has the key with which that client has just come.

https://ai.google.dev/gemini-api/docs/files, https://ai.google.dev/api/files#method:-media.upload
"""

from urllib.parse import quote, urlsplit

from extproc.crossing import CREDENTIALS, KEY_PARAMETER
from extproc.upstream import Upstream
from extproc.values import Request

UPLOAD_URLS = ("x-goog-upload-url", "x-goog-upload-control-url")
"""Headers of a provider's answer."""

_GOOGLES = "x-goog-api-key"
_BEARER = "bearer "


def through_us(url: str, upstream: Upstream, root: str, request: Request) -> str:
    """The URL, if it is the provider's, by way of this gateway; any other as it is. `root`: see `Dialect.root`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.netloc.lower() != upstream.authority.lower():
        return url
    path = parts.path.removeprefix(upstream.prefix.removesuffix(root))
    query = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != KEY_PARAMETER]
    if request.identity.key and (key := _sent(request.headers)):
        query.append(f"{KEY_PARAMETER}={quote(key, safe='')}")
    scheme = request.headers.get("x-forwarded-proto", "http")
    base = f"{scheme}://{request.headers.get(':authority', '')}/providers/{quote(upstream.name, safe='')}{path}"
    return f"{base}?{'&'.join(query)}" if query else base


def _sent(headers: dict[str, str]) -> str:
    """The key that the client sent in a header: the one of Google's clients, or else the first where any client puts one."""
    for name in (_GOOGLES, *CREDENTIALS):
        if value := headers.get(name, ""):
            return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else value.strip()
    return ""
