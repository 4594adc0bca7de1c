"""What memory there is, and what of it is a worker's."""

from pathlib import Path

from extproc import memory

GB = 1 << 30


def test_what_this_process_takes() -> None:
    assert 10 << 20 < memory.resident() < 100 * GB
    before = memory.resident()
    more = b"x" * (64 << 20)
    assert memory.resident() - before > len(more) // 2


def test_a_container_has_what_its_limit_says(tmp_path: Path) -> None:
    whole = memory.available(())
    files = [tmp_path / name for name in ("absent", "unlimited", "limit", "huge")]
    for path, text in zip(files[1:], ("max\n", "104857600\n", "9223372036854771712\n"), strict=True):
        path.write_text(text)
    absent, unlimited, limit, huge = map(str, files)
    assert memory.available((absent, unlimited, limit)) == 100 << 20
    assert memory.available((absent, unlimited)) == memory.available((huge,)) == whole > 100 << 20


def test_shares() -> None:
    assert memory.bound(5 * GB, 4) == 5 * GB
    # Each is rounded down.
    assert 0 <= memory.bound(None, 2) - memory.bound(None, 4) * 2 <= 1
    assert memory.bound(None, 2) < memory.available()
    assert memory.bodies(7, GB) == 7
    assert memory.bodies(None, 2 * GB) == GB // 2
    assert memory.bodies(None, 100 * GB) == GB
