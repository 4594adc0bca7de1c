"""`keys` and `envoy_key_file` of a provider."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.config.credentials import Keys, settled
from extproc.config.model import Provider
from extproc.config.pool import ProviderKey
from tests.config.settings import Load, told

BASE = """
providers:
  it: {dialect: openai, base_url: "https://it.test/v1", %s}
  other: {dialect: openai, base_url: "https://other.test"}
models:
  - {name: x, targets: [it, other]}
"""
ENVIRON = {"KEY_1": "sk-one", "KEY_2": "sk-two", "KEY_3": "sk-three", "ALSO_1": "sk-one", "EMPTY": " ", "SPACED": "a b"}


def _keys(load_text: Load, section: str) -> tuple[ProviderKey, ...]:
    loaded = load_text(BASE % section, ENVIRON)
    assert loaded.config is not None, told(loaded)
    return tuple(key for key in loaded.config.providers["it"].keys if isinstance(key, ProviderKey))


def test_keys_are_called_by_where_they_come_from(load_text: Load) -> None:
    written = (
        "keys: ['env:KEY_1', {key: '${KEY_2}', weight: 2, concurrency: 5, requests_per_minute: 100}, {key: 'env:KEY_3', name: spare}, "
        "'${FOURTH:-sk-four}', 'x${FOURTH:-sk-five}']"
    )
    assert _keys(load_text, written) == (
        ProviderKey(key="sk-one", name="KEY_1"),
        ProviderKey(key="sk-two", name="KEY_2", weight=2, concurrency=5, requests_per_minute=100),
        ProviderKey(key="sk-three", name="spare"),
        ProviderKey(key="sk-four", name="FOURTH"),
        ProviderKey(key="xsk-five", name="5"),
    )


def test_keys_from_files_are_watched_and_called_by_the_file(load_text: Load, tmp_path: Path) -> None:
    for name, text in (("a", "sk-a"), ("b", "sk-b\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(text)
        (tmp_path / name / "key").chmod(0o600)
    loaded = load_text(BASE % f"keys: ['file:{tmp_path}/a/key', 'file:{tmp_path}/b/key']", {})
    assert loaded.config is not None and loaded.problems == []
    assert loaded.config.providers["it"].keys == (ProviderKey(key="sk-a", name="key"), ProviderKey(key="sk-b", name="2"))
    assert {tmp_path / "a" / "key", tmp_path / "b" / "key"} <= set(loaded.files)


def test_a_single_key_is_as_one_written_so(load_text: Load) -> None:
    loaded = load_text(BASE % "keys: ['env:KEY_1']", ENVIRON)
    assert loaded.config is not None
    assert (loaded.config.providers["it"].key, loaded.config.providers["it"].keys) == ("sk-one", ())
    assert _keys(load_text, "keys: [{key: 'env:KEY_1', requests_per_minute: 9}]")[0].requests_per_minute == 9


@pytest.mark.parametrize(
    ("section", "path", "part"),
    [
        ("keys: ['env:KEY_1', 'env:NONE']", ".keys[1]", "NONE is not set"),
        ("keys: ['env:KEY_1', {key: 'env:NONE'}]", ".keys[1].key", "NONE is not set"),
        ("keys: ['env:KEY_1', 'env:EMPTY']", ".keys[1]", "is set, but empty"),
        ("keys: ['env:KEY_1', 'env:SPACED']", ".keys[1]", "characters that no key has"),
        ("keys: ['env:KEY_1', 'env:ALSO_1']", ".keys[1]", "the same key as keys[0]"),
        ("keys: ['env:KEY_1', {key: 'env:ALSO_1'}]", ".keys[1].key", "the same key as keys[0]"),
        ("keys: [{key: 'env:KEY_1', name: a}, {key: 'env:KEY_2', name: a}]", ".keys[1].name", "taken already by keys[0]"),
        ("keys: [{key: 'env:KEY_1'}, {key: 'env:KEY_2', name: KEY_1}]", ".keys[1].name", "taken already by keys[0]"),
        ("keys: [{key: 'env:KEY_1', name: 'a b'}]", ".keys[0].name", "a key's name"),
        ("keys: [{key: 'env:KEY_1', weight: 0}]", ".keys[0].weight", "more than 0"),
        ("keys: [{name: x}]", ".keys[0]", '"key" is missing'),
        ("keys: [{key: 'env:KEY_1', weigth: 1}]", ".keys[0].weigth", 'did you mean "weight"?'),
        ("keys: 'env:KEY_1'", ".keys", "expected a list"),
        ("keys: [[a]]", ".keys[0]", "got a list"),
        ("keys: ['env:KEY_1'], pool: random", ".pool", "random"),
        ("key: 'env:KEY_1', keys: ['env:KEY_2', 'env:KEY_3']", ".keys", "take out all but one"),
        ("keys: ['env:KEY_1', 'env:KEY_2'], aws: {region: us-east-1}", ".keys", "take out all but one"),
        ("keys: ['env:KEY_1', 'env:KEY_2'], google: {}", ".keys", "take out all but one"),
        ("key: 'env:KEY_1', envoy_key_file: k", ".envoy_key_file", "take out all but one"),
        ("envoy_key_file: ' '", ".envoy_key_file", "is empty"),
        ("envoy_key_file: 'env:KEY_1'", ".envoy_key_file", "the path of the file itself"),
        ("envoy_key_file: 'file:/run/key'", ".envoy_key_file", "the path of the file itself"),
    ],
)
def test_mistakes(load_text: Load, section: str, path: str, part: str) -> None:
    loaded = load_text(BASE % section, ENVIRON)
    found = [message for at, _, message in told(loaded, "error") if at == f"$.providers.it{path}"]
    assert found and part in found[0], told(loaded)
    assert "sk-" not in str(told(loaded))


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("keys: ['sk-written', 'env:KEY_1']", "keys[0]"),
        ("keys: ['env:KEY_1', {key: sk-written}]", "keys[1].key"),
        ("keys: ['env:KEY_1', 'env:KEY_2'], auth: none", "keys"),
        ("key: 'env:KEY_1', pool: least_used", "pool"),
        ("envoy_key_file: k, auth: none", "envoy_key_file"),
    ],
)
def test_warnings(load_text: Load, section: str, path: str) -> None:
    loaded = load_text(BASE % section, ENVIRON)
    assert [at for at, _, _ in told(loaded, "warning")] == [f"$.providers.it.{path}"]
    assert told(loaded, "error") == [] and "sk-" not in str(told(loaded))


def test_an_optional_provider_goes_on_with_the_keys_that_are_there(load_text: Load) -> None:
    section = "optional: true, keys: ['env:NONE', 'env:KEY_2', {key: 'env:GONE', name: x}, 'env:EMPTY', 'env:KEY_3']"
    assert [key.name for key in _keys(load_text, section)] == ["KEY_2", "KEY_3"]
    loaded = load_text(BASE % section, ENVIRON)
    assert [path for path, _, _ in told(loaded, "warning")] == [f"$.providers.it.keys[{at}]" for at in (0, 2, 3)]
    assert "NONE is not set; the provider goes on with its other keys" in told(loaded, "warning")[0][2]
    assert [absent.name for absent in loaded.absent] == []


def test_an_optional_provider_without_any_of_its_keys_is_left_out(load_text: Load) -> None:
    loaded = load_text(BASE % "optional: true, keys: ['env:NONE', {key: 'env:GONE'}]", ENVIRON)
    assert loaded.problems == []
    (absent,) = loaded.absent
    assert absent.name == "it" and "NONE is not set" in absent.reason and "GONE is not set" in absent.reason


def test_the_catalogue_s_key_is_not_asked_for_beside_others(load_text: Load) -> None:
    for section in ("{keys: ['env:KEY_1', 'env:KEY_2']}", "{envoy_key_file: k}"):
        for name in ("groq", "bedrock", "vertex"):
            text = f"providers:\n  {name}: {section}\nmodels:\n  - {{name: x, targets: [{name}]}}\n"
            loaded = load_text(text, {**ENVIRON, "AWS_REGION": "eu-west-1", "GOOGLE_CLOUD_PROJECT": "p"})
            assert loaded.config is not None, told(loaded)
            provider = loaded.config.providers[name]
            assert (provider.key, provider.aws, provider.google) == (None, None, None)


def test_an_empty_list_says_nothing(load_text: Load) -> None:
    loaded = load_text("providers:\n  groq: {keys: []}\nmodels:\n  - {name: x, targets: [groq]}\n", {"GROQ_API_KEY": "sk-groq"})
    assert loaded.config is not None and loaded.config.providers["groq"].key == "sk-groq"


def test_envoy_s_file_lies_beside_the_configuration(load_text: Load, tmp_path: Path) -> None:
    loaded = load_text(BASE % "envoy_key_file: secrets/it", {})
    assert loaded.config is not None and loaded.problems == []
    path = loaded.config.providers["it"].envoy_key_file
    assert path is not None and Path(path).is_absolute() and path.endswith("/secrets/it")
    loaded = load_text(BASE % "envoy_key_file: /run/secrets/it", {})
    assert loaded.config is not None and loaded.config.providers["it"].envoy_key_file == "/run/secrets/it"
    # Nobody of ours reads it.
    assert all("secrets" not in str(path) for path in loaded.files)


@settings(max_examples=30)
@given(st.lists(st.text("sk-abc", min_size=1, max_size=9), min_size=1, max_size=6, unique=True), st.sets(st.integers(0, 5)))
def test_settled_keys_have_names_and_keep_their_order(texts: list[str], absent: set[int]) -> None:
    gone = frozenset(at for at in absent if at < len(texts) - 1)
    provider = Provider(dialect="openai", base_url="https://x", keys=tuple(texts))
    names = tuple(str(at + 1) for at in range(len(texts)))
    found = settled(provider, Keys(names, gone), Path("/"))
    left = [text for at, text in enumerate(texts) if at not in gone]
    if len(left) == 1:
        assert (found.key, found.keys) == (left[0], ())
    else:
        expected = tuple(
            ProviderKey(key=text, name=name) for at, (text, name) in enumerate(zip(texts, names, strict=True)) if at not in gone
        )
        assert found.keys == expected


def test_what_the_page_shows(load_text: Load, tmp_path: Path) -> None:
    (written,) = re.findall(r"^```yaml\n(.*?)^```", (Path(__file__).parents[2] / "docs" / "keys.md").read_text(), re.DOTALL | re.MULTILINE)
    secret = tmp_path / "secrets" / "mistral-2"
    secret.parent.mkdir()
    secret.write_text("key-2")
    secret.chmod(0o600)
    environ = {"GROQ_API_KEY": "g", "OPENAI_KEY_1": "o-1", "OPENAI_KEY_2": "o-2", "MISTRAL_KEY": "key-1"}
    loaded = load_text(written + "models: [{name: m, targets: [openai/x]}]\n", environ)
    assert told(loaded) == [] and loaded.config is not None
    assert [len(provider.keys) for provider in loaded.config.providers.values()] == [0, 2, 2, 0]
