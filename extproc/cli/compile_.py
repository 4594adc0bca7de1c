"""`headgate compile`: exactly what Envoy is told."""

import argparse
import sys
from pathlib import Path

import msgspec

from extproc.cli.common import add_source, load, source
from extproc.config.model import Config
from extproc.control.startup import no_compiler

FORMS = ("edge", "sidecar", "attach", "xds")
PLATFORMS = ("envoy-gateway", "istio", "kgateway")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("compile", help="print the Envoy configuration")
    parser.add_argument(
        "form",
        choices=FORMS,
        help="edge: a gateway of its own; sidecar: beside one application; attach: parts for an Envoy of yours; xds: the bootstrap of a "
        "node of a fleet",
    )
    add_source(parser)
    parser.add_argument("--envoy", metavar="VERSION", help="the Envoy that it is for, such as 1.38, in place of `envoy_version`")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/headgate"), help="folder of the workers' sockets, as Envoy sees it")
    parser.add_argument("--node", default="", help="with xds: the node's id, which Envoy's --service-node says unless given")
    certificates = "with xds: folder of ca.crt, tls.crt and tls.key, as Envoy sees it (default: %(default)s)"
    parser.add_argument("--certificates", type=Path, default=Path("/etc/envoy/headgate"), help=certificates)
    parser.add_argument(
        "--for", dest="platform", choices=PLATFORMS, help="attach: manifests for the Envoys that this platform runs on Kubernetes"
    )
    parser.add_argument("--namespace", default="default", help="of the platform's gateway, and of these manifests")
    parser.add_argument("--gateway", default="gateway", help="the gateway's name; for Istio, what its pods' label `istio` says")
    parser.add_argument("--listener", default="http", help="the name of the gateway's listener")
    parser.add_argument("--port", type=int, default=80, help="the port that this listener has (Istio: in the pod)")
    parser.add_argument("--host", default="ai.example.com", help="the name by which clients ask for Headgate there")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints it."""
    if given.platform is not None and given.form != "attach":
        print(f"headgate: --for goes with `headgate compile attach`, not with `{given.form}`", file=sys.stderr)
        return 2
    loaded = load(source(given))
    if loaded is None or loaded.config is None:
        return 2
    config = loaded.config
    if given.envoy is not None and given.envoy != config.envoy_version:
        try:
            config = msgspec.convert({**msgspec.to_builtins(config), "envoy_version": given.envoy}, Config)
        except msgspec.ValidationError:
            print(f"--envoy: {given.envoy} is no version of Envoy that is known; 1.36 is the oldest", file=sys.stderr)
            return 2
        print(f'headgate: say `envoy_version: "{given.envoy}"` in the configuration, too: the workers have to know it', file=sys.stderr)
    if (missing := no_compiler()) is not None:
        print(f"headgate: {missing}", file=sys.stderr)
        return 2
    if given.form == "xds":
        return _node(given, config)
    if given.platform is not None:
        return _manifests(given, config)
    from extproc.envoy.forms import render  # noqa: PLC0415 - heavy
    from extproc.envoy.places import below  # noqa: PLC0415

    print(render(given.form, config, below(str(given.run_dir))), end="")
    return 0


def _node(given: argparse.Namespace, config: Config) -> int:
    if config.fleet is None:
        print("headgate: the configuration has no section `fleet`: which control plane is the node to ask?", file=sys.stderr)
        return 2
    from extproc.envoy.forms import render_node  # noqa: PLC0415 - heavy
    from extproc.envoy.places import below  # noqa: PLC0415

    folder = given.certificates
    places = msgspec.structs.replace(
        below(config.fleet.run_dir),
        worker_ca=str(folder / "ca.crt"),
        client_certificate=str(folder / "tls.crt"),
        client_key=str(folder / "tls.key"),
    )
    print(render_node(config, config.fleet, places, node=given.node), end="")
    return 0


def _manifests(given: argparse.Namespace, config: Config) -> int:
    from extproc.envoy.manifests.manifest import Spot, Unmade  # noqa: PLC0415 - heavy
    from extproc.envoy.manifests.render import render, shortfalls  # noqa: PLC0415

    spot = Spot(namespace=given.namespace, gateway=given.gateway, listener=given.listener, port=given.port, host=given.host)
    try:
        text = render(given.platform, config, spot)
    except Unmade as reason:
        print(f"headgate: {reason}", file=sys.stderr)
        return 2
    for line in shortfalls(given.platform, config):
        print(f"headgate: {line}", file=sys.stderr)
    print(text, end="")
    return 0
