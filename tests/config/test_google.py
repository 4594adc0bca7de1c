"""The section `google` of a provider."""

import pytest

from tests.config.settings import Load, told

BASE = """
providers:
  it: {dialect: gemini, base_url: "https://us-central1-aiplatform.googleapis.com/v1", google: %s}
models:
  - {name: x, targets: [it]}
"""
ENVIRON = {"SA": '{"type": "service_account"}', "GOOGLE_CLOUD_PROJECT": "p"}


@pytest.mark.parametrize(
    "google", ["{}", "{credentials: 'env:SA'}", "{credentials: 'env:SA'}, auth: google", "{scope: 'https://x.test/y'}"]
)
def test_right_sections(load_text: Load, google: str) -> None:
    loaded = load_text(BASE % google, ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None and loaded.config.providers["it"].google is not None


@pytest.mark.parametrize(
    ("google", "path", "part"),
    [
        ("{credentials: 'env:NONE'}", "$.providers.it.google.credentials", "NONE is not set"),
        ("{scope: mail}", "$.providers.it.google.scope", "an OAuth scope"),
        ("{}, key: k", "$.providers.it.google", "take out all but one"),
        ("{}, auth: x-api-key", "$.providers.it.auth", "sent as `auth: google`"),
        ("{credential: x}", "$.providers.it.google.credential", 'did you mean "credentials"?'),
    ],
)
def test_wrong_sections(load_text: Load, google: str, path: str, part: str) -> None:
    loaded = load_text(BASE % google, ENVIRON)
    found = [message for at, _, message in told(loaded) if at == path]
    assert found and part in found[0], told(loaded)


def test_a_key_file_that_stands_in_the_configuration(load_text: Load) -> None:
    loaded = load_text(BASE % "{credentials: '{}'}")
    assert [path for path, _, _ in told(loaded, "warning")] == ["$.providers.it.google.credentials"]


def test_an_optional_provider_without_its_credentials(load_text: Load) -> None:
    text = BASE % "{credentials: 'env:SA'}, optional: true" + "  - {name: y, targets: [o]}\n"
    text = text.replace("providers:\n", "providers:\n  o: {dialect: openai, base_url: 'https://h'}\n")
    loaded = load_text(text)
    assert loaded.problems == []
    assert [(absent.kind, absent.name) for absent in loaded.absent] == [("provider", "it"), ("model", "x")]


@pytest.mark.parametrize("name", ["vertex", "vertex-anthropic", "vertex-mistral", "vertex-openai"])
def test_the_catalogue_s_entries(load_text: Load, name: str) -> None:
    """They get tokens, unless a key is given."""
    models = f"models:\n  - {{name: x, targets: [{name}]}}\n"
    loaded = load_text(f"providers:\n  {name}:\n{models}", ENVIRON)
    assert loaded.problems == []
    assert loaded.config is not None
    provider = loaded.config.providers[name]
    assert (provider.google is not None, provider.key) == (True, None)
    loaded = load_text(f"providers:\n  {name}: {{google: {{credentials: env:SA}}}}\n{models}", ENVIRON)
    assert loaded.config is not None
    google = loaded.config.providers[name].google
    assert google is not None and google.credentials == ENVIRON["SA"]
    loaded = load_text(f"providers:\n  {name}: {{key: env:SA}}\n{models}", {**ENVIRON, "SA": "ya29.x"})
    assert loaded.problems == []
    assert loaded.config is not None
    provider = loaded.config.providers[name]
    assert (provider.google, provider.key, provider.auth) == (None, "ya29.x", "google")
