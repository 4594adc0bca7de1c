"""What a configuration has nodes told: compiled, and made into resources."""

from pathlib import Path

from msgspec import Struct

from extproc.config.fleet import Fleet
from extproc.config.model import Config
from extproc.envoy.fleet import resources
from extproc.envoy.places import below
from extproc.xds.descriptors import Types
from extproc.xds.resources import Resource, Version, resource, version


class Offer(Struct, frozen=True):
    """A version, and the files that it was made of beside the configuration."""

    version: Version
    files: tuple[Path, ...]


def offered(config: Config, fleet: Fleet, types: Types) -> Offer:
    """Of one configuration. Raises `OSError` where a file cannot be read, `ValueError` where Envoy has no message for what is said."""
    told = resources(config, below(fleet.run_dir))
    found: dict[str, list[Resource]] = {}
    for document in told.documents:
        name = document["cluster_name"] if "cluster_name" in document else document["name"]
        found.setdefault(document["@type"], []).append(resource(name, types.encode(document)))
    return Offer(version(found), tuple(sorted(told.files)))
