"""Key sets of issuers: what is read of them."""

from typing import Any

import msgspec
import pytest

from extproc.callers.keyset import LARGEST, MOST, decoded, made, read
from tests.callers.signer import jwks, private, public


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521", "ed25519"])
def test_each_kind(kind: str) -> None:
    (key,) = made(read(jwks(public(kind, "one", use="sig")))).keys
    assert key.id == "one"
    assert not key.check(b"", b"", key.algorithms[0])
    assert not key.check(bytes(64), b"x", key.algorithms[0])


def test_nothing_private_is_kept() -> None:
    secret = {**public("p256", "k"), "d": "AAAA", "p": "AAAA", "k": "AAAA", "x5c": ["MII"]}
    (kept,) = read(jwks(secret))
    assert set(kept) == {"kty", "crv", "x", "y", "kid"}


UNFIT: list[dict[str, Any]] = [
    {"kty": "oct", "k": "AAAA"},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    {"kty": "RSA", "n": 5, "e": "AQAB"},
    {**public("rsa"), "e": "AAAAAAAAAAAA"},
    {**public("rsa"), "use": "enc"},
    {**public("rsa"), "key_ops": ["sign"]},
    {**public("rsa"), "key_ops": "verify"},
    {**public("rsa"), "alg": "HS256"},
    {**public("rsa"), "alg": "none"},
    {**public("p256"), "alg": "RS256"},
    {**public("p256"), "crv": "P-384"},
    {**public("p256"), "crv": "secp256k1"},
    {**public("p256"), "crv": ["P-256"]},
    {**public("p256"), "x": public("p256")["x"] + "="},
    {**public("ed25519"), "crv": "X25519"},
    {**public("ed25519"), "x": "AAAA"},
]


@pytest.mark.parametrize("key", UNFIT, ids=range(len(UNFIT)))
def test_keys_that_are_left_out(key: dict[str, Any]) -> None:
    assert [one["kid"] for one in read(jwks({**key, "kid": "bad"}, public("p384", "good")))] == ["good"]
    with pytest.raises(ValueError, match="no key of a kind"):
        read(jwks(key))


def test_a_point_beside_its_curve_is_no_key() -> None:
    beside = {**public("p256", "k"), "y": public("p256", which=1)["y"]}
    assert made(read(jwks(beside, public("p256", "l")))).named("k") == ()


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"keys": {}}', '{"keys": []}', '{"keys": [1]}', "<html>", b"\xff", "[" * 100_000]
)
def test_what_is_no_key_set(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)


def test_bounds() -> None:
    with pytest.raises(ValueError, match="larger"):
        read(b" " * LARGEST + b"{}")
    assert len(read(jwks(*(public("ed25519", str(at)) for at in range(MOST + 5))))) == MOST


@pytest.mark.parametrize("text", ["AA==", "A", "A+AA", "A/AA", "A A", "AA\n", "\u0661\u0661", "AAA!"])
def test_base64url_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        decoded(text)


def test_keys_of_the_same_name() -> None:
    """An issuer may have one of each kind under one name: each is tried that fits."""
    both = made(read(msgspec.json.encode({"keys": [public("rsa", "k"), public("p256", "k")]})))
    assert [key.algorithms[0] for key in both.named("k")] == ["RS256", "ES256"]
    assert private("rsa") is not private("rsa", 1)
