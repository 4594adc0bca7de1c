"""Pictures, files, sounds and films: Bedrock names formats where others name media types, and takes bytes or what lies in S3."""

import base64
import re

from extproc.dialects.hub import Audio, Document, Extra, Image, Video

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html
IMAGES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
DOCUMENTS = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_VideoBlock.html
VIDEOS = {
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "flv": "video/x-flv",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "wmv": "video/x-ms-wmv",
    "three_gp": "video/3gpp",
}

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_AudioBlock.html
AUDIOS = frozenset(
    ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm")
)  # fmt: skip

_AUDIO = {"pcm16": "pcm"}
_OTHER = {"image/jpg": "jpeg", "application/csv": "csv", "text/x-markdown": "md", "video/matroska": "mkv", "application/json": "txt"}
_SUFFIX = re.compile(r"\.([A-Za-z0-9]{1,8})$")

_FROM_URLS = str.maketrans("-_", "+/")

_NAMED = re.compile(r"[^A-Za-z0-9()\[\]_-]+")
_LONGEST_NAME = 200


def media_type(formats: dict[str, str], name: str) -> str:
    """The media type of a format."""
    return formats.get(name, name)


def format_of(formats: dict[str, str], given: str) -> str:
    """The format of a media type; the type itself where there is none, which nobody takes."""
    return next((name for name, known in formats.items() if known == given), given)


def known_format(formats: dict[str, str], given: str, name: str = "") -> str | None:
    """The format of a media type, or else of a file's name or URL; None if Bedrock takes none such."""
    bare = given.partition(";")[0].strip().lower()
    found = format_of(formats, bare)
    if found not in formats:
        found = _OTHER.get(bare, found)
    if found not in formats and not bare:
        suffix = _SUFFIX.search(name)
        found = suffix[1].lower() if suffix else ""
    if found not in formats and formats is DOCUMENTS and bare.startswith("text/"):
        found = "txt"
    return found if found in formats else None


def source(data: str, url: str) -> Extra | None:
    """Where the bytes are. Bedrock fetches nothing but what lies in S3."""
    if data:
        return {"bytes": _standard(data)}
    return {"s3Location": {"uri": url}} if url.startswith("s3://") else None


def _standard(data: str) -> str:
    """Base64 in the alphabet that Bedrock takes; Gemini's clients write the one for URLs, and leave out the end."""
    if data.find("-") >= 0 or data.find("_") >= 0:
        data = data.translate(_FROM_URLS)
    return data + "=" * (-len(data) % 4)


def write_image(block: Image) -> Extra | None:
    """A picture as Bedrock takes it; None if it does not."""
    return _written("image", known_format(IMAGES, block.media_type, block.url), source(block.data, block.url))


def write_video(block: Video) -> Extra | None:
    """A film as Bedrock takes it; None if it does not."""
    return _written("video", known_format(VIDEOS, block.media_type, block.url), source(block.data, block.url))


def write_audio(block: Audio) -> Extra | None:
    """Sound as Bedrock takes it; None if it does not."""
    name = _AUDIO.get(block.format, block.format)
    return _written("audio", name if name in AUDIOS else None, source(block.data, ""))


def write_document(block: Document, name: str) -> Extra | None:
    """A file as Bedrock takes it; None if it does not."""
    if block.text is not None:
        data = base64.b64encode(block.text.encode("utf-8", "surrogatepass")).decode()
        written = _written("document", "txt", source(data, ""))
    else:
        known = known_format(DOCUMENTS, block.media_type, block.name or block.url)
        written = _written("document", known, source(block.data, block.url))
    if written is not None:
        written["document"]["name"] = name
    return written


def _written(kind: str, known: str | None, where: Extra | None) -> Extra | None:
    return {kind: {"format": known, "source": where}} if known and where else None


class Names:
    """Names for documents: letters, digits, hyphens, brackets and single spaces, 200 at most, and no name twice in a request."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, wanted: str) -> str:
        """A name as like to `wanted` as Bedrock takes it. The format is told elsewhere, so the suffix goes."""
        plain = _NAMED.sub(" ", _SUFFIX.sub("", wanted)).strip()[:_LONGEST_NAME].rstrip() or "Document"
        name, number = plain, 1
        while name in self._given:
            number += 1
            name = f"{plain[: _LONGEST_NAME - 8].rstrip()} {number}"
        self._given.add(name)
        return name
