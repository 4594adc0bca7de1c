"""Where sockets are: short enough for the kernel, the same at the next start, and never in a folder of somebody else's."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.control.run_dir import sockets_folder

LONG = "x" * 100


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # pytest's own folders are too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_deep_folder_for_temporary_files_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / LONG))
    found = sockets_folder(tmp_path / LONG)
    assert found.parent == Path("/tmp")
    found.rmdir()


def test_a_short_path_stays_inside() -> None:
    assert sockets_folder(Path("/srv/state")) == Path("/srv/state/run")


def test_a_long_one_is_used_again(elsewhere: Path) -> None:
    first = sockets_folder(Path("/srv", LONG))
    assert first.parent == elsewhere
    assert first.stat().st_mode & 0o777 == 0o700
    assert sockets_folder(Path("/srv", LONG)) == first
    assert sockets_folder(Path("/srv2", LONG)) != first


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_folder_that_is_not_ours_alone(elsewhere: Path, trap: str) -> None:
    guessed = sockets_folder(Path("/srv", LONG))
    guessed.rmdir()
    if trap == "open":
        guessed.mkdir(mode=0o777)
        guessed.chmod(0o777)
    elif trap == "link":
        guessed.symlink_to(elsewhere)
    else:
        guessed.touch()
    found = sockets_folder(Path("/srv", LONG))
    assert found != guessed
    assert found.stat().st_mode & 0o777 == 0o700
    # Whoever looks for the gateway finds the same.
    assert sockets_folder(Path("/srv", LONG)) == found


def test_where_somebody_has_taken_every_name(elsewhere: Path) -> None:
    guessed = sockets_folder(Path("/srv", LONG))
    guessed.rmdir()
    guessed.touch()
    for number in range(1, 100):
        guessed.with_name(f"{guessed.name}-{number}").touch()
    with pytest.raises(FileExistsError, match="shorter --state"):
        sockets_folder(Path("/srv", LONG))
