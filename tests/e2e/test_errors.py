"""Every error that a client sees has the shape of its dialect, the right status and a request id, whoever made it.

That is: a filter, the engine, a provider, Envoy. Nothing of the operator's (a credential, a provider's refusal, an exception) is told
to a client.
"""

import http.client
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.boom import SECRET
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo

CLIENTS = ("openai", "anthropic")
WAYS = ("same", "translated", "several")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
# The targets behind each way, by the client's dialect: `several` begins with the client's own.
TARGETS = {
    ("openai", "same"): ["o/m"],
    ("openai", "translated"): ["a/m"],
    ("openai", "several"): ["o/m", "a/m"],
    ("anthropic", "same"): ["a/m"],
    ("anthropic", "translated"): ["o/m"],
    ("anthropic", "several"): ["a/m", "o/m"],
}
HASTE = {"first_byte": 0.3, "idle": 0.3}
SMALL, LARGE = 64 * 1024, 2 * 1024 * 1024
# One for all: each of its own would read the machine's certificates first. No connection outlives its request.
CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))

each_client = pytest.mark.parametrize("dialect", CLIENTS)
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(autouse=True)
def forget() -> None:
    """Nobody looks here at what providers were asked."""


@pytest.fixture(scope="module")
def config(openai_provider: Demo, anthropic_provider: Demo) -> dict[str, Any]:
    """A model for each client and way; the same again with little patience; and providers that are not there."""
    urls = {"o": ("openai", f"{openai_provider.url}/v1"), "a": ("anthropic", f"{anthropic_provider.url}/v1")}
    providers = {name: {"dialect": dialect, "base_url": url, "key": f"sk-provider-{name}"} for name, (dialect, url) in urls.items()}
    hasty = {f"{name}-hasty": {**provider, "timeouts": HASTE} for name, provider in providers.items()}
    absent = {
        "refused": {"dialect": "openai", "base_url": f"http://127.0.0.1:{free_port()}/v1"},
        "nowhere": {"dialect": "openai", "base_url": "http://nobody.invalid/v1"},
    }
    models = [{"name": f"{client}-{way}", "targets": targets} for (client, way), targets in TARGETS.items()]
    models += [
        {"name": f"{client}-{way}-hasty", "targets": [target.replace("/", "-hasty/") for target in targets]}
        for (client, way), targets in TARGETS.items()
    ]
    models += [{"name": name, "targets": [f"{name}/m"]} for name in absent]
    return {
        "providers": {**providers, **hasty, **absent},
        "models": models,
        "limits": {"request_body": SMALL, "request_headers": 8},
    }


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    """A gateway whose filters fail when told to, and that takes larger bodies than Envoy's own 1 MiB."""
    filters: list[dict[str, Any]] = [{"meter": {}}, {"auth": {}}, {"tests.e2e.boom:EarlyBoom": {}}, {"route": {}}]
    filters += [{"tests.e2e.boom:Boom": {}}, {"cache": {}}]
    own = {**config, "filters": filters, "limits": {"request_body": LARGE}}
    root = Path(__file__).parents[2]
    with Gateway(tmp_path_factory.mktemp("gateway"), own, {"PYTHONPATH": str(root)}) as running:
        yield running


def request(dialect: str, text: str, model: str, **more: Any) -> dict[str, Any]:
    """A request of that dialect."""
    return (chat if dialect == "openai" else message)(text, model, **more)


def ask(gateway: Gateway, dialect: str, text: str, model: str, **more: Any) -> httpx.Response:
    """Its answer, whole."""
    return CLIENT.post(gateway.url + PATHS[dialect], json=request(dialect, text, model, **more))


def at_once(check: Callable[[str, str], None]) -> None:
    """Checks every client on every way at the same time, for what takes its time."""
    with ThreadPoolExecutor() as threads:
        for checked in [threads.submit(check, dialect, way) for dialect, way in itertools.product(CLIENTS, WAYS)]:
            checked.result()


