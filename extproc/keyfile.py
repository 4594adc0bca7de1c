"""The key file: all keys of a big key store in one immutable file, which every worker maps and none copies.

    header   128 bytes: what this is, which state of the key store it shows, the SHA-256 of all of it
    heap     owners (length, msgpack) and keys (digest, where the owner is, length, msgpack), in any order
    slots    a hash table of 2^n 32-bit places in the heap, at most half of them taken; the next one is tried where one is taken

A key is looked for at the slot that the first bytes of its digest name. It takes 1.5 looks on the average to find one and 2.5 to know
that there is none, for ten keys as for ten million: 85 to 95 bytes a key, in pages that the kernel shares among the workers. Whom keys
belong to is written once, however many keys somebody has.
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

import msgspec
from msgspec import Struct

from extproc.identity.record import Owner, StoredKey
from extproc.identity.settings import NOTHING, Settings

SUFFIX = ".keys"
TEMPORARY = ".unfinished-"
"""Begins the name of a file that is being written, or whose writer was killed."""

_MAGIC = b"hg-keys\n"
_VERSION = 2
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
# Owners that are remembered while a file is written; one that comes again after so many others is written once more.
_WRITTEN = 65_536
# Owners that a worker remembers to have read.
_READ = 4096
# In a table that is half empty, SHA-256 digests crowd by the dozen at most (32 of a million); more are something else.
_MOST_LOOKS = 1024


class _Whose(Struct, frozen=True, array_like=True):
    """What many keys have in common."""

    tenant: str
    owner: Owner | None


class _Own(Struct, frozen=True, array_like=True):
    """What each key has for itself. What only few have stands behind, and is left out."""

    name: str
    id: str
    rest: "_Rest | None" = None


class _Rest(Struct, frozen=True, omit_defaults=True):
    expires_at: int | None = None
    settings: Settings = NOTHING
    plan: str = ""


_NOBODY = _Whose("", None)
_NO_MORE = _Rest()
_encode = msgspec.msgpack.Encoder().encode
_own_of = msgspec.msgpack.Decoder(_Own).decode
_whose_of = msgspec.msgpack.Decoder(_Whose).decode


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

    __slots__ = ("_looks", "_map", "_mask", "_owners", "_slots", "header")

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
        self._owners = {0: _NOBODY}
        """By their places in the file, 0 for none: those that were looked up lately."""

    def find(self, digest: bytes) -> StoredKey | None:
        """The key with this digest, or None. Raises `KeyFileError` where the file contradicts itself."""
        data, slots, mask = self._map, self._slots, self._mask
        at = _START(digest)[0] & mask
        for _ in self._looks:
            place = slots[at]
            if not place:
                return None
            if compare_digest(data[place : place + 32], digest):
                return self._key(place, digest)
            at = (at + 1) & mask
        return None

    def _key(self, place: int, digest: bytes) -> StoredKey:
        data = self._map
        try:
            owner_at, length = _KEY_AT(data, place + 32)
            start = place + _KEY_SIZE
            own = _own_of(data[start : start + length])
            whose = self._owners.get(owner_at)
            if whose is None:
                whose = self._owner(owner_at)
        # ValueError: what settings cannot be; msgspec's errors are such.
        except (struct.error, ValueError) as error:
            raise KeyFileError(f"a key file is damaged: {error}") from None
        rest = own.rest or _NO_MORE
        return StoredKey(own.name, digest, whose.tenant, own.id, whose.owner, rest.expires_at, rest.settings, rest.plan)

    def _owner(self, at: int) -> _Whose:
        """Many keys have the same one, and it is the same object for all of them."""
        data = self._map
        (length,) = _LENGTH_AT(data, at)
        start = at + _LENGTH.size
        if len(self._owners) > _READ:
            self._owners = {0: _NOBODY}
        self._owners[at] = whose = _whose_of(data[start : start + length])
        return whose

    def __len__(self) -> int:
        return self.header.keys


def write_key_file(folder: Path, keys: Iterable[StoredKey], stamp: Stamp) -> Path:
    """Writes keys, and returns the file once it is complete. Nobody sees half of it.

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


def _fill(file: BinaryIO, keys: Iterable[StoredKey], stamp: Stamp) -> bytes:
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


def _write_heap(file: BinaryIO, keys: Iterable[StoredKey]) -> tuple["array[int]", "array[int]"]:
    """The first eight bytes of each key's digest, and where it is."""
    starts, places = array("Q"), array("I")
    owners: dict[tuple[str, Owner | None], int] = {}
    at = _HEADER
    try:
        for key in keys:
            if len(key.digest) != 32:
                raise ValueError(f"the key {key.name!r} has no SHA-256")
            whose = (key.tenant if key.tenant != key.name else "", key.owner)
            owner_at = owners.get(whose, 0)
            if not owner_at and whose != ("", None):
                if len(owners) >= _WRITTEN:
                    owners.clear()
                owners[whose] = owner_at = at
                packed = _encode(_Whose(*whose))
                at += file.write(_LENGTH.pack(len(packed)) + packed)
            packed = _own(key)
            starts.append(_START(key.digest)[0])
            places.append(at)
            at += file.write(key.digest + _KEY.pack(owner_at, len(packed)) + packed)
    except (OverflowError, struct.error):
        raise ValueError("these keys need more than 4 GiB") from None
    return starts, places


def _own(key: StoredKey) -> bytes:
    # Most keys have no more than a name and an id.
    if key.expires_at is None and not key.plan and key.settings == NOTHING:
        return _encode((key.name, key.id))
    return _encode(_Own(key.name, key.id, _Rest(key.expires_at, key.settings, key.plan)))


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
