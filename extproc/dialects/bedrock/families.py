"""What the models behind Bedrock take and refuse, by their names: data, one row a family, the first that matches counts.

Where things are said differs by family, because what Converse has no word for goes to the model as it is, in
`additionalModelRequestFields`, and a model refuses what it does not know. Sources: the pages on each model's parameters below
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html, those on structured output, prompt caching and tool use
there, and what the service answers.
"""

import re
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

Path = tuple[str, ...]

_ALL_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_CHOICES = frozenset(("required", "tool"))
_MEDIA = frozenset(("text", "image", "document", "video", "audio"))


def _up_to_high(*given: str) -> dict[str, str]:
    """Efforts for those that know low, medium and high: what is beyond is the nearest of them."""
    low, medium, high = given
    return dict(zip(_ALL_EFFORTS, (low, low, medium, high, high, high), strict=True))


_THREE = _up_to_high("low", "medium", "high")


class Family(Struct, frozen=True, kw_only=True):
    """Models that are alike."""

    budget: bool = False
    """Thinks by `thinking.budget_tokens`, as early Claudes do."""
    adaptive: bool = False
    """Thinks by `thinking: adaptive`, as later ones do."""
    effort: Path = ()
    """Where the effort is told; empty: nowhere."""
    efforts: dict[str, str] = {}
    """The hub's words for it in the family's."""
    enabled: Path = ()
    """What has to be `enabled` beside the effort."""
    bare: str = ""
    """The effort with which nothing may stand in `inferenceConfig`."""
    top_k: Path = ()
    """Where `top_k` is told."""
    choices: frozenset[str] = frozenset()
    """What of `toolChoice` it takes beside `auto`: `required`, `tool`."""
    caches: bool = False
    """Takes cache points."""
    caches_tools: bool = False
    """Takes them among tools, too."""
    hour: bool = False
    """Keeps what is cached for an hour, if asked to."""
    structured: bool = False
    """Takes `outputConfig.textFormat` and strict tools."""
    sampling: bool = True
    """Takes temperature and topP."""
    one_of: bool = False
    """But not both."""
    leads: bool = False
    """Takes a conversation that begins with the assistant."""
    prefill: bool = False
    """Goes on with a last message of the assistant's."""
    signs: bool = False
    """Signs its reasoning, and wants it back."""
    betas: bool = False
    """Takes Anthropic's betas."""
    cites: bool = False
    """Cites documents, and takes what a search found (`searchResult`)."""
    status: bool = True
    """Takes `status` in a tool's result."""
    json_results: bool = False
    """Takes no text in a tool's result, but JSON."""
    beside: frozenset[str] = _MEDIA
    """What may stand in a message beside a tool's result."""
    inside: frozenset[str] = frozenset(("image",))
    """What may stand in a tool's result, texts aside."""
    servers: dict[str, str] = {}
    """Tools that the provider runs, by the hub's words for them."""


class _Row(Struct, frozen=True):
    pattern: str
    family: Family


def _claude(
    *,
    budget: bool = False,
    adaptive: bool = False,
    one_of: bool = False,
    structured: bool = False,
    sampling: bool = True,
    xhigh: bool = False,
    caches: bool = True,
    hour: bool = False,
    prefill: bool = True,
    cites: bool = True,
) -> Family:
    efforts = {effort: effort for effort in _ALL_EFFORTS} | {"minimal": "low", "xhigh": "xhigh" if xhigh else "high"}
    return Family(
        budget=budget,
        adaptive=adaptive,
        effort=("output_config", "effort") if adaptive else (),
        efforts=efforts if adaptive else {},
        top_k=("top_k",) if sampling else (),
        choices=_CHOICES,
        caches=caches,
        caches_tools=caches,
        hour=hour,
        structured=structured,
        sampling=sampling,
        one_of=one_of,
        leads=True,
        prefill=prefill,
        signs=budget or adaptive,
        betas=True,
        cites=cites,
        beside=frozenset(("text", "image")),
        inside=frozenset(("image", "document", "searchResult") if cites else ("image", "document")),
    )


_NOVA = Family(top_k=("inferenceConfig", "topK"), choices=_CHOICES, caches=True, prefill=True)

_ROWS = (
    _Row(r"claude-(instant|v2|3-(opus|sonnet|haiku)|3-5-sonnet-20240620)", _claude(caches=False, cites=False)),
    _Row(r"claude-3-5-", _claude()),
    _Row(r"claude-(3-7-|(opus|sonnet)-4-\d{8})", _claude(budget=True)),
    _Row(r"claude-opus-4-1(-|$)", _claude(budget=True, one_of=True)),
    _Row(r"claude-\w+-4-5(-|$)", _claude(budget=True, one_of=True, structured=True, hour=True)),
    _Row(r"claude-\w+-4-6(-|$)", _claude(adaptive=True, one_of=True, structured=True, hour=True, prefill=False)),
    _Row(r"claude-opus", _claude(adaptive=True, sampling=False, xhigh=True, hour=True, prefill=False)),
    _Row(r"claude", _claude(adaptive=True, sampling=False, xhigh=True, structured=True, hour=True, prefill=False)),
    _Row(
        r"\bnova-2",
        replace(
            _NOVA,
            effort=("reasoningConfig", "maxReasoningEffort"),
            efforts=_THREE,
            enabled=("reasoningConfig", "type"),
            bare="high",
            servers={"code_execution": "nova_code_interpreter", "web_search": "nova_grounding"},
        ),
    ),
    _Row(r"\bnova-premier", replace(_NOVA, servers={"web_search": "nova_grounding"})),
    _Row(r"\bnova-", _NOVA),
    _Row(r"\bgpt-oss", Family(effort=("reasoning_effort",), efforts=_THREE, structured=True)),
    _Row(r"\bqwen3", Family(effort=("reasoning_config",), efforts=_up_to_high("low", "high", "high"), structured=True, leads=True)),
    _Row(r"\bqwen\.", Family(leads=True)),
    _Row(r"\bllama", Family(beside=frozenset(), inside=frozenset(("image", "document")))),
    _Row(
        r"\bmistral\.(mistral-large-3|magistral|ministral|voxtral)",
        Family(structured=True, json_results=True, beside=frozenset(), inside=frozenset(("document",))),
    ),
    _Row(
        r"\bmistral\.mistral-large",
        Family(choices=frozenset(("required",)), json_results=True, beside=frozenset(), inside=frozenset(("document",))),
    ),
    _Row(r"\bmistral\.", Family(json_results=True, beside=frozenset(), inside=frozenset(("document",)))),
    _Row(r"\bwriter\.", Family(status=False)),
    _Row(r"\b(deepseek\.v3|google\.gemma-3|minimax\.|moonshot|nvidia\.|zai\.)", Family(structured=True)),
    # Behind the name of a profile, a deployment or an imported model there may be anything: mostly Claude.
    _Row(r"^arn:|^[a-z0-9]{12}$", Family(choices=_CHOICES, caches=True, leads=True, prefill=True, signs=True)),
)

_PATTERNS = [(re.compile(row.pattern), row.family) for row in _ROWS]
_OTHER = Family()


@lru_cache(maxsize=256)
def family(model: str) -> Family:
    """The family of a model, by its id, the id of an inference profile, or an ARN."""
    return next((known for pattern, known in _PATTERNS if pattern.search(model)), _OTHER)


def put(body: dict[str, object], path: Path, value: object) -> None:
    """Sets what stands at `path`, and makes the objects on the way."""
    *parents, last = path
    for key in parents:
        inner = body.get(key)
        if type(inner) is not dict:
            inner = body[key] = {}
        body = inner
    body[last] = value
