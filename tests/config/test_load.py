from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.config.listeners import Listener
from extproc.config.load import Absent, load
from extproc.config.model import Config, HeaderEdits, HeaderRules, Limits, Model, Price, Provider, Redis
from extproc.config.timeouts import Timeouts
from tests.config.settings import Load, find, told
from tests.examples import examples

BASE = """
providers:
  openai: {dialect: openai, base_url: "https://api.openai.com/v1", key: "env:OPENAI"}
  demo: {dialect: anthropic, base_url: "demo:"}
models:
  - {name: demo, targets: [demo/demo, openai]}
"""
ENVIRON = {"OPENAI": "sk-s3cret"}


def test_a_right_file(load_text: Load, tmp_path: Path) -> None:
    loaded = load_text(BASE, ENVIRON)
    assert loaded.problems == []
    assert loaded.absent == ()
    assert loaded.files == (tmp_path / "gateway.yaml",)
    assert loaded.config is not None
    assert loaded.config.providers["openai"].key == "sk-s3cret"
    assert loaded.config.models == (Model(name="demo", targets=("demo/demo", "openai")),)


def _with(**changes: Any) -> str:
    """The base with other keys at the top, each given as YAML."""
    return BASE + "".join(f"{key}: {value}\n" for key, value in changes.items())


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        (_with(listener="{address: 0.0.0.0}"), "$.listener.address", "headgate keys create"),
        (_with(listener="{address: localhost}"), "$.listener.address", "such as 127.0.0.1"),
        (_with(listener="{port: 9180}"), "$.admin.port", "has the port 9180 already"),
        (_with(admin="{port: 9181}"), "$.api.address", "(`admin`) has the port 9181 already"),
        (_with(listener="{port: 9181}"), "$.api.address", "(`listener`) has the port 9181 already"),
        (_with(redis="{url: 'http://:s3cret@h'}"), "$.redis.url", "begin with `redis://`"),
        (_with(ledger="{url: 'mysql://u:s3cret@h/d'}"), "$.ledger.url", "no URL of PostgreSQL"),
        (_with(ledger="{url: 's3cret'}"), "$.ledger.url", "no URL of PostgreSQL"),
        (_with(redis="{}"), "$.redis", 'the key "url" is missing'),
        (_with(store="{url: 'mysql://u:s3cret@h/x'}"), "$.store.url", "no URL of PostgreSQL"),
        (_with(store="{url: s3cret}"), "$.store.url", "no URL of PostgreSQL"),
        (_with(prices="[{model: demo/x, input: '-1', output: '1'}]"), "$.prices[0].input", "never negative"),
        (_with(prices="[{model: demo/x, input: '1', output: 1e5}]"), "$.prices[0].output", "decimal in quotes"),
        (_with(prices="[{model: demo, input: '1', output: '1'}]"), "$.prices[0].model", "the model is missing"),
        (_with(prices="[{model: dmo/x, input: '1', output: '1'}]"), "$.prices[0].model", 'did you mean "demo"?'),
        (_with(prices="[&p {model: demo/x, input: '1', output: '1'}, *p]"), "$.prices[1].model", "for the same model"),
        (_with(state="5"), "$.state", "is not a folder's path, such as `.headgate`"),
        (_with(wokers="1"), "$.wokers", 'did you mean "workers"?'),
        (BASE.replace("demo/demo", "dmeo/demo"), "$.models[0].targets[0]", 'there is no provider "dmeo"; did you mean "demo"?'),
        (BASE.replace("demo/demo", "demo/"), "$.models[0].targets[0]", "comes the name of a model"),
        (BASE.replace("demo/demo", "demo/*"), "$.models[0].targets[0]", "a target is one model"),
        (BASE.replace("demo/demo", "demo/a b"), "$.models[0].targets[0]", "not the name of a model"),
        (BASE.replace("demo/demo", '""'), "$.models[0].targets[0]", "there is no provider"),
        (BASE.replace("name: demo", 'name: "gpt-[0-9]"'), "$.models[0].name", "no sign is special but `*`"),
        (BASE.replace("name: demo", 'name: "gpt-**"'), "$.models[0].name", "one `*` is enough"),
        (BASE.replace("name: demo", 'name: "gpt 4"'), "$.models[0].name", "no spaces"),
        (BASE.replace("name: demo", "name: demo, aliases: [demo]"), "$.models[0].aliases[0]", "taken already by $.models[0].name"),
        (BASE.replace("name: demo", 'name: demo, aliases: ["d*"]'), "$.models[0].aliases[0]", "an alias is an exact name"),
        (BASE + "  - {name: demo, targets: [nobody]}", "$.models[1].name", "taken already by $.models[0].name"),
        (BASE + "  - {name: demo, targets: nobody}", "$.models[1].name", "taken already by $.models[0].name"),
        (BASE.replace('"demo:"', '"https://u:s3cret@h"'), "$.providers.demo.base_url", "belongs into `key`"),
        (BASE.replace('"demo:"', '"demo:", tls_server_name: "a b"'), "$.providers.demo.tls_server_name", "not the name of a host"),
        (BASE.replace('"env:OPENAI"', "env:NONE"), "$.providers.openai.key", "NONE is not set"),
        (BASE.replace('"env:OPENAI"', '"a s3cret"'), "$.providers.openai.key", "holds spaces"),
        (BASE.replace('"env:OPENAI"', '"${NONE:-}"'), "$.providers.openai.key", "is empty"),
        ("models: []\nproviders: {}", "$.models", "at least 1 entries needed"),
        ("models: [{name: a, targets: [b]}]", "$", 'the key "providers" is missing'),
        ("[]", "$", "expected a section with keys, got a list"),
        ("x", "$", "expected a section with keys, got text"),
        (b"\xff", "$", "not in UTF-8"),
        ("", "$", "empty"),
    ],
)
def test_mistakes(load_text: Load, text: str, path: str, part: str) -> None:
    loaded = load_text(text, ENVIRON)
    assert loaded.config is None
    assert [problem[0] for problem in told(loaded) if part in problem[2]] == [path]
    assert not any("s3cret" in problem.message for problem in loaded.problems)


