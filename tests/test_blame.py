"""What is told of a single attempt, or of the last one of several, where it is not the provider's fault that there is no answer."""

import msgspec
import pytest
from msgspec.structs import replace

from extproc.config.concurrency import Concurrency
from extproc.config.model import Aim, Config, Model
from extproc.config.pool import ProviderKey
from extproc.envoy.names import UNUSABLE
from extproc.gate import GateSession
from extproc.slots.atonce import AtOnce
from extproc.standing.verdict import meaning
from extproc.tried import LATE, OURS, STOPPED, Tried
from tests.playbook import one, request_body, request_headers, response_body, response_headers, say
from tests.scene import ANTHROPIC, CHAT, OPENAI, Scene, head
from tests.test_answering import MESSAGE, STREAM
from tests.test_gate import JSON, SSE
from tests.test_gate_trouble import Full

ADAPTS = Concurrency(most=10, adapt=True)
CONFIG = Config(
    providers={"openai": OPENAI, "anthropic": ANTHROPIC},
    models=(
        Model(name="gpt", targets=(Aim(to="openai/gpt", concurrency=ADAPTS),)),
        Model(name="both", targets=(Aim(to="openai/gpt", concurrency=ADAPTS), "anthropic/claude")),
    ),
)


class Told:
    """A worker, and what it is told of attempts."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.scene = Scene(config)
        self.heard: list[Tried] = []
        self.scene.engine.ears.append(self.heard.append)

    def ask(self, model: str = "gpt", **headers: str) -> GateSession:
        session = GateSession(self.scene.engine)
        one(session, request_headers(head(**headers)))
        one(session, request_body(msgspec.json.encode({**CHAT, "model": model})))
        return session

    def kinds(self) -> list[str | None]:
        return [meaning(tried.status, tried.reason) for tried in self.heard]


@pytest.mark.parametrize(("model", "timeout"), [("gpt", "0.05"), ("both", "0.05"), ("both", "")])
def test_a_time_that_is_not_the_provider_s_own(model: str, timeout: str) -> None:
    """The client's own, or one for all attempts together."""
    told = Told()
    session = told.ask(model, x_headgate_timeout=timeout)
    one(session, response_headers({":status": "504", **JSON}, details="response_timeout", cluster="provider_openai"))
    one(session, response_body(b"{}", end=True))
    session.close()
    assert [(tried.reason, tried.status) for tried in told.heard] == [(LATE, 0)]
    assert told.kinds() == ["nothing"]
    assert told.scene.books[0].error == "response_timeout", "the ledger has Envoy's word"
    assert isinstance(told.scene.engine.slots, AtOnce)
    assert told.scene.engine.slots.table.limit("target:openai/gpt") in (None, 10)


def test_a_time_that_is_the_provider_s_own() -> None:
    told = Told()
    session = told.ask()
    one(session, response_headers({":status": "504", **JSON}, details="response_timeout"))
    say(session, response_body(b"{}", end=True))
    session.close()
    assert told.kinds() == ["timeout"]


UNREADABLE = f"ext_proc_error_gRPC_error_13{{{UNUSABLE}{{via_upstream}}}}"
DEAD = "ext_proc_error_gRPC_error_14{upstream_reset_after_response_started{connection_termination}}"
BUG = "ext_proc_error_gRPC_error_13{broken_off{via_upstream}}"