def fault(answer: httpx.Response, dialect: str, status: int, *, identified: bool = True) -> dict[str, Any]:
    """The error, once its status, its shape and its request id are right."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert ("x-request-id" in answer.headers) is identified
    return shaped(answer.json(), dialect)


def shaped(body: dict[str, Any], dialect: str) -> dict[str, Any]:
    """The error inside a body of the right shape."""
    error = body["error"]
    assert isinstance(error, dict)
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    if dialect == "openai":
        assert set(body) == {"error"}
        assert set(error) - {"request_id"} == {"message", "type", "param", "code"}
    else:
        assert body["type"] == "error"
        assert set(body) - {"request_id"} == {"type", "error"}
        assert set(error) == {"type", "message"}
    return error


# What is wrong with the request.


@each_client
def test_an_unknown_model_is_named_with_near_ones(gateway: Gateway, dialect: str) -> None:
    error = fault(ask(gateway, dialect, "Hello", f"{dialect}-sane"), dialect, 404)
    assert f"{dialect}-same" in error["message"]
    if dialect == "openai":
        assert (error["code"], error["param"]) == ("model_not_found", "model")
    else:
        assert error["type"] == "not_found_error"


@each_client
@pytest.mark.parametrize("body", [b"", b"{", b'{"model": }', b"[]", b'"text"', b'{"model": "\xff"}', b"[" * 5000])
def test_malformed_json(gateway: Gateway, dialect: str, body: bytes) -> None:
    answer = CLIENT.post(gateway.url + PATHS[dialect], content=body, headers={"content-type": "application/json"})
    assert fault(answer, dialect, 400)["type"] == "invalid_request_error"


@each_client
@pytest.mark.parametrize(
    ("field", "value"),
    [("model", 5), ("stream", "yes"), ("temperature", "hot"), ("stream_options", []), ("stream_options", {"include_usage": "yes"})],
)
def test_a_wrong_type_is_named(gateway: Gateway, dialect: str, field: str, value: Any) -> None:
    body = {**request(dialect, "Hello", f"{dialect}-same"), field: value}
    error = fault(CLIENT.post(gateway.url + PATHS[dialect], json=body), dialect, 400)
    assert error["type"] == "invalid_request_error"
    assert field in error["message"]
    assert error.get("param", field).startswith(field)


@each_client
@pytest.mark.parametrize("way", ["translated", "several"])
@pytest.mark.parametrize("messages", ["Hello", [5], [{"role": "user", "content": 5}], [{"role": 7, "content": "Hello"}]])
def test_what_cannot_be_translated_is_named(gateway: Gateway, dialect: str, way: str, messages: Any) -> None:
    body = {**request(dialect, "", f"{dialect}-{way}"), "messages": messages}
    error = fault(CLIENT.post(gateway.url + PATHS[dialect], json=body), dialect, 400)
    assert error["type"] == "invalid_request_error"


@each_client
@pytest.mark.parametrize("model", [{}, {"model": None}, {"model": ""}])
def test_a_missing_model(gateway: Gateway, dialect: str, model: dict[str, Any]) -> None:
    body = {name: value for name, value in request(dialect, "Hello", "x").items() if name != "model"}
    error = fault(CLIENT.post(gateway.url + PATHS[dialect], json={**body, **model}), dialect, 400)
    assert "model" in error["message"]


def pieces(size: int) -> Iterator[bytes]:
    """A body without a content-length."""
    for _ in range(0, size, 8192):
        yield b" " * 8192


@each_client
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_below_envoys_own_limit(gateway: Gateway, dialect: str, chunked: bool) -> None:
    body = pieces(SMALL + 8192) if chunked else b" " * (SMALL + 1)
    answer = CLIENT.post(gateway.url + PATHS[dialect], content=body, headers={"content-type": "application/json"})
    assert str(SMALL) in fault(answer, dialect, 413)["message"]


@each_client
@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_above_envoys_own_limit(failing: Gateway, dialect: str, chunked: bool) -> None:
    body = pieces(LARGE + 65536) if chunked else b" " * (LARGE + 1)
    answer = CLIENT.post(failing.url + PATHS[dialect], content=body, headers={"content-type": "application/json"})
    assert str(LARGE) in fault(answer, dialect, 413)["message"]


@each_client
@each_way
def test_as_large_as_may_be(failing: Gateway, dialect: str, way: str) -> None:
    padding = " " * (LARGE - 2048)
    assert ask(failing, dialect, "Hello" + padding, f"{dialect}-{way}").status_code == 200


@each_client
@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {}, {"content-type": "application/json", "content-encoding": "gzip"}])
def test_a_body_that_is_not_plain_json(gateway: Gateway, dialect: str, headers: dict[str, str]) -> None:
    body = json.dumps(request(dialect, "Hello", f"{dialect}-same")).encode()
    answer = CLIENT.post(gateway.url + PATHS[dialect], content=body, headers=headers)
    assert fault(answer, dialect, 415)["type"] == "invalid_request_error"


@pytest.mark.parametrize("headers", [{"x-long": "x" * 9000}, {f"x-{number}": "x" for number in range(120)}])
def test_headers_too_large(gateway: Gateway, headers: dict[str, str]) -> None:
    # Envoy refuses what it could not even read; so it has neither an id nor a path to tell the dialect by.
    answer = CLIENT.post(gateway.url + PATHS["openai"], json={}, headers=headers)
    assert fault(answer, "openai", 431, identified=False)["code"] == "request_headers_too_large"


@each_client
def test_no_such_provider(gateway: Gateway, dialect: str) -> None:
    headers = {"x-headgate-provider": "oo", **({"anthropic-version": "2023-06-01"} if dialect == "anthropic" else {})}
    error = fault(CLIENT.get(f"{gateway.url}/v1/files", headers=headers), dialect, 404)
    assert "'oo'" in error["message"]


def test_nothing_is_served_there(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request("OPTIONS", "*")
    answer = connection.getresponse()
    assert answer.status == 404
    assert shaped(json.loads(answer.read()), "openai")["code"] == "not_found"
    connection.close()


# What is wrong with the provider.


@each_client
@pytest.mark.parametrize("model", ["refused", "nowhere"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_not_there(gateway: Gateway, dialect: str, model: str, stream: bool) -> None:
    error = fault(ask(gateway, dialect, "Hello", model, stream=stream), dialect, 503)
    assert error["type"] == ("server_error" if dialect == "openai" else "api_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_never_answers(gateway: Gateway, stream: bool) -> None:
    def check(dialect: str, way: str) -> None:
        error = fault(ask(gateway, dialect, "Hello [demo: hang]", f"{dialect}-{way}-hasty", stream=stream), dialect, 504)
        assert error["type"] == ("server_error" if dialect == "openai" else "timeout_error")

    at_once(check)


def test_a_provider_that_falls_silent(gateway: Gateway) -> None:
    def check(dialect: str, way: str) -> None:
        body = request(dialect, "Hello [demo: silent=3 gap=0.05]", f"{dialect}-{way}-hasty", stream=True)
        with CLIENT.stream("POST", gateway.url + PATHS[dialect], json=body) as answer:
            assert answer.status_code == 200
            # The end is a proper one, and nobody takes it for a whole answer.
            assert "was silent for too long" in answer.read().decode()

    at_once(check)


@each_client
@each_way
def test_a_provider_that_resets(gateway: Gateway, dialect: str, way: str) -> None:
    fault(ask(gateway, dialect, "Hello [demo: reset]", f"{dialect}-{way}"), dialect, 503)


@each_client
@each_way
@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_refuses_our_key(gateway: Gateway, dialect: str, way: str, status: int) -> None:
    answer = ask(gateway, dialect, f"Hello [demo: status={status}]", f"{dialect}-{way}")
    error = fault(answer, dialect, 502)
    if dialect == "openai":
        assert error["code"] == "provider_authentication"
    assert "asked to fail" not in answer.text
    assert "sk-provider" not in answer.text
    assert "www-authenticate" not in answer.headers


@each_client
@each_way
def test_too_many_requests_keep_their_meaning(gateway: Gateway, dialect: str, way: str) -> None:
    answer = ask(gateway, dialect, "Hello [demo: status=429 retry-after=7]", f"{dialect}-{way}")
    error = fault(answer, dialect, 429)
    assert answer.headers["retry-after"] == "7"
    assert error["type"] in ("rate_limit_error", "requests")


@each_client
@each_way
@pytest.mark.parametrize("status", [400, 404, 500, 529])
def test_a_providers_error_is_told_in_the_clients_dialect(gateway: Gateway, dialect: str, way: str, status: int) -> None:
    error = fault(ask(gateway, dialect, f"Hello [demo: status={status}]", f"{dialect}-{way}"), dialect, status)
    assert error["message"] == f"The demo provider was asked to fail with status {status}."
    anthropic = {400: "invalid_request_error", 404: "not_found_error", 500: "api_error", 529: "overloaded_error"}
    openai = "invalid_request_error" if status < 500 else "server_error"
    assert error["type"] == (openai if dialect == "openai" else anthropic[status])


@each_client
@each_way
def test_a_load_balancers_page_is_told_in_the_clients_dialect(gateway: Gateway, dialect: str, way: str) -> None:
    fault(ask(gateway, dialect, "Hello [demo: status=500 html]", f"{dialect}-{way}"), dialect, 500)


@each_client
@pytest.mark.parametrize("directive", ["malformed", "content-type=text/html", "break"])
def test_an_answer_that_is_none(gateway: Gateway, dialect: str, directive: str) -> None:
    """Not JSON, HTML, and one that is cut off, where it had to be translated."""
    fault(ask(gateway, dialect, f"Hello [demo: {directive}]", f"{dialect}-translated"), dialect, 502)


@each_client
def test_an_answer_of_unknown_length_that_ends_in_the_middle(gateway: Gateway, dialect: str) -> None:
    """Its head may have gone out before its end shows that it is none; then all that is left is to break it off."""
    try:
        answer = ask(gateway, dialect, "Hello [demo: close]", f"{dialect}-translated")
    except httpx.RemoteProtocolError:
        return
    fault(answer, dialect, 502)


# Errors in the middle of a stream.


def events(answer: httpx.Response) -> list[tuple[str, str]]:
    """Name and data of each event."""
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields.get("event", ""), fields["data"]))
    return found


@each_client
@each_way
@pytest.mark.parametrize("directive", ["error=3", "malformed=3", "close=3"])
def test_a_stream_that_fails_ends_with_an_error_event(gateway: Gateway, dialect: str, way: str, directive: str) -> None:
    if way != "translated" and directive != "error=3":
        directive = "error=2"  # an untouched stream passes as it is
    answer = ask(gateway, dialect, f"Hello [demo: {directive}]", f"{dialect}-{way}", stream=True)
    assert answer.status_code == 200
    found = events(answer)
    if found[-1] == ("", "[DONE]"):
        found.pop()
    name, data = found[-1]
    shaped(json.loads(data), dialect)
    assert name == ("error" if dialect == "anthropic" else "")
    if dialect == "openai" and way == "translated":
        assert answer.text.endswith("data: [DONE]\n\n")


def test_a_stream_that_is_cut_off_is_cut_off(gateway: Gateway) -> None:
    def check(dialect: str, way: str) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            ask(gateway, dialect, "Hello [demo: break=3]", f"{dialect}-{way}", stream=True)

    at_once(check)


# What is wrong with us.


def logged(gateway: Gateway, id: str) -> list[str]:
    """The gateway's errors about a request."""
    return [line for line in gateway.log.read_text().splitlines() if id in line and " ERROR " in line]


