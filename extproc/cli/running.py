"""What `headgate up` and `headgate serve` do: the gateway with an Envoy of its own, and without."""

import argparse
import asyncio
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from extproc.admin import API
from extproc.admin.operator_keys import KEY_FILE
from extproc.cli.common import load, source
from extproc.cli.lock import GATEWAY, hold, unusable
from extproc.config.fragments import bound
from extproc.config.listeners import ExtProc
from extproc.config.load import Loaded
from extproc.config.model import Config
from extproc.config.network import reached_by
from extproc.config.urls import bracketed
from extproc.control.api import MISSING, installed
from extproc.control.compiler import compiling
from extproc.control.gateway import Gateway
from extproc.control.handover import taken
from extproc.control.ports import obstacle
from extproc.control.signals import run
from extproc.control.source import keys_required
from extproc.control.startup import faults, no_compiler
from extproc.envoy import names
from extproc.ledger.collector import Busy
from extproc.version import VERSION

_OPEN_DOOR = """\
there are no keys, so everybody who reaches that Envoy could use the gateway. Make a key (headgate keys create NAME); or, if only this
machine can reach it, say --private; or, if something in front of it authenticates, `listener: {open: true}`."""

_KEY = " -H 'authorization: Bearer YOUR_KEY'"
_CERTIFICATE = " --cert YOUR.crt --key YOUR.key"
_CURL = """curl -sS {url}/v1/chat/completions{options} -H 'content-type: application/json' \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""


def run_gateway(given: argparse.Namespace, *, with_envoy: bool) -> int:
    """Runs it to its end; the command's exit code."""
    # Whatever is written from here on, logs and Envoy's configuration among it, is for the owner alone.
    os.umask(0o077)
    which = source(given)
    if not with_envoy:
        which = msgspec.structs.replace(which, private=given.private)
    loaded = load(which, faults)
    if loaded is None or loaded.config is None:
        return 2
    if with_envoy and (missing := no_compiler()) is not None:
        print(f"headgate: {missing}", file=sys.stderr)
        return 2
    state = which.state_folder(loaded.config)
    handover = taken()
    try:
        lock = handover.lock if handover is not None else hold(state, GATEWAY, "a gateway")
    except OSError as error:
        print(f"headgate: {unusable(state, error)}", file=sys.stderr)
        return 1
    if handover is None and (obstacles := _taken(loaded, with_envoy)):
        print("\n".join(f"headgate: {line}" for line in obstacles), file=sys.stderr)
        return 1
    # Until there is something to end, Ctrl-C ends the process itself: Python's exception would come in the midst of asyncio's own start.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    print(f"Headgate {VERSION} is starting with {which.path} ...", file=sys.stderr)
    try:
        gateway = Gateway(
            which, loaded, with_envoy=with_envoy, run_dir=None if with_envoy else given.run_dir.absolute(),
            handover=handover, lock=lock, checking=_checking(given, with_envoy=with_envoy),
        )  # fmt: skip
        if not with_envoy and is_open(given, loaded, gateway.state):
            print(f"headgate: {_OPEN_DOOR}", file=sys.stderr)
            return 2
        ready = f"Headgate {VERSION} has taken over." if handover is not None else ""
        asyncio.run(run(gateway, lambda: print(ready or _banner(gateway, loaded, with_envoy), flush=True)))
    except (OSError, Busy, RuntimeError, sqlite3.Error) as error:
        print(f"headgate: {error}", file=sys.stderr)
        return _ended(1)
    finally:
        os.close(lock)
    return _ended(0)


def _checking(given: argparse.Namespace, *, with_envoy: bool) -> list[str]:
    """What `headgate upgrade --check` is told, so that it looks at what this command does."""
    told = [str(given.config.absolute())] if given.config is not None else []
    told += ["--state", str(given.state.absolute())] if given.state is not None else []
    if with_envoy and given.sidecar is not None:
        told += ["--sidecar", str(given.sidecar)]
        told += ["--drain-delay", str(given.drain_delay)] if given.drain_delay is not None else []
        told += ["--admin", f"{bracketed(given.admin[0])}:{given.admin[1]}"] if given.admin is not None else []
    if not with_envoy:
        told += ["--serve", *(["--private"] if given.private else [])]
    return told


def is_open(given: argparse.Namespace, loaded: Loaded, state: Path) -> bool:
    """Whether `headgate serve` would serve everybody who reaches an Envoy of somebody else's."""
    assert loaded.config is not None
    return not (given.private or loaded.config.listener.open or keys_required(loaded, state))


