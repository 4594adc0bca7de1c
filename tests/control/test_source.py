"""Where the configuration comes from, and the snapshot that is made of it."""

import os
from pathlib import Path

import pytest

from extproc.config.load import Loaded
from extproc.control.keyfiles import FOLD
from extproc.control.source import Source, fingerprint, quickstart
from extproc.engine import Engine
from extproc.keys import KeyState, StoredKey, digest
from extproc.snapshot import decode, decode_settings
from extproc.tokens import veiled
from filters.auth import Auth
from tests import stored
from tests.scene import Books, Shelf

TEXT = """
providers:
  one: {dialect: openai, base_url: "http://one.test/v1", key: env:ONE_KEY}
  demo: {dialect: anthropic, base_url: "demo:"}
models:
  - {name: m, targets: [one/m, demo/d]}
filters:
  - meter: {}
  - auth: {}
  - route: {}
  - cache: {ttl: 60}
"""


def source(folder: Path, text: str = TEXT, state: Path | None = None) -> Source:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return Source(path, state, {"ONE_KEY": "sk-one"})


def loaded(made: Source) -> Loaded:
    found = made.load()
    assert found.config is not None, found.problems
    return found


def test_the_quickstart_is_there_and_loads() -> None:
    assert quickstart().name == "quickstart.yaml"
    found = Source(quickstart(), None, {}).load()
    assert found.config is not None
    assert "demo" in found.config.providers


def test_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = source(tmp_path)
    config = loaded(made).config
    assert config is not None
    assert made.state_folder(config) == tmp_path / ".headgate"
    assert source(tmp_path, state=tmp_path / "else").state_folder(config) == tmp_path / "else"
    monkeypatch.chdir(tmp_path)
    assert Source(Path("gateway.yaml"), Path("here")).state_folder(config) == tmp_path / "here"
    # Nothing of the user's lies among the program's own files.
    assert Source(quickstart()).state_folder(config) == tmp_path / ".headgate"


def test_workers_are_told_no_credentials_of_google_s(tmp_path: Path) -> None:
    text = TEXT.replace("key: env:ONE_KEY", 'google: {credentials: "env:ONE_KEY"}')
    made = source(tmp_path, text, state=tmp_path / "state")
    data = made.message(loaded(made))
    settings, _ = decode_settings(decode(data)[1])
    config = loaded(made).config
    assert config is not None
    given, told = config.providers["one"], settings.config.providers["one"]
    assert given.google is not None and told.google == veiled(given.google)
    assert b"sk-one" not in data


def test_workers_are_not_told_who_is_notified(tmp_path: Path) -> None:
    secret = "whsec_" + "c2VjcmV0" * 4
    more = f"notifications: {{webhooks: [{{name: ops, url: 'https://ops.test/t0ken', secret: {secret}}}]}}\n"
    made, without = source(tmp_path, TEXT + more), (tmp_path / "other")
    without.mkdir()
    message = made.message(loaded(made))
    assert secret.encode() not in message and b"t0ken" not in message
    # So they need not be told anything when that changes.
    assert decode(message)[0] == decode(source(without).message(loaded(source(without))))[0]


def test_the_message_survives_its_journey(tmp_path: Path) -> None:
    made = source(tmp_path, state=tmp_path / "state")
    key = stored.create(tmp_path / "state", "one", "acme")
    found = loaded(made)
    data = made.message(found)
    _, message = decode(data)
    settings, filters = decode_settings(message)
    config = found.config
    assert config is not None
    assert (settings.config.providers, settings.config.models, settings.config.filters) == (config.providers, config.models, ())
    assert settings.config.providers["one"].key == "sk-one"
    assert tuple(filters) == found.filters
    assert [name for name, _ in settings.filters] == ["meter", "auth", "route", "cache"]
    assert (stored.plain(message.keys.added), message.keys_exist) == ([StoredKey("one", digest(key), "acme")], True)
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    engine.load(data)
    assert list(engine.current.upstreams) == ["one", "demo"]


def test_revoking_the_last_key_does_not_open_the_gateway(tmp_path: Path) -> None:
    made = source(tmp_path, state=tmp_path / "state")
    stored.create(tmp_path / "state", "one")
    before = made.message(loaded(made))
    stored.revoke(tmp_path / "state", "one")
    after = made.message(loaded(made))
    generation, message = decode(after)
    assert (message.keys, message.keys_exist) == (KeyState(), True)
    assert before != after
    assert decode(before)[0] == generation
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    engine.load(after)
    assert Auth().open(engine.current.environment)._table.required  # type: ignore[attr-defined]


def test_many_keys_travel_in_a_file(tmp_path: Path) -> None:
    made = source(tmp_path, state=tmp_path / "state")
    stored.add(tmp_path / "state", (StoredKey(f"key-{number}", digest(f"hg-{number}")) for number in range(FOLD + 1)))
    unfolded, folded = made.message(loaded(made)), made.message(loaded(made), fold=True)
    assert len(unfolded) > 50 * FOLD > 10 * len(folded)
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    for data in (unfolded, folded):
        engine.load(data)
        assert engine.current.environment.stored_keys.find(digest(f"hg-{FOLD}")) is not None


def test_the_same_is_the_same(tmp_path: Path) -> None:
    made = source(tmp_path)
    assert made.message(loaded(made)) == made.message(loaded(made))


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    found = source(tmp_path, TEXT.replace("models:", "modles:")).load()
    assert found.config is None
    assert any("models" in problem.message for problem in found.problems)


def test_fingerprint(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    files = (one, two)
    seen = [fingerprint(files)]
    assert seen == [(None, None)]
    one.write_text("a")
    seen.append(fingerprint(files))
    assert fingerprint(files) == seen[-1]
    two.write_text("b")
    seen.append(fingerprint(files))
    # Another file in its place, of the same size and time: as editors and Kubernetes do it.
    stat = one.stat()
    new = tmp_path / "new"
    new.write_text("c")
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(one)
    seen.append(fingerprint(files))
    one.unlink()
    seen.append(fingerprint(files))
    assert len(set(seen)) == 5
