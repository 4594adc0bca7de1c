"""Reads `gateway.yaml`: all of it or nothing, and every mistake at once.

bytes -> nodes with places (document) -> providers completed from the catalogue (complete) -> references replaced, types checked (walk)
-> what types cannot say (checks, targets) -> without the optional providers that are absent -> msgspec, which has the last word
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, inspect
from msgspec.structs import replace

from extproc.config.attempts import check_attempts
from extproc.config.breaker import Breaker, check_breaker
from extproc.config.checks import Report, check_databases, check_listeners, check_provider, check_redis
from extproc.config.complete import complete_providers
from extproc.config.credentials import Keys, check_keys, prepare_keys, settled
from extproc.config.declared import check_identities
from extproc.config.document import Mapping as MappingNode
from extproc.config.document import Node, read_document
from extproc.config.entrance import check_entrance, located, log_located
from extproc.config.filters import Setting, read_filters
from extproc.config.foreign import check_fragments, read_fragments
from extproc.config.forms import Name
from extproc.config.lints import lint
from extproc.config.loads import check_loads
from extproc.config.lookup import FILTERS, FilterType
from extproc.config.model import Config, Provider, aim
from extproc.config.network import beside, check_ext_proc
from extproc.config.nodes import check_fleet, fleet_beside
from extproc.config.older import check_older
from extproc.config.optional import absent_providers, split_providers
from extproc.config.outside import at_home, check_egress, check_outside
from extproc.config.outside import located as way_located
from extproc.config.problem import Mark, Problem, Problems, format_problems
from extproc.config.receivers import check_notifications
from extproc.config.references import References
from extproc.config.relative import absolute
from extproc.config.sidecar import Sidecar
from extproc.config.strategies import Chosen, check_choices, read_strategies, with_strategies
from extproc.config.targets import Absent, check_models, check_prices, present
from extproc.config.visitors import check_callers
from extproc.config.walk import Walker, child, sound

Advice = Callable[[Config], Iterable[str]]
"""What more there is to say of a configuration, by whoever knows more than what is in it: lines that begin with a path in it."""

_PROVIDERS = inspect.type_info(dict[Name, Provider])

__all__ = ["Absent", "Advice", "Loaded", "Problem", "format_problems", "load", "nothing"]


class Loaded(Struct, frozen=True):
    """What came of a file."""

    config: Config | None
    """What is in effect: only providers that are present, only targets of theirs. None if there is any error."""
    filters: tuple[Struct, ...]
    """The filters' settings in order, as `config.filters` names them. Empty if there is any error."""
    problems: list[Problem]
    """Errors and warnings in the order of the file."""
    absent: tuple[Absent, ...] = ()
    """Optional providers without a key, and models that only those answer."""
    files: tuple[Path, ...] = ()
    """All files that were looked at, for whoever watches for changes."""


def nothing(config: Config) -> Iterable[str]:
    """Has nothing more to say."""
    return ()


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    has_stored_keys: Callable[[Path], bool] = lambda folder: False,
    find: FilterType = FILTERS.find,
    secrets: bool = True,
    leave_out: bool = False,
    faults: Advice = nothing,
    advice: Advice = nothing,
    sidecar: Sidecar | None = None,
    lints: bool = False,
) -> Loaded:
    """Reads the configuration at `path`. Never raises for what is in it. `has_stored_keys` is asked with the state folder, if need be.
    `secrets`: see `References`; without them, providers and Redis are not checked, and optional providers are there, unless `leave_out`
    says that their keys are looked for all the same. `faults`, `advice`: more errors and warnings, of a
    configuration that has no other errors. `sidecar`: stands where it says, whatever the file does. `lints`: see `lints.lint`.
    """
    if sidecar is not None:
        faults = _both(faults, sidecar.faults)
    reading = _Reading(path, References(environ, path.parent, secrets=secrets), find, (faults, advice), lints=lints)
    if leave_out:
        reading.keys = References(environ, path.parent)
    root = read_document(path, reading.problems)
    if sidecar is not None and isinstance(root, MappingNode):
        root = sidecar.over(root)
    loaded = reading.read(root, has_stored_keys) if root is not None else None
    problems = reading.problems.listed()
    files = (path, *sorted(reading.references.files))
    if loaded is None or reading.problems.errors:
        return Loaded(None, (), problems, tuple(reading.absent), files)
    config, filters = loaded
    return Loaded(config, filters, problems, tuple(reading.absent), files)


def _both(one: Advice, other: Advice) -> Advice:
    return lambda config: (*one(config), *other(config))


