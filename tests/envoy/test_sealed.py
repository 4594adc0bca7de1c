"""Keys that Envoy alone reads: what it is told of them, and where in the chain."""

from pathlib import Path

import certifi
import pytest
import yaml

from extproc.config.forms import Auth, DialectName
from extproc.config.model import Aws, Config, Model, Provider
from extproc.envoy import names
from extproc.envoy.binary import validate
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import replace, to_yaml
from extproc.envoy.forms import render
from extproc.envoy.places import Places, below
from extproc.envoy.routes import virtual_host
from extproc.envoy.sealed import secret_files
from tests.envoy.test_signing import _filters

SEALED = Provider(dialect="openai", base_url="https://10.0.0.7/v1", envoy_key_file="/run/secrets/it")
NAMED = Provider(dialect="anthropic", base_url="https://it.test/v1", envoy_key_file="/run/secrets/named")
PLAIN = Provider(dialect="openai", base_url="https://10.0.0.8", key="sk-plain")
SIGNED = Provider(dialect="bedrock", base_url="https://10.0.0.9", aws=Aws(region="us-east-1"))


def config(**providers: Provider) -> Config:
    return Config(providers=providers, models=(Model(name="*", targets=tuple(providers)),))


def chains(made: Config, *, adapter: bool = False) -> dict[str, list[str]]:
    """The names of each cluster's own filters."""
    return {
        cluster["name"]: [one["name"] for one in _filters(cluster)]
        for cluster in provider_clusters(made, Places(), adapter=adapter)
        if _filters(cluster)
    }


INJECTOR, CODEC = "envoy.filters.http.credential_injector", "envoy.filters.http.upstream_codec"


@pytest.mark.parametrize("adapter", [False, True])
def test_the_key_is_set_after_the_attempt_and_taken_off_before_the_next(adapter: bool) -> None:
    made = config(sealed=SEALED, named=NAMED, plain=PLAIN, signed=SIGNED)
    before = [names.CLEANER_FILTER, names.ADAPTER_FILTER]
    assert chains(made, adapter=adapter) == {
        "provider_sealed": [*before, INJECTOR, CODEC],
        "provider_named": [*before, INJECTOR, CODEC],
        "provider_plain": [*before, CODEC],
        "provider_signed": [*before, "envoy.filters.http.aws_request_signing", CODEC],
    }


def test_where_there_are_no_such_keys_nothing_of_it_is_there() -> None:
    made = config(plain=PLAIN)
    assert chains(made) == {} and secret_files(made, Places()) == {}
    assert names.CLEANER_FILTER not in str(compile_edge(made, Places()))


def test_credentials_are_taken_off_only_where_the_adapter_sets_them() -> None:
    """For one target it is the gate that has set them, before."""
    (chain,) = [_filters(cluster) for cluster in provider_clusters(config(sealed=SEALED), Places())]
    cleaner, adapter = chain[:2]
    assert cleaner["disabled"] is adapter["disabled"] is True
    removed = [one["remove"] for one in cleaner["typed_config"]["mutations"]["request_mutations"]]
    assert {"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-portkey-api-key", "cf-aig-authorization"} <= set(removed)
    for route in virtual_host(config(sealed=SEALED))["routes"]:
        filters = route.get("typed_per_filter_config", {})
        assert (names.CLEANER_FILTER in filters) == (names.ADAPTER_FILTER in filters) == route["name"].endswith("-adapter")


@pytest.mark.parametrize(
    ("dialect", "auth", "header", "before"),
    [
        ("openai", None, "authorization", "Bearer "),
        ("anthropic", None, "x-api-key", ""),
        ("gemini", None, "x-goog-api-key", ""),
        ("openai", "api-key", "api-key", ""),
        ("anthropic", "bearer", "authorization", "Bearer "),
        ("openai", "cf-aig-authorization", "cf-aig-authorization", "Bearer "),
    ],
)
def test_the_header_is_the_provider_s(dialect: DialectName, auth: Auth | None, header: str, before: str) -> None:
    provider = Provider(dialect=dialect, base_url="https://10.0.0.7", envoy_key_file="/k", auth=auth)
    (chain,) = [_filters(cluster) for cluster in provider_clusters(config(it=provider), Places())]
    injector = chain[2]["typed_config"]
    assert injector["overwrite"] and injector["allow_request_without_credential"]
    generic = injector["credential"]["typed_config"]
    assert (generic["header"], generic.get("header_value_prefix", "")) == (header, before)
    assert generic["credential"]["sds_config"]["path_config_source"] == {"path": "/run/headgate/key-it.yaml"}


def test_who_wants_no_key_is_given_none() -> None:
    made = config(it=Provider(dialect="openai", base_url="https://10.0.0.7", envoy_key_file="/k", auth="none"))
    assert chains(made) == {} and secret_files(made, Places()) == {}


def _written(made: Config, places: Places) -> None:
    for path, document in secret_files(made, places).items():
        replace(Path(path), to_yaml(document))


def test_envoy_takes_it(tmp_path: Path) -> None:
    made, places = config(sealed=SEALED, named=NAMED, plain=PLAIN), below(str(tmp_path), ca_file=certifi.where())
    _written(made, places)
    assert validate(compile_edge(made, places)) == []
    (document,) = yaml.safe_load((tmp_path / "key-sealed.yaml").read_text())["resources"]
    assert document["generic_secret"] == {"secret": {"filename": "/run/secrets/it"}}


def test_somebody_else_s_envoy_is_told_which_files_it_needs() -> None:
    made = config(sealed=SEALED)
    text = render("attach", made, Places())
    assert "# The file /run/headgate/key-sealed.yaml" in text and "filename: /run/secrets/it" in text
