"""Sound that comes without a word about its format, as Mistral's SDK sends it."""

import copy
from base64 import b64encode
from typing import Any

import pytest
from mistralai.client.models import AudioChunk

from extproc.dialects import DIALECTS, heard
from extproc.dialects.hub import Audio, Conversation
from extproc.dialects.openai.sound import container
from extproc.dialects.quirks import Quirks

WAV = b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
HEADS = {
    b"RIFF\x24\x00\x00\x00WAVE": "wav",
    b"ID3\x04\x00\x00\x00\x00\x00\x00\x00\x00": "mp3",
    b"\xff\xfb\x90\x64" * 3: "mp3",
    b"\xff\xf3\x90\x64" * 3: "mp3",
    b"\xff\xf1\x50\x80" * 3: "aac",
    b"OggS\x00\x02" * 2: "ogg",
    b"fLaC\x00\x00" * 2: "flac",
    b"\x00\x00\x00\x20ftypM4A ": "m4a",
    b"\x1a\x45\xdf\xa3" * 3: "webm",
    b"words and more": "",
    b"": "",
}
ELSEWHERE = ["https://x.test/a.mp3", "no base64", "d29yZHMgYW5kIG1vcmU=", "é"]


def asked(sound: Any, sdk: str = "mistral") -> tuple[dict[str, Any], Conversation]:
    part = {"type": "input_audio", "input_audio": sound}
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hear:"}, part]}]}
    return body, heard("openai", "/v1/chat/completions", "chat", sdk).read_request(copy.deepcopy(body))


@pytest.mark.parametrize(("head", "expected"), HEADS.items())
def test_the_first_bytes_tell_what_it_is(head: bytes, expected: str) -> None:
    assert container(b64encode(head).decode()) == expected


@pytest.mark.parametrize(
    ("given", "sound"),
    [
        (WAV, (WAV, "wav")),
        (f"data:audio/wav;base64,{WAV}", (WAV, "wav")),
        (f"data:audio/mpeg;base64,{WAV}", (WAV, "mp3")),
        (f"data:application/octet-stream;base64,{WAV}", (WAV, "wav")),
        ({"data": WAV, "format": "mp3"}, (WAV, "mp3")),
    ],
)
def test_it_reaches_other_dialects(given: Any, sound: tuple[str, str]) -> None:
    if type(given) is str:
        AudioChunk.model_validate({"input_audio": given})
    for sdk in ("", "mistral"):
        _, conversation = asked(given, sdk)
        (_, block) = conversation.messages[0].blocks
        assert type(block) is Audio and (block.data, block.format) == sound
        written = DIALECTS["gemini"].write_request(conversation, "gemini-3-pro")
        assert {"inlineData": {"mimeType": f"audio/{sound[1]}", "data": sound[0]}} in written["contents"][0]["parts"]
        assert conversation.dropped == []


@pytest.mark.parametrize("given", [WAV, f"data:audio/wav;base64,{WAV}", *ELSEWHERE, {"data": WAV, "format": "wav", "new": 1}])
def test_it_comes_back_as_it_was(given: Any) -> None:
    body, conversation = asked(given, "")
    assert DIALECTS["openai"].write_request(conversation, "m")["messages"] == body["messages"]


@pytest.mark.parametrize("given", ELSEWHERE)
def test_what_cannot_be_told_is_named(given: str) -> None:
    for target in ("openai", "gemini", "bedrock", "responses"):
        _, conversation = asked(given)
        DIALECTS[target].write_request(conversation, "gpt-5")
        assert conversation.dropped == ["messages[].content[].input_audio"]


def test_openai_gets_its_form_and_mistral_its_own() -> None:
    _, conversation = asked(WAV)
    written = DIALECTS["openai"].write_request(conversation, "gpt-audio")
    assert written["messages"][0]["content"][1] == {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
    said = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": WAV}}, {"text": "Hear."}]}]}
    of_google = DIALECTS["gemini"].read_request({"model": "m", **said})
    written = DIALECTS["openai"].write_request(of_google, "voxtral-small", Quirks(sdk="mistral"))
    assert written["messages"][0]["content"][0] == {"type": "input_audio", "input_audio": WAV}
