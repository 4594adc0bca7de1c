"""Translated requests, each a file: the request and the target's model, a line, and what the provider gets and what was dropped.

`pytest --update` writes what comes out now; read the difference before you keep it.
"""

import json
from pathlib import Path

import pytest

from extproc.dialects import DIALECTS
from tests.cases import cases

GOLDEN = Path(__file__).parent / "golden"
LINE = "\n----------\n"


@cases("file", sorted(GOLDEN.glob("*.txt")), ids=lambda file: file.stem)
def test_translation(file: Path, request: pytest.FixtureRequest) -> None:
    source, _, target = file.name.split(".")[0].split("-")
    given, expected = file.read_text().split(LINE)
    asked = json.loads(given)
    conversation = DIALECTS[source].read_request(asked["request"])
    body = DIALECTS[target].write_request(conversation, asked["model"])
    result = {"request": body, "dropped": conversation.dropped}
    if request.config.getoption("--update", default=False):
        file.write_text(given + LINE + json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return
    assert result == json.loads(expected)
    again = DIALECTS[source].read_request(asked["request"])
    assert DIALECTS[target].write_request(again, asked["model"]) == body, "writing is not repeatable"