@pytest.mark.parametrize(
    ("details", "status", "error", "outcome", "words"),
    [
        (UNREADABLE, "502", "bad_provider_answer", "error", "no answer from openai: its answer could not be read to its end"),
        (DEAD, "500", "ext_proc_error_gRPC_error_14", "killed", "a worker of ours ended or failed"),
        (BUG, "500", "ext_proc_error_gRPC_error_13", "killed", "a worker of ours ended or failed"),
    ],
)
def test_what_an_adapter_cannot_read_is_not_its_own_fault(
    details: str, status: str, error: str, outcome: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    session = told.ask("both")
    one(session, response_headers({**JSON, ":status": status}, details=details, cluster="provider_openai"))
    one(session, response_body(b"{}", end=True))
    session.close()
    assert [(record.error, record.outcome) for record in told.scene.books] == [(error, outcome)]
    assert words in caplog.text


def test_all_keys_are_at_our_limits() -> None:
    """Nobody is asked, so nobody has failed."""
    keys = tuple(ProviderKey(key=f"sk-{name}", name=name, concurrency=1) for name in "ab")
    told = Told(replace(CONFIG, providers={**CONFIG.providers, "openai": replace(OPENAI, key=None, keys=keys)}))
    pool = told.scene.engine.current.pools["openai"]
    leases = [pool.lease("gpt"), pool.lease("gpt")]
    assert {lease.name for lease in leases} == {"a", "b"}
    told.ask().close()
    assert [(record.status, record.error) for record in told.scene.books] == [(503, "overloaded")]
    assert told.heard == []
    assert isinstance(told.scene.engine.slots, AtOnce)
    assert told.scene.engine.slots.table.limit("target:openai/gpt") in (None, 10)


def test_an_answer_that_we_have_no_room_for() -> None:
    """The provider has done its part."""
    told = Told(replace(CONFIG, models=(Model(name="gpt", targets=(Aim(to="anthropic/claude", concurrency=ADAPTS),)),)))
    told.scene.engine.aside = Full()
    session = told.ask()
    body = msgspec.json.encode({**MESSAGE, "content": [{"type": "text", "text": "x" * (5 << 20)}]})
    one(session, response_headers(JSON, cluster="provider_anthropic"))
    assert one(session, response_body(body, end=True)).status == 503
    session.close()
    assert [(tried.status, tried.reason) for tried in told.heard] == [(200, OURS)]
    assert told.kinds() == ["nothing"]
    assert isinstance(told.scene.engine.slots, AtOnce)
    assert told.scene.engine.slots.table.limit("target:anthropic/claude") in (None, 10)


def test_a_stream_that_just_stops_shows_nothing_until_envoys_log_is_asked() -> None:
    """Neither that the provider failed nor that it answers: it may be either's doing, and Envoy tells its log alone."""
    told = Told()
    for ends in (True, False):
        session = GateSession(told.scene.engine)
        one(session, request_headers(head()))
        one(session, request_body(msgspec.json.encode({**CHAT, "stream": True})))
        one(session, response_headers(SSE))
        say(session, response_body(STREAM if ends else STREAM[: len(STREAM) // 2], end=ends))
        session.close()
    assert [record.outcome for record in told.scene.books] == ["complete", "client_closed"]
    assert told.kinds() == [None, "nothing"]
    assert [(tried.reason, tried.request) for tried in told.heard] == [("", ""), (STOPPED, told.scene.books[-1].id)]


def test_a_client_that_hangs_up_before_the_head_shows_nothing_at_all() -> None:
    told = Told()
    told.ask().close()
    assert told.heard == []


def test_a_stream_that_ends_before_it_is_whole_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    session = GateSession(told.scene.engine)
    one(session, request_headers(head()))
    one(session, request_body(msgspec.json.encode({**CHAT, "stream": True})))
    one(session, response_headers(SSE))
    say(session, response_body(STREAM[: STREAM.rindex(b"data:", 0, len(STREAM) // 2)], end=True))
    session.close()
    assert [tried.reason for tried in told.heard] == ["stream_interrupted"]
    assert caplog.text.count(f"request {told.scene.books[-1].id}: the answer of openai/gpt broke off: stream_interrupted") == 1


@pytest.mark.parametrize("model", ["gpt", "both"])
@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ("{remote_connection_failure|delayed_connect_error:_Connection_refused}", "connect"),
        ("{local_connection_failure|immediate_connect_error}", "connect"),
        ("{local_connection_failure|socket_creation_failure}", "nothing"),
        ("{connection_timeout}", "connect"),
        ("{connection_termination}", "reset"),
        ("", "reset"),
    ],
)
def test_a_connection_that_was_never_made(model: str, why: str, kind: str) -> None:
    """Of a single target, and of the last one of several: before the head, Envoy calls all of it reset."""
    told = Told()
    session = told.ask(model)
    details = "upstream_reset_before_response_started"
    one(session, response_headers({":status": "503", **JSON}, details=details + why, cluster="provider_openai"))
    one(session, response_body(b"{}", end=True))
    session.close()
    assert told.kinds() == [kind]
    assert told.scene.books[0].error == details, "the ledger has Envoy's word"
