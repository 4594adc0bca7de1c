"""docs/metrics.md lists every metric, as it describes itself."""

from pathlib import Path

import pytest

from extproc.ledger.metrics import Metrics

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_all_are_listed(request: pytest.FixtureRequest) -> None:
    metrics = Metrics("1")
    metrics.under_way(0)
    metrics.websockets(0)
    rows = [
        f"| `{found.name}{'_total' if found.type == 'counter' else ''}` | {found.type} | {found.documentation} |"
        for found in metrics.registry.collect()
    ]
    text = DOCS.read_text()
    head = text[: text.index("| `ai_proxy_")]
    expected = head + "\n".join(rows) + "\n"
    if request.config.getoption("--update"):
        DOCS.write_text(expected)
    assert DOCS.read_text() == expected, "look at it, then run pytest with --update"
