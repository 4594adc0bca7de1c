"""docs/providers.md is made of the catalogue: `pytest --update` writes it anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from extproc.config.catalogue import Known, catalogue

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"

HEAD = """\
# Providers

COUNT providers are in the catalogue ([catalogue.yaml](../extproc/config/catalogue.yaml)). A section of `providers` in `gateway.yaml` that
bears one of these names needs no more: its address, its dialect, how it takes its key and where it departs from its dialect are known, and
the key is taken from the environment.

```yaml
providers:
  groq:                                  # GROQ_API_KEY
  mistral: {optional: true}              # left out where MISTRAL_API_KEY is not set
  azure-openai:
    settings: {resource: contoso}        # what only you know
  fast:
    catalogue: cerebras                  # another name for it
    key: file:secrets/cerebras           # what the section says goes before what the catalogue says
```

`headgate providers` prints this list, and whose dialect is not spoken yet; `headgate providers NAME` prints all that is known of one.
Entries were checked by what providers document; nobody called them. Whoever is missing is a provider all the same, with `dialect` and
`base_url`.

## What they charge

Requests are priced by the built-in list (`genai-prices`), and before that by `prices`, in US dollars per million tokens: for models of your
own, for what the list does not know, for what you have negotiated. Decimals stand in quotes, so that they stay exact.

```yaml
providers:
  lab: {dialect: openai, base_url: "http://gpu.internal:8000/v1"}
models:
  - {name: llama, targets: [lab/llama-3.3-70b]}
prices:
  - {model: lab/llama-3.3-70b, input: "0.40", output: "0.80"}             # `provider/model`, as the provider calls it
  - {model: lab/*, input: "0.10", output: "0.10", cache_read: "0.01"}     # all others of its; the exact name goes first
```

Two requests later, of 10 tokens in and 96 out together:

```
$ headgate usage
key    model  provider  day         requests  errors  input  output     cost $
------------------------------------------------------------------------------
-      llama  lab       2026-11-22         2       0     10      96  0.0000808
------------------------------------------------------------------------------
total                                      2       0     10      96  0.0000808
```

`cache_read` and `cache_write` are as `input` unless given. The model that the provider names in its answer counts, then the one that it was
asked for. An edit counts for what is asked after it; what is in the ledger keeps its cost. A model without a price is shown as unpriced
(`ai_proxy_unpriced_total`). The demo provider (`base_url: "demo:"`) costs nothing but what `prices` say, so that they can be tried with it.
Where a provider of the list goes by another name or address here, `prices: openai` in its section says whose prices are its.

[prices.md](prices.md) has the rest: services and long prompts, days, images and audio, LiteLLM's table, catalogues that are updated without
an upgrade, and what tenants are charged.

## The catalogue
"""

LOCAL = """
### On your own machine

They need no key. On another host, add `base_url`: `vllm: {catalogue: vllm, base_url: "http://gpu.internal:8000/v1"}`.
"""


def page() -> str:
    known = catalogue()
    remote = {name: one for name, one in known.items() if one.base_url.startswith("https://")}
    local = {name: one for name, one in known.items() if name not in remote}
    lines = [HEAD.replace("COUNT", str(len(known))), *_table(remote), LOCAL, *_table(local)]
    return "\n".join(lines) + "\n"


def _table(known: dict[str, Known]) -> Iterator[str]:
    yield "| name | provider | dialect | key | settings | endpoints |"
    yield "|---|---|---|---|---|---|"
    for name, one in known.items():
        settings = ", ".join(f"`{setting}`" for setting in one.settings)
        key = f"`{one.env}`" if one.env else {"google": "Google's credentials", "aws": "AWS's credentials"}.get(one.auth or "", "")
        yield f"| `{name}` | [{one.title}]({one.docs}) | {one.dialect} | {key} | {settings} | {', '.join(one.endpoints)} |"


def test_the_page_is_that_of_the_catalogue(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "the catalogue has changed: run this test with --update"
