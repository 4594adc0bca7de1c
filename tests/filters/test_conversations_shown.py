"""What clients see of the turns that are kept, and what they can do with them."""

from pathlib import Path

import msgspec
import pytest

from extproc.config.model import Config
from extproc.exchange import Exchange
from tests.filters.test_conversations import CONFIG, RESPONSES, STATELESS, Place, refused
from tests.scene import OPENAI, head, run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_shown_of_a_response(place: Place) -> None:
    _, first = place.turn([{"role": "user", "content": "one", "id": "msg_mine"}], metadata={"a": "b"})
    _, second = place.turn("two", first["id"])
    assert place.look(f"/v1/responses/{first['id']}") == (200, first)
    assert place.look(f"/v1/responses/{second['id']}?include[]=x") == (200, second)
    status, listed = place.look(f"/v1/responses/{second['id']}/input_items")
    assert (status, listed["object"], listed["has_more"]) == (200, "list", False)
    assert [item["role"] for item in listed["data"]] == ["user", "assistant", "user"]
    assert [item["content"][0]["text"] for item in listed["data"]] == ["two", "ok", "one"]
    assert {item["type"] for item in listed["data"]} == {"message"}
    assert len({item["id"] for item in listed["data"]}) == 3 and listed["data"][2]["id"] == "msg_mine"
    page = place.look(f"/v1/responses/{second['id']}/input_items?limit=1&order=asc&after=msg_mine")[1]
    assert [item["role"] for item in page["data"]] == ["assistant"]
    assert page["has_more"] and page["first_id"] == page["last_id"] == page["data"][0]["id"]
    for query in ("limit=0", "limit=101", "limit=x", "after=nothing"):
        assert place.look(f"/v1/responses/{second['id']}/input_items?{query}")[0] == 400


def test_pages_of_input_go_on_after_items_that_had_no_id(place: Place) -> None:
    _, first = place.turn([{"role": "user", "content": text} for text in "abc"])
    path = f"/v1/responses/{first['id']}/input_items?order=asc&limit=1"
    seen, after = [], ""
    while True:
        page = place.look(f"{path}{after}")[1]
        seen += [item["content"][0]["text"] for item in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ["a", "b", "c"]


def test_a_conversation_of_many_items_is_bulky(place: Place) -> None:
    """So that it is translated where it holds nobody up."""
    _, first = place.turn([{"role": "user", "content": "x" * 40}] * 1500)
    made, _ = place.begin({"model": "claude", "input": [{"role": "user", "content": "y" * 40}] * 1500, "previous_response_id": first["id"]})
    assert made.request.bulky


def test_what_is_deleted_is_gone(place: Place) -> None:
    _, first = place.turn("one")
    path = f"/v1/responses/{first['id']}"
    assert place.look(path, "DELETE") == (200, {"id": first["id"], "object": "response", "deleted": True})
    for method in ("GET", "DELETE"):
        status, body = place.look(path, method)
        assert (status, body["error"]["message"]) == (404, f"Response with id '{first['id']}' not found.")
    _, told = place.begin({"model": "gpt", "input": "two", "previous_response_id": first["id"]})
    assert refused(told)[1] == "previous_response_not_found"


def test_what_cannot_be_done_with_a_response(place: Place) -> None:
    _, first = place.turn("one")
    path = f"/v1/responses/{first['id']}"
    assert refused(place.look(f"{path}/cancel", "POST"))[3] == "Cannot cancel a synchronous response."
    assert refused(place.look(f"{path}?stream=true"))[:3] == (400, "invalid_request", "stream")
    assert place.look(f"{path}/cancel")[0] == 404
    assert place.look(path, "POST")[0] == 404


def test_other_paths_go_to_a_provider(place: Place) -> None:
    for path in ("/v1/responses/resp_0123", "/v1/responses/resp_0123/input_items", "/v1/responses/x", "/v1/conversations/conv_1"):
        assert place.look(path) == (0, ["native"])


def test_what_a_provider_has_made_is_asked_of_all_that_remember(tmp_path: Path) -> None:
    several = msgspec.structs.replace(CONFIG, providers={"stateless": STATELESS, **CONFIG.providers, "second": RESPONSES})
    place = Place(tmp_path, several)
    for method, path in (("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel")):
        assert place.look(path, method) == (0, ["native", "second"])
    # What names its provider goes there, and what has a body can be sent once.
    assert place.look("/providers/second/v1/responses/resp_1") == (0, ["second"])
    made = Exchange(place.engine.current, head("/v1/responses/resp_1/cancel", content_length="2"))
    assert run(made.intake.begin()) is None and run(made.intake.proceed(b"")) is None
    assert len(made.request.targets) == 1
    assert place.look("/v1/responses/resp_hg1")[0] == 404


def test_where_nobody_speaks_the_api_ours_are_shown_all_the_same(tmp_path: Path) -> None:
    place = Place(tmp_path, Config(providers={"openai": OPENAI}, models=CONFIG.models[:1]))
    _, first = place.turn("one")
    assert place.look(f"/v1/responses/{first['id']}") == (200, first)
