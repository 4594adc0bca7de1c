"""Which clusters sign, with what, and where in the chain."""

from typing import Any

import pytest

from extproc.config.model import Aws, Config, Model, Provider
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.places import Places
from tests.envoy.test_clusters import PROTOCOL

URL = "https://bedrock-runtime.us-east-1.amazonaws.com"
ADDRESS = "https://10.0.0.7"


def filters(aws: Aws | None, *, adapter: bool = False, url: str = URL) -> list[dict[str, Any]]:
    """Those of the cluster that the gate names. One behind it has none: they would not run."""
    config = Config(providers={"it": Provider(dialect="bedrock", base_url=url, aws=aws)}, models=(Model(name="*", targets=("it",)),))
    first, *behind = [_filters(cluster) for cluster in provider_clusters(config, Places(), adapter=adapter)]
    assert not any(behind)
    return first


def _filters(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    options = cluster.get("typed_extension_protocol_options", {})
    found: list[dict[str, Any]] = options.get(PROTOCOL, {}).get("http_filters", [])
    return found


def test_only_who_has_credentials_of_aws_signs() -> None:
    assert filters(None) == []
    assert [one["name"] for one in filters(None, adapter=True)] == ["headgate.adapter", "envoy.filters.http.upstream_codec"]


@pytest.mark.parametrize("url", [URL, ADDRESS])
@pytest.mark.parametrize("adapter", [False, True])
def test_what_the_attempt_made_is_signed(adapter: bool, url: str) -> None:
    """A cluster's filters replace the router's, so the adapter has to be among them, and before the signature."""
    chain = filters(Aws(region="us-east-1"), adapter=adapter, url=url)
    assert [one["name"] for one in chain] == [
        "headgate.adapter",
        "envoy.filters.http.aws_request_signing",
        "envoy.filters.http.upstream_codec",
    ]
    assert chain[0]["disabled"] is True
    signer = chain[1]["typed_config"]
    assert (signer["service_name"], signer["region"]) == ("bedrock", "us-east-1")
    assert "use_unsigned_payload" not in signer
    assert "credential_provider" not in signer


def test_credentials_of_the_configuration() -> None:
    (_, signer, _) = filters(Aws(region="us-east-1", access_key="AKID", secret_key="s3cret", session_token="t0ken"))
    given = signer["typed_config"]["credential_provider"]["inline_credential"]
    assert given == {"access_key_id": "AKID", "secret_access_key": "s3cret", "session_token": "t0ken"}