def test_all_at_once(load_text: Load) -> None:
    text = """\
    providers:
      openai:
        dialect: opnai
        base_url: ftp://x
      anthropic:
        dialect: anthropic
        baseurl: https://api.anthropic.com
        key: env:NONE
    models:
      - name: a
        targets: [opena/x]
      - name: a
        targets: openai
    filters:
      - auth:
      - rout:
    wrokers: 2
    listener:
      port: 80800
    """
    assert [(path, line) for path, line, _ in told(load_text(text))] == [
        ("$.providers.openai.dialect", 3),
        ("$.providers.openai.base_url", 4),
        ("$.providers.anthropic.baseurl", 7),
        ("$.providers.anthropic.key", 8),
        ("$.models[0].targets[0]", 11),
        ("$.models[1].name", 12),
        ("$.models[1].targets", 13),
        ("$.filters", 15),
        ("$.filters[1].rout", 16),
        ("$.wrokers", 17),
        ("$.listener.port", 19),
    ]


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        (BASE.replace('"env:OPENAI"', "sk-s3cret"), "$.providers.openai.key", "written here plainly"),
        (_with(redis="{url: 'redis://:s3cret@h'}"), "$.redis.url", "a password is written here plainly"),
        (_with(store="{url: 'postgresql://u:s3cret@h/x'}"), "$.store.url", "a password is written here plainly"),
        (_with(ledger="{url: 'postgresql://u:s3cret@h/d'}"), "$.ledger.url", "a password is written here plainly"),
        (_with(admin="{address: 0.0.0.0}"), "$.admin.address", "asks for no key"),
        (BASE.replace('"demo:"', '"http://h", tls_server_name: "a"'), "$.providers.demo.tls_server_name", "no effect"),
    ],
)
def test_warnings(load_text: Load, text: str, path: str, part: str) -> None:
    loaded = load_text(text, ENVIRON)
    assert loaded.config is not None
    assert [(problem[0], part in problem[2]) for problem in told(loaded, "warning")] == [(path, True)]
    assert "s3cret" not in loaded.problems[0].message


def _at(dialect: str, path: str) -> str:
    provider = f"{{dialect: {dialect}, base_url: 'https://h{path}', key: 'env:OPENAI'}}"
    return f"providers: {{p: {provider}}}\nmodels: [{{name: m, targets: [p]}}]"


