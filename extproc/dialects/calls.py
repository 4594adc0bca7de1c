"""Whether more of a tool's call can come."""

import msgspec


def is_whole(arguments: str) -> bool:
    """Nothing can follow a whole object. Where nothing has come yet, something may."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        return type(msgspec.json.decode(arguments)) is dict
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
