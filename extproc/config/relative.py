"""Paths in the configuration: they begin at the folder of its file."""

from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T", bound=Struct)


def absolute(section: T, folder: Path, *names: str) -> T:
    """The section with the paths of these names made absolute, as far as they are given."""
    given = {name: str(folder.absolute() / path) for name in names if (path := getattr(section, name)) is not None}
    return replace(section, **given) if given else section