@pytest.mark.parametrize(
    ("dialect", "path", "severity", "part"),
    [
        ("openai", "/v1/chat/completions", "error", "`/chat/completions` belongs to an endpoint's own path"),
        ("openai", "/v1/chat/completions/", "error", "leave it off, so that `/v1` is the end"),
        ("openai", "/embeddings", "error", "so that the host is the end"),
        (
            "openai",
            "/v1/chat",
            "warning",
            "`/chat` belongs to an endpoint's own path, which the gateway adds by itself: leave it off, so that `/v1` is the end",
        ),
        ("openai", "/v1/messages", "warning", "so that `/v1` is the end"),
        ("anthropic", "/v1/messages", "error", "so that `/v1` is the end"),
        ("responses", "/v1/responses", "error", "so that `/v1` is the end"),
        ("cohere", "/v2/chat", "error", "so that the host is the end"),
        ("cohere", "/v2", "warning", "so that the host is the end"),
        ("ollama", "/api/chat", "error", "so that the host is the end"),
        ("ollama", "/api", "warning", "so that the host is the end"),
        ("ollama", "/v1", "warning", "so that the host is the end"),
        ("gemini", "/v1beta/models/gemini-2.5-flash:generateContent", "error", "so that `/v1beta` is the end"),
        ("gemini", "/v1beta/models", "warning", "so that `/v1beta` is the end"),
        ("bedrock", "/model/m/converse", "error", "so that the host is the end"),
        ("openai, also: [responses]", "/v1/responses", "error", "so that `/v1` is the end"),
        ("openai, paths: {chat: /x}", "/v1/chat/completions", "warning", "so that `/v1` is the end"),
    ],
)
def test_a_base_url_that_says_what_the_gateway_adds(load_text: Load, dialect: str, path: str, severity: str, part: str) -> None:
    loaded = load_text(
        _at(dialect, path),
        ENVIRON,
    )
    (problem,) = loaded.problems
    assert (problem.severity, problem.path) == (severity, "$.providers.p.base_url") and part in problem.message


@pytest.mark.parametrize(("dialect", "path"), [("openai", "/models"), ("gemini", "/v1beta"), ("openai", "/api/v1"), ("cohere", "")])
def test_a_base_url_as_it_should_be(load_text: Load, dialect: str, path: str) -> None:
    assert not load_text(
        _at(dialect, path),
        ENVIRON,
    ).problems


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("listener", "auth", "stored", "errors", "warnings"),
    [
        ("{address: 0.0.0.0}", "", False, 1, 0),
        ("{address: '::'}", "", False, 1, 0),
        ("{address: 0.0.0.0}", "", True, 0, 0),
        ("{address: 0.0.0.0}", f"{{keys: [{{name: a, hash: '{DIGEST}'}}]}}", False, 0, 0),
        ("{address: 0.0.0.0}", f"{{required: false, keys: [{{name: a, hash: '{DIGEST}'}}]}}", False, 1, 0),
        ("{address: 0.0.0.0, open: true}", "", False, 0, 0),
        ("{address: 0.0.0.0}", "{required: true}", False, 0, 1),
        ("{address: 127.0.0.2}", "", False, 0, 0),
        ("{address: '::1'}", "", False, 0, 0),
    ],
)
def test_nobody_opens_a_door_by_accident(load_text: Load, listener: str, auth: str, stored: bool, errors: int, warnings: int) -> None:
    text = _with(listener=listener) + f"filters:\n- auth: {auth}\n- route:\n"
    loaded = load_text(text, ENVIRON, keys=stored)
    assert len(told(loaded)) == errors
    assert len(told(loaded, "warning")) == warnings


OPTIONAL = """
providers:
  openai: {dialect: openai, base_url: "${BASE:-https://api.openai.com}", key: "env:OPENAI", optional: true}
  azure: {dialect: openai, base_url: "env:AZURE_URL", key: "${AZURE}", optional: true}
  file: {dialect: openai, base_url: "https://h", key: "file:none", optional: true}
  demo: {dialect: openai, base_url: "demo:"}
models:
  - {name: both, targets: [openai, demo/x]}
  - {name: instead, targets: [openai], otherwise: [azure, demo]}
  - {name: gone, targets: [openai/a], otherwise: [azure/b]}
prices:
  - {model: openai/a, input: "1", output: "2"}
  - {model: demo/a, input: "1", output: "2"}
"""


def test_absent_providers_are_left_out(load_text: Load) -> None:
    loaded = load_text(OPTIONAL, {"AZURE": ""})
    assert loaded.problems == []
    assert [(absent.kind, absent.name) for absent in loaded.absent] == [
        ("provider", "openai"),
        ("provider", "azure"),
        ("provider", "file"),
        ("model", "gone"),
    ]
    assert loaded.absent[3].reason == "no provider: the environment variable OPENAI is not set; ${AZURE} is empty"
    assert loaded.config is not None
    assert list(loaded.config.providers) == ["demo"]
    assert loaded.config.models == (Model(name="both", targets=("demo/x",)), Model(name="instead", targets=("demo",)))
    assert [price.model for price in loaded.config.prices] == ["demo/a"]


