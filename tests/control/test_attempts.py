"""Envoy's log of attempts: why one had no answer, read as the log grows, through rotations."""

import json
from pathlib import Path
from typing import Any

import pytest

from extproc.control.attempts import AttemptsLog, Unanswered, read_line

BEGAN = 1795338179.273


def line(request: str = "r-1", flags: str = "UF", **more: Any) -> str:
    usual = {"cluster": "provider_a", "flags": flags, "request_id": request, "start_time": "2026-11-22T09:02:59.273Z", "status": 0}
    return json.dumps({**usual, **more}) + "\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Unanswered("a", "connect", BEGAN)),
        ({"transport_failure": "delayed_connect_error:_111"}, Unanswered("a", "connect", BEGAN)),
        ({"transport_failure": "socket_creation_failure"}, Unanswered("a", "socket_creation_failure", BEGAN)),
        ({"flags": "UT"}, Unanswered("a", "timeout", BEGAN)),
        ({"flags": "UC,UPE"}, Unanswered("a", "reset", BEGAN)),
        ({"cluster": "provider_a~1f2e3d4c"}, Unanswered("a", "connect", BEGAN)),
        ({"cluster": "headgate_no_address", "start_time": "?"}, Unanswered("", "connect", 0.0)),
        ({"flags": "UC,DC"}, None),
        ({"flags": "-"}, None),
        ({"flags": None}, None),
        ({"status": 200, "flags": "UPE"}, Unanswered("a", "reset", BEGAN, half=True)),
        ({"status": 200, "flags": "SI"}, Unanswered("a", "timeout", BEGAN, half=True)),
        ({"status": 200, "flags": "DC"}, None),
        ({"request": ""}, None),
    ],
)
def test_a_line(more: dict[str, Any], expected: Unanswered | None) -> None:
    found = read_line(line(**more).encode())
    assert found == (("r-1", expected) if expected is not None else None)


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b'{"request_id": 5}', b"\xff"])
def test_no_line_of_ours(text: bytes) -> None:
    assert read_line(text) is None


def test_it_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "attempts.log"
    path.write_text(line("before"))
    log = AttemptsLog(path)
    log.read()
    with path.open("a") as file:
        file.write(line("r-1") + line("r-1", "UT", cluster="provider_b") + line("half")[:-5])
    log.read()
    assert log.find("before", "a") is None, "it is from before the start"
    assert log.find("half", "a") is None
    assert log.find("r-1", "c") is None
    assert log.find("r-1", "b") == Unanswered("b", "timeout", BEGAN)
    assert log.find("r-1", "a") == Unanswered("a", "connect", BEGAN)
    assert log.find("r-1", "a") is None, "each is found once"
    with path.open("a") as file:
        file.write("\n" + line("r-2", "UPE", status=200))
    log.read()
    assert log.find("r-2", "a") is None, "it had an answer"
    assert log.find("r-2", "a", half=True) == Unanswered("a", "reset", BEGAN, half=True)


def test_nothing_is_lost_when_it_is_rotated(tmp_path: Path) -> None:
    path, old = tmp_path / "attempts.log", tmp_path / "attempts.log.1"
    log = AttemptsLog(path)
    log.read()
    path.write_text(line("first"))
    log.read()
    with path.open("a") as envoy:
        envoy.write(line("second"))
        envoy.flush()
        path.replace(old)
        envoy.write(line("third"))
    log.read()
    path.write_text(line("fourth"))
    log.read()
    assert all(log.find(name, "a") for name in ("first", "second", "third", "fourth"))
    path.replace(old)
    path.write_text("")
    log.read()
    assert log.find("fourth", "a") is None, "it is not read again"


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "attempts.log"
    log = AttemptsLog(path)
    log.read()
    path.write_text("".join(line(f"r-{number}") for number in range(5000)))
    for _ in range(3):
        log.read()
    assert log.find("r-0", "a") is None
    assert log.find("r-4999", "a") is not None
