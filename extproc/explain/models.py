"""Which configured model a name means, which others it would fit, and why targets of it are not asked."""

import re
from collections.abc import Mapping

from extproc.admission import allowed_targets
from extproc.conditions import Facts
from extproc.config.lookup import STRATEGIES
from extproc.config.model import Config, Model
from extproc.errors import Reject
from extproc.explain.explanation import Entry
from extproc.explain.passage import Passage
from extproc.globs import regex
from extproc.identity.levels import EVERYTHING
from extproc.routes import Placed
from extproc.values import Target


def entry(config: Config, asked: str, taken: str) -> Entry:
    """The model `taken` for the name `asked`."""
    models = {one.name: one for one in config.models}
    fitting = {name: one for name, one in models.items() if name != taken and _fits(one, asked)}
    won = models[taken]
    strategy = won.ordering[0]
    said = (STRATEGIES.find(strategy).__doc__ or "").partition("\n\n")[0]
    return Entry(taken, _why(won, asked), {name: _lost(won, one, asked) for name, one in fitting.items()}, strategy, " ".join(said.split()))


def _fits(model: Model, asked: str) -> bool:
    return asked in model.aliases or re.fullmatch(regex(model.name), asked, re.DOTALL) is not None


def _why(model: Model, asked: str) -> str:
    if asked == model.name:
        return "by its name"
    return f"by its alias {asked}" if asked in model.aliases else f"{asked} fits this pattern"


def _lost(won: Model, lost: Model, asked: str) -> str:
    if asked in (won.name, *won.aliases):
        return "exact names and aliases go before patterns"
    return f"{won.name} is the longer pattern" if len(won.name) > len(lost.name) else f"{won.name} goes before it"


def passed_over(passage: Passage, asked: str) -> dict[str, str]:
    """Of the model's targets, those that would not be asked."""
    request = passage.request
    route = passage.exchange.snapshot.environment.routes.find(asked)
    if route is None:
        return {}
    facts = Facts(request, route.wanted)
    there = request.targets if passage.forward is None else passage.forward.call.targets
    by = {target: step.filter for step in passage.steps for target in step.left}
    found: dict[str, str] = {}
    for placed, target in zip(route.placed, route.resolve(asked), strict=True):
        if target not in there:
            found[named(target)] = _reason(passage, placed, target, facts, by)
    return found


def _reason(passage: Passage, placed: Placed, target: Target, facts: Facts, by: Mapping[str, str]) -> str:
    request = passage.request
    if request.provider and target.provider != request.provider:
        return f"the request asks for the provider {request.provider} alone"
    if request.identity.grant is not EVERYTHING:
        try:
            allowed_targets(request.identity.grant, request.record.model, (target,))
        except Reject as reject:
            return f"its caller may not: {reject.fault.message}"
    if placed.conditions is not None and (fails := placed.conditions.fails(facts)):
        return told_of_condition(fails, facts)
    upstream, asked = passage.exchange.snapshot.upstreams[target.provider], request.endpoint
    if not any(one.name == asked.dialect or asked.operation in one.operations for one in upstream.dialects):
        return f"what is spoken there ({', '.join(one.name for one in upstream.dialects)}) has no {asked.operation}"
    if not upstream.offers(asked.operation, request.path.partition("?")[0]):
        return f"`endpoints` of the provider does not have {asked.operation}"
    if name := by.get(named(target)):
        return f"the filter `{name}` has left it out"
    if passage.forward is None:
        return "the request does not go on"
    if passage.exchange.snapshot.chains is not None and upstream.ready:
        return "an Envoy of before 1.40 takes no such order of targets, so the first is asked alone"
    return "a target before it is asked alone" if upstream.ready else "its keys are at their limits, or it has no access token"


def told_of_condition(fails: str, facts: Facts) -> str:
    """What of a target's conditions does not hold, and what the request has instead."""
    request = facts.request
    match fails:
        case "lacks":
            return f"`lacks`: the request needs {', '.join(sorted(facts.needs))}"
        case "needs":
            return "`when.needs`: the request needs none of these"
        case "input":
            return f"`when.input`: the request has about {facts.size} tokens"
        case "tags":
            return f"`when.tags`: the request has {', '.join(sorted(facts.tags)) or 'no tags'}"
        case "tenants":
            return f"`when.tenants`: the caller's tenant is {request.identity.tenant or 'nobody'}"
    return f"`when.{fails}` does not hold of the request's headers"


def named(target: Target) -> str:
    """As people write it."""
    return f"{target.provider}/{target.model}" if target.model else target.provider
