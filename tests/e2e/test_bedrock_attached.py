"""Requests are signed at an Envoy that somebody else runs, too: the printed clusters do it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.amazon import CLAUDE, PROFILE, SECRETS, Amazon
from tests.e2e.clients import openai_sdk
from tests.e2e.gateway import chat
from tests.e2e.test_attach import HASH, KEY, Beside, pasted, theirs


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    with Amazon() as running:
        yield running


@pytest.fixture(scope="module", params=["attach", "sidecar"])
def beside(request: pytest.FixtureRequest, amazon: Amazon) -> Iterator[Beside]:
    one, two = ({"region": "eu-west-1", "access_key": key, "secret_key": SECRETS[key]} for key in ("AKIDONE", "AKIDTWO"))
    named = amazon.url.replace("127.0.0.1", "localhost")
    providers = {
        "one": {"dialect": "bedrock", "base_url": named, "aws": one},
        "two": {"dialect": "bedrock", "base_url": amazon.url, "aws": two},
    }
    models = [{"name": "claude", "targets": [f"one/{CLAUDE}"]}, {"name": "both", "targets": [f"one/{CLAUDE}", f"two/{PROFILE}"]}]
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        filters = [{"auth": {"keys": [{"name": "caller", "hash": HASH}]}}, {"route": {}}]
        gateway = Beside({"providers": providers, "models": models, "filters": filters}, Path(folder))
        printed = yaml.safe_load(gateway.run("compile", request.param, "gateway.yaml", "--run-dir", folder))
        with gateway.running(pasted(theirs(gateway.port, amazon), printed) if request.param == "attach" else printed):
            yield gateway


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_every_attempt_is_signed(beside: Beside, amazon: Amazon, stream: bool, size: int) -> None:
    with openai_sdk(beside.url, KEY) as client:
        for model, keys in (("claude", ["AKIDONE"]), ("both", ["AKIDONE", "AKIDTWO"])):
            amazon.reset()
            amazon.busy = len(keys) - 1
            asked = chat("x" * size, model)
            if stream:
                chunks = list(client.chat.completions.create(**asked, stream=True))
                text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            else:
                text = client.chat.completions.create(**asked).choices[0].message.content or ""
            assert text == "Hello"
            assert amazon.faults == [""] * len(keys)
            assert [key for _, key in amazon.seen()] == keys