def _ended(code: int) -> int:
    """The exit code. Where it was all over before Envoy's configuration was compiled, the process ends here."""
    if compiling():
        # Python, when it ends, ends threads in the midst of what they do, and that of a C++ library with "FATAL: exception not rethrown"
        # (SIGABRT). Everything of ours has been closed by now, and nobody is to wait for a thread whose work is of no more use.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _taken(loaded: Loaded, with_envoy: bool) -> list[str]:
    config = loaded.config
    assert config is not None
    wanted = [("admin: {port: ...}", config.admin.address, config.admin.port)]
    if (place := config.api.place) is not None and installed():
        wanted.append(("api: {address: ...}", *place))
    if with_envoy:
        also = [("listener: {also: [...]}", *place) for place in config.listener.places[1:]]
        # Without a port of the operator's own listeners Envoy would start, and say so in its log alone.
        wanted = [("listener: {port: ...}", config.listener.address, config.listener.port), *also, *bound(config.envoy), *wanted]
    if (network := config.ext_proc) is not None:
        wanted += [
            ("ext_proc: {gate_port: ...}", network.address, network.gate_port),
            ("ext_proc: {adapter_port: ...}", network.address, network.adapter_port),
            ("ext_proc: {health_port: ...}", network.health_address or network.address, network.health_port),
        ]
    found = [(obstacle(address, port), setting) for setting, address, port in wanted if port]
    return [f"{what}. Stop that, or set another one: `{setting}`." for what, setting in found if what is not None]


def _banner(gateway: Gateway, loaded: Loaded, with_envoy: bool) -> str:
    config = gateway.config
    listener = config.listener
    host = bracketed(listener.address)
    shown = "127.0.0.1" if listener.address in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    scheme = "http" if listener.tls is None else "https"
    url = f"{scheme}://{shown}:{listener.port}"
    who, options = told_of_callers(config, loaded.filters, keys=gateway.keys_required, with_envoy=with_envoy)
    lines = ["", f"Headgate {VERSION} is ready."]
    if with_envoy:
        lines.append(f"  callers    {scheme}://{host}:{listener.port}   ({who})")
    else:
        sockets = names.gate_socket(str(gateway.run_dir), 0)
        if config.workers > 1:
            sockets += f" and those of {config.workers - 1} more"
        lines.append(f"  ext_proc   {sockets}   ({who})")
    if (network := config.ext_proc) is not None:
        lines.append(f"  network    {_network(network)}")
    lines.append(f"  operator   http://{config.admin.address}:{gateway.operator_port}/metrics")
    lines.append(f"  admin API  {_api(gateway)}")
    lines.append(f"  providers  {', '.join(config.providers)}")
    lines += [f"             {absent.name}: left out, {absent.reason}" for absent in loaded.absent if absent.kind == "provider"]
    lines.append(f"  state      {gateway.state}")
    if with_envoy:
        lines += ["", "Try it:", "", "  " + _CURL.format(url=url, options=options, model=_a_model(loaded)), ""]
    lines.append("Ctrl-C stops everything.")
    return "\n".join(lines)


def told_of_callers(config: Config, filters: Sequence[object], *, keys: bool, with_envoy: bool) -> tuple[str, str]:
    """What callers need, in words, and the options of curl that give it. `keys`: there are some, or other ways to be known."""
    listener, tls = config.listener, config.listener.tls
    certificate = with_envoy and tls is not None and tls.checks and tls.client_certificate == "required"
    waived = any(getattr(settings, "required", None) is False for settings in filters)
    if not keys or (waived and (listener.open or (with_envoy and listener.private))):
        without = "no key is needed" if keys else "no keys configured"
        who = f"{without}: {'anybody may call' if listener.open else 'this machine only'}"
        return f"{who}, with a certificate" if certificate else who, _CERTIFICATE if certificate else ""
    if certificate:
        known = config.certified
        return "callers need a certificate" if known else "callers need a certificate and a key", _CERTIFICATE + ("" if known else _KEY)
    return "callers need a key", _KEY


def _api(gateway: Gateway) -> str:
    place = gateway.config.api.place
    if place is None:
        return "off (`api: {address: ...}`)"
    if not installed():
        return MISSING
    address, port = place
    return f"http://{bracketed(address)}:{port}{API}   (admin key: {gateway.state / KEY_FILE})"


def _network(network: ExtProc) -> str:
    tls = "without TLS" if network.tls is None else "TLS" if network.tls.client_ca is None else "mutual TLS"
    return f"{reached_by(network)}: {network.gate_port} (gate), {network.adapter_port} (adapter), {tls}; {network.health_port} (health)"


def _a_model(loaded: Loaded) -> str:
    assert loaded.config is not None
    exact = [model.name for model in loaded.config.models if "*" not in model.name]
    return exact[0] if exact else loaded.config.models[0].name.replace("*", "4o-mini")
