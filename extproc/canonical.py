"""A digest of a whole request, the same for all that means the same."""

import hashlib
from typing import Any

import msgspec
from msgspec import Struct

from extproc.dialects.envelope import open_document

# One form for all that means the same: no two values share a form, and members are in order. MessagePack copies text that JSON would
# have to look through for what it must escape: 10 KB take it a third of the time.
_canonical = msgspec.msgpack.Encoder(order="sorted").encode


def fingerprint(version: bytes, shape: list[Any], document: dict[str, Any]) -> bytes:
    """SHA-256 of `version`, of what shapes an answer beside the body, and of the decoded body."""
    try:
        form = _canonical([*shape, document])
    except OverflowError:  # a whole number of more than 64 bits, which MessagePack cannot say
        form = _canonical([*shape, msgspec.json.encode(document, order="sorted")])
    digest = hashlib.sha256(version)
    digest.update(form)
    return digest.digest()


class Digest(Struct, frozen=True, tag=True):
    """What `Fingerprint` makes."""

    digest: bytes


class Fingerprint(Struct, frozen=True, tag=True):
    """The job to make a `fingerprint` of a body that is not decoded yet, see `aside`."""

    version: bytes
    shape: list[Any]

    def work(self, body: bytes) -> Digest:
        """Does it. Raises `Reject` 400 where the body is no JSON object."""
        return Digest(fingerprint(self.version, self.shape, open_document(body)[0]))
