"""Typed Envoy messages as plain values.

envoy_data_plane checks names and types of what it knows; fields newer than it are added as keyword arguments, and Envoy checks those.
"""

from typing import Any

from betterproto2 import Casing, Message
from envoy_data_plane.google.protobuf import Any as AnyMessage

Plain = dict[str, Any]


def plain(message: Message, **more: Any) -> Plain:
    """The message as a dict with Envoy's field names; `more` are fields given as plain values."""
    return {**message.to_dict(casing=Casing.SNAKE), **more}


def typed(message: Message, **more: Any) -> Plain:
    """The message as the content of a `google.protobuf.Any`."""
    return {"@type": AnyMessage.pack(message).type_url, **plain(message, **more)}


def extension(name: str, message: Message, **more: Any) -> Plain:
    """An extension: its name and its typed configuration."""
    return {"name": name, "typed_config": typed(message, **more)}


def untyped(name: str, type_name: str, **fields: Any) -> Plain:
    """An extension whose message envoy_data_plane does not know."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{type_name}", **fields}}
