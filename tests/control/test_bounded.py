from collections.abc import AsyncIterator

import pytest

from extproc.control.bounded import up_to


@pytest.mark.parametrize(("many", "expected", "read"), [(0, b"", 0), (2, b"abab", 2), (3, b"ababab", 3), (9, b"ababab", 3)])
async def test_what_is_longer_is_known_by_its_length(many: int, expected: bytes, read: int) -> None:
    count = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal count
        for _ in range(many):
            count += 1
            yield b"ab"

    assert await up_to(4, pieces()) == expected
    assert count == read
