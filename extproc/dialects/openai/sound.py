"""Sound as input: OpenAI's object of data and format, or the data alone, as Mistral's SDK has it.

https://platform.openai.com/docs/guides/audio
https://docs.mistral.ai/capabilities/audio
"""

from base64 import b64decode

from extproc.dialects.fields import data_url, need_str, obj
from extproc.dialects.hub import Audio, Extra

_FIELD = "input_audio"
_HEAD = 16
"""Characters of base64 whose bytes tell the container."""
_CONTAINERS = (
    (0, b"RIFF", "wav"),
    (0, b"ID3", "mp3"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (4, b"ftyp", "m4a"),
    (0, b"\x1a\x45", "webm"),
)
_ALIASES = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}


def read_sound(rest: Extra, path: str) -> Audio | None:
    """A part with `input_audio`. None: it lies at a URL, or nobody can tell what it is."""
    if type(given := rest.get(_FIELD)) is str:
        audio = _alone(given)
        if audio is not None:
            del rest[_FIELD]
        return audio
    inner = obj(rest.pop(_FIELD, None), path + _FIELD)
    path += f"{_FIELD}."
    audio = Audio(need_str(inner, "data", path), need_str(inner, "format", path))
    if inner:
        rest[_FIELD] = inner
    return audio


def _alone(given: str) -> Audio | None:
    """Data without a word about their format; perhaps as a `data:` URL."""
    inline = data_url(given)
    data = inline[1] if inline else given
    kind = inline[0].removeprefix("audio/") if inline and inline[0].startswith("audio/") else container(data)
    return Audio(data, _ALIASES.get(kind, kind), local={_FIELD: given}) if kind else None


def container(data: str) -> str:
    """What sound in base64 comes in, by its first bytes; empty if that says nothing."""
    try:
        head = b64decode(data[:_HEAD], validate=True)
    except ValueError:
        return ""
    for place, mark, name in _CONTAINERS:
        if head.startswith(mark, place):
            return name
    # A frame of MPEG audio begins with eleven bits that are set; the layer tells MP3 from AAC (ISO/IEC 13818-7, ADTS: layer 0).
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "mp3" if head[1] & 0x06 else "aac"
    return ""


def write_sound(audio: Audio, *, own: bool = False, alone: bool = False) -> Extra:
    """The part. `own`: as this dialect's client gave it. `alone`: as Mistral takes it."""
    if own and _FIELD in audio.local:
        return {"type": _FIELD, _FIELD: audio.local[_FIELD]}
    return {"type": _FIELD, _FIELD: audio.data if alone else {"data": audio.data, "format": audio.format}}
