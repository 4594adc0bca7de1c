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
"""

LOCAL = """
## On your own machine

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
