"""Who writes a field wrong is told the right one."""

from typing import Any

import pytest

from extproc.admin.bodies import KeyPatch, NewKey, NewMember, NewPlan
from extproc.admin.unknown import near


@pytest.mark.parametrize(
    ("body", "where", "field", "meant"),
    [
        (NewMember, "", "user", "user_id"),
        (NewKey, "", "expires", "expires_at"),
        (NewKey, "settings", "modles", "models"),
        (NewKey, "settings.limits[...]", "ammount", "amount"),
        (KeyPatch, "settings.limits[...]", "windows", "window"),
        (NewPlan, "limits[...]", "unti", "unit"),
    ],
)
def test_the_nearest_field_is_named(body: Any, where: str, field: str, meant: str) -> None:
    assert near(f"Object contains unknown field `{field}`", body, where) == f"; did you mean `{meant}`?"


def test_nothing_is_guessed() -> None:
    assert near("Object contains unknown field `zzzzzz`", NewMember, "") == near("Expected `str`, got `int`", NewMember, "") == ""
