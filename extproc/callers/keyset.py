"""An issuer's public keys: a JWKS (RFC 7517, section 5) read strictly, and made ready to check signatures with.

What a worker imports of `cryptography` it imports here, when the first key is made ready: only where a configuration wants tokens.
"""

import binascii
from base64 import urlsafe_b64decode
from typing import Any, NamedTuple, Protocol

import msgspec

LARGEST = 256 * 1024
"""Bytes of a JWKS that are read at most."""
MOST = 128
"""Keys that are taken of one."""
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192
"""Bits of a modulus (RFC 7518, section 3.3; NIST SP 800-131A); larger ones only cost time."""
_LARGEST_EXPONENT = 32

_BY_CURVE = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}
"""By its curve, the algorithm of a key, and the bytes of a coordinate (RFC 7518, sections 3.4 and 6.2)."""
_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_PUBLIC = ("kty", "kid", "alg", "use", "key_ops", "crv", "n", "e", "x", "y")
"""What is kept of a key: nothing private, should an issuer have published that."""


class Check(Protocol):
    """Checks one signature."""

    def __call__(self, signature: bytes, signed: bytes, algorithm: str) -> bool:
        """Whether `signature` is that key's of `signed`. Never raises."""


class Key(NamedTuple):
    """One of them, ready."""

    id: str
    algorithms: tuple[str, ...]
    """Those that it may be used with: they follow from its type, never from a token."""
    check: Check


class KeySet:
    """The keys of an issuer at one time. Two of them are the same one only if they are the same object."""

    __slots__ = ("_by_id", "keys")

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self.keys = keys
        self._by_id: dict[str, tuple[Key, ...]] = {}
        for key in keys:
            self._by_id[key.id] = (*self._by_id.get(key.id, ()), key)

    def named(self, id: str | None) -> tuple[Key, ...]:
        """Those that a token may be signed with that names this key; that names none: all of them, if there are few."""
        if id is None:
            return self.keys if len(self.keys) <= 4 else ()
        return self._by_id.get(id, ())


def read(text: bytes | str) -> list[dict[str, Any]]:
    """The public keys of a JWKS that are of use here; what they may not be is left out. Raises `ValueError` with a sentence where it is no
    JWKS, or has no such key.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 1024} KiB")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ValueError("it is no JSON") from None
    listed = document.get("keys") if type(document) is dict else None
    if type(listed) is not list:
        raise ValueError('it is no JWKS: that is JSON with a list `"keys"`')
    kept = [_public(one) for one in listed if type(one) is dict and _algorithms(one)]
    if not kept:
        raise ValueError("it has no key of a kind that is read here: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519")
    return kept[:MOST]


def _public(key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in _PUBLIC if name in key}


def _algorithms(key: dict[str, Any]) -> tuple[str, ...]:
    """What a key may be used with; nothing if it is for nothing here."""
    operations = key.get("key_ops")
    if key.get("use", "sig") != "sig" or (operations is not None and (type(operations) is not list or "verify" not in operations)):
        return ()
    own = _by_type(key)
    named = key.get("alg")
    return own if named is None else tuple(one for one in own if one == named)


def _by_type(key: dict[str, Any]) -> tuple[str, ...]:
    kind, curve = key.get("kty"), key.get("crv")
    if kind == "RSA":
        modulus, exponent = _bytes(key.get("n")), _bytes(key.get("e"))
        bits = int.from_bytes(modulus).bit_length()
        sound = _SMALLEST_RSA <= bits <= _LARGEST_RSA and 0 < int.from_bytes(exponent).bit_length() <= _LARGEST_EXPONENT
        return _OF_RSA if sound else ()
    if kind == "EC" and type(curve) is str and curve in _BY_CURVE:
        algorithm, size = _BY_CURVE[curve]
        return (algorithm,) if len(_bytes(key.get("x"))) == len(_bytes(key.get("y"))) == size else ()
    if kind == "OKP" and curve == "Ed25519":
        return ("EdDSA",) if len(_bytes(key.get("x"))) == 32 else ()  # RFC 8037, section 2
    return ()


def decoded(text: str) -> bytes:
    """Bytes of base64url without padding (RFC 7515, section 2). Raises `ValueError` for anything else, such as another alphabet."""
    if "=" in text or "+" in text or "/" in text or not text.isascii() or len(text) % 4 == 1:
        raise ValueError("not base64url")
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    # What is no letter of the alphabet is passed over in silence, and then less comes out.
    if len(raw) != len(text) * 3 // 4:
        raise ValueError("not base64url")
    return raw


def _bytes(text: object) -> bytes:
    try:
        return decoded(text) if type(text) is str else b""
    except ValueError:
        return b""


def made(keys: list[dict[str, Any]]) -> KeySet:
    """Keys as `read` gives them, ready. One whose numbers are none of a key (a point that is not on its curve) is left out."""
    ready = []
    for one in keys:
        if (algorithms := _algorithms(one)) and (check := _check(one)) is not None:
            id = one.get("kid")
            ready.append(Key(id if type(id) is str else "", algorithms, check))
    return KeySet(tuple(ready))


def _check(key: dict[str, Any]) -> Check | None:
    from extproc.callers import signatures  # noqa: PLC0415 - needs `cryptography`, which is optional and slow

    try:
        return signatures.MAKERS[key["kty"]](key)
    except ValueError:
        return None
