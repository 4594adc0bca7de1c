"""Which of Envoy's compiled routes a request gets, and what of it that route asked for: matched as Envoy does, from the first on."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from extproc.envoy import names
from extproc.envoy.message import Plain
from extproc.explain.explanation import Way


def way(routes: Iterable[Plain], headers: Mapping[str, str], told: Mapping[str, str]) -> Way | None:
    """The first that fits. `told`: what the gate has said of the request, empty before it has. None: Envoy answers 404."""
    for route in routes:
        why = _fits(route["match"], headers, told)
        if why is not None:
            return Way(route["name"], ", ".join(why) or "it takes what no other route does")
    return None


def _fits(match: Plain, headers: Mapping[str, str], told: Mapping[str, str]) -> list[str] | None:
    """What it asks for, beside any path; None where the request has not got it."""
    path, why = headers.get(":path", "").partition("?")[0], []
    for name, wanted in match.items():
        match name:
            case "prefix" if path.startswith(wanted):
                why += [f"the path begins with {wanted}"] if wanted != "/" else []
            case "path_separated_prefix" if path == wanted or path.startswith(f"{wanted}/"):
                why.append(f"the path is below {wanted}")
            case "path" if path == wanted:
                why.append(f"the path is {wanted}")
            case "safe_regex" if re.fullmatch(wanted["regex"], path):
                why.append("the path is one where forms name a model")
            case "headers" if all(_has(one, headers.get(one["name"])) for one in wanted):
                why += [f"{one['name']} is {headers[one['name']]}" for one in wanted]
            case "dynamic_metadata" if all(one["filter"] == names.NAMESPACE and _has(one["value"], _said(one, told)) for one in wanted):
                why += [f"the gate has said `{one['path'][0]['key']}: {_said(one, told)}`" for one in wanted]
            case _:
                return None
    return why


def _said(one: Plain, told: Mapping[str, str]) -> str | None:
    return told.get(one["path"][0]["key"])


def _has(wanted: Mapping[str, Any], value: str | None) -> bool:
    """Whether a header's or metadata's value is the wanted one."""
    if value is None:
        return False
    if wanted.get("present_match"):
        return True
    text = wanted.get("string_match", {})
    ignore = str.lower if text.get("ignore_case") else str
    if "exact" in text:
        return ignore(value) == ignore(text["exact"])
    return "prefix" in text and ignore(value).startswith(ignore(text["prefix"]))
