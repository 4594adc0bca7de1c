"""What `headgate compile attach --for` prints: objects with comments that say what has to be there first, and what they cannot do."""

from typing import Literal

from extproc.config.model import Config
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
        return []
    several = [model.name for model in config.models if len(model.targets) > 1]
    said = [_ONE.format(models=", ".join(several))] if several else []
    return said + ([_LEFT.format(providers=", ".join(missing))] if (missing := left_out(config)) else [])
