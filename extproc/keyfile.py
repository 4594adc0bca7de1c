"""The key file: all keys of a big key store in one immutable file, which every worker maps and none copies.

    header   128 bytes: what this is, which state of the key store it shows, the SHA-256 of all of it
    heap     tenants (length, UTF-8) and keys (digest, where the tenant is, length and UTF-8 of the name), in any order
    slots    a hash table of 2^n 32-bit places in the heap, at most half of them taken; the next one is tried where one is taken

A key is looked for at the slot that the first bytes of its digest name. It takes 1.5 looks on the average to find one and 2.5 to know
that there is none, for ten keys as for ten million: 60 to 75 bytes a key, in pages that the kernel shares among the workers.
Numbers are in the machine's own byte order: the file is derived from the key store, and stays on the machine that wrote it.
"""

import hashlib
import mmap
import os
import struct
import sys
import tempfile
from array import array
from collections.abc import Iterable
from hmac import compare_digest
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from extproc.values import Identity

SUFFIX = ".keys"
TEMPORARY = ".unfinished-"
"""Begins the name of a file that is being written, or whose writer was killed."""

_MAGIC = b"hg-keys\n"
_VERSION = 1
_ORDER = 0x01020304
_HEADER = 128
# Magic, version, order, size, keys, where the slots are, how many, the most looks, number and mark of the last change.
_PACKING = struct.Struct("=8sIIQQQQQQ8s")
_DIGEST_AT = _HEADER - 32
_KEY = struct.Struct("=II")
_LENGTH = struct.Struct("=I")
# Bound once, since they are called for every request.
_START = struct.Struct("=Q").unpack_from
_KEY_AT = _KEY.unpack_from
_LENGTH_AT = _LENGTH.unpack_from
_KEY_SIZE = 32 + _KEY.size
_FEWEST_SLOTS = 8
_PART = 1 << 20
# Tenants that are remembered while a file is written; one that comes again after so many others is written once more.
_TENANTS = 65_536
# In a table that is half empty, SHA-256 digests crowd by the dozen at most (32 of a million); more are something else.
_MOST_LOOKS = 1024


class KeyFileError(Exception):
    """The file is not there, or not what it should be. Nobody's key can be told from it."""


class Stamp(Struct, frozen=True):
    """A moment in the life of a key store."""

    number: int
    """Of its last change."""
    mark: bytes
    """8 random bytes which that change has been given: another store, or a restored one, has others."""


class Header(Struct, frozen=True):
    """What a key file says of itself."""

    size: int
    keys: int
    slots_at: int
    slots: int
    looks: int
    """The most slots that have to be looked at to find one of its keys."""
    stamp: Stamp
    digest: bytes
    """SHA-256 of the whole file, these 32 bytes left out."""


def read_header(path: Path) -> Header:
    """The header of a file that is as long as it says. Raises `KeyFileError`."""
    try:
        with path.open("rb") as file:
            return _header(file.read(_HEADER), os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise KeyFileError(f"the key file {path} {error}") from None


def _header(data: bytes, found: int) -> Header:
    if not data.startswith(_MAGIC):
        raise ValueError("is none: it begins with something else")
    if len(data) < _HEADER:
        raise ValueError("ends in its header")
    _, version, order, size, keys, slots_at, slots, looks, number, mark = _PACKING.unpack_from(data)
    if order != _ORDER:
        raise ValueError(f"was written on a machine of another byte order than this one ({sys.byteorder}-endian)")
    if version != _VERSION:
        raise ValueError(f"is of version {version}, and this is a Headgate for version {_VERSION}")
    if size != found:
        raise ValueError(f"is {found} bytes long instead of {size}")
    if slots & (slots - 1) or slots == 0 or slots_at % 4 or slots_at + 4 * slots != size or looks > slots:
        raise ValueError("contradicts itself")
    return Header(size, keys, slots_at, slots, looks, Stamp(number, mark), data[_DIGEST_AT:])


def is_whole(path: Path, header: Header) -> bool:
    """Whether the file holds what its digest says. Reads all of it."""
    try:
        with path.open("rb") as file:
            return compare_digest(_content_digest(file), header.digest)
    except OSError:
        return False


def _content_digest(file: BinaryIO) -> bytes:
    file.seek(_HEADER)
    hashed = hashlib.sha256()
    while part := file.read(_PART):
        hashed.update(part)
    file.seek(0)
    hashed.update(file.read(_DIGEST_AT))
    return hashed.digest()


def file_name(digest: bytes) -> str:
    """The name of the file with this digest: a snapshot that names a file says what has to be in it."""
    return f"{digest.hex()}{SUFFIX}"


class KeyFile:
    """A key file, mapped. It stays whole and in force here whatever becomes of its name."""

    __slots__ = ("_looks", "_map", "_mask", "_slots", "header")

    def __init__(self, path: Path) -> None:
        """Raises `KeyFileError` unless the file is what its name says."""
        self.header = header = read_header(path)
        if path.name != file_name(header.digest):
            raise KeyFileError(f"the key file {path} is another one than its name says")
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), header.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise KeyFileError(f"the key file {path} cannot be mapped: {error}") from None
        self._slots = memoryview(self._map)[header.slots_at :].cast("I")
        self._mask = header.slots - 1
        self._looks = range(header.looks)

    def find(self, digest: bytes) -> Identity | None:
        """Whose key has this digest, or None. Raises `KeyFileError` where the file contradicts itself."""
        data, slots, mask = self._map, self._slots, self._mask
        at = _START(digest)[0] & mask
        for _ in self._looks:
            place = slots[at]
            if not place:
                return None
            if compare_digest(data[place : place + 32], digest):
                return self._identity(place)
            at = (at + 1) & mask
        return None

    def _identity(self, place: int) -> Identity:
        data = self._map
        try:
            tenant_at, length = _KEY_AT(data, place + 32)
            place += _KEY_SIZE
            name = data[place : place + length].decode()
            if not tenant_at:
                return Identity(name, name)
            (length,) = _LENGTH_AT(data, tenant_at)
            tenant_at += 4
            return Identity(data[tenant_at : tenant_at + length].decode(), name)
        except (struct.error, UnicodeDecodeError) as error:
            raise KeyFileError(f"a key file is damaged: {error}") from None

    def __len__(self) -> int:
        return self.header.keys


