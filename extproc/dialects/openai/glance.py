"""What most chunks of a stream say, known at a glance: see `plain`."""

from extproc.dialects.hub import Extra


def words(chunk: Extra) -> tuple[int, str] | None:
    """The choice, and more of its text, of a chunk that says nothing beside."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or chunk.get("usage") is not None or "x_groq" in chunk:
        return None
    choice = choices[0]
    if type(choice) is not dict or choice.get("finish_reason") is not None or choice.get("logprobs"):
        return None
    index, delta = choice.get("index", 0), choice.get("delta")
    if type(index) is not int or type(delta) is not dict or len(delta) != (2 if "role" in delta else 1):
        return None
    text = delta.get("content")
    return (index, text) if type(text) is str and text else None
