"""The command: what it prints, and its exit codes."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.cli import main
from extproc.usage import Usage
from tests.reconcile.books import books, record

EXPORTS = Path(__file__).parent / "exports"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*given: str | Path, state: Path | None = None) -> tuple[int, str, str]:
        code = main(["reconcile", *map(str, given), "--state", str(state or books(tmp_path / "state"))])
        return code, *capsys.readouterr()

    return call


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (EXPORTS / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))
    return tmp_path / name


def test_a_difference_for_people(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(changed(tmp_path, "anthropic-usage.csv", "20000,0,0,0,1000", "20001,0,0,0,1000"))
    assert code == 1
    assert out == (
        "anthropic-usage: 2026-11-01 to 2026-11-02, beside the ledger's anthropic: 7 compared, 1 difference\n"
        "  2026-11-02  claude-haiku-4-5-20251001 input: other quantity: export 20001, ledger 20000 (+1)\n"
    )


def test_differences_for_programs(run: Run, tmp_path: Path) -> None:
    path = changed(tmp_path, "aws-cur.csv", "45.678,0.68517", "45.678,0.75")
    code, out, _ = run(path, "--provider", "aws", "--json")
    (export,) = json.loads(out)["exports"]
    (found,) = export["differences"]
    assert code == 1 and export["compared"] == 4 and found["difference"] == "other money"
    assert (found["day"], found["model"], found["kind"]) == ("2026-11-01", "Claude4.6Sonnet", "output")
    assert (found["export"], found["ledger"]["usd"], found["ledger"]["entries"]) == ({"quantity": "45678", "usd": "0.75"}, "0.68517", 1)
    assert found["reasons"] == ["another price: 16.4193 USD a million, and 15.0000 USD in the ledger's list"]
    code, out, _ = run(path, "--provider", "aws", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert code == 1 and (row["format"], row["model"], row["export_usd"], row["ledger_usd"]) == (
        "aws-cur",
        "Claude4.6Sonnet",
        "0.75",
        "0.68517",
    )


def test_several_files_are_one_export_of_each_format(run: Run) -> None:
    code, out, _ = run(EXPORTS / "openai-usage.json", EXPORTS / "openai-costs.json")
    assert code == 0 and out.count("no difference") == 2 and "charged 2.85999999999999994 USD, in the ledger 2.86 USD" in out
    code, out, _ = run(EXPORTS / "openai-usage.csv", EXPORTS / "anthropic-usage.csv", "--json")
    found = [(one["from"], one["providers"]) for one in json.loads(out)["exports"]]
    assert code == 0 and found == [("2026-10-31", ["openai"]), ("2026-11-01", ["anthropic"])]
    assert run(EXPORTS / "openai-usage.json", EXPORTS / "openai-usage.csv")[0] == 1, "twice the same is twice as much"


@pytest.mark.parametrize(
    ("entry", "old", "new", "reason"),
    [
        (
            {},
            "claude-sonnet-4-20250514",
            "our-tuned-one",
            "the ledger may call it 'claude-sonnet-4-20250514': --same our-tuned-one=claude-sonnet",
        ),
        ({"partial": True, "outcome": "client_closed"}, "20000,0,0,0,1000", "20000,0,0,0,2000", "1 of 1 requests broke off"),
        (
            {"estimated": True, "outcome": "killed"},
            "20000,0,0,0,1000",
            "20000,0,0,0,2000",
            "of 1 of 1 requests a worker that died has left",
        ),
        ({"attempts": 3}, "20000,0,0,0,1000", "20000,0,0,0,2000", "1 of 1 requests took several attempts"),
        ({}, "2026-11-02", "2026-11-01", "2026-11-01 differs by the same, the other way: requests around midnight"),
        ({}, "20000,0,0,0,1000", "20,0,0,0,1000", "the export seems to count in units of 1,000"),
        ({}, "20000,0,0,0,1000", "20000,0,0,7,1000", "requests that did not pass the gateway"),
        ({}, "20000,0,0,0,1000", "20000,0,0,0,0", "the export may be of another account, project or region, or have further pages"),
    ],
)
def test_likely_reasons(entry: dict[str, object], old: str, new: str, reason: str, run: Run, tmp_path: Path) -> None:
    haiku = {"attempts": 1, **entry}
    made = [
        record(
            "1",
            "anthropic",
            "x",
            "claude-sonnet-4-20250514",
            0,
            Usage(input=3200, cache_read=200, cache_write=1500, cache_write_1h=1000, output=500),
        ),
        record("2", "anthropic", "x", "claude-haiku-4-5-20251001", 1, Usage(input=20_000, output=1000)),
    ]
    for name, value in haiku.items():
        setattr(made[1], name, value)
    state = books(tmp_path / "other", made)
    path = changed(tmp_path, "anthropic-usage.csv", old, new)
    code, out, _ = run(path, "--from", "2026-11-01", "--to", "2026-11-03", state=state)
    assert code == 1 and reason in out
    if "--same" in reason:
        assert run(path, "--same", "our-tuned-one=claude-sonnet-4-20250514", state=state)[0] == 0


def test_what_has_no_price_in_the_ledger(run: Run, tmp_path: Path) -> None:
    state = books(tmp_path / "other", [record("1", "openai", "mystery", "gpt-nobody-knows", 0, Usage(input=10, output=10))])
    path = changed(tmp_path, "openai-costs.json", "gpt-4o-2024-08-06", "gpt-nobody-knows")
    code, out, _ = run(path, state=state)
    assert code == 1 and "gpt-nobody-knows input: other money" in out and "1 of 1 requests have no price in the ledger" in out


def test_what_a_provider_sells_besides(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(changed(tmp_path, "openai-costs.json", "gpt-4o-mini-2024-07-18, output", "web search tool calls"))
    assert code == 1 and "web search tool calls: not in the ledger" in out and "such as a provider's tools" in out


def test_days_that_the_export_does_not_have(run: Run, tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "anthropic-usage.csv",
        "2026-11-02,claude-haiku-4-5-20251001,one,Default,standard,≤ 200k,20000,0,0,0,1000,0,not_available,\n",
        "",
    )
    assert run(path)[0] == 0
    code, out, _ = run(path, "--to", "2026-11-03")
    assert code == 1 and out.count("not in the export") == 2
    assert run(EXPORTS / "anthropic-usage.csv", "--from", "2026-11-02")[0] == 0


def test_what_cannot_be_compared(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("a,b\n")
    for given, said in (
        ([tmp_path / "bad"], "no export that is known here"),
        ([tmp_path / "none"], f"{tmp_path / 'none'}: No such file"),
        ([EXPORTS / "aws-cur.csv"], "aws-cur: which provider is it of?"),
        ([EXPORTS / "aws-cur.csv", "--from", "2026-12-01"], "no day to be compared"),
    ):
        code, out, err = run(*given)
        assert code == 2 and said in err and not out
    (tmp_path / "empty").mkdir()
    assert run(EXPORTS / "aws-cur.csv", state=tmp_path / "empty")[0] == 2
    for words in (["--from", "yesterday"], ["--same", "x"]):
        with pytest.raises(SystemExit) as ended:
            run(EXPORTS / "aws-cur.csv", *words)
        assert ended.value.code == 2


def test_whose_entries_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the providers at that address, whatever they are called."""
    config = tmp_path / "gateway.yaml"
    config.write_text(
        "providers:\n  aws: {dialect: bedrock, base_url: 'https://bedrock-runtime.us-east-1.amazonaws.com', auth: none}\n"
        "  anthropic: {dialect: anthropic, base_url: 'https://proxy.example.com', auth: none}\n"
        "models:\n  - {name: '*', targets: [aws]}\n"
    )
    state = str(books(tmp_path / "state"))
    assert main(["reconcile", str(EXPORTS / "aws-cur.csv"), "--config", str(config), "--state", state]) == 0
    assert main(["reconcile", str(EXPORTS / "anthropic-usage.csv"), "--config", str(config), "--state", state]) == 2
    assert "which provider" in capsys.readouterr().err


def test_a_provider_that_the_ledger_does_not_have_is_told(run: Run) -> None:
    code, out, told = run(EXPORTS / "anthropic-usage.csv", "--provider", "antropic")
    assert (code, out) == (2, "") and told.startswith("no entry of the ledger names the provider 'antropic'; it has: anthropic, aws")
