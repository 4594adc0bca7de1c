"""Signatures of tokens, checked with `cryptography` (RFC 7518, section 3; RFC 8037, section 3.1). Slow to import."""

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from extproc.callers.keyset import Check, decoded

_HASHES = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def _number(text: str) -> int:
    return int.from_bytes(decoded(text))


class _Rsa:
    def __init__(self, key: dict[str, Any]) -> None:
        self._key = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()

    def __call__(self, signature: bytes, signed: bytes, algorithm: str) -> bool:
        hashed = _HASHES[algorithm[2:]]
        # As long as the hash (RFC 7518, section 3.5).
        pss = algorithm[0] == "P"
        filled = padding.PSS(padding.MGF1(hashed), hashed.digest_size) if pss else padding.PKCS1v15()
        try:
            self._key.verify(signature, signed, filled, hashed)
        except InvalidSignature:
            return False
        return True


class _Curve:
    def __init__(self, key: dict[str, Any]) -> None:
        curve = _CURVES[key["crv"]]
        self._key = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve).public_key()
        self._size = (curve.key_size + 7) // 8

    def __call__(self, signature: bytes, signed: bytes, algorithm: str) -> bool:
        size = self._size
        if len(signature) != 2 * size:
            return False
        told = encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
        try:
            self._key.verify(told, signed, ec.ECDSA(_HASHES[algorithm[2:]]))
        except InvalidSignature:
            return False
        return True


class _Edwards:
    def __init__(self, key: dict[str, Any]) -> None:
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(decoded(key["x"]))

    def __call__(self, signature: bytes, signed: bytes, algorithm: str) -> bool:
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


MAKERS: dict[str, Callable[[dict[str, Any]], Check]] = {"RSA": _Rsa, "EC": _Curve, "OKP": _Edwards}
"""By the type of a key, what makes it ready. They raise `ValueError` for what is no key."""
