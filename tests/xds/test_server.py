import pytest

from extproc.wire import discovery_pb2 as wire
from extproc.xds.messages import why
from extproc.xds.server import covers
from extproc.xds.wire import node


@pytest.mark.parametrize(
    ("name", "id", "covered"),
    [
        ("edge-1", "edge-1", True),
        ("edge-1", "edge-10", False),
        ("edge-10", "edge-1", False),
        ("*.edge.example", "a.edge.example", True),
        ("*.edge.example", "edge.example", False),
        ("*.edge.example", ".edge.example", False),
        ("*.edge.example", "a.other.example", False),
        ("*", "edge-1", False),
        ("", "edge-1", False),
    ],
)
def test_names_in_certificates(name: str, id: str, covered: bool) -> None:
    assert covers(name, id) is covered


def test_who_a_node_says_that_it_is() -> None:
    said = wire.Node(id="a", cluster="c")
    said.metadata.update({"track": "canary", "number": 1})
    said.user_agent_build_version.version.major_number, said.user_agent_build_version.version.minor_number = 1, 40
    found = node(said)
    assert (found.id, found.cluster, found.metadata, found.envoy) == ("a", "c", {"track": "canary"}, "1.40.0")


@pytest.mark.parametrize("id", ["", "x" * 300, "a\nb"])
def test_who_is_nobody(id: str) -> None:
    with pytest.raises(ValueError, match="needs an id"):
        node(wire.Node(id=id))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot bind '0.0.0.0:80': Address already in use", "cannot bind '0.0.0.0:80': Address already in use"),
        (
            'Proto constraint validation failed (ClusterValidationError.Name): name: ""\nsecret_key: "x"',
            "Proto constraint validation failed (ClusterValidationError.Name)",
        ),
        (
            "goo.gle/debugproto  \n: Proto constraint validation failed (ClusterValidationError.Name: too short)",
            "Proto constraint validation failed (ClusterValidationError.Name: too short)",
        ),
        ("one\ntwo secret", "one"),
        (" \n", "no reason given"),
        ("x" * 10_000, "x" * 500),
    ],
)
def test_what_is_shown_of_a_refusal(said: str, shown: str) -> None:
    assert why(said) == shown
