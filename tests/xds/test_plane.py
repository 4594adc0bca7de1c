"""A control plane with nodes as the model has them: who is told what, and what is kept."""

import logging
from pathlib import Path

import pytest

from extproc.config.fleet import Canary
from extproc.xds.canaries import Canaries
from extproc.xds.kept import Kept
from extproc.xds.kinds import ROUTES
from extproc.xds.messages import Answer
from extproc.xds.metrics import render
from extproc.xds.nodes import Node
from extproc.xds.plane import Live, Plane
from extproc.xds.resources import Version
from extproc.xds.rollout import Rollout
from tests.xds.model import Client, Delta, Whole, delta, made, whole

SETTLE = 10.0


class Fleet:
    """A plane, its clock and its nodes."""

    def __init__(self, folder: Path, canary: Canary | None = None) -> None:
        self.now = 1000.0
        kept = Kept(folder)
        state, versions = kept.load()
        self.plane = Plane(Rollout(Canaries(canary), SETTLE, 2, state), versions, kept, lambda: self.now)
        self.nodes: dict[str, tuple[Client, Live]] = {}

    def connect(self, name: str, client: Client) -> Client:
        """A node of that name."""

        def say(answers: list[Answer]) -> None:
            client.inbox += answers

        assert isinstance(client, Whole | Delta)
        stream = client.stream
        live = self.plane.connect(Node(name, address="10.0.0.1:1"), stream, say)

        # What the client says goes by way of the plane, which answers by `say`.
        client.stream = _Relay(self.plane, live)  # type: ignore[assignment]
        self.nodes[name] = (client, live)
        client.start()
        self.settle()
        return client

    def settle(self) -> None:
        """All read what comes."""
        for _ in range(10):
            for client, _live in self.nodes.values():
                client.settle()

    def offer(self, version: Version) -> None:
        """The configuration says this."""
        self.plane.offer(version)
        self.settle()

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(2):
            self.plane.tick()
            self.settle()
            self.now += seconds
            self.plane.tick()
            self.settle()

    def routes(self) -> dict[str, bytes]:
        """Which routes each node has."""
        return {name: next(iter(client.has[ROUTES].values())).body for name, (client, _) in self.nodes.items()}


class _Relay:
    def __init__(self, plane: Plane, live: Live) -> None:
        self._plane, self._live = plane, live

    def receive(self, ask: object, now: float) -> list[Answer]:
        self._plane.receive(self._live, ask)  # type: ignore[arg-type]
        return []


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made_ = Fleet(tmp_path / "fleet", Canary(nodes=("a",)))
    made_.offer(made({"x": 0}))
    made_.connect("a", delta())
    made_.connect("b", whole())
    made_.connect("c", delta())
    made_.pass_(SETTLE)
    assert made_.plane.status()["phase"] == "steady"
    return made_


def test_canaries_are_told_first(fleet: Fleet) -> None:
    fleet.offer(made({"x": 0}, routes=1))
    assert fleet.routes() == {"a": b"r 1", "b": b"r 0", "c": b"r 0"}
    fleet.pass_(SETTLE)
    assert fleet.routes() == {"a": b"r 1", "b": b"r 1", "c": b"r 1"}


def test_what_a_canary_refuses_is_taken_back_and_told(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    fleet.nodes["a"][0].bad = frozenset({"l 1"})
    bad = made({"x": 0, "y": 0}, {"l": 1}, routes=1)
    with caplog.at_level(logging.WARNING):
        fleet.offer(bad)
    fleet.settle()
    assert fleet.routes() == {"a": b"r 0", "b": b"r 0", "c": b"r 0"}
    status = fleet.plane.status()
    assert status["refusal"]["node"] == "a" and status["refusal"]["kind"] == "LDS" and status["phase"] == "steady"
    (shown,) = (node for node in status["nodes"] if node["nack"])
    assert shown["id"] == "a" and shown["nack"]["version"] == bad.id
    assert f"version {bad.id} is taken back from all nodes" in caplog.text
    fleet.offer(bad)
    assert "y" not in fleet.nodes["b"][0].has
    metrics = render(status).decode()
    assert "ai_proxy_fleet_rolled_back 1.0" in metrics and "ai_proxy_fleet_refusals_total 1.0" in metrics
    assert "ai_proxy_fleet_nodes 3.0" in metrics


def test_another_process_goes_on_with_the_same_bytes(fleet: Fleet, tmp_path: Path) -> None:
    fleet.offer(made({"x": 0}, routes=1))
    again = Fleet(tmp_path / "fleet", Canary(nodes=("a",)))
    clients: dict[str, Client] = {}
    for name, (client, _) in fleet.nodes.items():
        connect = delta if isinstance(client, Delta) else whole
        clients[name] = again.connect(name, connect(before=client))
    again.offer(made({"x": 0}, routes=1))
    assert all(client.answers == 0 for client in clients.values())
    assert again.plane.status()["phase"] == "canary"
    again.pass_(SETTLE)
    assert set(again.routes().values()) == {b"r 1"}


def test_an_operator_goes_on_and_back(fleet: Fleet) -> None:
    fleet.offer(made({"x": 0}, routes=1))
    assert fleet.plane.promote() and not fleet.plane.promote()
    fleet.pass_(SETTLE)
    assert set(fleet.routes().values()) == {b"r 1"} and fleet.plane.status()["phase"] == "steady"
    assert fleet.plane.roll_back()
    fleet.settle()
    assert set(fleet.routes().values()) == {b"r 0"}
    assert not fleet.plane.roll_back()


def test_who_goes_is_remembered_and_waited_for_by_nobody(fleet: Fleet) -> None:
    _, live = fleet.nodes.pop("c")
    fleet.plane.disconnect(live)
    fleet.offer(made({"x": 0}, routes=1))
    fleet.pass_(SETTLE)
    fleet.pass_(SETTLE)
    status = fleet.plane.status()
    assert status["phase"] == "steady"
    assert [node["connected"] for node in status["nodes"]] == [True, True, False]


def test_nobody_else_can_read_what_is_kept(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    assert folder.stat().st_mode & 0o077 == 0
    files = list(folder.iterdir())
    assert len(files) == 2 and all(path.stat().st_mode & 0o077 == 0 for path in files)
    for at in range(1, 6):
        fleet.offer(made({"x": 0}, routes=at))
        fleet.pass_(SETTLE)
        fleet.pass_(SETTLE)
    # The one in force, two before, and the state.
    assert len(list(folder.iterdir())) == 4


def test_what_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "fleet"
    kept = Kept(folder)
    (folder / "1.version").write_bytes(b"\xc1")
    (folder / "rollout.json").write_bytes(b"{")
    state, versions = kept.load()
    assert not versions and not state.stable
    assert "the roll-out begins anew" in caplog.text
