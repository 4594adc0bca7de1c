"""Tokens of callers: what counts, what does not, and all the ways in which one may be forged."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from extproc.callers import tokens as module
from extproc.callers.keyset import KeySet, made, read
from extproc.callers.tokens import LONGEST, NoSets, Tokens, looks_like_one, purpose_of
from extproc.config.callers import ALGORITHMS, Claims, Issuer
from extproc.errors import Reject
from extproc.values import Identity
from tests.callers.signer import AUDIENCE, ISSUER, KINDS, claims, jwks, private, public, token
from tests.cases import cases
from tests.scene import run

ALL = jwks(*(public(kind, kind) for kind in ("rsa", "p256", "p384", "p521", "ed25519")))


def issuer(**more: Any) -> Issuer:
    return Issuer(**{"issuer": ISSUER, "audiences": (AUDIENCE,), "jwks": jwks(public("p256", "k")), **more})


def found(text: str, one: Issuer | None = None, **more: Any) -> Identity | tuple[int, str]:
    """Whose it is, or status and code of the refusal."""
    return asked(Tokens([one or issuer()], NoSets(), **more), text)


def asked(tokens: Tokens, text: str) -> Identity | tuple[int, str]:
    try:
        return run(tokens.find(text))
    except Reject as reject:
        return reject.fault.status, reject.fault.code


BAD = (401, "invalid_token")
ALICE = Identity(ISSUER, "alice")


@pytest.mark.parametrize("alg", KINDS)
def test_each_algorithm(alg: str) -> None:
    assert set(KINDS) == set(ALGORITHMS)
    assert found(token(alg=alg, kid=KINDS[alg]), issuer(jwks=ALL)) == ALICE
    # Another key of the same kind.
    assert found(token(alg=alg, kid=KINDS[alg], which=1), issuer(jwks=ALL)) == BAD
    # One that the issuer may not use.
    others = tuple(one for one in ALGORITHMS if one != alg)
    assert found(token(alg=alg, kid=KINDS[alg]), issuer(jwks=ALL, algorithms=others)) == BAD


@cases(
    "more",
    [
        {"exp": None}, {"exp": time.time() - 31}, {"exp": "soon"}, {"exp": True}, {"exp": 1e300}, {"nbf": time.time() + 86_400},
        {"nbf": []}, {"iat": time.time() + 86_400}, {"aud": None}, {"aud": "other"}, {"aud": ["other", 1]}, {"aud": {}}, {"iss": None},
        {"iss": ISSUER[:-1]}, {"iss": [ISSUER]}, {"sub": None}, {"sub": ""}, {"sub": ["a"]}, {"sub": "a\nb"}, {"sub": "x" * 257},
        {"sub": "own:0123"},
    ],
)  # fmt: skip
def test_claims_that_do_not_count(more: dict[str, Any]) -> None:
    assert asked(Tokens([issuer()], NoSets()), raw_token(claims())) == ALICE
    # PyJWT would not write such a one.
    refusal = asked(Tokens([issuer()], NoSets()), raw_token(claims(**more)))
    assert refusal == ((401, "expired_token") if type(more.get("exp")) is float and more["exp"] < 2e9 else BAD)


def raw_token(said: Any, header: dict[str, Any] | None = None) -> str:
    """Signed with ES256, whatever is in it."""
    head = b64(json.dumps(header or {"alg": "ES256", "kid": "k"}).encode())
    body = b64(json.dumps(said).encode())
    algorithm = ECAlgorithm(ECAlgorithm.SHA256)
    return f"{head}.{body}.{b64(algorithm.sign(f'{head}.{body}'.encode(), private('p256')))}"


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_audiences(aud: Any) -> None:
    assert found(token(claims(aud=aud))) == ALICE


def test_clocks_may_differ_a_little() -> None:
    now = time.time()
    assert found(token(claims(exp=now - 20, nbf=now - 60))) == ALICE
    assert found(token(claims(nbf=now + 20, iat=now + 20))) == ALICE
    assert found(token(claims(exp=now - 20)), issuer(leeway=0)) == (401, "expired_token")


def test_claims_say_who_calls() -> None:
    said = claims(org_id="acme", client={"id": "cli", "roles": ["Admins", "x", 3]}, scope="viewer other")
    nested = Claims(tenant="org_id", key=("client", "id"), roles=("client", "roles"))
    assert found(token(said), issuer(claims=nested, roles={"admin": ("Admins",)})) == Identity("acme", "cli", roles=("admin",))
    assert found(token(said), issuer(claims=Claims(roles="scope"), tenant="lab")) == Identity("lab", "alice", roles=("viewer",))
    assert found(token(claims()), issuer(claims=Claims(tenant="org_id"))) == BAD
    assert found(token(claims()), issuer(claims=Claims(tenant="org_id"), tenant="lab")) == Identity("lab", "alice")
    assert found(token(claims(org_id="own:1")), issuer(claims=Claims(tenant="org_id"), tenant="lab")) == BAD


def test_claims_that_are_required() -> None:
    wants = issuer(require={"groups": ("ai", "ml"), "azp": "app"})
    assert found(token(claims(groups=["x", "ml"], azp="app")), wants) == ALICE
    for lacking in ({"groups": ["x"], "azp": "app"}, {"groups": "ai"}, {"groups": "ai", "azp": "application"}):
        assert found(token(claims(**lacking)), wants) == (401, "insufficient_token")


def test_several_issuers_have_each_its_own_keys() -> None:
    other = issuer(issuer="https://other.test", jwks=jwks(public("p256", "k", which=1)))
    both = Tokens([issuer(), other], NoSets())
    assert asked(both, token()) == ALICE
    assert asked(both, token(claims(iss="https://other.test"), which=1)) == Identity("https://other.test", "alice")
    # Each signs in the other's name.
    assert asked(both, token(which=1)) == BAD
    assert asked(both, token(claims(iss="https://other.test"))) == BAD


# Forgeries (RFC 8725, section 2).


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "HS256", "HS512", "RS1", "ES256K", "dir"])
def test_no_signature_and_no_shared_secret(alg: str) -> None:
    """A public key is everybody's: whoever takes it for the secret of an HMAC believes anybody."""
    key = private("rsa").public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    one = issuer(jwks=jwks(public("rsa", "k")))
    head, body = b64(json.dumps({"alg": alg, "kid": "k"}).encode()), b64(json.dumps(claims()).encode())
    forms = (key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (one.jwks or "").encode())
    signatures = [b"", *(hmac.new(form, f"{head}.{body}".encode(), hashlib.sha256).digest() for form in forms)]
    for signature in signatures:
        assert found(f"{head}.{body}.{b64(signature)}", one) == BAD


