"""Keys that stayed in the state folder when the store moved are told of, once, and only where both can be asked."""

import logging
from pathlib import Path

import pytest

from extproc.control.moved import Moved, Unasked, left_behind
from tests import stored


async def test_keys_that_are_not_there_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    there = tmp_path / "there"
    url = f"sqlite:///{there}/store.sqlite"
    moved = Moved(tmp_path)
    assert left_behind(tmp_path, url) == left_behind(tmp_path, "") == ""
    stored.create(tmp_path, "one")
    with pytest.raises(Unasked):
        left_behind(tmp_path, f"sqlite:///{tmp_path}/missing/store.sqlite")
    stored.create(there, "other")
    await moved.look(url, up=False)
    assert not caplog.records
    for _ in range(2):
        await moved.look(url, up=True)
    (told,) = caplog.messages
    assert "has 1 key that the store there does not know" in told and "headgate store copy" in told
    stored.revoke(tmp_path, "one")
    assert left_behind(tmp_path, url) == ""
