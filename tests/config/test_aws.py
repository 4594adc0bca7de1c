"""The section `aws` of a provider."""

import pytest

from tests.config.settings import Load, told

BASE = """
providers:
  it: {dialect: bedrock, base_url: "https://bedrock-runtime.us-east-1.amazonaws.com", aws: %s}
models:
  - {name: x, targets: [it]}
"""
ENVIRON = {"ID": "AKID", "SECRET": "s3cret", "TOKEN": "t0ken"}
ALL = "{region: us-east-1, access_key: 'env:ID', secret_key: 'env:SECRET', session_token: 'env:TOKEN'}"


@pytest.mark.parametrize(
    "aws",
    [
        ALL,
        "{region: us-gov-west-1}",
        "{region: ap-southeast-2, service: bedrock}",
        "{region: us-east-1, access_key: AKID, secret_key: 'env:SECRET'}",
    ],
)
def test_right_sections(load_text: Load, aws: str) -> None:
    loaded = load_text(BASE % aws, ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None and loaded.config.providers["it"].aws is not None
    assert loaded.config.providers["it"].aws.service == "bedrock"


@pytest.mark.parametrize(
    ("aws", "path", "part"),
    [
        ("{}", "$.providers.it.aws", 'the key "region" is missing'),
        ("{region: US East}", "$.providers.it.aws.region", "a region of AWS"),
        ("{region: us-east-1, access_key: 'env:ID'}", "$.providers.it.aws", "go together"),
        ("{region: us-east-1, session_token: 'env:TOKEN'}", "$.providers.it.aws", "go together"),
        ("{region: us-east-1, access_key: 'env:ID', secret_key: 'env:NONE'}", "$.providers.it.aws.secret_key", "NONE is not set"),
        ("{region: us-east-1, access_key: 'A B', secret_key: 'env:SECRET'}", "$.providers.it.aws.access_key", "no credential has"),
        ("{region: us-east-1}, key: k", "$.providers.it.key", "take one of them out"),
        ("{regoin: us-east-1}", "$.providers.it.aws.regoin", 'did you mean "region"?'),
    ],
)
def test_wrong_sections(load_text: Load, aws: str, path: str, part: str) -> None:
    found = [message for at, _, message in told(load_text(BASE % aws, ENVIRON)) if at == path]
    assert found and part in found[0], told(load_text(BASE % aws, ENVIRON))


def test_a_secret_that_stands_in_the_file(load_text: Load) -> None:
    loaded = load_text(BASE % "{region: us-east-1, access_key: AKID, secret_key: plain}")
    assert [path for path, _, _ in told(loaded, "warning")] == ["$.providers.it.aws.secret_key"]


def test_an_optional_provider_without_its_access_key(load_text: Load) -> None:
    text = BASE % (ALL + ", optional: true") + "  - {name: y, targets: [o]}\n"
    text = text.replace("providers:\n", "providers:\n  o: {dialect: openai, base_url: 'https://h'}\n")
    loaded = load_text(text)
    assert loaded.problems == []
    assert [(absent.kind, absent.name) for absent in loaded.absent] == [("provider", "it"), ("model", "x")]
    present = load_text(text, ENVIRON)
    assert present.config is not None and list(present.config.providers) == ["o", "it"]


def test_the_catalogues_entry(load_text: Load) -> None:
    """It signs for the setting `region`, unless a key is given; and what the section says goes before that."""
    models = "models:\n  - {name: x, targets: [bedrock]}\n"
    text = "providers:\n  bedrock:\n    settings: {region: eu-west-1}\n"
    for more, region in (
        ("", "eu-west-1"),
        ("    aws: {access_key: 'env:ID', secret_key: 'env:SECRET'}\n", "eu-west-1"),
        ("    aws: {region: us-west-2}\n", "us-west-2"),
    ):
        loaded = load_text(text + more + models, ENVIRON)
        assert loaded.problems == []
        assert loaded.config is not None and loaded.config.providers["bedrock"].aws is not None
        provider = loaded.config.providers["bedrock"]
        assert provider.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
        assert provider.aws is not None
        assert (provider.aws.region, provider.key) == (region, None)
    own = "    catalogue: bedrock\n    base_url: https://vpce.example.com\n    aws: {access_key: 'env:ID', secret_key: 'env:SECRET'}\n"
    loaded = load_text(text + own + models, ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None and loaded.config.providers["bedrock"].aws is not None
    assert loaded.config.providers["bedrock"].aws.region == "eu-west-1"
    loaded = load_text(text + "    key: env:SECRET\n" + models, ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None
    assert (loaded.config.providers["bedrock"].key, loaded.config.providers["bedrock"].aws) == ("s3cret", None)
