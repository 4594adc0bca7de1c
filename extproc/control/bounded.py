"""What strangers send, read up to a bound."""

from collections.abc import AsyncIterable


async def up_to(most: int, pieces: AsyncIterable[bytes]) -> bytes:
    """All of it; of what is longer than `most` bytes its beginning, which is longer, too, so that whoever reads it knows."""
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > most:
            break
    return bytes(found)
