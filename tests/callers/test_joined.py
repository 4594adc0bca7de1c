"""What is set in the store for organizations, teams and users is in force for callers who are known by a token or a certificate."""

from typing import Any

import pytest
from msgspec.structs import replace

from extproc import Handler, Identity, Reject
from extproc.callers.claims import claim_of
from extproc.callers.directory import NoDirectory
from extproc.callers.joined import Claim, Joined
from extproc.config.callers import Callers, Claims, Issuer, Mesh, Workload
from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.levels import Level
from extproc.identity.record import Owner
from extproc.identity.settings import Settings
from extproc.keys import KeyState, StoredKeys
from filters.auth import Auth
from tests.callers.signer import AUDIENCE, ISSUER, claims, jwks, public, token
from tests.scene import CONFIG, environment, head, request, run

JOINED = Claims(organization="org", team="team", user="sub")
HERE = Issuer(issuer=ISSUER, audiences=(AUDIENCE,), jwks=jwks(public("p256", "k")), claims=JOINED)
ACME = Owner("org_1", team="team_1", user="user_1")
LEVELS = (Level(kind="team", id="team_1", settings=Settings(models=("gpt",))),)


class Known:
    """A directory that knows one caller, until it is down."""

    def __init__(self) -> None:
        self.asked: list[Claimed] = []
        self.down = False

    async def resolve(self, said: Claimed) -> Resolved:
        if self.down:
            raise Reject(503, "identities_unavailable", "down")
        self.asked.append(said)
        return Resolved(ACME, "acme") if said.organization == "acme" else Resolved(missing=f"organization {said.organization!r}")

    async def teams(self, owner: Owner) -> list[TeamName]:
        return []


def opened(directory: Known, keys: StoredKeys, **callers: Any) -> Handler:
    here = environment(replace(CONFIG, callers=Callers(**callers)))
    return Auth().open(replace(here, directory=directory, stored_keys=keys))


def asked(handler: Handler, **headers: str) -> Identity | tuple[int, str]:
    made = request(head(**headers))
    try:
        run(handler.request(made))
    except Reject as reject:
        return reject.fault.status, reject.fault.code
    return made.identity


def signed(**more: Any) -> str:
    return f"Bearer {token(claims(**more))}"


def test_a_tokens_caller_has_what_is_set_for_his_team() -> None:
    directory = Known()
    handler = opened(directory, StoredKeys(KeyState(levels=LEVELS)), jwt=(HERE,))
    found = asked(handler, authorization=signed(org="acme", team="research", sub="ann"))
    assert isinstance(found, Identity)
    assert (found.tenant, found.key, found.owner) == ("acme", "ann", ACME)
    assert found.grant.allows_model("gpt") and not found.grant.allows_model("fast")
    assert directory.asked == [Claimed(ISSUER, "acme", "research", "ann")]


@pytest.mark.parametrize(("unknown", "outcome"), [("refuse", (403, "unknown_identity")), ("take", None)])
def test_whom_the_store_does_not_know(unknown: Any, outcome: tuple[int, str] | None) -> None:
    handler = opened(Known(), StoredKeys(), jwt=(replace(HERE, unknown=unknown),))
    found = asked(handler, authorization=signed(org="nobodys", sub="ann"))
    assert found == outcome if outcome else isinstance(found, Identity) and found.owner is None


def test_who_does_not_say_it() -> None:
    assert asked(opened(Known(), StoredKeys(), jwt=(HERE,)), authorization=signed(sub="ann")) == (401, "invalid_token")
    free = replace(HERE, unknown="take", claims=Claims(organization="org"))
    found = asked(opened(Known(), StoredKeys(), jwt=(free,)), authorization=signed(sub="ann"))
    assert isinstance(found, Identity) and found.tenant == ISSUER


def test_the_tenant_that_a_token_says_stays() -> None:
    said = claim_of({"org": "acme"}, replace(HERE, tenant="mine"))
    assert said is not None and said.tenant
    assert claim_of({"org": "acme"}, replace(HERE, claims=Claims())) is None


def test_it_is_asked_again_when_something_has_changed_and_goes_on_while_nobody_can_tell() -> None:
    directory, keys = Known(), StoredKeys(KeyState(levels=LEVELS))
    joined = Joined(directory, keys)
    claim = Claim(Claimed(ISSUER, "acme"), tenant=False, refuse=True)
    for _ in range(3):
        assert run(joined.join(Identity("t", "k"), claim)).owner == ACME
    assert len(directory.asked) == 1
    keys.take(KeyState(), exist=False)
    found = run(joined.join(Identity("t", "k"), claim))
    assert (len(directory.asked), found.grant.allows_model("fast")) == (2, True)
    directory.down = True
    keys.take(KeyState(levels=LEVELS), exist=False)
    assert not run(joined.join(Identity("t", "k"), claim)).grant.allows_model("fast")
    with pytest.raises(Reject) as raised:
        run(joined.join(Identity("t", "k"), Claim(Claimed(ISSUER, "other"), tenant=False, refuse=False)))
    assert raised.value.fault.status == 503


def test_whoever_is_suspended_is_not_let_in() -> None:
    keys = StoredKeys(KeyState(levels=(Level(kind="user", id="user_1", closed=True),)))
    handler = opened(Known(), keys, jwt=(HERE,))
    assert asked(handler, authorization=signed(org="acme", sub="ann")) == (403, "access_suspended")


def test_a_meshs_callers() -> None:
    workload = Workload(uri="spiffe://mesh/ns/{tenant}/sa/{key}", organization="{tenant}", service_account="{key}")
    handler = opened(Known(), StoredKeys(KeyState(levels=LEVELS)), mesh=Mesh(workloads=(workload,), trusted=True))
    found = asked(handler, x_forwarded_client_cert="URI=spiffe://mesh/ns/acme/sa/bot")
    assert isinstance(found, Identity) and (found.tenant, found.owner) == ("acme", ACME)
    assert asked(handler, x_forwarded_client_cert="URI=spiffe://mesh/ns/else/sa/bot") == (403, "unknown_identity")


def test_without_a_store() -> None:
    assert run(NoDirectory().resolve(Claimed())).owner is None
    assert run(NoDirectory().teams(ACME)) == []
