from typing import Any

import pytest

from extproc.envoy.binary import find_envoy
from extproc.xds.descriptors import Types, described, types_of


@pytest.fixture(scope="module")
def types() -> Types:
    return types_of(find_envoy())


def test_what_only_the_newest_envoy_knows_is_known(types: Types) -> None:
    kind = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier"
    with pytest.raises(ValueError, match="no field named"):
        types.encode({"@type": kind, "nobody": 1})


def test_a_document_is_the_message_that_it_says(types: Types) -> None:
    kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    options = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x"}
    body = types.encode({"@type": kind, "name": "a", "connect_timeout": "0.250s", "typed_extension_protocol_options": {"b": options}})
    message: Any = types.decode(kind, body)
    assert (message.name, message.connect_timeout.nanos) == ("a", 250_000_000)
    assert message.typed_extension_protocol_options["b"].type_url == options["@type"]


def test_the_order_of_a_document_is_of_no_matter_however_deep(types: Types) -> None:
    kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

    def document(names: list[str]) -> dict[str, Any]:
        metadata = {"@type": "type.googleapis.com/envoy.config.core.v3.Metadata", "filter_metadata": {name: {name: 1} for name in names}}
        inner = {"@type": "type.googleapis.com/google.protobuf.Any", "value": metadata}
        return {"@type": kind, "name": "a", "typed_extension_protocol_options": {"b": inner, "c": metadata}}

    names = [f"name-{at}" for at in range(20)]
    assert types.encode(document(names)) == types.encode(document(names[::-1]))


@pytest.mark.parametrize(
    "document",
    [
        {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "nmae": "a"},
        {"@type": "type.googleapis.com/envoy.config.cluster.v3.Nothing"},
        {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "connect_timeout": "soon"},
        {"name": "a"},
    ],
)
def test_what_is_no_such_message_is_refused(types: Types, document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        types.encode(document)


def test_what_only_looks_like_a_description_is_none() -> None:
    name = b"envoy/a.proto"
    begin = b"\n" + bytes([len(name)]) + name
    whole = begin + b"\x12\x01a"
    assert list(described(b"..." + begin + b"x" + whole + b"\xff\xff\xff\xff\xff\xff" + whole)) == ["envoy/a.proto"]
    assert described(b"\n\x50" + name + b"\x12\x01a") == {}
    # It ends in the midst.
    assert described(begin + b"\x12\x7fa")["envoy/a.proto"].package == ""


def test_another_program_is_no_envoy(tmp_path: Any) -> None:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF and no more")
    with pytest.raises(ValueError, match="is it an Envoy"):
        types_of(str(path))
