"""The catalogue itself: every entry says what it has to, and nothing that nobody understands."""

import re
from typing import get_args

import msgspec
import pytest
from genai_prices.data import providers as priced

from extproc.config.catalogue import SHIPPED, Known, catalogue, read_catalogue
from extproc.config.model import Provider
from extproc.config.urls import is_loopback, parse_provider_url
from extproc.dialects import DIALECTS
from tests.cases import cases
from tests.config.settings import Load, told

ENTRIES = catalogue()
HERE = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?(/|$)")


def filled(known: Known, text: str) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda found: found[0] if found[1] == "model" else "x", text)


def test_there_are_many_in_order() -> None:
    assert len(ENTRIES) >= 100
    assert list(ENTRIES) == sorted(ENTRIES)
    # PyYAML takes the last of two keys in silence.
    assert len(re.findall(r"(?m)^[a-z0-9-]+:$", SHIPPED.read_text())) == len(ENTRIES)


@cases("name", ENTRIES)
def test_an_entry(name: str) -> None:
    known = ENTRIES[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert known.title.strip() == known.title != ""
    assert known.docs.startswith("https://")
    url = filled(known, known.base_url)
    assert url.startswith("https://") or HERE.match(url), "a key crosses the network in the open"
    assert parse_provider_url(url).scheme in ("http", "https")
    assert not known.base_url.endswith("/")
    assert known.placeholders() == set(known.settings), "settings and placeholders do not match"
    assert all(setting.about and not setting.about.endswith(".") for setting in known.settings.values())
    assert len(set(known.endpoints)) == len(known.endpoints) > 0
    assert known.prices is None or known.prices in {vendor.id for vendor in priced}
    if url.startswith("https://") and known.auth not in ("aws", "google", "none"):
        assert known.env is not None


def test_titles_tell_entries_apart() -> None:
    titles = [known.title for known in ENTRIES.values()]
    assert len(set(titles)) == len(titles)


def test_the_dialects_of_gateway_yaml_are_those_that_are_spoken() -> None:
    assert set(get_args(Provider.__annotations__["dialect"])) == set(DIALECTS)


@cases("name", ENTRIES)
def test_every_entry_is_taken_by_its_name(name: str, load_text: Load) -> None:
    known = ENTRIES[name]
    settings = "".join(f"      {key}: x\n" for key in known.settings)
    text = f"providers:\n  {name}:\n" + (f"    settings:\n{settings}" if settings else "") + f"models:\n- {{name: m, targets: [{name}]}}\n"
    loaded = load_text(text, {known.env: "sk-1"} if known.env else {})
    if not known.spoken:
        assert [(path, "not supported yet" in message) for path, _, message in told(loaded)] == [(f"$.providers.{name}", True)]
        return
    assert loaded.problems == []
    assert loaded.config is not None
    provider = loaded.config.providers[name]
    assert (provider.dialect, provider.base_url) == (known.dialect, filled(known, known.base_url))
    assert provider.key == ("sk-1" if known.env else None)
    assert provider.quirks == known.quirks
    assert provider.endpoints == known.endpoints


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("dialect: elvish, base_url: x, title: x, docs: https://x", "dialect"),
        ("dialect: openai, base_url: x, title: x", "docs"),
        ("dialect: openai, base_url: x, title: x, docs: http://x", "docs"),
        ("dialect: openai, base_url: x, title: x, docs: https://x, quirk: {}", "quirk"),
        ("dialect: openai, base_url: x, title: x, docs: https://x, quirks: {max: 1}", "max"),
        ("dialect: openai, base_url: x, title: x, docs: https://x, env: my-key", "env"),
    ],
)
def test_what_is_no_catalogue(entry: str, part: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=part):
        read_catalogue(f"x: {{{entry}}}")


def test_local_entries_are_of_this_machine() -> None:
    for known in ENTRIES.values():
        if known.base_url.startswith("http://"):
            host = parse_provider_url(known.base_url).host
            assert host == "localhost" or is_loopback(host)


def test_other_dialects_of_an_entry_are_those_whose_conversations_it_offers() -> None:
    known = catalogue()
    assert known["openai"].section()["also"] == ["responses"]
    assert known["vllm"].section()["also"] == ["responses", "anthropic"]
    assert "also" not in known["anthropic"].section()
    assert all(one.dialect not in one.also for one in known.values())
