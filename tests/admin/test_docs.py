"""The bodies that the documentation shows are bodies that are taken."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from extproc.admin.bodies import NewKey, NewMember, NewPlan, NewUser

PAGE = Path(__file__).parents[2] / "docs" / "administration.md"
VARIABLES = {"'$USER'": "user_ann", "$USER": "user_ann", "'$PLAN'": "plan_free"}


def bodies(path: str) -> list[str]:
    """What the page sends to a path that ends so."""
    text = PAGE.read_text()
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    found = re.findall(rf"""curl -sS \$API\S*/{path} .*?-d (?:'([^']*)'|"((?:[^"\\]|\\.)*)")""", text, re.DOTALL)
    return [plain or quoted.replace('\\"', '"') for plain, quoted in found]


@pytest.mark.parametrize(
    ("path", "type", "count"), [("plans", NewPlan, 1), ("users", NewUser, 1), ("members", NewMember, 1), ("keys", NewKey, 2)]
)
def test_bodies_of_the_page(path: str, type: Any, count: int) -> None:
    assert len([msgspec.json.decode(body, type=type) for body in bodies(path)]) == count
