"""Who is calling, and who may call a gateway that has no keys."""

from typing import Any

import msgspec
import pytest

from extproc import Handler, Identity, Reject, is_loopback_name
from extproc.config.listeners import Listener
from extproc.crossing import CREDENTIALS
from extproc.identity.settings import Settings
from extproc.keys import KeyState, StoredKey, StoredKeys, digest
from filters.auth import Auth, Key
from tests.scene import CONFIG, environment, head, request, run

KEYS = (StoredKey("one", digest("hg-1"), "acme"), StoredKey("two", digest("hg-2")))


def opened(settings: Auth | None = None, keys: tuple[StoredKey, ...] = (), *, exist: bool = False, **listener: Any) -> Handler:
    config = msgspec.structs.replace(CONFIG, listener=Listener(**listener))
    return (settings or Auth()).open(environment(config, keys, keys_exist=exist))


def asked(handler: Handler, headers: dict[str, str] | None = None) -> Identity | tuple[int, str]:
    """The identity, or status and code of the refusal."""
    made = request(headers)
    try:
        run(handler.request(made))
    except Reject as reject:
        return reject.fault.status, reject.fault.code
    return made.identity


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_key_is_found_wherever_clients_put_it(name: str) -> None:
    handler = opened(keys=KEYS)
    one = Identity("acme", "one")
    for value in ("hg-1", "Bearer hg-1", "bearer  hg-1 ", " hg-1", "BEARER hg-1"):
        assert asked(handler, {**head(), name: value}) == one
    assert asked(handler, {**head(), name: "hg-2"}) == Identity("two", "two")
    for value in ("hg-3", "", "Bearer ", "Basic aGctMTo=", "hg-1x", "Bearer hg-1, Bearer hg-2"):
        assert asked(handler, {**head(), name: value}) == (401, "invalid_api_key")


def test_a_refusal_says_what_is_wanted() -> None:
    with pytest.raises(Reject) as raised:
        run(opened(keys=KEYS).request(request()))
    assert raised.value.headers == (("www-authenticate", "Bearer"),)


def test_the_first_known_key_counts() -> None:
    handler = opened(keys=KEYS)
    # SDKs insist on a key of their own, beside which callers put ours.
    assert asked(handler, {**head(), "authorization": "Bearer sk-theirs", "x-api-key": "hg-2"}) == Identity("two", "two")
    assert asked(handler, {**head(), "authorization": "Bearer hg-1", "x-api-key": "hg-2"}) == Identity("acme", "one")


def test_who_holds_an_expired_key_is_told_so() -> None:
    over = msgspec.structs.replace(KEYS[0], expires_at=1_000)
    handler = opened(keys=(over, KEYS[1]))
    assert asked(handler, {**head(), "x-api-key": "hg-1"}) == (401, "expired_key")
    assert asked(handler, {**head(), "x-api-key": "hg-3"}) == (401, "invalid_api_key")
    # Another one that was sent may be good; and where nobody needs a key, nobody needs this one.
    assert asked(handler, {**head(), "authorization": "Bearer hg-1", "x-api-key": "hg-2"}) == Identity("two", "two")
    assert asked(opened(Auth(required=False), (over,)), {**head(), "x-api-key": "hg-1"}) == Identity()


@pytest.mark.parametrize("protocols", ["openai-insecure-api-key.hg-1", "realtime, openai-insecure-api-key.hg-1 , openai-beta.realtime-v1"])
def test_a_browsers_websocket(protocols: str) -> None:
    assert asked(opened(keys=KEYS), {**head(), "sec-websocket-protocol": protocols}) == Identity("acme", "one")
    assert asked(opened(keys=KEYS), {**head(), "sec-websocket-protocol": "realtime"}) == (401, "missing_api_key")


@pytest.mark.parametrize("query", ["key=hg-1", "alt=sse&key=hg-1", "k%65y=hg%2D1&alt=sse", "key=AIza-theirs&key=hg-1"])
def test_a_key_in_the_path_as_googles_clients_may_send_it(query: str) -> None:
    path = "/v1beta/models/gemini-3:streamGenerateContent"
    assert asked(opened(keys=KEYS), head(f"{path}?{query}")) == Identity("acme", "one")
    assert asked(opened(keys=KEYS), head(f"{path}?key=hg-9")) == (401, "invalid_api_key")
    assert asked(opened(keys=KEYS), head(f"{path}?alt=sse&keys=hg-1&x=key=hg-1")) == (401, "missing_api_key")
    # A header goes before it.
    assert asked(opened(keys=KEYS), {**head(f"{path}?{query}"), "x-goog-api-key": "hg-2"}) == Identity("two", "two")