@each_client
@each_way
@pytest.mark.parametrize("place", ["early", "request", "start"])
def test_a_bug_of_ours(failing: Gateway, dialect: str, way: str, place: str) -> None:
    traces = failing.log.read_text().count("Traceback")
    body = request(dialect, "Hello", f"{dialect}-{way}")
    answer = CLIENT.post(failing.url + PATHS[dialect], json=body, headers={"x-boom": place})
    error = fault(answer, dialect, 500)
    assert error["type"] == ("server_error" if dialect == "openai" else "api_error")
    assert SECRET not in answer.text + str(answer.headers)
    failing.until(lambda: logged(failing, answer.headers["x-request-id"]), "the bug is in the log")
    assert len(logged(failing, answer.headers["x-request-id"])) == 1
    assert failing.log.read_text().count("Traceback") == traces + 1


@each_client
def test_a_bug_in_the_answer_to_a_refused_request(failing: Gateway, dialect: str) -> None:
    answer = CLIENT.post(failing.url + PATHS[dialect], json=request(dialect, "Hello", f"{dialect}-same"), headers={"x-boom": "start"})
    fault(answer, dialect, 500)
    assert SECRET not in answer.text


@each_client
def test_a_bug_at_the_end_harms_nobody(failing: Gateway, dialect: str) -> None:
    body = request(dialect, "Hello", f"{dialect}-same")
    answer = CLIENT.post(failing.url + PATHS[dialect], json=body, headers={"x-boom": "end"})
    assert answer.status_code == 200
    id = answer.headers["x-request-id"]
    failing.until(lambda: logged(failing, id), "the bug is in the log")
    assert len(logged(failing, id)) == 1
    journals = failing.state / "journal"
    failing.until(lambda: any(id in path.read_text() for path in journals.rglob("*") if path.is_file()), "the request is in the journal")


@pytest.mark.parametrize("stream", [False, True])
def test_a_bug_in_the_answers_body(failing: Gateway, stream: bool) -> None:
    """The head may have gone out before; then all that is left is to break the answer off."""

    def check(dialect: str, way: str) -> None:
        body = request(dialect, "Hello", f"{dialect}-{way}", stream=stream)
        with CLIENT.stream("POST", failing.url + PATHS[dialect], json=body, headers={"x-boom": "events"}) as answer:
            id = answer.headers["x-request-id"]
            received = b""
            try:
                for chunk in answer.iter_raw():
                    received += chunk
            except httpx.RemoteProtocolError:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 500
                shaped(json.loads(received), dialect)
        assert SECRET.encode() not in received
        failing.until(lambda: logged(failing, id), "the bug is in the log")
        assert len(logged(failing, id)) == 1

    at_once(check)
