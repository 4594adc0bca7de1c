"""Audio, images and moderation, through the official SDK: routed by the model that a form or a body names, and metered as what they are."""

import hashlib
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.clients import openai_sdk
from tests.e2e.gateway import Gateway
from tests.e2e.media import IMAGE, Media
from tests.e2e.upstream import Demo

CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
AUDIO = random.Random(3).randbytes(300 * 1024)
SHA = hashlib.sha256(AUDIO).hexdigest()
FILE = ("speech.mp3", AUDIO, "audio/mpeg")
LIMIT = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    """The first provider."""
    with Media() as running:
        yield running


@pytest.fixture(scope="module")
def spare() -> Iterator[Media]:
    """The one for when the first is busy."""
    with Media() as running:
        yield running


@pytest.fixture(autouse=True)
def anew(media: Media, spare: Media) -> None:
    """Each test sees its own requests."""
    for provider in (media, spare):
        provider.asked.clear()
        provider.broken = False
    media.do(_clear(media))


async def _clear(media: Media) -> None:
    media.go_on.clear()


async def _go_on(media: Media) -> None:
    media.go_on.set()


@pytest.fixture(scope="module")
def config(media: Media, spare: Media, anthropic_provider: Demo) -> dict[str, Any]:
    """Two providers of OpenAI's dialect, one of another."""
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{media.url}/v1", "key": "sk-provider-o"},
            "spare": {"dialect": "openai", "base_url": f"{spare.url}/v1", "key": "sk-provider-spare"},
            "a": {"dialect": "anthropic", "base_url": f"{anthropic_provider.url}/v1", "key": "sk-provider-a"},
        },
        "models": [
            {"name": "ears", "targets": ["o/whisper-1"]},
            {"name": "either", "targets": ["o/whisper-1", "spare/gpt-4o-transcribe"]},
            {"name": "claude-*", "targets": ["a"]},
            {"name": "gpt-*", "targets": ["o"]},
            {"name": "dall-e-*", "targets": ["o"]},
            {"name": "omni-moderation-latest", "targets": ["o"]},
        ],
        "limits": {"request_body": LIMIT},
    }