CONFIGURED = Auth(keys=(Key(name="cfg", hash=f"sha256:{digest('hg-c').hex()}", tenant="t"),))


def test_keys_of_the_configuration() -> None:
    handler = opened(CONFIGURED, KEYS)
    assert asked(handler, {**head(), "x-api-key": "hg-c"}) == Identity("t", "cfg")
    assert asked(handler, {**head(), "x-api-key": "hg-1"}) == Identity("acme", "one")


def test_while_the_key_file_cannot_be_read() -> None:
    """A fault of ours is never a 401, and never lets anybody in."""
    lost = msgspec.structs.replace(environment(), stored_keys=StoredKeys(KeyState("/nowhere/x.keys", (KEYS[0],)), exist=True))
    for settings in (Auth(), Auth(required=False), CONFIGURED):
        handler = settings.open(lost)
        assert asked(handler, {**head(), "x-api-key": "hg-2"}) == (503, "keys_unavailable")
        assert asked(handler, {**head(), "x-api-key": "hg-1"}) == Identity("acme", "one")
    assert asked(Auth().open(lost)) == (401, "missing_api_key")
    assert asked(CONFIGURED.open(lost), {**head(), "x-api-key": "hg-c"}) == Identity("t", "cfg")


@pytest.mark.parametrize(
    ("settings", "keys", "exist", "listener", "open"),
    [
        # Nothing configured: this machine alone.
        (Auth(), (), False, {}, True),
        (Auth(), (), False, {"address": "::1"}, True),
        # Keys close it, and revoking the last one does not open it again.
        (Auth(), KEYS, True, {}, False),
        (Auth(), (), True, {}, False),
        (CONFIGURED, (), False, {}, False),
        # Said explicitly.
        (Auth(required=True), (), False, {}, False),
        (Auth(required=False), KEYS, True, {}, True),
        # Others can reach it.
        (Auth(), (), False, {"address": "0.0.0.0"}, False),
        (Auth(required=False), (), False, {"address": "0.0.0.0"}, False),
        (Auth(), (), False, {"address": "::"}, False),
        (Auth(), (), False, {"address": "10.0.0.7"}, False),
        (Auth(), (), False, {"also": ("10.0.0.7:8081",)}, False),
        (Auth(), (), False, {"proxy_protocol": ("10.0.0.0/8",)}, False),
        (Auth(required=False), (), False, {"proxy_protocol": ("10.0.0.0/8",)}, False),
        (Auth(), (), False, {"address": "0.0.0.0", "open": True}, True),
        (Auth(), (), False, {"proxy_protocol": ("10.0.0.0/8",), "open": True}, True),
        (Auth(), KEYS, True, {"address": "0.0.0.0", "open": True}, False),
        (Auth(), (), True, {"address": "0.0.0.0", "open": True}, False),
    ],
)
def test_when_a_key_is_required(settings: Auth, keys: tuple[StoredKey, ...], exist: bool, listener: dict[str, Any], open: bool) -> None:
    handler = opened(settings, keys, exist=exist, **listener)
    assert asked(handler) == (Identity() if open else (401, "missing_api_key"))
    # A key that nobody knows is no worse than none.
    assert asked(handler, {**head(), "authorization": "Bearer sk-any"}) == (Identity() if open else (401, "invalid_api_key"))


HOSTS = [
    ("localhost", True), ("localhost:8080", True), ("LocalHost.", True), ("127.0.0.1:8080", True), ("127.9.9.9", True),
    ("[::1]:8080", True),
    ("[::1]", True), ("app.localhost:8080", True), ("evil.test", False), ("localhost.evil.test", False), ("evil.test:8080", False),
    ("10.0.0.7", False), ("0.0.0.0", False), ("[::]", False), ("", False), ("notlocalhost", False), ("evil.test#.localhost", False),
    ("evil.test/.localhost", False), ("localhost@evil.test", False), ("2130706433", False), ("[::1", False), ("127.0.0.1.evil.test", False),
]  # fmt: skip


