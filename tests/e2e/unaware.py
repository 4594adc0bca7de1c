"""An application that knows nothing of a gateway: it makes its SDKs' clients with no argument at all, and asks.

`once`: ends then. `serve`: goes on until SIGTERM, and asks once more before it ends.
"""

import json
import signal
import sys
import threading


def ask() -> list[str | None]:
    """By the SDKs that most programs use."""
    import anthropic  # noqa: PLC0415 - who asks others needs not wait for these
    import openai  # noqa: PLC0415

    client = openai.OpenAI(max_retries=0)
    chat = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "Hello"}])
    stream = client.chat.completions.create(model="claude-demo", messages=[{"role": "user", "content": "Hello"}], stream=True)
    words = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    messages = anthropic.Anthropic(max_retries=0).messages
    message = messages.create(model="demo", max_tokens=64, messages=[{"role": "user", "content": "Hello"}])
    return [chat.choices[0].message.content, words, "".join(block.text for block in message.content if block.type == "text")]


def ask_others() -> list[str | None]:
    """By those of other providers."""
    import cohere  # noqa: PLC0415 - as above
    import ollama  # noqa: PLC0415
    from google import genai  # noqa: PLC0415

    client = genai.Client()
    gemini = client.models.generate_content(model="demo", contents="Hello")
    chat = cohere.ClientV2().chat(model="demo", messages=[cohere.UserChatMessageV2(content="Hello")])
    said = "".join(part.text for part in chat.message.content or () if part.type == "text")
    local = ollama.chat("demo", [{"role": "user", "content": "Hello"}])
    return [gemini.text, said, local.message.content]


def tell(answers: list[str | None]) -> None:
    """A line of JSON."""
    sys.stdout.write(json.dumps(answers) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Asks, waits for SIGTERM, and asks again."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    tell(ask())
    while not ended.wait(0.1):
        pass
    tell(ask())


if __name__ == "__main__":
    if sys.argv[1] == "once":
        tell(ask_others())
    else:
        serve()
