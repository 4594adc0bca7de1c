"""What a grant means for one request."""

import pytest

from extproc.admission import (
    allowed_provider,
    allowed_retrying,
    allowed_targets,
    check_address,
    check_model,
    check_operation,
    client_address,
    operation_of,
    shows,
)
from extproc.endpoints import endpoint
from extproc.errors import Reject
from extproc.identity.levels import Grant, Level
from extproc.identity.settings import Settings
from extproc.retrying import Refusals, Retrying
from extproc.values import Endpoint, Target

JSON = {"content-type": "application/json"}


def grant(**said: object) -> Grant:
    return Grant([Level(kind="key", settings=Settings(**said))])  # type: ignore[arg-type]


def code(refused: pytest.ExceptionInfo[Reject]) -> tuple[int, str]:
    fault = refused.value.fault
    assert "administers" in fault.message
    return fault.status, fault.code


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/v1/messages", "chat"),
        ("POST", "/v1/messages/count_tokens", "chat"),
        ("POST", "/v1/responses", "chat"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/v1beta/models/gemini-3:embedContent", "embeddings"),
        ("POST", "/v2/rerank", "rerank"),
        ("POST", "/v1/images/generations", "images"),
        ("POST", "/v1/audio/speech", "audio"),
        ("POST", "/v1/audio/transcriptions", "audio"),
        ("POST", "/v1/moderations", "moderations"),
        ("POST", "/v1/files", "files"),
        ("GET", "/v1/batches/batch_1", "batches"),
        ("GET", "/openai/v1/files/x", "files"),
        ("POST", "/v1/filesystem", "raw"),
        ("POST", "/v1/assistants", "raw"),
        ("POST", "/v1/x/batches", "raw"),
        ("GET", "/v1/models", ""),
        ("GET", "/v1/models/gpt", ""),
    ],
)
def test_operations_by_the_words_of_settings(method: str, path: str, operation: str) -> None:
    assert operation_of(endpoint(method, path, JSON), path) == operation


def test_where_the_path_names_the_model_it_says_nothing_else() -> None:
    assert operation_of(Endpoint("gemini", "json", "images"), "/v1/projects/images/models/x:y") == "raw"
    assert operation_of(Endpoint("openai", "live", "gpt"), "/v1/realtime") == "realtime"


@pytest.mark.parametrize(
    ("said", "proxies", "address"),
    [
        ("203.0.113.9", 0, "203.0.113.9"),
        ("10.0.0.1, 203.0.113.9", 0, "203.0.113.9"),
        ("10.0.0.1,203.0.113.9,192.0.2.1", 1, "203.0.113.9"),
        ("10.0.0.1, 203.0.113.9, 192.0.2.2, 192.0.2.1", 2, "203.0.113.9"),
        ("2001:db8::1", 0, "2001:db8::1"),
        ("192.0.2.1", 1, ""),
        ("", 0, ""),
    ],
)
def test_the_address_is_the_one_that_envoy_saw(said: str, proxies: int, address: str) -> None:
    assert client_address({"x-forwarded-for": said}, proxies) == address
    assert client_address({}, proxies) == ""


def test_addresses() -> None:
    office = grant(networks=("203.0.113.0/24",))
    check_address(office, "203.0.113.9")
    for address in ("203.0.114.9", "", "nonsense"):
        with pytest.raises(Reject) as refused:
            check_address(office, address)
        assert code(refused) == (403, "network_not_allowed")
    check_address(grant(), "")


def asks(held: Grant, path: str, method: str = "POST") -> int:
    try:
        check_operation(held, endpoint(method, path, JSON), path)
    except Reject as reject:
        return reject.fault.status if reject.fault.code == "endpoint_not_allowed" else 0
    return 200


def test_endpoints() -> None:
    chat = grant(endpoints=("chat",))
    paths = ("/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings", "/v1/files", "/v1/assistants")
    assert [asks(chat, path) for path in paths] == [200, 200, 403, 403, 403]
    assert [asks(grant(), path) for path in paths] == [200] * 5
    assert asks(chat, "/v1/models", "GET") == asks(grant(endpoints=()), "/v1/models", "GET") == 200


def test_who_has_some_models_alone_asks_for_nothing_that_hides_its_model() -> None:
    paths = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses/compact", "/v1/files", "/v1/assistants")
    assert [asks(grant(models=("gpt-*",)), path) for path in paths] == [200, 200, 200, 403, 403]
    named = grant(models=("gpt-*",), endpoints=("chat", "files", "raw"))
    assert [asks(named, path) for path in paths] == [200, 403, 200, 200, 200]
    with pytest.raises(Reject):
        check_operation(grant(models=("gpt-*",)), Endpoint("openai", "live"), "/v1/realtime")
    check_operation(grant(models=("gpt-*",)), Endpoint("openai", "live", "gpt-live"), "/v1/realtime")


def test_models() -> None:
    check_model(grant(models=("gpt-*",)), "gpt-5")
    with pytest.raises(Reject) as refused:
        check_model(grant(models=("gpt-*",)), "claude")
    assert code(refused) == (403, "model_not_allowed")


def test_targets() -> None:
    both, one = (Target("a", "m"), Target("b", "m")), grant(providers=("b",))
    assert allowed_targets(grant(), "m", both) is both
    assert allowed_targets(one, "m", both) == both[1:]
    assert allowed_targets(one, "m", ()) == ()
    with pytest.raises(Reject) as refused:
        allowed_targets(one, "m", both[:1])
    assert code(refused) == (403, "provider_not_allowed")
    asked = Retrying(refusals=Refusals(both, both[:1]))
    assert allowed_retrying(grant(), asked) is asked and allowed_retrying(one, None) is None
    left = allowed_retrying(one, asked)
    assert left is not None and left.refusals == Refusals(both[1:], ())


def test_who_is_asked_for_what_names_no_model() -> None:
    one = grant(providers=("b",))
    assert allowed_provider(grant(), "", ("a", "b")) == "a"
    assert allowed_provider(one, "", ("a", "b")) == allowed_provider(one, "b", ()) == "b"
    assert allowed_provider(one, "", ()) is None
    for named, speaking in (("a", ()), ("", ("a",))):
        with pytest.raises(Reject) as refused:
            allowed_provider(one, named, speaking)
        assert code(refused) == (403, "provider_not_allowed")


def test_lists_show_what_may_be_asked_for() -> None:
    bounded = grant(models=("gpt-*",), providers=("b",))
    assert shows(bounded, "gpt-5", ("a", "b"))
    assert not shows(bounded, "gpt-5", ("a",))
    assert not shows(bounded, "claude", ("b",))