@pytest.mark.parametrize(("host", "mine"), HOSTS)
def test_only_loopback_hosts_without_keys(host: str, mine: bool) -> None:
    assert asked(opened(), {**head(), ":authority": host}) == (Identity() if mine else (403, "foreign_host"))
    # With a key, or where somebody else authenticates, the name means nothing.
    assert asked(opened(keys=KEYS), {**head(), ":authority": host, "x-api-key": "hg-1"}) == Identity("acme", "one")
    assert asked(opened(address="0.0.0.0", open=True), {**head(), ":authority": host}) == Identity()


@pytest.mark.parametrize(
    ("origin", "mine"),
    [
        ("http://localhost:3000", True), ("http://127.0.0.1", True), ("http://[::1]:1", True), ("https://x.localhost", True),
        ("https://evil.test", False), ("null", False), ("", False), ("http://localhost.evil.test", False), ("http://[", False),
        ("chrome-extension://abc", False), ("file://", False),
    ],
)  # fmt: skip
def test_only_loopback_origins_without_keys(origin: str, mine: bool) -> None:
    assert asked(opened(), {**head(), "origin": origin}) == (Identity() if mine else (403, "foreign_origin"))


@pytest.mark.parametrize(
    ("host", "mine"), [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("LOCALHOST", True), ("8.8.8.8", False), ("x", False)]
)
def test_loopback(host: str, mine: bool) -> None:
    assert is_loopback_name(host) == mine


def bounded(**said: Any) -> tuple[StoredKey, ...]:
    return (StoredKey("one", digest("hg-1"), "acme", settings=Settings(**said)),)


@pytest.mark.parametrize(
    ("said", "path", "outcome"),
    [
        ({"networks": ("127.0.0.0/8",)}, "/v1/chat/completions", None),
        ({"networks": ("10.0.0.0/8",)}, "/v1/chat/completions", (403, "network_not_allowed")),
        ({"networks": ("10.0.0.0/8",)}, "/v1/models", (403, "network_not_allowed")),
        ({"endpoints": ("chat",)}, "/v1/chat/completions", None),
        ({"endpoints": ("chat",)}, "/v1/embeddings", (403, "endpoint_not_allowed")),
        # Its body says what it is, which is not read yet.
        ({"endpoints": ("chat",)}, "/model/titan/invoke", None),
    ],
)
def test_what_is_set_for_a_key(said: dict[str, Any], path: str, outcome: tuple[int, str] | None) -> None:
    found = asked(opened(keys=bounded(**said)), {**head(path), "x-api-key": "hg-1"})
    assert found == outcome if outcome is not None else isinstance(found, Identity)


def test_what_a_caller_says_of_where_he_is_counts_for_nothing() -> None:
    keys = bounded(networks=("10.0.0.0/8",))
    sent = {**head(), "x-api-key": "hg-1", "x-forwarded-for": "10.0.0.1, 127.0.0.1"}
    assert asked(opened(keys=keys), sent) == (403, "network_not_allowed")
    assert isinstance(asked(opened(keys=keys, proxies=1), sent), Identity)


def test_while_the_store_cannot_be_asked() -> None:
    """A key that is known lets in, also beside one of somebody else's; of others nobody can tell."""
    where = msgspec.structs.replace(environment(), stored_keys=StoredKeys(KeyState(added=KEYS, stale=True), exist=True))
    handler = Auth().open(where)
    one = Identity("acme", "one")
    assert asked(handler, {**head(), "authorization": "Bearer hg-1"}) == one
    assert asked(handler, {**head(), "authorization": "Bearer sk-theirs", "x-api-key": "hg-1"}) == one
    assert asked(handler, {**head(), "x-api-key": "hg-3"}) == (503, "keys_unavailable")
    assert asked(handler) == (401, "missing_api_key")
    gone = StoredKeys(KeyState(added=KEYS, revoked=(digest("hg-3"),), stale=True), exist=True)
    handler = Auth().open(msgspec.structs.replace(where, stored_keys=gone))
    assert asked(handler, {**head(), "x-api-key": "hg-3"}) == (401, "invalid_api_key")
