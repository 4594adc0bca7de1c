"""Snapshots: swapped in one assignment, kept for those who began with them, and never half in force."""

from pathlib import Path

import msgspec
import pytest

from extproc.cachestore.entry import Store
from extproc.config.model import Config, Model, Redis
from extproc.engine import Engine
from extproc.errors import Reject
from extproc.gate import GateSession
from extproc.keyfile import Stamp, write_key_file
from extproc.keys import KeyState, StoredKey, digest
from extproc.snapshot import Settings, decode, decode_settings, encode
from filters.auth import Auth
from filters.cache import Cache
from filters.meter import Meter
from filters.route import Route
from tests.scene import CHAT, CONFIG, DEFAULT, Books, Scene, Shelf, head, message, request, run


def renamed(name: str) -> Config:
    return msgspec.structs.replace(CONFIG, models=(Model(name=name, targets=("openai/gpt",)),))


def test_a_message_survives_its_journey() -> None:
    keys = (StoredKey("one", digest("hg-1"), "acme"),)
    data = message(CONFIG, DEFAULT, keys)
    generation, told = decode(data)
    settings, filters = decode_settings(told)
    assert (settings.config, told.keys, told.keys_exist) == (msgspec.structs.replace(CONFIG, filters=()), KeyState(added=keys), True)
    assert filters == [settings for _, settings in DEFAULT]
    assert decode(data)[0] == generation != decode(message(renamed("x")))[0]


def test_filters_are_told_apart_by_what_they_need() -> None:
    snapshot = Scene().engine.current
    assert [type(handler).__module__ for handler in snapshot.early] == ["filters.meter", "filters.auth"]
    assert [type(handler).__module__ for handler in snapshot.filters] == ["filters.route", "filters.headers", "filters.cache"]


def test_nothing_is_in_force_before_the_first() -> None:
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    with pytest.raises(RuntimeError, match="no snapshot"):
        _ = engine.current
    with pytest.raises(RuntimeError, match="no snapshot"):
        engine.find("x")


def test_loading_swaps() -> None:
    scene = Scene()
    first = scene.engine.current
    generation = scene.load(renamed("x"))
    assert scene.engine.current.generation == generation != first.generation
    assert scene.engine.find(first.generation) is first
    assert scene.engine.find("forgotten") is scene.engine.current


def test_what_is_felt_of_targets_outlives_a_configuration() -> None:
    busy = Model(name="m", targets=("openai/gpt", "anthropic/claude"), strategy="least_busy")
    scene = Scene(msgspec.structs.replace(CONFIG, models=(busy,)))
    first = scene.engine.current
    scene.load(msgspec.structs.replace(CONFIG, models=(msgspec.structs.replace(busy, aliases=("n",)),)))
    assert scene.engine.current is not first
    for at, snapshot in enumerate((first, scene.engine.current, first)):
        asked = request(body={**CHAT, "model": "m"})
        assert run(Route().open(snapshot.environment).request(asked)) is not None
        assert sum(scene.engine.pulses.of(target).busy for target in asked.targets) == at + 1


@pytest.mark.parametrize("data", [b"", b"\xff", b"nonsense", message(renamed("x"))[:-3], message(CONFIG, (("nothing", Meter()),))])
def test_bad_data_changes_nothing(data: bytes) -> None:
    scene = Scene()
    before = scene.engine.current
    with pytest.raises((msgspec.DecodeError, LookupError, UnicodeDecodeError)):
        scene.engine.load(data)
    assert scene.engine.current is before
    assert scene.engine.find(scene.generation) is before


def test_only_so_many_are_kept() -> None:
    scene = Scene()
    generations = [scene.load(renamed(f"m{index}")) for index in range(20)]
    assert len(scene.engine._snapshots) == 8
    assert scene.engine.find(generations[-8]).generation == generations[-8]
    assert scene.engine.find(generations[0]) is scene.engine.current
    # Coming back to one that is known moves it to the end.
    assert scene.load(renamed("m12")) == generations[12]
    scene.load(renamed("new"))
    assert scene.engine.find(generations[12]).generation == generations[12]


