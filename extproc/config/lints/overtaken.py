"""Routes of the operator's own that take requests from the gate: Envoy takes the first one that fits, and theirs stand before ours."""

from collections.abc import Mapping
from typing import Any

from extproc.config.fragments import pieces, snake_case
from extproc.config.model import Config
from extproc.config.targets import Error
from extproc.dialects import DIALECTS

_ALL = frozenset((".*", ".+", "/.*", "/.+"))
"""Regular expressions that fit any path."""
_PATHS = ("prefix", "path", "path_separated_prefix", "safe_regex")
_PLACES = tuple(place.path.partition("?")[0].replace("{model}", "model") for dialect in DIALECTS.values() for place in dialect.places)


def check_overtaken(config: Config, warning: Error) -> None:
    """Tells of them. A route that asks for more than a path is meant to take some of what comes there."""
    for piece in pieces(config.envoy):
        if piece.place != ("routes",) or not isinstance(match := piece.value.get("match"), dict):
            continue
        match = {snake_case(key): value for key, value in match.items()}
        if match.keys() <= {*_PATHS, "case_sensitive"} and (taken := next((path for path in _PLACES if _fits(match, path)), None)):
            warning(
                f"{piece.path}.match",
                f"this route hides the gateway's: yours come first, and this one takes requests such as {taken}, which the gate never sees",
            )


def _fits(match: Mapping[str, Any], path: str) -> bool:
    prefix, whole, folder, expression = (match.get(name) for name in _PATHS)
    return (
        (isinstance(prefix, str) and path.startswith(prefix))
        or whole == path
        or (isinstance(folder, str) and f"{path}/".startswith(f"{folder}/"))
        or (isinstance(expression, dict) and expression.get("regex") in _ALL)
    )
