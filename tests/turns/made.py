"""Turns for tests."""

from typing import Any

import msgspec

from extproc.turns.turn import Turn


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def turn(id: str, previous: str = "", *, size: int = 0) -> Turn:
    """A turn in which `id` is asked, and answered."""
    given = [said(f"ask {id}" + "x" * size)]
    response = {"id": id, "status": "completed", "model": "m"}
    encode = msgspec.json.encode
    return Turn(id=id, previous=previous, input=encode(given), output=encode([said(id, "assistant")]), response=encode(response))