@pytest.fixture(scope="module")
def o(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK."""
    with openai_sdk(gateway.url) as client:
        yield client


def last(gateway: Gateway, since: float) -> dict[str, Any]:
    """The ledger's newest entry, once there is one that began after `since`."""
    path = gateway.state / "ledger.sqlite3"
    found: list[dict[str, Any]] = []

    def told() -> bool:
        if path.exists():
            with closing(sqlite3.connect(path, timeout=5)) as ledger:
                ledger.row_factory = sqlite3.Row
                found[:] = map(dict, ledger.execute("SELECT * FROM entries WHERE time >= ? ORDER BY time DESC", (since,)).fetchall())
        return bool(found)

    gateway.until(told, "the request is in the ledger")
    return found[0]


def test_a_transcription_goes_by_the_alias(gateway: Gateway, o: openai.OpenAI, media: Media) -> None:
    since = time.time()
    answer = o.audio.transcriptions.create(model="ears", file=FILE, language="en")
    assert (answer.text, answer.usage.to_dict() if answer.usage else None) == ("Hello", {"type": "duration", "seconds": 9})
    (asked,) = media.asked
    assert asked.fields == {"model": "whisper-1", "language": "en", "file": SHA} | asked.fields
    assert asked.headers["authorization"] == "Bearer sk-provider-o"
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    row = last(gateway, since)
    assert (row["model"], row["target"], row["outcome"], row["path"]) == ("ears", "whisper-1", "complete", "/v1/audio/transcriptions")
    assert (row["unit"], row["amount"], row["input"], row["metered"], row["estimated"]) == ("seconds", 9, 0, 1, 0)
    assert row["bytes_in"] > len(AUDIO)


def test_the_model_may_stand_behind_the_file(gateway: Gateway, media: Media) -> None:
    body = b'--e\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n' + AUDIO
    body += b'\r\n--e\r\ncontent-disposition: form-data; name="model"\r\n\r\nears\r\n--e--\r\n'
    for chunked in (False, True):
        content: Any = iter([body[:1000], body[1000:]]) if chunked else body
        answer = CLIENT.post(
            f"{gateway.url}/v1/audio/transcriptions", content=content, headers={"content-type": "multipart/form-data; boundary=e"}
        )
        assert answer.json()["text"] == "Hello"
    assert [asked.fields for asked in media.asked] == [{"file": SHA, "model": "whisper-1"}] * 2
    # What is changed has its length told, or is sent in chunks as it came.
    assert media.asked[0].headers["content-length"] == str(len(body) + len("whisper-1") - len("ears"))


def test_azures_clients_name_a_deployment(gateway: Gateway, media: Media) -> None:
    url = f"{gateway.url}/openai/deployments/ears/audio/transcriptions?api-version=2024-10-21"
    files: Any
    for files in ({"file": FILE}, {"file": FILE, "model": (None, "another")}):
        assert CLIENT.post(url, files=files).json()["text"] == "Hello"
    assert [asked.fields for asked in media.asked] == [{"file": SHA, "model": "whisper-1"}] * 2
    assert media.asked[0].path == "/v1/audio/transcriptions"


def test_a_provider_named_in_the_path(gateway: Gateway, media: Media, spare: Media) -> None:
    answer = CLIENT.post(f"{gateway.url}/providers/spare/v1/audio/transcriptions", files={"file": FILE, "model": (None, "either")})
    assert answer.json()["text"] == "Hello"
    assert (media.asked, spare.asked[0].fields["model"]) == ([], "gpt-4o-transcribe")


def test_tokens_of_a_transcription(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    o.audio.transcriptions.create(model="gpt-4o-transcribe", file=FILE)
    row = last(gateway, since)
    assert (row["input"], row["input_audio"], row["output"], row["unit"]) == (14, 10, 5, "")


def test_a_streamed_transcription(gateway: Gateway, o: openai.OpenAI, media: Media) -> None:
    since = time.time()
    events = list(o.audio.transcriptions.create(model="gpt-4o-transcribe", file=FILE, stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
    row = last(gateway, since)
    assert (row["stream"], row["outcome"], row["input"], row["input_audio"], row["output"]) == (1, "complete", 14, 10, 5)


def test_a_transcript_as_text(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    assert o.audio.transcriptions.create(model="ears", file=FILE, response_format="text") == "Hello\n"
    row = last(gateway, since)
    assert (row["metered"], row["input"], row["outcome"]) == (0, 0, "complete")


def test_a_translation(gateway: Gateway, media: Media) -> None:
    """The official SDK calls it deprecated."""
    answer = CLIENT.post(f"{gateway.url}/v1/audio/translations", files={"file": FILE, "model": (None, "ears")})
    assert answer.json()["text"] == "Hello"
    assert media.asked[0].path == "/v1/audio/translations"


def test_the_next_provider_is_asked_with_its_own_model(gateway: Gateway, o: openai.OpenAI, media: Media, spare: Media) -> None:
    since = time.time()
    media.broken = True
    assert o.audio.transcriptions.create(model="either", file=FILE).text == "Hello"
    assert (media.asked[0].fields["model"], spare.asked[0].fields["model"]) == ("whisper-1", "gpt-4o-transcribe")
    assert (media.asked[0].fields["file"], spare.asked[0].fields["file"]) == (SHA, SHA)
    assert spare.asked[0].headers["authorization"] == "Bearer sk-provider-spare"
    row = last(gateway, since)
    assert (row["provider"], row["attempts"], row["input"], row["input_audio"]) == ("spare", 2, 14, 10)


def test_what_the_adapter_counts_reaches_the_ledger(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    o.audio.transcriptions.create(model="either", file=FILE)
    row = last(gateway, since)
    assert (row["provider"], row["unit"], row["amount"]) == ("o", "seconds", 9)


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ({"file": FILE, "model": (None, "nobody")}, 404, "model_not_found"),
        ({"file": FILE}, 400, "missing_model"),
        ({"file": FILE, "model": (None, "claude-4")}, 404, "unsupported_endpoint"),
        ({"file": ("f", bytes(LIMIT)), "model": (None, "ears")}, 413, "request_too_large"),
        ({"model": ("f", "ears")}, 400, "invalid_form"),
    ],
)
def test_forms_that_are_refused(gateway: Gateway, media: Media, files: Any, status: int, code: str) -> None:
    answer = CLIENT.post(f"{gateway.url}/v1/audio/transcriptions", files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert media.asked == []


@pytest.mark.parametrize(
    ("content_type", "content", "status", "code"),
    [
        ("multipart/mixed; boundary=e", b"--e--", 415, "unsupported_media_type"),
        ("multipart/form-data; boundary=e", b"garbage", 400, "invalid_form"),
        ("multipart/form-data", b"", 400, "invalid_form"),
        ("multipart/form-data; boundary=e", iter([bytes(LIMIT)] * 2), 413, None),
        ("text/plain", b"model=ears", 415, "unsupported_media_type"),
    ],
)
def test_what_is_no_form(gateway: Gateway, media: Media, content_type: str, content: Any, status: int, code: str | None) -> None:
    answer = CLIENT.post(f"{gateway.url}/v1/images/edits", content=content, headers={"content-type": content_type})
    assert answer.status_code == status
    assert code is None or answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]
    assert media.asked == []


def test_images(gateway: Gateway, o: openai.OpenAI, media: Media) -> None:
    since = time.time()
    assert len(o.images.generate(model="dall-e-3", prompt="A cat", n=2).data or ()) == 2
    row = last(gateway, since)
    assert (row["unit"], row["amount"], row["input"]) == ("images", 2, 0)
    since = time.time()
    edited = o.images.edit(model="gpt-image-1", image=[("a.png", AUDIO, "image/png"), ("b.png", b"x", "image/png")], prompt="A hat")
    assert edited.data and edited.data[0].b64_json == IMAGE
    row = last(gateway, since)
    assert (row["unit"], row["amount"], row["input"], row["output"]) == ("images", 1, 50, 4160)
    varied = CLIENT.post(f"{gateway.url}/v1/images/variations", files={"image": ("a.png", AUDIO), "model": (None, "dall-e-2")})
    assert varied.json()["data"]
    assert [asked.path for asked in media.asked] == ["/v1/images/generations", "/v1/images/edits", "/v1/images/variations"]


def test_streamed_images(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    made = list(o.images.generate(model="gpt-image-1", prompt="A cat", stream=True, partial_images=1))
    assert [event.type for event in made] == ["image_generation.partial_image", "image_generation.completed"]
    row = last(gateway, since)
    assert (row["outcome"], row["input"], row["output"]) == ("complete", 50, 4160)
    since = time.time()
    edited = list(o.images.edit(model="gpt-image-1", image=("a.png", AUDIO, "image/png"), prompt="A hat", stream=True))
    assert [event.type for event in edited] == ["image_edit.partial_image", "image_edit.completed"]
    row = last(gateway, since)
    assert (row["stream"], row["outcome"], row["output"]) == (1, "complete", 4160)


def test_speech_is_passed_on_as_it_comes(gateway: Gateway, o: openai.OpenAI, media: Media) -> None:
    since = time.time()
    with o.audio.speech.with_streaming_response.create(model="gpt-4o-mini-tts", voice="alloy", input="Grüß Gott") as answer:
        pieces = answer.iter_bytes()
        assert next(pieces) == b"first"
        media.do(_go_on(media))
        assert b"".join(pieces) == b"second"
    row = last(gateway, since)
    assert (row["unit"], row["amount"], row["metered"], row["outcome"]) == ("characters", 9, 1, "complete")


def test_speech_as_events(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    with o.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello", stream_format="sse"
    ) as answer:
        assert b"speech.audio.done" in answer.read()
    row = last(gateway, since)
    assert (row["outcome"], row["input"], row["output"], row["amount"]) == ("complete", 14, 101, 5)


def test_what_was_refused_by_the_provider_costs_nothing(gateway: Gateway, o: openai.OpenAI, media: Media) -> None:
    since = time.time()
    media.broken = True
    with pytest.raises(openai.InternalServerError):
        o.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Hello")
    row = last(gateway, since)
    assert (row["unit"], row["amount"], row["status"]) == ("", 0, 503)


def test_moderations(o: openai.OpenAI) -> None:
    answer = o.moderations.create(model="omni-moderation-latest", input="I will...")
    assert answer.results[0].flagged
    assert answer.model == "omni-moderation-latest"


def test_amounts_are_reported(gateway: Gateway, o: openai.OpenAI) -> None:
    since = time.time()
    o.audio.transcriptions.create(model="ears", file=FILE)
    last(gateway, since)
    rows = gateway.ledger("model")
    (row,) = [row for row in rows if row["model"] == "ears"]
    assert row["seconds"] >= 9
    gateway.until(
        lambda: gateway.metrics().get('ai_proxy_amounts_total{model="ears",provider="o",unit="seconds"}', 0) >= 9, "it is a metric"
    )
