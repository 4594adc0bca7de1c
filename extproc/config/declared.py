"""What the types cannot say of `identities`, and what is made of it: plain values with ids, in the order in which they need each other."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from extproc.config.checks import Report
from extproc.config.identities import Bounds, DeclaredKey, Identities, Limited
from extproc.config.nearest import hint, quoted
from extproc.config.walk import sound
from extproc.identity.declared import Row
from extproc.identity.ids import PREFIXES, Kind, declared
from extproc.identity.settings import Limit, Settings
from extproc.identity.written import limit

_SECTIONS: tuple[tuple[str, Kind], ...] = (
    ("plans", "plan"), ("organizations", "organization"), ("projects", "project"), ("teams", "team"), ("users", "user"),
    ("service_accounts", "service_account"), ("memberships", "membership"), ("keys", "key"),
)  # fmt: skip
_REFERRED: Mapping[str, str] = {
    "plan": "plans", "organization": "organizations", "project": "projects", "team": "teams", "user": "users",
    "service_account": "service_accounts",
}  # fmt: skip
_SETTINGS = tuple(Settings.__struct_fields__)


def rows(identities: Identities) -> list[Row]:
    """All of them. Raises `ValueError` for what `check_identities` would have told."""
    return [
        Row(kind, _id(kind, name, said), _values(kind, name, said))
        for section, kind in _SECTIONS
        for name, said in _entries(getattr(identities, section))
    ]


def _entries(section: Any) -> Iterable[tuple[str, Any]]:
    return section.items() if isinstance(section, Mapping) else (("", one) for one in section)


def _id(kind: Kind, name: str, said: Any) -> str:
    if kind != "membership":
        return declared(kind, name)
    # It has no name of its own, and theirs together may be longer than one.
    where = f"{said.user} {said.organization} {said.team or ''}"
    return declared(kind, f"m{hashlib.sha256(where.encode()).hexdigest()[:32]}")


def _values(kind: Kind, name: str, said: Any) -> dict[str, Any]:
    if kind == "plan":
        return {"name": name, "limits": _limits(said.limits)}
    values: dict[str, Any] = {"settings": settings(said), "disabled": said.suspended}
    values |= {f"{field}_id": _referred(field, said) for field in _REFERRED if hasattr(said, field)}
    if kind in ("organization", "key"):
        values["name"] = name
    elif kind != "membership":
        values["name"] = said.name or name
    match kind:
        case "user":
            values |= {"email": said.email, "issuer": said.issuer, "subject": said.subject}
        case "membership":
            values["role"] = said.role
        case "key":
            values |= {"tenant": said.tenant or None, "expires_at": _moment(said.expires) if said.expires is not None else None}
            values |= {"secret": said.secret} if said.secret is not None else {"digest": bytes.fromhex(said.hash.partition(":")[2])}
    return values


def _referred(field: str, said: Any) -> str | None:
    name = getattr(said, field)
    return f"{PREFIXES[field]}_{name}" if name is not None else None  # type: ignore[index]


def settings(said: Bounds) -> Settings:
    """What a section says, as it is inherited. Raises `ValueError`."""
    found = {name: getattr(said, name) for name in _SETTINGS if name != "limits"}
    return Settings(**found, limits=_limits(said.limits))


def _limits(said: Iterable[str | Limited]) -> tuple[Limit, ...]:
    return tuple(map(_limit, said))


def _limit(said: str | Limited) -> Limit:
    if isinstance(said, str):
        return limit(said)
    more = {name: getattr(said, name) for name in ("per", "hard", "thresholds", "on_outage")}
    return msgspec.structs.replace(limit(said.limit), **more)


def _moment(text: str) -> int:
    """Milliseconds since 1970."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is no day or time, such as 2027-01-01 or 2027-01-01T12:00:00Z") from None
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000)


def check_identities(identities: Identities | None, report: Report) -> None:
    """Limits, networks and ends; that what is named is there, and where it has to be."""
    if identities is None or not sound(identities):
        return
    for section, _ in _SECTIONS:
        found = getattr(identities, section)
        for at, said in _places(section, found) if sound(found) else ():
            if sound(said):
                _check_limits(at, said.limits, report)
                if isinstance(said, Bounds):
                    _check_bounds(at, said, identities, report)
                if isinstance(said, DeclaredKey):
                    _check_key(at, said, report)


def _places(section: str, found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, Mapping):
        return ((f"$.identities.{section}.{name}", said) for name, said in found.items())
    return ((f"$.identities.{section}[{at}]", said) for at, said in enumerate(found))


def _check_limits(path: str, said: Any, report: Report) -> None:
    for at, one in enumerate(said if sound(said) else ()):
        text = getattr(one, "limit", one)
        try:
            if isinstance(text, str):
                limit(text)
        except ValueError as error:
            report.error(f"{path}.limits[{at}]", str(error))


def _check_bounds(path: str, said: Bounds, identities: Identities, report: Report) -> None:
    for field, section in _REFERRED.items():
        name, there = getattr(said, field, None), getattr(identities, section)
        if not isinstance(name, str) or not sound(there):
            continue
        if name not in there:
            report.error(f"{path}.{field}", f"there is no {quoted(name)} among `{section}`" + hint(name, there, "there are"))
        elif (of := getattr(there[name], "organization", None)) is not None and sound(of) and of != getattr(said, "organization", of):
            report.error(f"{path}.{field}", f"{quoted(name)} belongs to the organization {quoted(of)}")
    try:
        Settings(networks=said.networks if sound(said.networks) else None)
    except ValueError as error:
        report.error(f"{path}.networks", str(error))


def _check_key(path: str, said: DeclaredKey, report: Report) -> None:
    if (said.hash is None) == (said.secret is None):
        report.error(path, "a key stands here as its `hash`, or as a `secret` that refers to it: give one of them")
    if said.secret is not None and not report.referred(f"{path}.secret"):
        report.warning(f"{path}.secret", "the key is written here plainly; give its `hash`, or keep it out of the file with `env:NAME`")
    if said.project is not None and said.team is not None:
        report.error(f"{path}.team", "a key belongs to a project or to a team, not to both")
    if said.user is not None and said.service_account is not None:
        report.error(f"{path}.service_account", "a key belongs to a user or to a service account, not to both")
    if isinstance(said.expires, str):
        try:
            _moment(said.expires)
        except ValueError as error:
            report.error(f"{path}.expires", str(error))
