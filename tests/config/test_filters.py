import sys
from pathlib import Path

import pytest

from extproc.config.lookup import FILTERS
from extproc.config.model import DEFAULT_FILTERS
from extproc.filter import Filter
from tests.config.settings import Auth, Cache, Conversations, Headers, Key, Limits, Load, Meter, Route, told

BASE = """
providers:
  demo: {dialect: openai, base_url: "demo:"}
models:
  - {name: demo, targets: [demo]}
"""


def test_the_default_filters(load_text: Load) -> None:
    loaded = load_text(BASE)
    assert loaded.problems == []
    assert loaded.filters == (Meter(), Auth(), Route(), Conversations(), Headers(), Cache(), Limits())
    assert loaded.config is not None
    assert [next(iter(entry)) for entry in loaded.config.filters] == list(DEFAULT_FILTERS)


def test_settings_are_read_as_their_types(load_text: Load) -> None:
    digest = "sha256:" + "0" * 64
    text = f"filters:\n- meter:\n- auth: {{keys: [{{name: alice, hash: '{digest}'}}]}}\n- route: {{}}\n- cache: {{ttl: '${{TTL}}'}}\n"
    loaded = load_text(BASE + text, {"TTL": "60"})
    assert loaded.problems == []
    assert loaded.filters == (Meter(), Auth(keys=(Key(name="alice", hash=digest),)), Route(), Cache(ttl=60.0))
    assert loaded.config is not None
    assert loaded.config.filters[3]["cache"]["ttl"] == 60.0


@pytest.mark.parametrize(
    ("filters", "path", "line", "part"),
    [
        ("- auth:\n- route:\n- meter:", "$.filters[2].meter", 4, 'move it before "route"'),
        ("- auth:\n- conversations:\n- route:", "$.filters[1].conversations", 3, 'has to come after "route"'),
        ("- auth:\n- route:\n- cache:\n- conversations:", "$.filters[2].cache", 4, 'has to come after "conversations"'),
        ("- auth:", "$.filters", 2, 'the filter "route" is missing'),
        ("- route:", "$.filters", 2, 'the filter "auth" is missing'),
        ("[]", "$.filters", 2, 'the filter "auth" is missing'),
        ("- auth:\n- cache:\n- route:", "$.filters[1].cache", 3, 'has to come after "route"'),
        ("- auth:\n- auth:\n- route:", "$.filters[1].auth", 3, "here twice"),
        ("- auth:\n- route\n- route:", "$.filters[1]", 3, "colon included"),
        ("- auth:\n- route:\n- cache: 1", "$.filters[2].cache", 4, "expected a section with keys, got a number"),
        ("- auth:\n- route:\n- cache: {tll: 1}", "$.filters[2].cache.tll", 4, 'did you mean "ttl"?'),
        ("- auth: {keys: [{name: a, hash: x}]}\n- route:", "$.filters[0].auth.keys[0].hash", 2, "does not look as it should"),
        ("- auth:\n- route:\n- cache: {max_entry: 2048}", "$.filters[2].cache", 4, "`max_entry` is more than `max_bytes`"),
        ("- auth:\n- route:\n- zzz:", "$.filters[2].zzz", 4, 'there is no filter "zzz"'),
        ("- auth:\n- route:\n- {cache: {}, headers: {}}", "$.filters[2]", 4, "got 2 keys"),
        ("- auth:\n- route:\n- []", "$.filters[2]", 4, "got a list"),
        ("- auth:\n- route:\n- {}", "$.filters[2]", 4, "got 0 keys"),
        ("x", "$.filters", 2, "expected a list"),
        ("- auth:\n- route:\n- cache: {store: redis}", "$.filters[2].cache.store", 4, "needs the section `redis`"),
        (
            "- auth:\n- route:\n- headers: {rules: [{request: {set: {authorization: x}}}]}",
            "$.filters[2].headers.rules[0].request.set.authorization",
            4,
            "a header's name in lower case that may be edited",
        ),
    ],
)
def test_mistakes_in_filters(load_text: Load, filters: str, path: str, line: int, part: str) -> None:
    loaded = load_text(f"filters:{' ' if filters in ('x', '[]') else chr(10)}{filters}{BASE}")
    assert loaded.config is None
    assert loaded.filters == ()
    found = [problem for problem in told(loaded) if part in problem[2]]
    assert [problem[0] for problem in found] == [path]
    assert found[0][1] == (1 if filters in ("x", "[]") else line)


@pytest.mark.parametrize("name", DEFAULT_FILTERS)
def test_our_filters_are_found_by_name(name: str) -> None:
    assert issubclass(FILTERS.find(name), Filter)
    assert name in FILTERS.names()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("cahce", 'did you mean "cache"?'),
        ("../x", "there is no filter"),
        ("", "there is no filter"),
        ("no_such_package.pii:Redact", "no_such_package is not installed"),
        ("json:dumps", "not a class that derives from"),
        ("json:Nothing", "not a class that derives from"),
        ("json:", "package.module:Class"),
        ("a b:c", "package.module:Class"),
        ("extproc.filter:Filter", "not a class that derives from"),
    ],
)
def test_filters_that_are_not_there(name: str, part: str) -> None:
    with pytest.raises(LookupError) as caught:
        FILTERS.find(name)
    assert part in str(caught.value)


def test_somebody_elses_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_pii.py").write_text(
        "from extproc.filter import Filter\nclass Redact(Filter, frozen=True):\n    words: tuple[str, ...] = ()\n"
    )
    (tmp_path / "acme_broken.py").write_text("raise NameError('oh')\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert FILTERS.find("acme_pii:Redact").__struct_fields__ == ("words",)
        with pytest.raises(LookupError, match="cannot be imported: NameError: oh"):
            FILTERS.find("acme_broken:X")
    finally:
        sys.modules.pop("acme_pii", None)
