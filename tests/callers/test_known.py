"""In which order callers are known, and what Envoy has to say of them."""

from typing import Any

import pytest
from msgspec.structs import replace

from extproc import Handler, Identity, Reject
from extproc.config.callers import Callers, Claims, Issuer, Mesh, OwnKeys, Workload
from extproc.keys import KeyState, StoredKey, StoredKeys, digest
from extproc.wire.ext_proc_pb2 import ProcessingRequest
from extproc.wire.incoming import Incoming
from filters.auth import Auth
from tests.callers.signer import AUDIENCE, ISSUER, claims, jwks, public, token
from tests.scene import CONFIG, environment, head, request, run

HERE = Issuer(issuer=ISSUER, audiences=(AUDIENCE,), jwks=jwks(public("p256", "k")))
THERE = Issuer(issuer="https://front.test", audiences=(AUDIENCE,), verify="front", claims=Claims(tenant="org"))
MESH = Mesh(workloads=(Workload(uri="spiffe://mesh/ns/{tenant}/sa/{key}"),), trusted=True)
XFCC = {"x-forwarded-client-cert": "URI=spiffe://mesh/ns/acme/sa/bot"}
OWN = (OwnKeys(providers=("openai",), pattern="sk-*"),)
KEYS = (StoredKey("one", digest("hg-1"), "stored"),)


def opened(*, keys: tuple[StoredKey, ...] = KEYS, auth: Auth | None = None, **callers: Any) -> Handler:
    return (auth or Auth()).open(environment(replace(CONFIG, callers=Callers(**callers)), keys))


def asked(handler: Handler, headers: dict[str, str], vouched: dict[str, Any] | None = None) -> Identity | tuple[int, str]:
    made = request({**head(), **headers})
    made.vouched = vouched or {}
    try:
        run(handler.request(made))
    except Reject as reject:
        return reject.fault.status, reject.fault.code
    return made.identity


def test_the_order() -> None:
    handler = opened(jwt=(HERE,), mesh=MESH, own_keys=OWN, hash_key="x" * 16)
    good, bad = f"Bearer {token()}", f"Bearer {token(which=1)}"
    assert asked(handler, {"authorization": good, **XFCC}) == Identity(ISSUER, "alice")
    assert asked(handler, {"authorization": "Bearer hg-1", **XFCC}) == Identity("stored", "one")
    assert asked(handler, {"authorization": bad, "x-api-key": "hg-1"}) == Identity("stored", "one")
    assert asked(handler, {"authorization": "Bearer whatever-an-sdk-wants", **XFCC}) == Identity("acme", "bot")
    assert asked(handler, {"authorization": bad, "x-api-key": "sk-1"}) == (401, "invalid_token")
    own = asked(handler, {"x-api-key": "sk-1"})
    assert isinstance(own, Identity) and own.tenant.startswith("own:")
    assert asked(handler, {"x-api-key": "other"}) == (401, "invalid_api_key")
    assert asked(handler, {}) == (401, "missing_api_key")


@pytest.mark.parametrize(
    "callers", [{"jwt": (HERE,)}, {"mesh": MESH}, {"own_keys": OWN, "hash_key": "x" * 16}], ids=lambda callers: next(iter(callers))
)
def test_whoever_is_not_known_is_refused_also_where_there_are_no_keys(callers: dict[str, Any]) -> None:
    assert asked(opened(keys=(), **callers), {":authority": "localhost"}) == (401, "missing_api_key")
    # Unless the operator says that anybody may come.
    assert asked(opened(keys=(), auth=Auth(required=False), **callers), {":authority": "localhost"}) == Identity()


def test_the_header_of_a_mesh_is_not_believed_unless_the_operator_says_so() -> None:
    assert asked(opened(mesh=replace(MESH, trusted=False)), XFCC) == (401, "missing_api_key")
    assert asked(opened(), XFCC) == (401, "missing_api_key")
    assert asked(opened(mesh=MESH), {"x-forwarded-client-cert": 'URI="'}) == (401, "invalid_client_certificate")
    assert asked(opened(mesh=MESH), {"x-forwarded-client-cert": "URI=spiffe://x/ns/a/sa/b"}) == (401, "missing_api_key")


# Made long before it is looked at.
SAID = claims(iss=THERE.issuer, org="umbrella", exp=4_000_000_000)


def test_what_envoy_found_in_a_token() -> None:
    handler = opened(jwt=(THERE,))
    assert asked(handler, {}, {THERE.issuer: SAID}) == Identity("umbrella", "alice")
    # Under another name, of another issuer, or not for us.
    assert asked(handler, {}, {"other": SAID}) == (401, "missing_api_key")
    assert asked(handler, {}, {THERE.issuer: {**SAID, "iss": "https://evil.test"}}) == (401, "missing_api_key")
    assert asked(handler, {}, {THERE.issuer: {**SAID, "aud": "other"}}) == (401, "invalid_token")
    assert asked(handler, {}, {THERE.issuer: {**SAID, "exp": 5}}) == (401, "expired_token")
    assert asked(handler, {}, {THERE.issuer: "text"}) == (401, "missing_api_key")
    # It was sent, and Envoy says nothing of it.
    assert asked(handler, {"authorization": f"Bearer {token(SAID)}"}) == (401, "invalid_token")
    # Where no issuer is configured so, nobody looks.
    assert asked(opened(jwt=(HERE,)), {}, {ISSUER: claims()}) == (401, "missing_api_key")


def test_metadata_of_any_form_is_read() -> None:
    message = ProcessingRequest()
    message.request_headers.end_of_stream = True
    said: dict[str, Any] = {"sub": "a", "exp": 1.8e9, "half": 0.5, "list": ["x", 1, None], "deep": {"roles": ["admin"]}, "yes": True}
    message.metadata_context.filter_metadata["space"].update({"name": said})
    incoming = Incoming(message.SerializeToString())
    assert incoming.structs("space") == {"name": said}
    assert incoming.structs("other") == {}


def test_while_nobody_can_tell_whose_a_key_is() -> None:
    """That keys of the state folder cannot be read is no reason to refuse those who are known otherwise, nor to tell anybody that his is
    wrong.
    """
    stored = StoredKeys(KeyState(file="/nowhere/keys"), exist=True)
    callers = Callers(jwt=(HERE,), mesh=MESH, own_keys=OWN, hash_key="x" * 16)
    handler = Auth().open(replace(environment(replace(CONFIG, callers=callers)), stored_keys=stored))
    assert asked(handler, {"authorization": f"Bearer {token()}"}) == Identity(ISSUER, "alice")
    assert asked(handler, {"x-api-key": "whatever", **XFCC}) == Identity("acme", "bot")
    assert isinstance(asked(handler, {"x-api-key": "sk-1"}), Identity)
    assert asked(handler, {"x-api-key": "hg-1"}) == (503, "keys_unavailable")