def test_an_algorithm_belongs_to_the_keys_type() -> None:
    """The header names one kind, the key is of another: nothing is tried."""
    for kind in ("rsa", "p256", "p384", "p521", "ed25519"):
        for alg, own in KINDS.items():
            key = made(read(jwks(public(kind, "k")))).named("k")[0]
            assert (alg in key.algorithms) == (own == kind)
    said = raw_token(claims(), {"alg": "ES384", "kid": "k"})
    assert found(said, issuer(jwks=jwks(public("p256", "k"), public("p384", "k")))) == BAD
    # A key that is for one algorithm alone.
    assert found(token(alg="RS256"), issuer(jwks=jwks(public("rsa", "k", alg="RS512")))) == BAD
    assert found(token(alg="RS512"), issuer(jwks=jwks(public("rsa", "k", alg="RS512")))) == ALICE


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"alg": 5}, {"kid": 1}, {"kid": ["k"]}], ids=str
)
def test_headers_that_are_not_taken(header: dict[str, Any]) -> None:
    assert found(raw_token(claims(), {"alg": "ES256", "kid": "k", "typ": "JWT"})) == ALICE
    assert found(raw_token(claims(), {"alg": "ES256", "kid": "k", **header})) == BAD


def test_no_key_comes_from_the_token() -> None:
    stranger = public("p256", "mine", which=1)
    header: dict[str, Any] = {"jwk": stranger, "jku": "https://evil.test/keys", "x5u": "https://evil.test/cert", "x5c": ["MII"]}
    for kid in ("k", "mine", None):
        assert found(token(kid=kid, which=1, **header)) == BAD
    assert found(token(**header)) == ALICE


def test_a_token_without_a_key_id() -> None:
    assert found(token(kid=None)) == ALICE
    many = jwks(*(public("p256", str(which), which=which) for which in range(5)))
    assert found(token(kid=None), issuer(jwks=many)) == BAD


@pytest.mark.parametrize(
    "text", ["ey.ey.ey", "eyJ.e30.", "..", "ey..", "a.b.c", "ey\u00e9.ey.ey", "ey\udcff.ey.ey", "ey+/.ey.ey=", "ey J.a.b"]
)
def test_what_is_no_token(text: str) -> None:
    assert found(text) == BAD


def test_a_token_has_a_length() -> None:
    assert found(token(claims(pad="x" * LONGEST))) == BAD


