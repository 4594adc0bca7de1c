"""Somebody who signs tokens: keys of each kind, made once, and the tokens that tests ask for."""

import time
from functools import cache
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.test/", "gateway"
KINDS = {
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed25519",
}  # fmt: skip
"""By algorithm, the kind of key that goes with it."""


def private(kind: str, which: int = 0) -> Any:
    """A key of that kind; others for other numbers."""
    return _private(kind, which)


@cache
def _private(kind: str, _: int) -> Any:
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(curves[kind])


def public(kind: str, kid: str | None = None, which: int = 0, **more: Any) -> dict[str, Any]:
    """Its public half, as a member of a JWKS."""
    maker: Any = {"rsa": RSAAlgorithm, "ed25519": OKPAlgorithm}.get(kind, ECAlgorithm)
    made: dict[str, Any] = maker.to_jwk(private(kind, which).public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, **({} if kid is None else {"kid": kid}), **more}


def jwks(*keys: dict[str, Any]) -> str:
    return msgspec.json.encode({"keys": keys}).decode()


def claims(**more: Any) -> dict[str, Any]:
    """Of a token that counts now. None takes one off."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, **more}
    return {name: value for name, value in said.items() if value is not None}


def token(said: dict[str, Any] | None = None, *, alg: str = "ES256", kid: str | None = "k", which: int = 0, **header: Any) -> str:
    """A signed token."""
    headers = {**header, **({} if kid is None else {"kid": kid})}
    return jwt.encode(said if said is not None else claims(), private(KINDS[alg], which), algorithm=alg, headers=headers)
