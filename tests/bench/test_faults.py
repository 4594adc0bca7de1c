"""The fault suite finds what is wrong, and what it sends is what it says; a few of its scenarios on a real gateway."""

import gzip
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.faults import checks, http2, report, stages, words
from bench.faults.deeds import DEEDS, brotli, zstandard
from bench.faults.expected import FATES, fits
from bench.faults.hostile import Heard
from bench.faults.load import KINDS, Caller, Kind, Told, code_of, request
from bench.faults.play import SLOW, play
from bench.faults.resources import DESCRIPTORS
from bench.faults.setting import Setting, alone, config, helped, key, providers
from bench.faults.site import Entry, Site
from bench.faults.stages import NEVER_OPEN
from bench.faults.sweep import Row, Swept, sweep
from bench.faults.tls import TRUSTED, meetings
from extproc.dialects import DIALECTS
from tests.e2e.gateway import Gateway

OPENAI = Kind("openai", stream=False)
COMPLETE = {"outcome": "complete", "input": words.INPUT, "output": words.OUTPUT, "cache": ""}


def told(word: str = "200", *, id: str = "1", model: str = "good", mixed: bool = False, stream: bool = False) -> Told:
    status = int(word[:3]) if word[:3].isdigit() else 200
    return Told(Kind("openai", stream), model, "marker-x-1", word, status, id, 0.0, 1.0, mixed)


def heard(fault: str = "good", id: str = "1", shown: str = "") -> Heard:
    return Heard(fault, id, f"/{fault}/v1/chat/completions", (f"Bearer {shown or key(fault)}",))


def test_every_fault_is_known_and_explained(tmp_path: Path) -> None:
    elsewhere = {*meetings(tmp_path, http2.meetings([])), "refused", "unresolved"}
    assert {*FATES} == {*DEEDS} | elsewhere
    assert len({*stages.NAMES}) == len(stages.NAMES)
    assert stages.chosen(["redis-f*", "silent"]) == ["silent", "redis-flushed", "redis-failed-over"]


def test_what_fits() -> None:
    fate = FATES["reset-mid-body"]
    assert fits("cut", fate.of(stream=True, helped=True))
    assert not fits("200", fate.of(stream=True, helped=True))
    assert fits("502 provider_unreachable", fate.of(stream=False, helped=False))
    assert fits("200", fate.of(stream=False, helped=True))
    assert not fits("503 overloaded", fate.of(stream=False, helped=True))


def test_good_answers_are_read_by_the_dialects() -> None:
    for name in ("openai", "anthropic"):
        answer = DIALECTS[name].read_answer(msgspec.json.decode(words.whole(name, "marker-x-1")))
        assert answer.usage is not None
        assert (answer.usage.input, answer.usage.output) == (words.INPUT, words.OUTPUT)
        assert words.MARKER.findall(b"".join(words.stream(name, "marker-x-1"))) == [b"marker-x-1"]


@pytest.mark.parametrize("size", [10, 255, 256, 300, 60_000])
def test_what_is_packed_without_compression(size: int) -> None:
    """Its frames, field by field: no library for either comes with Python."""
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    packed = brotli(data)
    head = int.from_bytes(packed[:3], "little")
    assert (head & 0b1111, (head >> 4 & 0xFFFF) + 1, head >> 20) == (0, size, 1)
    assert packed[3:] == data + b"\x03"
    frame = zstandard(data)
    assert frame[:4] == b"\x28\xb5\x2f\xfd"
    at = 7 if size >= 256 else 6
    assert int.from_bytes(frame[5:at], "little") + (256 if size >= 256 else 0) == size
    assert int.from_bytes(frame[at : at + 3], "little") == size << 3 | 1
    assert frame[at + 3 :] == data
    with pytest.raises(zlib.error):
        zlib.decompress(data, 31)
    assert gzip.decompress(gzip.compress(data)) == data


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"error":{"code":"overloaded","type":"x"}}', "overloaded"), (b'{"error":{"code":null,"type":"api_error"}}', "api_error"),
        (b'{"error":{"code":503,"status":"UNAVAILABLE"}}', "UNAVAILABLE"), (b"<html>", "unreadable"), (b"[]", "unreadable"),
    ],
)  # fmt: skip
def test_what_an_error_says_that_it_is(text: bytes, code: str) -> None:
    assert code_of(text) == code