class _Reading:
    """One file while it is read."""

    def __init__(self, path: Path, references: References, find: FilterType, others: tuple[Advice, Advice], *, lints: bool) -> None:
        self.problems = Problems()
        self.folder = path.parent
        self.references = self.keys = references
        """`keys`: by which it is known whose are not there."""
        self.absent: list[Absent] = []
        self._keys: dict[str, Keys] = {}
        self._find = find
        self._others = others
        self._lints = lints
        self._walker = Walker(self.problems, self.references)

    def read(self, root: Node, has_stored_keys: Callable[[Path], bool]) -> tuple[Config, tuple[Struct, ...]] | None:
        """The effective configuration and its filters; None if too much is wrong. All mistakes are in `problems`."""
        filters: list[Setting] = []
        gone: dict[str, Any] = {}
        chosen: Chosen = {}
        if isinstance(root, MappingNode):
            filters = read_filters(root.get("filters"), self._walker, self.problems, self._find)
            root, chosen = read_strategies(root.without("filters"), self._walker, self.problems)
            root = complete_providers(root, self.references, self.problems)
            root, gone = self._leave_out(root)
            root, self._keys = prepare_keys(root, self.references, self.problems)
        config = self._walker.struct(root, Config, "$")
        if not isinstance(config, Config) or not (sound(config.providers) and sound(config.models)):
            return None
        config = with_strategies(config, chosen)
        config = read_fragments(config, self.references, Report(self.problems, self._walker.places))
        self._check(config, gone, filters, has_stored_keys)
        return None if self.problems.errors else self._settled(config, filters)

    def _leave_out(self, root: MappingNode) -> tuple[MappingNode, dict[str, Any]]:
        reasons = absent_providers(root, self.keys)
        self.absent += [Absent("provider", name, reason) for name, reason in reasons.items()]
        root, gone = split_providers(root, reasons)
        # What an absent provider says has to be right all the same; only what it refers to may be absent with its key.
        lenient = Walker(self.problems, self.references, lenient=True)
        sections = lenient.walk(gone, _PROVIDERS, "$.providers")
        self._walker.places.update(lenient.places)
        return root, sections

    def _check(self, config: Config, gone: dict[str, Any], filters: list[Setting], has_stored_keys: Callable[[Path], bool]) -> None:
        report = Report(self.problems, self._walker.places)
        providers = config.providers | gone
        for name, provider in providers.items():
            if isinstance(provider, Provider) and self.references.secrets:
                path = child("$.providers", name)
                # That an absent one has no key is what makes it absent.
                there = replace(provider, key=None, keys=(), aws=None, google=None) if name in gone else provider
                check_provider(path, there, report)
                check_outside(path, there, report)
                check_keys(path, there, self._keys.get(name, Keys()), report)
        check_models(config, providers, report.error)
        if not self.problems.errors:
            check_choices(config, report.warning)
            check_attempts(config, report.warning)
            check_older(config, report.warning)
            for path, section in (("$", config), *((child("$.providers", name), one) for name, one in providers.items())):
                if isinstance(section.breaker, Breaker):
                    check_breaker(f"{path}.breaker", section.breaker, report.warning)
            check_loads(config, filters, report.warning)
            if self.references.secrets:
                check_callers(config, providers, report)
                check_notifications(config.notifications, report)
        check_prices(config, providers, report.error)
        if self.references.secrets:
            check_egress(config, report)
            check_redis(config, filters, report)
            check_databases(config, report)
            check_identities(config.identities, report)
        check_listeners(config, filters, lambda: has_stored_keys(self.folder / config.state), report)
        check_entrance(config, report)
        check_fragments(config, report)
        check_ext_proc(config, report)
        check_fleet(config, report)
        if self._lints and not self.problems.errors:
            lint(config, providers, filters, report)

    def _settled(self, config: Config, filters: list[Setting]) -> tuple[Config, tuple[Struct, ...]] | None:
        providers = {
            name: at_home(settled(one, self._keys.get(name, Keys()), self.folder), self.folder) for name, one in config.providers.items()
        }
        whole, (config, models) = config, present(replace(config, providers=providers), self.absent)
        moved = _moved(whole, config) if self.absent else {}
        if not config.models:
            reasons = "; ".join(dict.fromkeys(absent.reason for absent in self.absent))
            self.problems.error("$.models", self._walker.places["$.models"].mark, f"no model has a provider: {reasons}")
            return None
        self.absent += models
        named = tuple({setting.name: msgspec.to_builtins(setting.settings)} for setting in filters)
        config = replace(
            config,
            filters=named,
            listener=located(config.listener, self.folder),
            ext_proc=beside(config.ext_proc, self.folder),
            egress=way_located(config.egress, self.folder),
            access_log=log_located(config.access_log, self.folder),
            pricing=absolute(config.pricing, self.folder, "litellm"),
            fleet=fleet_beside(config.fleet, self.folder),
        )
        try:
            config = msgspec.convert(msgspec.to_builtins(config), Config)
        except msgspec.ValidationError as error:
            # The walker reads the same types, so this is for what it does not know yet.
            self.problems.error("$", Mark(), str(error))
            return None
        self._tell_more(config, moved)
        return config, tuple(setting.settings for setting in filters)

    def _tell_more(self, config: Config, moved: Mapping[str, str]) -> None:
        report, (faults, advice) = Report(self.problems, self._walker.places), self._others
        for tell, lines in ((report.error, faults(config)), (report.warning, advice(config))):
            for line in lines:
                path, _, message = line.partition(": ")
                tell(moved.get(path, path), message)


def _moved(before: Config, after: Config) -> dict[str, str]:
    """Where the models and targets that are left stand in the file, by the path that they have when those that are absent are left out."""
    places = {model.name: at for at, model in enumerate(before.models)}
    paths: dict[str, str] = {}
    for at, model in enumerate(after.models):
        was = before.models[places[model.name]]
        paths[f"$.models[{at}]"] = path = f"$.models[{places[model.name]}]"
        for field in ("otherwise", "targets"):
            left = [which for which, target in enumerate(getattr(was, field)) if aim(target).provider in after.providers]
            paths |= {f"$.models[{at}].targets[{now}]": f"{path}.{field}[{which}]" for now, which in enumerate(left)}
    return paths
