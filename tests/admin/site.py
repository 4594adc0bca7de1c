"""The admin API over a store of its own, asked without a socket: by the operator, and by people who have roles."""

from pathlib import Path
from typing import Any

import httpx

from extproc.admin import API, operator_keys
from extproc.admin.app import build_app
from extproc.admin.credentials import Credentials
from extproc.admin.opened import Opened
from extproc.callers.tokens import Tokens
from extproc.identity.roles import Role
from extproc.ledger.books import Ledgers
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store

ACTOR = Actor("tests")


class Site:
    """One API. Requests are the operator's unless they say otherwise."""

    def __init__(self, state: Path, tokens: Tokens | None = None) -> None:
        self.state = state
        self.key = operator_keys.make(state, 1)
        self.opened = Opened(lambda: Store.open(state))
        self.app = build_app(self.opened, Credentials(state, self.opened, tokens), Ledgers(state))
        transport = httpx.ASGITransport(app=self.app, client=("10.0.0.7", 4711))
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://admin{API}")

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, content: bytes | None = None, **headers: str
    ) -> httpx.Response:  # fmt: skip
        """`headers`: with `_` for `-`. `key`: empty for none at all."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key != "":
            sent["authorization"] = f"Bearer {self.key if key is None else key}"
        given: dict[str, Any] = {"json": body} if body is not None else {"content": content} if content is not None else {}
        return await self.client.request(method, path, headers=sent, **given)

    async def make(self, path: str, *, key: str | None = None, **body: Any) -> Any:
        """Makes something, and returns it."""
        answer = await self.ask("POST", path, body, key=key)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def person(self, name: str, organization: str, role: Role, team: str | None = None) -> tuple[str, str]:
        """A user with a role, and a key of his that is the organization's: his id, and the key."""
        with self.opened().write(ACTOR) as tables:
            user = tables.users.create(name)
            tables.memberships.create(organization, user.id, role, team_id=team)
            holder = Holder(organization, user_id=user.id, team_id=team)
            return user.id, tables.keys.create(holder, f"{name}'s")[1]

    def lend(self, user: str, organization: str, name: str, **holder: str) -> str:
        """Another key of a user's."""
        with self.opened().write(ACTOR) as tables:
            return tables.keys.create(Holder(organization, user_id=user, **holder), name)[1]


def fault(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