def test_each_kind_is_asked_as_its_dialect_asks() -> None:
    asked = [request(kind, "good", "Say marker-x-1.") for kind in KINDS]
    assert len({path for path, _ in asked}) == 4
    assert all(words.MARKER.search(words.encoded(body)) for _, body in asked)


def test_the_checks_find_what_is_wrong() -> None:
    good: dict[str, Entry] = {"1": dict(COMPLETE)}
    assert not checks.mixed([told()])
    assert checks.mixed([told(mixed=True)])
    assert not checks.kept_out([told("401 invalid_api_key", id="2")], [heard()])
    assert checks.kept_out([told("200", id="2")], [heard()])
    assert checks.kept_out([told("401 x", id="1")], [heard()])
    assert not checks.credentials([heard()])
    assert checks.credentials([heard(shown="sk-of-alice")])
    assert not checks.booked([heard()], good)
    assert checks.booked([heard(id="3")], good)
    assert not checks.charged([told()], good)
    assert checks.charged([told(id="3")], good)
    assert checks.charged([told()], {"1": {**COMPLETE, "output": 2 * words.OUTPUT}})
    assert checks.charged([told()], {"1": {**COMPLETE, "input": 0, "output": 0, "cache": "hit"}})
    assert not checks.charged([told()], {"1": {**COMPLETE, "input": 0, "output": 0, "cache": "hit"}}, cached=True)
    assert checks.not_twice([told(), told("cut", id="4")], {"1": {**COMPLETE, "output": 0}}) == []
    assert checks.not_twice([told()], {"1": {**COMPLETE, "output": 2 * words.OUTPUT}})
    assert checks.not_twice([told()], {})
    assert checks.refusals_free([told("503 x")], {"1": {**COMPLETE, "outcome": "error"}})
    assert len(checks.some([str(number) for number in range(20)])) == 6


def test_the_page_is_put_between_its_marks(tmp_path: Path) -> None:
    row = Row(name="silent", what="never answers", told=[told("504 provider_timeout", model=alone("silent")), told(model=helped("silent"))])
    swept = Swept(rows=[row], steady=[told()], refused=[told("401 x")], problems=[])
    page = report.page(swept, [], 12.0)
    assert "| `silent` | never answers | 504 `provider_timeout` |  | 200 |" in page
    assert report.problems(Swept(rows=[row], steady=[], refused=[], problems=["a"]), []) == ["a"]
    path = tmp_path / "page.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(path, page)
    assert path.read_text() == f"before\n{report.BEGIN}\n\n{page}\n\n{report.END}\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="has no"):
        report.write(path, page)


class Adopted(Site):
    """A gateway that the tests have started, in the quick way that they have."""

    def __init__(self, folder: Path, config: dict[str, Any], trusted: Path) -> None:
        super().__init__(folder, config)
        self.gateway = Gateway(folder, self.document(), {"SSL_CERT_FILE": str(trusted)})
        self.port, self.url = self.gateway.port, self.gateway.url

    @property
    def pid(self) -> int:
        return self.gateway.pid


FEW = ("status-429", "reset-after-body", "malformed-sse", "gzip-false", "length-twice", "h2-trailers", "bedrock-malformed-later")
"""Each of another kind: a status, the connection, a stream's events, packing, framing, HTTP/2 and another dialect."""


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    async with providers() as (folder, hostile):
        site = Adopted(tmp_path, config(hostile, [*FEW, SLOW], breaker=NEVER_OPEN), folder / TRUSTED)
        with site.gateway:
            caller = Caller(site.url)
            yield Setting(site, hostile, caller)
            await caller.close()


async def test_a_few_scenarios(setting: Setting) -> None:
    swept = await sweep(setting, FEW)
    name = "workers-descriptors"
    played = await play(setting, name, DESCRIPTORS[name])
    assert report.problems(swept, [played]) == []
    assert len(swept.rows) == len(FEW)
    assert all(len(row.told) == 2 * len(KINDS) for row in swept.rows)
    assert played.reached > 20
