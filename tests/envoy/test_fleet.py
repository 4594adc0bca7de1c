"""What a node of a fleet is told: its bootstrap, and the rest as resources."""

from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec.structs import replace

from extproc.config.certificates import ListenerTls
from extproc.config.fleet import Fleet, FleetTls
from extproc.config.listeners import Listener
from extproc.envoy.binary import find_envoy, validate
from extproc.envoy.fleet import FLEET_CLUSTER, compile_xds, resources
from extproc.envoy.forms import render_node
from extproc.envoy.places import Places, below
from extproc.xds.descriptors import Types, types_of
from extproc.xds.kinds import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES, SECRETS
from extproc.xds.offered import offered
from tests.envoy.golden import ROOT, check
from tests.envoy.samples import SEVERAL

FLEET = Fleet(host="plane.example", tls=FleetTls(certificate="plane.crt", key="plane.key", client_ca="ca.crt"))


@pytest.fixture(scope="module")
def types() -> Types:
    return types_of(find_envoy())


def test_reference_output(request: pytest.FixtureRequest) -> None:
    update = bool(request.config.getoption("--update", default=False))
    check(ROOT / "envoy" / "xds.yaml", render_node(SEVERAL, FLEET, Places()), update=update)


@pytest.mark.parametrize("protocol", ["delta", "sotw"])
def test_envoy_takes_the_bootstrap(tmp_path: Path, protocol: Any) -> None:
    pair, authority = trustme.CA().issue_cert("node"), trustme.CA()
    pair.private_key_pem.write_to_path(tmp_path / "tls.key")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    names = {"worker_ca": "ca.crt", "client_certificate": "tls.crt", "client_key": "tls.key"}
    places = replace(below(str(tmp_path)), **{name: str(tmp_path / file) for name, file in names.items()})
    assert validate(compile_xds(SEVERAL, replace(FLEET, protocol=protocol), places, node="node")) == []


def test_the_workers_are_told_at_the_start_and_providers_and_listeners_are_not() -> None:
    made = compile_xds(SEVERAL, FLEET, Places())
    assert [one["name"] for one in made["static_resources"]["clusters"]] == ["headgate_gate", "headgate_adapter", FLEET_CLUSTER]
    assert list(made["static_resources"]) == ["clusters"]
    assert "id" not in made["node"]


def test_addresses_stand_beside_their_cluster_and_names_within() -> None:
    told = {(one["@type"], one.get("name", one.get("cluster_name"))): one for one in resources(SEVERAL, Places()).documents}
    assert told[CLUSTERS, "provider_lab"]["type"] == "EDS"
    assert "load_assignment" not in told[CLUSTERS, "provider_lab"]
    assert (ENDPOINTS, "provider_lab") in told
    assert (ENDPOINTS, "provider_openai~dns") not in told
    assert told[LISTENERS, "headgate"]["enable_reuse_port"] is True
    manager = told[LISTENERS, "headgate"]["filter_chains"][0]["filters"][0]["typed_config"]
    assert list(manager["rds"]["config_source"]) == ["ads", "resource_api_version", "initial_fetch_timeout"]
    assert (ROUTES, "headgate") in told


def test_secrets_are_told_with_what_is_in_their_files(tmp_path: Path, types: Types) -> None:
    certificate, key, sealed = (tmp_path / name for name in ("tls.crt", "tls.key", "key"))
    certificate.write_text("certificate")
    key.write_text("private")
    sealed.write_text("sk-1")
    tls = ListenerTls(certificate=str(certificate), key=str(key))
    provider = replace(SEVERAL.providers["openai"], key=None, envoy_key_file=str(sealed))
    config = replace(SEVERAL, listener=Listener(tls=tls), providers={**SEVERAL.providers, "openai": provider})
    first = offered(config, FLEET, types)
    assert set(first.files) == {certificate, key, sealed}
    assert len(first.version.of(SECRETS)) == 2
    assert b"private" in b"".join(one.body for one in first.version.of(SECRETS).values())
    assert not any(
        b"private" in one.body or b"sk-1" in one.body for kind in (CLUSTERS, LISTENERS) for one in first.version.of(kind).values()
    )
    key.write_text("another")
    second = offered(config, FLEET, types)
    assert second.version.id != first.version.id
    assert [second.version.of(kind) for kind in (CLUSTERS, LISTENERS, ROUTES)] == [
        first.version.of(kind) for kind in (CLUSTERS, LISTENERS, ROUTES)
    ]
    key.unlink()
    with pytest.raises(FileNotFoundError):
        offered(config, FLEET, types)


def test_what_is_the_same_has_the_same_version(types: Types) -> None:
    assert offered(SEVERAL, FLEET, types).version == offered(SEVERAL, FLEET, types).version
    shuffled = replace(SEVERAL, providers=dict(sorted(SEVERAL.providers.items(), reverse=True)))
    assert offered(shuffled, FLEET, types).version.of(CLUSTERS) == offered(SEVERAL, FLEET, types).version.of(CLUSTERS)
