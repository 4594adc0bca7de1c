import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.members import by_name, decoded_members, raw_members

_PAIRS = st.lists(st.tuples(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)), max_size=6)


@given(_PAIRS, st.booleans())
def test_none_is_lost_and_their_order_is_kept(pairs: list[tuple[str, object]], escaped: bool) -> None:
    members = (f"{json.dumps(name, ensure_ascii=escaped)} : {json.dumps(value)}" for name, value in pairs)
    body = ("{" + " , ".join(members) + "}").encode("utf-8", "surrogatepass")
    read = decoded_members(body)
    assert [(str(name), value) for name, value in read.items()] == pairs
    assert [(str(name), msgspec.json.decode(value)) for name, value in raw_members(body).items()] == pairs
    assert by_name(read) == dict(pairs)
    assert all(type(name) is str for name in by_name(read))