def test_redis_is_opened_once_for_the_same_settings() -> None:
    opened: list[Redis] = []

    def open_redis(settings: Redis) -> Store:
        opened.append(settings)
        return Shelf()

    engine = Engine(Books(), Shelf(), open_redis)
    for url in ("redis://a", "redis://a", "redis://b"):
        engine.load(message(msgspec.structs.replace(CONFIG, redis=Redis(url=url))))
    assert [settings.url for settings in opened] == ["redis://a", "redis://b"]
    engine.load(message(CONFIG))
    assert engine.current.environment.redis is None


def test_a_request_keeps_the_snapshot_that_it_began_with() -> None:
    scene = Scene(renamed("old"))
    exchange = scene.exchange()
    assert run(exchange.intake.begin()) is None
    scene.load(renamed("new"), (("meter", Meter()), ("auth", Auth(required=True)), ("route", Route()), ("cache", Cache())))
    assert run(exchange.intake.proceed(msgspec.json.encode({**CHAT, "model": "old"}))) is None
    assert exchange.intake.forward().call.generation == scene.generation
    later = scene.exchange()
    refused = run(later.intake.begin())
    assert refused is not None and refused.status == 401


KEYS = (StoredKey("one", digest("hg-1"), "acme"), StoredKey("two", digest("hg-2")))


def test_keys_change_without_the_configuration() -> None:
    scene = Scene(keys=KEYS)
    before = scene.engine.current
    began = scene.exchange(head(x_api_key="hg-2"))
    assert run(began.intake.begin()) is None
    assert scene.load(CONFIG, keys=KEYS[:1]) == scene.generation
    # Nothing is compiled again, and no snapshot is pushed out for it, however often keys change.
    assert scene.engine.current is before
    assert len(scene.engine._snapshots) == 1
    refused = run(scene.exchange(head(x_api_key="hg-2")).intake.begin())
    assert refused is not None and refused.status == 401
    assert run(scene.exchange(head(x_api_key="hg-1")).intake.begin()) is None
    assert run(began.intake.proceed(msgspec.json.encode(CHAT))) is None


def test_older_snapshots_know_no_revoked_keys() -> None:
    scene = Scene(renamed("old"), keys=KEYS)
    old = scene.engine.current
    scene.load(renamed("new"), keys=KEYS[:1])
    assert old.environment.stored_keys.find(KEYS[1].digest) is None


def test_what_cannot_be_built_changes_no_keys() -> None:
    scene = Scene(keys=KEYS)
    with pytest.raises(LookupError):
        scene.load(renamed("x"), (("nothing", Meter()),), KEYS[:1])
    assert scene.engine.current.environment.stored_keys.find(KEYS[1].digest) is not None


def test_keys_in_a_file(tmp_path: Path) -> None:
    path = write_key_file(tmp_path, KEYS, Stamp(1, bytes(8)))
    settings = Settings(CONFIG, (("auth", msgspec.Raw(msgspec.msgpack.encode(Auth()))),))
    engine = Engine(Books(), Shelf(), lambda _: Shelf())
    generation = engine.load(encode(settings, KeyState(str(path)), keys_exist=True))
    assert engine.load(encode(settings, KeyState(str(path), revoked=(KEYS[1].digest,)), keys_exist=True)) == generation
    keys = engine.current.environment.stored_keys
    assert keys.find(KEYS[0].digest) is not None
    assert keys.find(KEYS[1].digest) is None
    # A configuration is in force also where its key file is not to be had: it lets in nobody whose key would be in it.
    engine.load(encode(settings, KeyState(str(tmp_path / "none.keys")), keys_exist=True))
    with pytest.raises(Reject):
        keys.find(KEYS[0].digest)


def test_sessions_share_nothing() -> None:
    scene = Scene()
    one, two = GateSession(scene.engine), GateSession(scene.engine)
    assert one.close() is None
    assert two.close() is None
    assert head() == head()