def write_key_file(folder: Path, keys: Iterable[tuple[bytes, str, str]], stamp: Stamp) -> Path:
    """Writes digest, name and tenant of each key, and returns the file once it is complete. Nobody sees half of it.

    Raises `OSError`, and `ValueError` for what has no place in such a file.
    """
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
    try:
        with os.fdopen(handle, "w+b", buffering=_PART) as file:
            path = folder / file_name(_fill(file, keys, stamp))
        return Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _fill(file: BinaryIO, keys: Iterable[tuple[bytes, str, str]], stamp: Stamp) -> bytes:
    file.write(bytes(_HEADER))
    starts, places = _write_heap(file, keys)
    # Where the slots begin, a number of four bytes has to be able to begin.
    file.write(bytes(-file.tell() % 4))
    slots_at = file.tell()
    slots, looks = _table(starts, places)
    slots.tofile(file)
    size = file.tell()
    file.seek(0)
    header = _PACKING.pack(_MAGIC, _VERSION, _ORDER, size, len(places), slots_at, len(slots), looks, stamp.number, stamp.mark)
    file.write(header.ljust(_DIGEST_AT, b"\0"))
    file.flush()
    digest = _content_digest(file)
    file.seek(_DIGEST_AT)
    file.write(digest)
    return digest


def _write_heap(file: BinaryIO, keys: Iterable[tuple[bytes, str, str]]) -> tuple["array[int]", "array[int]"]:
    """The first eight bytes of each key's digest, and where it is."""
    starts, places = array("Q"), array("I")
    tenants: dict[str, int] = {}
    at = _HEADER
    try:
        for digest, name, tenant in keys:
            if len(digest) != 32:
                raise ValueError(f"the key {name!r} has no SHA-256")
            tenant_at = 0
            if tenant and tenant != name:
                tenant_at = tenants.get(tenant, 0)
                if not tenant_at:
                    if len(tenants) >= _TENANTS:
                        tenants.clear()
                    tenants[tenant] = tenant_at = at
                    text = tenant.encode()
                    at += file.write(_LENGTH.pack(len(text)) + text)
            text = name.encode()
            starts.append(_START(digest)[0])
            places.append(at)
            at += file.write(digest + _KEY.pack(tenant_at, len(text)) + text)
    except (OverflowError, struct.error):
        raise ValueError("these keys need more than 4 GiB") from None
    return starts, places


def _table(starts: "array[int]", places: "array[int]") -> tuple["array[int]", int]:
    """The slots, and how many of them at most have to be looked at to find a key."""
    count = max(_FEWEST_SLOTS, 1 << (2 * len(places) - 1).bit_length())
    slots = array("I", bytes(4 * count))
    mask = count - 1
    most = 0
    for start, place in zip(starts, places, strict=True):
        at = start & mask
        looks = 1
        while slots[at]:
            at = (at + 1) & mask
            looks += 1
            if looks > _MOST_LOOKS:
                raise ValueError(f"these digests are no SHA-256: more than {_MOST_LOOKS} of them begin alike")
        slots[at] = place
        most = max(most, looks)
    return slots, most
