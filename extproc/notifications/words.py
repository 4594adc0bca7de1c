"""What people read of an event: what has happened, to whom, when, and what can be done. One line for the subject, some for the text.

Names are whatever somebody called his key or his organization: nothing of them but printable characters gets here, and not many.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from extproc.identity.named import in_words
from extproc.notifications.event import Event

_LONGEST = 120


def title(event: Event) -> str:
    """One line."""
    data = event.data
    match event.type:
        case "limit.threshold":
            return f"{data['threshold'] * 100:g} % of a {'budget' if data['unit'] == 'cost' else 'limit'} used: {_whose(data)}"
        case "budget.exhausted":
            return f"Budget exhausted: {_whose(data)}"
        case "key.expiring":
            days = data["days"]
            return f"Key {_name(data['key'])} expires in less than {f'{days} days' if days > 1 else 'a day'}"
        case "key.expired":
            return f"Key {_name(data['key'])} has expired"
        case "breaker.opened":
            return f"{_target(data)} is left alone"
        case "breaker.closed":
            return f"{_target(data)} is asked again"
        case "notifications.dropped":
            return f"{data['dropped']} notifications dropped"
        case "test":
            return "Test"


def text(event: Event, times: int = 1) -> str:
    """Some lines."""
    lines = [title(event) + ".", f"When: {datetime.fromtimestamp(event.at, UTC):%Y-%m-%d %H:%M:%S} UTC", *_facts(event)]
    if times > 1:
        lines.append(f"This is the last of {times} such events.")
    return "\n".join([*lines, f"What to do: {_advice(event)}", f"Event: {event.id}"])


def clean(value: object) -> str:
    """A name as it can stand in a line: without line breaks and other controls, and no longer than one reads."""
    shown = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."


def _facts(event: Event) -> list[str]:
    data = event.data
    facts = []
    if (organization := data.get("organization")) is not None:
        facts.append(f"Organization: {_name(organization)}")
    told = (("Team", data.get("team")), ("User", data.get("user")), ("Key", data.get("key") if "rule" in data else None))
    facts += [f"{label}: {_name(what) if isinstance(what, Mapping) else clean(what)}" for label, what in told if what]
    facts += [f"For {clean(name)}: {clean(value)}" for name, value in data.get("for", {}).items()]
    unit = {"cost": "USD"}.get(data.get("unit", ""), clean(data.get("unit", "")).replace("_", " "))
    if "used" in data:
        facts.append(f"Used: {data['used']} of {data['limit']} {unit}")
    elif "limit" in data:
        facts.append(f"Limit: {data['limit']} {unit}")
    for label, name in (("Room again", "resets"), ("Expires", "expires"), ("Why", "reason")):
        if data.get(name):
            facts.append(f"{label}: {clean(data[name])}")
    # Unknown of those that came as hashes.
    if prefix := data.get("key", {}).get("prefix") if isinstance(data.get("key"), Mapping) else None:
        facts.append(f"It begins with: {clean(prefix)}")
    return facts


def _advice(event: Event) -> str:
    match event.type:
        case "limit.threshold" if not event.data["hard"]:
            return "nothing is refused; see who uses it (headgate usage), or raise the limit."
        case "limit.threshold":
            return "requests are refused once it is used up: see who uses it (headgate usage), or raise the limit."
        case "budget.exhausted":
            return "requests are refused with status 402 until then: raise the budget, or wait."
        case "key.expiring" | "key.expired":
            return "give its holder another key, rotate it, or let it go."
        case "breaker.opened":
            return "others are asked meanwhile, where there are any, and it is tried again by itself: look at the provider's status."
        case "breaker.closed":
            return "nothing."
        case "notifications.dropped":
            return "too many were waiting, and the oldest made room: see why they are not taken, in the gateway's log."
        case "test":
            return "nothing; notifications arrive here."


def _whose(data: Mapping[str, Any]) -> str:
    """The rule, with names behind which ids stand, where those are known."""
    named = (data.get(kind) for kind in ("organization", "team", "key"))
    names = {one["id"]: one["name"] for one in named if isinstance(one, Mapping) and one.keys() >= {"id", "name"}}
    return clean(in_words(data["rule"], names))


def _name(named: Mapping[str, Any]) -> str:
    return clean(named.get("name") or named.get("id") or "-")


def _target(data: Mapping[str, Any]) -> str:
    if data["key"] is not None:
        return f"Key {clean(data['key'])} of provider {clean(data['provider'])}"
    return f"{clean(data['provider'])}/{clean(data['model'])}"
