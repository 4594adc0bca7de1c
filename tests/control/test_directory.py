"""What workers are told of identities: asked of the store once a change, and as it was while the store does not answer."""

import asyncio
from pathlib import Path

import msgspec

from extproc.callers.asked import RESOLVE, TEAMS
from extproc.control.directory import Directory
from extproc.control.feed import Feed
from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.record import Owner
from tests import stored

SAID = msgspec.msgpack.encode(Claimed("", "acme"))


def test_it_follows_the_store_and_outlives_it(tmp_path: Path) -> None:
    urls = [""]

    async def run() -> None:
        directory = Directory(tmp_path, Feed(tmp_path), lambda: urls[0])

        async def resolve(payload: bytes) -> Resolved | None:
            answer = await directory.handlers[RESOLVE](None, payload)
            return msgspec.msgpack.decode(answer, type=Resolved) if answer else None

        assert await resolve(SAID) == Resolved(missing="anybody")
        made = await asyncio.to_thread(stored.change, tmp_path, lambda tables, _: tables.organizations.create("acme").id)
        assert await resolve(SAID) == await resolve(SAID) == Resolved(Owner(made), "acme")
        urls[0] = f"postgresql://nobody@/x?host={tmp_path}"
        assert await resolve(SAID) == Resolved(Owner(made), "acme"), "as it was"
        assert await resolve(msgspec.msgpack.encode(Claimed("", "other"))) is None

    asyncio.run(run())


def test_teams(tmp_path: Path) -> None:
    async def run() -> None:
        team = await asyncio.to_thread(
            stored.change, tmp_path, lambda tables, holder: tables.teams.create(holder.organization_id, "research")
        )
        owner = msgspec.msgpack.encode(Owner(team.organization_id, team=team.id))
        answer = await Directory(tmp_path, Feed(tmp_path), lambda: "").handlers[TEAMS](None, owner)
        assert msgspec.msgpack.decode(answer, type=list[TeamName]) == [TeamName(team.id, "research", team.organization_id)]

    asyncio.run(run())
