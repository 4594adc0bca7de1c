"""What is told of how providers stand."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from extproc.config.mirror import Mirror
from extproc.config.model import Config, Model, Provider
from extproc.config.pool import ProviderKey
from extproc.standing.status import providers_status
from extproc.standing.told import Stand

CONFIG = Config(
    providers={name: Provider(dialect="openai", base_url="https://secret.test/v1", key="sk-secret") for name in ("a", "b", "c")},
    models=(
        Model(name="gpt", targets=("a/gpt-5", "b/gpt-5")),
        Model(name="small", targets=("a/gpt-5", "b")),
    ),
)


def test_all_is_well() -> None:
    told = providers_status(CONFIG, (), {})
    assert told["status"] == "ok"
    assert told["providers"][0] == {
        "provider": "a",
        "healthy": True,
        "targets": [{"model": "gpt-5", "asked_as": ["gpt", "small"], "state": "closed"}],
    }
    assert [target["model"] for target in told["providers"][1]["targets"]] == ["gpt-5", "small"]
    assert b"secret" not in msgspec.json.encode(told)


def test_keys_have_names() -> None:
    provider = Provider(
        dialect="openai", base_url="https://secret.test/v1", keys=(ProviderKey(key="sk-1", name="one"), ProviderKey(key="sk-2", name="two"))
    )
    told = providers_status(Config(providers={"a": provider}, models=(Model(name="gpt", targets=("a",)),)), (), {})
    assert told["providers"][0]["keys"] == [{"key": "one", "state": "closed"}, {"key": "two", "state": "closed"}]
    assert "sk-" not in str(told)


def test_what_is_not() -> None:
    stands = [
        Stand("a", "gpt-5", "", "open", 30, 30, "5 failures in a row, the last: 503 overloaded"),
        Stand("b", "gpt-5", "", "half_open", -5, 65, "timeout"),
        Stand("b", "made-up", "", "limited", 3, 2, "429 rate_limit_exceeded"),
        Stand("b", "made-up-too", "", "open", 3, 2, "5 failures in a row, the last: timeout"),
        Stand("b", "", "second", "open", 10, 50, "401 invalid_api_key"),
        Stand("b", "gpt-5", "first", "cooling", 10, 0, "429 rate_limit_exceeded"),
        Stand("b", "made-up", "first", "cooling", 10, 0, "429 rate_limit_exceeded"),
    ]
    told = providers_status(CONFIG, stands, {"c": "connection refused"}, now=1000)
    a, b, c = told["providers"]
    assert told["status"] == "degraded"
    assert not a["healthy"]
    assert a["targets"] == [
        {
            "model": "gpt-5",
            "asked_as": ["gpt", "small"],
            "state": "open",
            "since": "1970-01-01T00:16:10Z",
            "reason": "5 failures in a row, the last: 503 overloaded",
            "until": "1970-01-01T00:17:10Z",
        }
    ]
    assert b["healthy"]
    assert [(target["model"], target["asked_as"], target["state"]) for target in b["targets"]] == [
        ("gpt-5", ["gpt"], "half_open"),
        ("small", ["small"], "closed"),
        ("*", [], "open"),
    ]
    assert "until" not in b["targets"][0]
    second, first = b["keys"]
    assert (second["key"], second["state"], second["reason"]) == ("second", "open", "401 invalid_api_key")
    assert (first["key"], first["state"], [(one["model"], one["state"]) for one in first["models"]]) == (
        "first",
        "closed",
        [("gpt-5", "cooling"), ("*", "cooling")],
    )
    assert c == {"provider": "c", "healthy": False, "reason": "connection refused", "targets": []}
    assert "made-up" not in str(told), "one caller is not told what another one has asked for"


def test_what_is_half_open_and_asked_by_nobody_alarms_nobody_for_ever() -> None:
    def told(*stands: Stand) -> tuple[str, dict[str, str]]:
        document = providers_status(CONFIG, stands, {}, now=1000)
        return document["status"], document["providers"][0]["targets"][0]

    status, target = told(Stand("a", "gpt-5", "", "half_open", -20, 20, "timeout", open=30))
    assert (status, target["state"], target["since"]) == ("degraded", "half_open", "1970-01-01T00:16:20Z")
    assert target["waits_for"].startswith("a request")
    status, target = told(Stand("a", "gpt-5", "", "half_open", -31, 31, "timeout", open=30))
    assert (status, target["state"], target["reason"]) == ("ok", "half_open", "timeout")
    assert told(Stand("a", "gpt-5", "", "half_open", -31, 31), Stand("b", "small", "", "open", 1, 1))[0] == "degraded"
    assert told(Stand("gone", "gpt-5", "", "open", 9, 1))[0] == "ok", "nobody names that provider any more"


def test_a_mirror_is_told_of_and_no_alarm() -> None:
    watched = msgspec.structs.replace(CONFIG.models[0], targets=("b/gpt-5",), mirror=Mirror(to="c/copy"))
    models = (watched, Model(name="own", targets=("a/gpt-5",), mirror=Mirror(to="b/gpt-5")))
    told = providers_status(
        msgspec.structs.replace(CONFIG, models=models), [Stand("c", "copy", "", "open", 30, 30, "timeout")], {}, now=1000
    )
    b, c = told["providers"][1:]
    assert (told["status"], c["healthy"]) == ("ok", True)
    assert b["targets"] == [{"model": "gpt-5", "asked_as": ["gpt"], "state": "closed"}], "who answers clients, too, is a target like others"
    (target,) = c["targets"]
    assert (target["model"], target["mirror_of"], target["state"]) == ("copy", ["gpt"], "open")
    assert "asked_as" not in target


def test_a_mirror_that_keeps_the_names_of_a_pattern_is_no_alarm_either() -> None:
    models = (
        Model(name="claude-*", targets=("a",), mirror=Mirror(to="c")),
        Model(name="claude-small", targets=("c",)),
    )

    def told(*ill: str) -> tuple[str, dict[str, str]]:
        stands = [Stand("c", model, "", "open", 30, 30, "timeout") for model in ill]
        document = providers_status(msgspec.structs.replace(CONFIG, models=models), stands, {}, now=1000)
        return document["status"], {target["model"]: target["state"] for target in document["providers"][2]["targets"]}

    assert told("claude-large") == ("ok", {"claude-small": "closed", "claude-*": "open"})
    assert told("claude-small") == ("degraded", {"claude-small": "open", "claude-*": "closed"}), "clients are answered by that one"
    assert told("gpt-5")[0] == "degraded"


def test_the_example_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()
    (shown,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    openai, anthropic = "openai/gpt-5", "anthropic/claude-sonnet-4-5"
    config = Config(
        providers={name: Provider(dialect="openai", base_url=f"https://{name}.test/v1", key="k") for name in ("openai", "anthropic")},
        models=(Model(name="gpt-5", targets=(openai,)), Model(name="fast", targets=(openai, anthropic))),
    )
    now = datetime(2026, 11, 22, 12, 0, 45, tzinfo=UTC).timestamp()
    stand = Stand("openai", "gpt-5", "", "open", 20, 40, "5 failures in a row, the last: 503 overloaded")
    assert msgspec.json.decode(shown) == providers_status(config, [stand], {}, now=now)


def test_names_that_a_target_takes_as_they_come() -> None:
    models = (
        Model(name="gpt", aliases=("g",), targets=("a",), on_context_length=("b/long",)),
        Model(name="*", targets=("c",)),
    )
    stands = [Stand("a", "g", "", "open", 30, 30, "timeout"), Stand("c", "made-up", "", "open", 30, 30, "timeout")]
    a, b, c = providers_status(msgspec.structs.replace(CONFIG, models=models), stands, {}, now=1000)["providers"]
    told = [[(target["model"], target["asked_as"], target["state"]) for target in one["targets"]] for one in (a, b, c)]
    assert told == [[("gpt", ["gpt"], "closed"), ("g", ["g"], "open")], [("long", ["gpt"], "closed")], [("*", ["*"], "open")]]
    assert a["healthy"] and c["healthy"], "other names may be answered"
