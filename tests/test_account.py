"""What an attempt tells of itself, aside."""

import msgspec
import pytest

from extproc.config.model import Model
from extproc.dialects import DIALECTS
from extproc.envoy import names
from extproc.relayed import Relayed
from extproc.transport.seam import Refused
from extproc.tried import STOPPED, Tried
from tests.scene import CHAT, CONFIG, OPENAI, Scene
from tests.test_answering import CHAT as ANSWER
from tests.test_answering import DONE, delta
from tests.trying import JSON, KIB, PASSED, SSE, Try, attempt, use_of


@pytest.mark.parametrize("second", [False, True])
def test_what_an_error_without_a_body_is_told_aside(second: bool) -> None:
    """A head alone can be given no body here. The gate says it."""
    made = attempt(second=second)
    (head,) = made.answer({":status": "308", "location": "https://elsewhere.test/x?key=secret"}, end=True)
    use = use_of(head)
    assert (head.headers[":status"], use.error) == ("502", "bad_provider_answer")
    relayed = Relayed(502, {"content-type": "application/json"}, DIALECTS["openai"], raw=False)
    relayed.tell(use)
    told = msgspec.json.decode(b"".join(relayed.feed(b"", True)))["error"]["message"]
    assert "points to https://elsewhere.test/x and is not followed" in told
    assert "secret" not in told


def spoken() -> Try:
    """An attempt at the first of two targets that speak."""
    models = (Model(name="both", targets=("openai/tts", "spare/tts")),)
    config = msgspec.structs.replace(CONFIG, providers={"openai": OPENAI, "spare": OPENAI}, models=models)
    return attempt({"model": "both", "input": "Hi", "voice": "alloy"}, Scene(config), path="/v1/audio/speech")


def test_the_announced_length_is_the_end_of_what_passes_unread() -> None:
    made = spoken()
    (began,) = made.answer({":status": "200", "content-type": "audio/mpeg", "content-length": "7"})
    assert (use_of(began).finished, made.piece(b"ID3")) == (False, [PASSED])
    (last,) = made.piece(b"fake")
    # The gate takes it for the end, too: told with the empty message behind it, this would come too late.
    assert (last.body, last.end, use_of(last).finished, use_of(last).error) == (None, False, True, "")
    assert made.piece(b"", end=True) == [PASSED]


def test_what_passes_unread_and_is_cut_off_is_not_finished() -> None:
    made = spoken()
    made.answer({":status": "200", "content-type": "audio/mpeg", "content-length": "7"})
    assert made.piece(b"ID3fak") == [PASSED]
    made = spoken()
    made.answer({":status": "200", "content-type": "audio/mpeg"})
    assert made.piece(b"ID3fake") == [PASSED]
    assert use_of(made.piece(b"", end=True)[0]).finished


def test_an_error_in_a_stream_is_told_at_once() -> None:
    made = attempt({**CHAT, "stream": True})
    made.answer(SSE)
    assert not use_of(made.piece(delta("Hel"))[0]).error
    (told,) = made.piece(b'data: {"error":{"message":"died","type":"server_error"}}\n\n')
    assert use_of(told).error


@pytest.mark.parametrize(
    ("pieces", "end", "reasons"),
    [
        ((delta("Hello"),), False, ["", STOPPED]),
        ((delta("Hello"),), True, ["", "stream_interrupted"]),
        ((delta("Hello"), DONE), True, ["", ""]),
        ((b"",), False, []),
    ],
)
def test_the_end_of_a_stream_is_told_once(pieces: tuple[bytes, ...], end: bool, reasons: list[str]) -> None:
    """One that just stops may have been given up by its client: Envoy's log is asked, by the request's id."""
    scene = Scene()
    heard: list[Tried] = []
    scene.engine.ears.append(heard.append)
    made = attempt({**CHAT, "stream": True}, scene)
    made.answer(SSE)
    for piece in pieces:
        made.piece(piece)
    if end:
        made.piece(b"", end=True)
    made.session.close()
    assert [tried.reason for tried in heard] == reasons
    assert [tried.request for tried in heard if tried.reason == STOPPED] == ["r-1"] * reasons.count(STOPPED)


@pytest.mark.parametrize("length", [True, False])
def test_what_breaks_off_beyond_256_kib_is_broken_off(length: bool) -> None:
    """As HTTP it may have ended; its client shall not take it for an answer."""
    scene = Scene()
    heard: list[Tried] = []
    scene.engine.ears.append(heard.append)
    made = attempt(scene=scene)
    body = msgspec.json.encode({**ANSWER, "x": "x" * (400 * KIB)})[: 300 * KIB]
    made.answer({**JSON, "content-length": str(len(body))} if length else JSON)
    assert made.piece(body[:-9])[0].part == "response_headers"
    with pytest.raises(Refused, match=names.UNUSABLE):
        made.piece(body[-9:], end=not length)
    made.session.close()
    assert [tried.reason for tried in heard] == ["", "bad_provider_answer"]
