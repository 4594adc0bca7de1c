"""Keys of callers' own: who is known by one, and where it goes."""

from typing import Any

import pytest

from extproc.callers.own import OwnTable, Passing
from extproc.config.callers import Callers, OwnKeys
from extproc.config.model import Provider
from extproc.errors import Reject
from extproc.values import Identity, OwnKey, Request, Target
from tests.scene import CONFIG, head, request, run

CALLERS = Callers(
    own_keys=(
        OwnKeys(providers=("openai",), pattern="sk-*"),
        OwnKeys(providers=("anthropic",), pattern="sk-ant-*"),
        OwnKeys(providers=("other",), pattern="other-*", with_key=True),
    ),
    hash_key="a-secret-of-the-operator",
)


def alone(*sent: str, secret: str = "a-secret-of-the-operator", path: str = "/v1/chat/completions") -> tuple[Identity | None, Request]:
    made = request({**head(path)})
    table = OwnTable(Callers(own_keys=CALLERS.own_keys, hash_key=secret))
    return table.alone(sent, made), made


def test_a_caller_is_a_hash_of_his_key() -> None:
    identity, made = alone("sk-ant-1")
    assert identity is not None and made.own is not None
    assert identity.tenant == identity.key == f"own:{made.own.digest}"
    assert "sk-ant" not in str(identity)
    assert made.own.providers == ("openai", "anthropic")
    assert alone("sk-ant-1")[0] == identity
    assert alone("sk-ant-2")[0] != identity
    assert alone("sk-ant-1", secret="another-secret-of-theirs")[0] != identity


@pytest.mark.parametrize("sent", ["", "hg-1", "hg-sk-1", "other-1", "eyJ.sk-.x", "sk-a b", "sk-\u00e9", "sk-\n", "sk-" + "x" * 4096])
def test_what_is_not_taken_for_one(sent: str) -> None:
    identity, made = alone(sent)
    assert (identity, made.own) == (None, None)


def test_what_the_gateway_answers_itself_is_for_those_it_knows() -> None:
    made = request({**head("/v1/models"), ":method": "GET"})
    assert OwnTable(CALLERS).alone(["sk-1"], made) is None


def test_who_is_known_stays_who_he_is() -> None:
    made = request()
    made.identity = Identity("acme", "bob", roles=("admin",), id="key_1")
    OwnTable(CALLERS).beside(["unknown", "other-1"], made)
    assert made.own is not None and made.own.providers == ("other",)
    assert made.identity == Identity("acme", f"bob/own:{made.own.digest}", roles=("admin",), id="key_1")


def passed(own: OwnKey | None, *providers: str, **more: Provider) -> Request:
    made = request()
    made.own, made.targets = own, tuple(Target(one, "m") for one in providers)
    run(Passing({**CONFIG.providers, **more}).request(made))
    return made


OWN = OwnKey("sk-ant-1", ("anthropic",), "0123")


def test_it_goes_to_its_provider_alone() -> None:
    made = passed(OWN, "openai", "anthropic", "anthropic")
    assert made.targets == (Target("anthropic", "m"),)
    assert made.retrying is None
    assert made.set_headers == {"x-api-key": "sk-ant-1"}
    assert passed(OwnKey("sk-1", ("openai",), "1"), "openai").set_headers == {"authorization": "Bearer sk-1"}
    azure: Any = Provider(dialect="openai", base_url="https://a.test/v1", auth="api-key")
    assert passed(OwnKey("sk-1", ("azure",), "1"), "azure", azure=azure).set_headers == {"api-key": "sk-1"}


def test_it_goes_to_nobody_else() -> None:
    with pytest.raises(Reject) as raised:
        passed(OWN, "openai")
    assert (raised.value.fault.status, raised.value.fault.code) == (403, "own_key_not_allowed")
    assert "sk-ant" not in raised.value.fault.message
    # Nobody's targets are touched who sends none.
    assert len(passed(None, "openai", "anthropic").targets) == 2
    assert passed(OWN).targets == ()