def test_present_optional_providers_stay(load_text: Load) -> None:
    loaded = load_text(OPTIONAL, ENVIRON)
    assert loaded.config is not None
    assert list(loaded.config.providers) == ["openai", "demo"]
    assert loaded.config.models == (
        Model(name="both", targets=("openai", "demo/x")),
        Model(name="instead", targets=("openai",)),
        Model(name="gone", targets=("openai/a",)),
    )


def test_an_absent_provider_has_to_be_right_all_the_same(load_text: Load) -> None:
    text = OPTIONAL.replace("${BASE:-https://api.openai.com}", "ftp://h").replace(
        "optional: true}\n  demo", "optional: true, x: 1}\n  demo"
    )
    assert [path for path, _, _ in told(load_text(text))] == ["$.providers.openai.base_url", "$.providers.file.x"]


def test_no_model_left(load_text: Load) -> None:
    loaded = load_text(
        "providers:\n  a: {dialect: openai, base_url: 'https://h', key: 'env:A', optional: true}\nmodels:\n- {name: x, targets: [a]}\n"
    )
    assert told(loaded) == [("$.models", 4, "no model has a provider: the environment variable A is not set")]
    assert loaded.absent == (Absent("provider", "a", "the environment variable A is not set"),)


def test_optional_does_not_excuse_a_wrong_reference(load_text: Load) -> None:
    loaded = load_text(OPTIONAL.replace("env:OPENAI", "env:OPEN AI"))
    assert [path for path, _, _ in told(loaded)] == ["$.providers.openai.key"]


def test_files_are_named_for_whoever_watches(load_text: Load, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-1\n")
    key.chmod(0o644)
    loaded = load_text(BASE.replace("env:OPENAI", "file:key"))
    assert loaded.files == (tmp_path / "gateway.yaml", key)
    assert [(path, line) for path, line, _ in told(loaded, "warning")] == [("$.providers.openai.key", 3)]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_no_file_raises(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    loaded = load(path, {}, find=find)
    assert loaded.config is None
    assert loaded.problems


_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
_MODELS = st.from_regex(r"[A-Za-z0-9_.:@+/-]{1,12}", fullmatch=True)
_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$ "), min_size=1, max_size=10).map(
    lambda text: f"k-{text}"
)
_SECONDS = st.floats(min_value=0.001, max_value=86400)
_HEADERS = st.builds(
    HeaderEdits,
    set=st.dictionaries(st.sampled_from(["x-a", "x-b"]), _TEXTS),
    remove=st.lists(st.sampled_from(["x-a", "x-b"])).map(tuple),
)
_PROVIDERS = st.builds(
    Provider,
    dialect=st.sampled_from(["openai", "anthropic"]),
    base_url=st.sampled_from(["demo:", "https://api.example/v1", "http://[::1]:8000"]),
    key=st.none() | _TEXTS,
    timeouts=st.builds(Timeouts, connect=_SECONDS, first_byte=_SECONDS, idle=_SECONDS),
    headers=st.builds(HeaderRules, request=_HEADERS, response=_HEADERS),
)
_AMOUNTS = st.decimals(min_value=0, max_value=1000, places=4).map(str)


@st.composite
def _configs(draw: st.DrawFn) -> Config:
    providers = draw(st.dictionaries(_NAMES, _PROVIDERS, min_size=1, max_size=3))
    names = draw(st.lists(_MODELS, min_size=1, max_size=4, unique=True))
    target = st.sampled_from(sorted(providers))
    targets = st.lists(target | st.builds(lambda name, model: f"{name}/{model}", target, _MODELS), min_size=1, max_size=8).map(tuple)
    prices = st.builds(Price, model=target.map(lambda name: f"{name}/m"), input=_AMOUNTS, output=_AMOUNTS, cache_read=st.none() | _AMOUNTS)
    return Config(
        providers=providers,
        models=tuple(Model(name=name, targets=draw(targets)) for name in names),
        listener=Listener(port=draw(st.integers(1, 9000))),
        limits=Limits(request_body=draw(st.integers(1, 2**40))),
        prices=tuple(draw(st.lists(prices, max_size=1))),
        redis=draw(st.none() | st.just(Redis(url="redis://h/0"))),
        workers=draw(st.integers(1, 256)),
        state=draw(_TEXTS),
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(config=_configs())
def test_a_written_configuration_loads_back_equal(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "gateway.yaml"
    written = msgspec.to_builtins(config)
    del written["filters"]
    path.write_text(yaml.safe_dump(written, allow_unicode=True))
    loaded = load(path, {}, find=find)
    assert not told(loaded)
    assert loaded.config is not None
    assert msgspec.structs.replace(loaded.config, filters=()) == msgspec.structs.replace(config, filters=())
