"""Files that Envoy watches and that name other files: with keys of providers (`sealed`) and with certificates."""

from extproc.config.model import Config
from extproc.envoy.certificates import certificate_files
from extproc.envoy.message import Plain
from extproc.envoy.places import Places
from extproc.envoy.sealed import secret_files as key_files
from extproc.envoy.trusted import provider_files


def secret_files(config: Config, places: Places) -> dict[str, Plain]:
    """By path, what is in them. They have to be there before whatever names them: of that, Envoy takes nothing otherwise."""
    return key_files(config, places) | certificate_files(config, places) | provider_files(config, places)