def test_any_change_of_a_letter_is_seen() -> None:
    good = token()
    tokens = Tokens([issuer()], NoSets())
    for at in range(0, len(good), 7):
        changed = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        first, second, third = changed.split(".") if changed.count(".") == 2 else ("", "", "")
        # The last letter of a part has bits that say nothing.
        if [urlsafe_b64decode(one + "===") for one in (first, second, third) if one] != [
            urlsafe_b64decode(one + "===") for one in good.split(".")
        ] or (first, second) != tuple(good.split(".")[:2]):
            assert asked(tokens, changed) == BAD


_HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "zip", "b64", "x5c"]),
    st.sampled_from(["none", "HS256", "RS256", "ES256", "EdDSA", "k", "", None, 1, True, [], ["exp"], {}, {"kty": "oct", "k": "AA"}]),
)
_SIGNATURES = st.one_of(st.binary(max_size=80), st.just(bytes(64)), st.just(b"\x30\x06\x02\x01\x01\x02\x01\x01"))


@settings(max_examples=80, deadline=None)
@given(_HEADERS, _SIGNATURES)
def test_no_header_makes_up_for_a_signature(header: dict[str, Any], signature: bytes) -> None:
    head, body = b64(json.dumps(header).encode()), b64(json.dumps(claims()).encode())
    assert found(f"{head}.{body}.{b64(signature)}", issuer(jwks=ALL)) == BAD


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_it_fail_otherwise(first: str, second: str, third: str) -> None:
    assert found(f"{first}.{second}.{third}") == BAD


# What is remembered.


class Sets:
    """Keys that change, and who asked for them."""

    def __init__(self, *sets: KeySet | None) -> None:
        self.sets = list(sets)
        self.asked: list[str] = []

    def find(self, purpose: str) -> KeySet | None:
        return self.sets[0]

    async def renew(self, purpose: str) -> None:
        self.asked.append(purpose)
        if len(self.sets) > 1:
            del self.sets[0]


def keys(*which: int) -> KeySet:
    return made(read(jwks(*(public("p256", f"k{one}", which=one) for one in which))))


REMOTE = issuer(jwks=None, jwks_url="https://issuer.test/keys")


def test_an_unknown_key_is_asked_for() -> None:
    sets = Sets(keys(0), keys(0, 1))
    tokens = Tokens([REMOTE], sets)
    assert asked(tokens, token(kid="k0")) == ALICE
    assert sets.asked == []
    assert asked(tokens, token(kid="k1", which=1)) == ALICE
    assert sets.asked == [purpose_of(REMOTE)]
    assert asked(tokens, token(kid="k2", which=2)) == BAD
    # Who is not known anyway, or may not sign so, costs the issuer nothing.
    asked(tokens, token(claims(iss="https://evil.test"), kid="k3"))
    asked(tokens, token(kid="k3", alg="EdDSA").replace("x", "y"))
    assert len(sets.asked) <= 3


def test_while_there_are_no_keys_nobody_is_told_that_a_token_is_wrong() -> None:
    assert found(token(), REMOTE) == (503, "keys_unavailable")


def test_a_token_that_is_remembered_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.time()]
    good, sets = token(claims(exp=now[0] + 100), kid="k0"), Sets(keys(0))
    tokens = Tokens([REMOTE], sets, lambda: now[0])
    assert asked(tokens, good) == ALICE
    with monkeypatch.context() as patched:
        patched.delattr(module, "_opened")
        assert asked(tokens, good) == ALICE
        with pytest.raises(NameError):
            asked(tokens, token())
    # The same keys as another set: one may have been taken back.
    sets.sets = [keys(1)]
    assert asked(tokens, good) == BAD
    sets.sets = [keys(0)]
    assert asked(tokens, good) == ALICE
    now[0] += 100 + REMOTE.leeway
    assert asked(tokens, good) == (401, "expired_token")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    tokens = Tokens([issuer()], NoSets())
    for at in range(10):
        assert asked(tokens, token(claims(sub=f"s{at}"))) == Identity(ISSUER, f"s{at}")
    assert len(tokens._known) == 3


@pytest.mark.parametrize(("text", "is_one"), [("eyJ.a.b", True), ("hg-1", False), ("ey.a", False), ("sk-a.b.c", False), ("", False)])
def test_what_looks_like_one(text: str, is_one: bool) -> None:
    assert looks_like_one(text) is is_one


def test_a_refusal_repeats_nothing_of_a_token() -> None:
    for text in (token(which=1), token(claims(exp=5)), "ey.secret.x", token(claims(iss="https://secret.test"))):
        with pytest.raises(Reject) as raised:
            run(Tokens([issuer()], NoSets()).find(text))
        assert not any(part in raised.value.fault.message for part in ("secret", *text.split(".")))
        assert raised.value.headers == (("www-authenticate", 'Bearer error="invalid_token"'),)
