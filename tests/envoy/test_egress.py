"""Proxies, as Envoy is told of them."""

from pathlib import Path

import certifi
import pytest
import trustme
from msgspec.structs import replace

from extproc.config.egress import Egress, parse_proxy
from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.binary import validate
from extproc.envoy.chains import orders
from extproc.envoy.compile import compile_attach, compile_clusters, compile_edge, compile_listeners
from extproc.envoy.document import replace as write
from extproc.envoy.document import to_yaml
from extproc.envoy.forms import Form, render
from extproc.envoy.places import Places, below
from extproc.envoy.secrets import secret_files
from tests.e2e.certified import written
from tests.envoy.samples import SEVERAL

URL = "http://user:secret@proxy.test:3128"
NAME = names.EGRESS + parse_proxy(URL).name


def behind(**more: object) -> Config:
    return replace(SEVERAL, egress=Egress(proxy=URL, direct=("10.0.0.0/8", "vllm.models.svc")), **more)


def test_whoever_is_not_direct_is_an_endpoint_of_the_listener_that_leads_there() -> None:
    clusters = {one["name"]: one for one in compile_clusters(behind(), Places())["resources"]}
    assert {"provider_openai", "provider_anthropic", NAME} <= clusters.keys() and "provider_openai~dns" not in clusters
    ((group,), other) = clusters["provider_openai"]["load_assignment"]["endpoints"], clusters["provider_lab"]
    (member,) = group["lb_endpoints"]
    assert member["endpoint"]["address"]["envoy_internal_address"]["server_listener_name"] == NAME
    assert member["metadata"]["filter_metadata"][names.EGRESS_NAMESPACE] == {"to": "api.openai.com:443"}
    assert "envoy_internal_address" not in str(other) and "envoy_internal_address" not in str(clusters["provider_demo"])
    inner = clusters["provider_openai"]["transport_socket"]["typed_config"]["transport_socket"]["typed_config"]
    assert inner["sni"] == "api.openai.com"


def test_the_listener_says_who_asks() -> None:
    (listener,) = compile_listeners(behind())["resources"]
    assert listener["name"] == NAME and "Basic dXNlcjpzZWNyZXQ=" in str(listener)
    assert compile_listeners(SEVERAL) == {"resources": []} and "internal_listener" not in str(compile_edge(SEVERAL, Places()))


def test_what_is_compiled_in_for_an_older_one_leaves_out_whoever_is_behind_a_proxy() -> None:
    older = replace(SEVERAL, envoy_version="1.38")
    assert orders(older) and not orders(replace(older, egress=Egress(proxy=URL)))


@pytest.mark.parametrize("form", ["edge", "sidecar", "attach"])
def test_every_form_has_it(form: Form) -> None:
    text = render(form, behind(), Places())
    assert NAME in text and "envoy.bootstrap.internal_listener" in text and "secret@" not in text


def test_envoy_takes_it(tmp_path: Path) -> None:
    places, authority = below(str(tmp_path), ca_file=certifi.where()), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    shown = written(authority.issue_cert("gateway.test"), tmp_path, "shown")
    lab = replace(SEVERAL.providers["lab"], ca_file=str(tmp_path / "ca.pem"), client_certificate=shown[0], client_key=shown[1])
    anthropic = replace(SEVERAL.providers["anthropic"], ca_file=str(tmp_path / "ca.pem"), proxy="https://[::1]:3128")
    config = behind(providers={**SEVERAL.providers, "lab": lab, "anthropic": anthropic})
    for path, document in secret_files(config, places).items():
        write(Path(path), to_yaml(document))
    assert sorted(path.name for path in tmp_path.glob("tls-*")) == [
        "tls-authority-anthropic.yaml", "tls-authority-lab.yaml", "tls-client-lab.yaml",
    ]  # fmt: skip
    assert validate(compile_edge(config, places)) == []
    assert {"bootstrap_extensions", "listeners"} <= compile_attach(config, places).keys()
