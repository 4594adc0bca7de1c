"""`headgate check`: everything that is wrong with a configuration, at once; then Envoy's own opinion of what is compiled from it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from extproc.cli.common import add_source, load, source
from extproc.config.model import Config
from extproc.control import amazon, google, sealed
from extproc.control.bounds import uncounted, unseen
from extproc.control.moved import Unasked, left_behind
from extproc.control.pricing import lists, unpriced
from extproc.control.startup import faults, no_compiler
from extproc.control.trust import ca_file
from extproc.filter import Filter
from extproc.ledger.prices import PriceBook


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("check", help="check a configuration; exit code 2 if it is wrong")
    add_source(parser)
    parser.add_argument("--no-envoy", action="store_true", help="do not ask Envoy itself to validate what is compiled")
    parser.add_argument("--strict", action="store_true", help="exit code 1 where anything is warned of")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Checks it."""
    which = source(given)
    loaded = load(which, faults, _advice, lints=True)
    if loaded is None or loaded.config is None:
        return 2
    config = loaded.config
    if not given.no_envoy:
        if (missing := no_compiler()) is not None:
            print(f"headgate: {missing}; or `--no-envoy`, to check the file alone", file=sys.stderr)
            return 2
        from extproc.envoy.binary import usable_envoy  # noqa: PLC0415 - heavy
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.proof import refusals  # noqa: PLC0415

        try:
            errors = list(refusals(config, usable_envoy(version(config)), ca_file()))
        except FileNotFoundError as gone:
            print(f"headgate: {gone}", file=sys.stderr)
            return 2
        for error in errors:
            print(f"{which.path}: error: {error.removeprefix('$: ')}", file=sys.stderr)
        if errors:
            return 2
    print(f"{which.path}: good; {len(config.providers)} providers, {len(config.models)} models")
    for name, provider in config.providers.items():
        if provider.google is not None:
            print(f"  provider {name} gets access tokens of Google for {google.origin(provider.google)}")
        if provider.aws is not None and provider.aws.access_key is None and (found := amazon.origin()) is not None:
            print(f"  provider {name} is signed by Envoy with AWS credentials from {found}")
        if provider.envoy_key_file is not None:
            print(f"  provider {name} gets its key from {provider.envoy_key_file}, which Envoy alone reads")
        if len(provider.keys) > 1:
            print(f"  provider {name} has {len(provider.keys)} keys, taken by {provider.pool.replace('_', ' ')}")
    _tell_prices(config)
    if config.notifications.receivers:
        print(f"  notifications go to {', '.join(one.name for one in config.notifications.receivers)}")
    state = which.state_folder(config)
    warnings = (*uncounted(loaded), *unseen(loaded, state), *_moved(config, state))
    for what in warnings:
        print(f"{which.path}: warning: {what}", file=sys.stderr)
    for told in filter(None, (settings.about() for settings in loaded.filters if isinstance(settings, Filter))):
        print(f"  {told}")
    for absent in loaded.absent:
        print(f"  {absent.kind} {absent.name} is left out: {absent.reason}")
    return int(given.strict and bool(warnings or loaded.problems))


def _moved(config: Config, state: Path) -> Iterator[str]:
    try:
        if told := left_behind(state, config.store.url if config.store is not None else ""):
            yield told
    except Unasked as error:
        yield f"$.store.url: whether all keys of {state} are there could not be asked: {error}"


def _tell_prices(config: Config) -> None:
    if (table := lists(config, None).litellm) is not None:
        unread = ", ".join(sorted(table.unread()))
        print(f"  prices: {len(table.entries)} models of {config.pricing.litellm}" + (f"; not read: {unread}" if unread else ""))


def _advice(config: Config) -> Iterator[str]:
    yield from amazon.lacking(config)
    yield from sealed.lacking(config)
    yield from PriceBook(providers=config.providers, lists=lists(config, None)).unknown()
    yield from unpriced(config)
