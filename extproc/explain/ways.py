"""Which of Envoy's compiled routes a request gets, and what of it that route asked for: matched as Envoy does, from the first on."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from extproc.compared.hidden import HEADERS
from extproc.envoy import names
from extproc.envoy.message import Plain
from extproc.envoy.routes import FORMS
from extproc.explain.explanation import Way

_ENDS = ("redirect", "direct_response", "non_forwarding_action", "filter_action")
_KNOWN = ("exact", "prefix", "suffix", "contains")
"""Kinds of `string_match` that are told here."""


def way(routes: Iterable[Plain], headers: Mapping[str, str], told: Mapping[str, str]) -> Way | None:
    """The first that fits. `told`: what the gate has said of the request, empty before it has. None: Envoy answers 404."""
    doubts: list[str] = []
    for route in routes:
        unknown: list[str] = []
        why = _fits(route["match"], headers, told, unknown)
        if why is None:
            continue
        if unknown:
            doubts.append(f"{route['name']} ({', '.join(unknown)})")
            continue
        return Way(route["name"], ", ".join(why) or "it takes what no other route does", _past(route), tuple(doubts))
    return None


def _past(route: Plain) -> str:
    """Where a route leads that has the gate switched off."""
    if not route.get("typed_per_filter_config", {}).get(names.GATE_FILTER, {}).get("disabled"):
        return ""
    cluster = route.get("route", {}).get("cluster")
    if cluster == names.API_CLUSTER:
        return "the admin API, which knows its callers itself"
    where = next((f"a `{action}` of your own" for action in _ENDS if action in route), "clusters of your own")
    return f"{where if cluster is None else f'your cluster {cluster}'}: nobody is asked for a key, and nothing is counted"


def _fits(match: Plain, headers: Mapping[str, str], told: Mapping[str, str], unknown: list[str]) -> list[str] | None:
    """What it asks for, beside any path; None where the request has not got it. `unknown`: takes what nobody can tell here."""
    path, why = headers.get(":path", "").partition("?")[0], []
    same = str.lower if match.get("case_sensitive") is False else str
    for name, wanted in match.items():
        match name:
            case "prefix" if same(path).startswith(same(wanted)):
                why += [f"the path begins with {wanted}"] if wanted != "/" else []
            case "path_separated_prefix" if same(path) == same(wanted) or same(path).startswith(f"{same(wanted)}/"):
                why.append(f"the path is below {wanted}")
            case "path" if same(path) == same(wanted):
                why.append(f"the path is {wanted}")
            case "safe_regex" if (fits := _pattern_fits(wanted["regex"], path)) is not False:
                why.append("the path is one where forms name a model")
                unknown += ["its safe_regex"] if fits is None else []
            case "headers" if all(_may_have(one, headers.get(one["name"].lower())) for one in wanted):
                why += [_shown(one["name"], headers) for one in wanted]
                unknown += [f"its header {one['name']}" for one in wanted if not _is_known(one)]
            case "dynamic_metadata" if all(one["filter"] == names.NAMESPACE and _has(one["value"], _said(one, told)) for one in wanted):
                why += [f"the gate has said `{one['path'][0]['key']}: {_said(one, told)}`" for one in wanted]
            case "case_sensitive":
                pass
            case "prefix" | "path_separated_prefix" | "path" | "safe_regex" | "headers" | "dynamic_metadata" | "connect_matcher":
                return None
            case _:
                unknown.append(f"its {name}")
    return why


def _pattern_fits(pattern: str, path: str) -> bool | None:
    """None: nobody can tell here, where it is not the one of ours, since Envoy has other expressions than Python."""
    return re.fullmatch(pattern, path) is not None if pattern == FORMS else None


def _shown(name: str, headers: Mapping[str, str]) -> str:
    if HEADERS.search(name):
        return f"{name} is there"
    return f"{name} is {headers.get(name.lower(), 'not there')}"


def _said(one: Plain, told: Mapping[str, str]) -> str | None:
    return told.get(one["path"][0]["key"])


def _is_known(wanted: Mapping[str, Any]) -> bool:
    """Whether it is one of the matchers that are told here."""
    text = wanted.get("string_match")
    kinds = {"name", "string_match"} if isinstance(text, dict) and any(kind in text for kind in _KNOWN) else {"name", "present_match"}
    return kinds == set(wanted)


def _may_have(wanted: Mapping[str, Any], value: str | None) -> bool:
    """Whether a header's value is the wanted one, or nobody can tell here."""
    return not _is_known(wanted) or _has(wanted, value)


def _has(wanted: Mapping[str, Any], value: str | None) -> bool:
    """Whether a header's or metadata's value is the wanted one."""
    if "present_match" in wanted:
        return (value is not None) is bool(wanted["present_match"])
    if value is None:
        return False
    text = wanted.get("string_match", {})
    same = str.lower if text.get("ignore_case") else str
    value = same(value)
    kind = next((kind for kind in _KNOWN if kind in text), "")
    match kind:
        case "exact":
            return value == same(text[kind])
        case "prefix":
            return value.startswith(same(text[kind]))
        case "suffix":
            return value.endswith(same(text[kind]))
        case "contains":
            return same(text[kind]) in value
    return False
