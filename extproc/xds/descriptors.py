"""Descriptors of Envoy's messages, out of Envoy itself, and documents made into messages with them.

xDS carries messages, and our documents are JSON. What each field's number is, the binary that is to read it knows best: protobuf's compiler
puts each file's description into it, as one serialized `FileDescriptorProto`. They are found by what such a description begins with, its
own name. So there are no types of Envoy's here that could be older than Envoy is (`envoy_data_plane` lacks fields of 1.40).
"""

import mmap
import re
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from extproc.envoy.message import Plain

_BEGIN = re.compile(rb"\n(.)([a-z][\w/.\-]{3,126}\.proto)[\x12\x1a\x22\x2a\x3a\x62]", re.DOTALL)
_BYTES, _NUMBER = 2, 0
# https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto, FileDescriptorProto
_FIELDS = {1: _BYTES, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _BYTES, 6: _BYTES, 7: _BYTES, 8: _BYTES, 9: _BYTES, 10: _NUMBER, 11: _NUMBER,
           12: _BYTES, 14: _NUMBER, 15: _BYTES}  # fmt: skip
_ANYWHERE = (10, 11)
"""Fields that are written where their dependencies are, whatever their number."""
_ANY = "google.protobuf.Any"


class Types:
    """All messages that an Envoy knows."""

    def __init__(self, files: dict[str, FileDescriptorProto]) -> None:
        self._pool = DescriptorPool()
        self._added: set[str] = set()
        for name in files:
            self._add(name, files)

    def encode(self, document: Plain) -> bytes:
        """A document with `@type` as the message that it says: the same bytes for the same document, here and elsewhere, so also within
        what it embeds. Raises `ValueError` for what no such message has.
        """
        fields = {key: value for key, value in document.items() if key != "@type"}
        try:
            message = self._class(str(document["@type"]))()
            # An embedded message is serialized while it is read, in whatever order its maps have then.
            ParseDict(fields, message, descriptor_pool=self._pool)
            self._settle(message)
        except (KeyError, ParseError) as error:
            raise ValueError(f"{document.get('@type')}: {error}") from None
        return bytes(message.SerializeToString(deterministic=True))

    def decode(self, type_url: str, body: bytes) -> Message:
        """The message."""
        message = self._class(type_url)()
        message.ParseFromString(body)
        return message

    def _class(self, type_url: str) -> type[Message]:
        return GetMessageClass(self._pool.FindMessageTypeByName(type_url.rpartition("/")[2]))

    def _settle(self, message: Any) -> None:
        if message.DESCRIPTOR.full_name == _ANY:
            if not message.type_url:
                # `config: {}`, which says that there is one.
                return
            inner = self.decode(message.type_url, message.value)
            self._settle(inner)
            message.value = inner.SerializeToString(deterministic=True)
            return
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                if field.message_type.fields_by_name["value"].message_type is not None:
                    for key in value:
                        self._settle(value[key])
            elif field.is_repeated:
                for one in value:
                    self._settle(one)
            else:
                self._settle(value)

    def _add(self, name: str, files: dict[str, FileDescriptorProto]) -> None:
        if name in self._added:
            return
        self._added.add(name)
        for needed in files[name].dependency:
            if needed not in files:
                raise ValueError(f"{name} needs {needed}, which is not there")
            self._add(needed, files)
        self._pool.AddSerializedFile(files[name].SerializeToString())


def types_of(binary: str) -> Types:
    """Of an Envoy. Raises `ValueError` where it is none that describes itself."""
    with Path(binary).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        files = described(data)
    if "envoy/config/bootstrap/v3/bootstrap.proto" not in files:
        raise ValueError(f"{binary} does not hold the descriptions of its messages: is it an Envoy as it is released?")
    return Types(files)


def described(data: bytes | mmap.mmap) -> dict[str, FileDescriptorProto]:
    """The descriptions in a program, by name."""
    found: dict[str, FileDescriptorProto] = {}
    for match in _BEGIN.finditer(data):
        if match[1][0] != len(match[2]):
            continue
        file = FileDescriptorProto()
        try:
            file.ParseFromString(data[match.start() : _end(data, match.start())])
        except DecodeError:
            continue
        if file.name not in found or file.ByteSize() > found[file.name].ByteSize():
            found[file.name] = file
    return found


def _end(data: bytes | mmap.mmap, at: int) -> int:
    """Where a description ends that begins at `at`: it does not say. What is behind has no field of such a number and type, in order."""
    last = 0
    while True:
        try:
            tag, after = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if _FIELDS.get(number) != kind or (number < last and number not in _ANYWHERE) or number == last == 1:
                return at
            value, after = _varint(data, after)
        except (IndexError, ValueError):
            return at
        after += value if kind == _BYTES else 0
        if after > len(data):
            return at
        last = max(last, number) if number not in _ANYWHERE else last
        at = after


def _varint(data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 35:
            raise ValueError
