"""What has happened and somebody may be told of: plain values, made from what each part of the gateway knows."""

import hashlib
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from extproc.config.notifications import Kind, Receiver
from extproc.identity.ids import kind_of
from extproc.identity.named import Named, ids_in
from extproc.identity.record import ExpiringKey
from extproc.keys import PREFIX
from extproc.limits.limit import Crossed
from extproc.limits.money import plain_dollars
from extproc.limits.news import News, Reached, lasts, told_rule
from extproc.limits.rule import Rule
from extproc.standing.board import Change
from extproc.standing.cooling import Name

Type = Kind | Literal["notifications.dropped", "test"]
_KINDS = frozenset(get_args(Kind))


def new_id() -> str:
    """An id that nobody had before. It holds no full stop: signatures are told apart by these."""
    return f"evt_{secrets.token_hex(12)}"


class Event(Struct, frozen=True, kw_only=True):
    """Something that has happened."""

    type: Type
    subject: str
    """What it is about. Of several events of one type about the same that nobody has been told of yet, the last one is told."""
    data: Mapping[str, Any]
    """What there is to know, as JSON."""
    organization: tuple[str, ...] = ()
    """The id and the name of whom it belongs to, as far as they are known."""
    at: float = field(default_factory=time.time)
    """When: seconds since 1970."""
    id: str = field(default_factory=new_id)
    """The same however often it is delivered."""

    def is_for(self, receiver: Receiver) -> bool:
        """Whether a receiver wants to be told."""
        if self.type not in _KINDS:
            return True
        if receiver.events and self.type not in receiver.events:
            return False
        return not receiver.organizations or not set(self.organization).isdisjoint(receiver.organizations)


def limit_threshold(rule: Rule, crossed: Crossed, organization: tuple[str, ...] = ()) -> Event:
    """A threshold of a limit or a budget was reached, which is told once in a window."""
    used = {"threshold": crossed.threshold, "used": _amount(rule, crossed.used), "limit": _amount(rule, crossed.most)}
    return Event(type="limit.threshold", subject=crossed.counter, data=_of_rule(rule, crossed.counter, organization) | used,
                 organization=organization)  # fmt: skip


def budget_exhausted(rule: Rule, counter: str, resets: float, organization: tuple[str, ...] = ()) -> Event:
    """A budget has refused a request, for the first time in its window. `resets`: seconds since 1970 when it has room again; 0: never."""
    more = {"limit": _amount(rule, rule.amount), "resets": moment(resets) if resets else None}
    return Event(type="budget.exhausted", subject=counter, data=_of_rule(rule, counter, organization) | more, organization=organization)


def limit_event(news: News) -> Event | None:
    """What is told of limits and budgets. None: a limit that is no budget has refused a request, which is what it is there for; or it is
    of a window so short that nobody wants to hear of each.
    """
    if not lasts(news):
        return None
    rule = told_rule(news)
    # What belongs to no organization is a group of its own.
    organization = (rule.group,) if rule.group not in ("", rule.id) else ()
    if isinstance(news, Reached):
        return limit_threshold(rule, Crossed(news.counter, news.threshold, news.used, news.most), organization)
    return budget_exhausted(rule, news.counter, news.resets, organization) if news.unit == "cost" else None


def ids_of(event: Event) -> set[str]:
    """The ids of organizations, teams, keys, ... that it speaks of by nothing else."""
    data = event.data
    return (
        {id for text in (data["rule"], *data["for"].values(), *event.organization[:1]) for id in ids_in(text)} if "rule" in data else set()
    )


def with_names(event: Event, known: Mapping[str, Named]) -> Event:
    """An event of a limit or a budget with whose that is, as far as it is known: `key`, `team` and `organization`."""
    found = {kind_of(id): one for id, one in known.items()}
    key, team, organization = found.get("key"), found.get("team"), found.get("organization")
    around = next((one.organization for one in (key, team, *known.values()) if one is not None and one.organization), ())
    whose = event.organization if len(event.organization) > 1 else (organization.id, organization.name) if organization else around
    data: dict[str, Any] = {**event.data, "organization": _organization(whose or event.organization)}
    if key is not None:
        data["key"] = {"id": key.id, "name": key.name, "prefix": key.prefix and f"{PREFIX}{key.prefix}"}
    if team is not None or (key is not None and key.team):
        data["team"] = _organization((team.id, team.name) if team is not None else key.team if key is not None else ())
    return replace(event, data=data, organization=whose or event.organization)


def _of_rule(rule: Rule, counter: str, organization: tuple[str, ...]) -> dict[str, Any]:
    parts = [part.replace("%7C", "|").replace("%25", "%") for part in counter.split("|")]
    # A counter with a long name is known by its digest alone.
    values = dict(zip(rule.per, parts[1:], strict=True)) if len(parts) == len(rule.per) + 1 else {}
    return {"rule": rule.id, "unit": rule.unit, "hard": rule.hard, "for": values, "organization": _organization(organization)}


def _amount(rule: Rule, amount: int) -> str:
    """Money in dollars, exact; all else as it is."""
    return plain_dollars(amount) if rule.unit == "cost" else str(amount)


def _organization(organization: tuple[str, ...]) -> dict[str, str] | None:
    return dict(zip(("id", "name"), organization, strict=False)) or None


def key_expires(key: ExpiringKey, days: int) -> Event:
    """A key expires within so many days; 0: it has. Of several machines that tell of it each uses the same id."""
    digest = hashlib.sha256(f"{key.id}|{key.expires_at}|{days}".encode()).hexdigest()[:24]
    data = {
        "key": {"id": key.id, "name": key.name, "prefix": key.prefix and f"{PREFIX}{key.prefix}"},
        "organization": _organization(key.organization),
        "team": key.team or None, "user": key.user or None, "expires": moment(key.expires_at / 1000),
    }  # fmt: skip
    more = {"days": days} if days else {}
    return Event(type="key.expiring" if days else "key.expired", subject=key.id, data=data | more, organization=key.organization,
                 id=f"evt_{digest}")  # fmt: skip


def breaker_opened(change: Change) -> Event:
    """A target, or one of a provider's keys, is left alone."""
    data = _of_name(change.name) | {"reason": change.why, "again_in": round(change.left, 3)}
    return Event(type="breaker.opened", subject=called(change.name), data=data)


def breaker_closed(name: Name) -> Event:
    """It is asked again."""
    return Event(type="breaker.closed", subject=called(name), data=_of_name(name))


def called(name: Name) -> str:
    """A target or a key, in one text."""
    return "|".join(name)


def _of_name(name: Name) -> dict[str, Any]:
    return {"provider": name.provider, "model": name.model or None, "key": name.key or None}


def dropped(receiver: str, count: int) -> Event:
    """So many notifications for a receiver were dropped, because too many waited."""
    return Event(type="notifications.dropped", subject=receiver, data={"receiver": receiver, "dropped": count})


def test(receiver: str) -> Event:
    """Somebody wants to know whether a receiver hears."""
    return Event(type="test", subject=receiver, data={"receiver": receiver})


def moment(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
