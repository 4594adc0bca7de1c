"""What `headgate compile attach --for` prints: objects with comments that say what has to be there first, and what they cannot do."""

from collections.abc import Iterator
from typing import Literal

from extproc.config.egress import proxy_for
from extproc.config.fragments import pieces
from extproc.config.model import Config
from extproc.config.urls import DEMO, provider_url
from extproc.envoy.chains import FULL, version
from extproc.envoy.document import comment, to_yaml
from extproc.envoy.manifests.envoy_gateway import envoy_gateway
from extproc.envoy.manifests.istio import istio
from extproc.envoy.manifests.kgateway import kgateway
from extproc.envoy.manifests.manifest import AUTHORITY, CERTIFICATE, Spot, left_out
from extproc.envoy.message import Plain

Platform = Literal["envoy-gateway", "istio", "kgateway"]

_MADE = {"envoy-gateway": envoy_gateway, "istio": istio, "kgateway": kgateway}
_HEAD = """\
Made by `headgate compile attach --for {platform}`. Change gateway.yaml and compile again, rather than this.
What works there and what does not: docs/attach.md."""
_FIRST = {
    "envoy-gateway": f"""\
There have to be: extensionApis.enableBackend and enableEnvoyPatchPolicy in Envoy Gateway's own configuration; in this namespace the secret
{CERTIFICATE} (tls.crt and tls.key, what Envoy shows Headgate's workers) and the ConfigMap {AUTHORITY} (ca.crt, who has signed theirs).""",
    "istio": f"""\
The gateway's pods need the secret {CERTIFICATE} (tls.crt, tls.key, ca.crt) at /etc/headgate-client, and one restart:
the patch of the bootstrap counts from the start on.""",
    "kgateway": f"""\
There has to be in this namespace the secret {CERTIFICATE} (tls.crt, tls.key and ca.crt), which Envoy shows Headgate's workers.""",
}
_ONE = "One target for each request: models that have several get 503 here ({models})."
_LEFT = "Left out, because of what only an Envoy of ours does for them (docs/attach.md): {providers}."
_PARTS = "Left out: what `envoy` adds, for which the platform has words of its own."
_SECRETS = (
    "Holds secrets in clear, for Envoy has to be told them ({what}): whoever may read this EnvoyFilter has them. "
    "Keep it out of repositories."
)
_OLD = "For an Envoy of version {version}, as `envoy_version` says."


def render(platform: Platform, config: Config, spot: Spot) -> str:
    """The text. Raises `manifest.Unmade`."""
    objects: list[Plain] = _MADE[platform](config, spot)
    lines = [_HEAD.format(platform=platform), _FIRST[platform]]
    if version(config) < FULL:
        lines.append(_OLD.format(version=config.envoy_version))
    lines += shortfalls(platform, config)
    return comment("\n".join(lines)) + "".join(f"---\n{to_yaml(one)}" for one in objects)


def shortfalls(platform: Platform, config: Config) -> list[str]:
    """What of the configuration the platform cannot do."""
    if platform == "istio":
        return [_SECRETS.format(what=", ".join(what))] if (what := list(_secrets(config))) else []
    several = [model.name for model in config.models if len(model.targets) > 1]
    said = [_ONE.format(models=", ".join(several))] if several else []
    said += [_LEFT.format(providers=", ".join(missing))] if (missing := left_out(config)) else []
    return said + ([_PARTS] if any(pieces(config.envoy)) else [])


def _secrets(config: Config) -> Iterator[str]:
    """What an Envoy is told that may hold some."""
    for name, one in sorted(config.providers.items()):
        if one.aws is not None and one.aws.access_key is not None:
            yield f"providers.{name}.aws"
        proxy = proxy_for(provider_url(one).host, config.egress, one.proxy) if one.base_url != DEMO else None
        if proxy is not None and proxy.password:
            yield f"providers.{name}: its proxy's password"
    if any(pieces(config.envoy)):
        yield "perhaps what `envoy` refers to"
