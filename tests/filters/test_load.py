"""How many requests of one tenant may be under way: whose bound is which, what the refusal says, and that slots come back."""

from typing import Any

import msgspec
import pytest

from extproc import Holding, Queue, Reject, Response
from filters.load import Load
from tests.scene import environment, head, request, run


def handler(**settings: Any) -> Any:
    return Load(**settings).open(environment())


def test_it_needs_no_body() -> None:
    assert Load.early


def test_beyond_its_bound_a_tenant_is_refused() -> None:
    load = handler(concurrency=2)
    held = [run(load.request(request(tenant="red"))) for _ in range(2)]
    assert isinstance(run(load.request(request(tenant="blue"))), Holding)
    with pytest.raises(Reject, match=r"You have 2 requests under way.*`load`\)\. Try again") as refused:
        run(load.request(request(tenant="red")))
    assert (refused.value.fault.status, refused.value.fault.code) == (429, "concurrency_limit")
    assert refused.value.headers == (("retry-after", "1"),)
    run(held[0].end(Response(200, {})))
    again = run(load.request(request(tenant="red")))
    assert isinstance(again, Holding) and again.passes


@pytest.mark.parametrize(
    ("tenant", "most"),
    [("red", 1), ("team-a", 2), ("team-blue-1", 3), ("other", 4), ("", 4), ("xred", 4), ("a.c", 5), ("abc", 4)],
)
def test_whose_bound_is_which(tenant: str, most: int) -> None:
    load = handler(concurrency=4, tenants={"team-*": 2, "red": 1, "team-blue-*": 3, "a.c": 5})
    for _ in range(most):
        assert isinstance(run(load.request(request(tenant=tenant))), Holding)
    with pytest.raises(Reject, match=f"You have {most} "):
        run(load.request(request(tenant=tenant)))


def test_who_has_no_bound_is_not_counted() -> None:
    load = handler(tenants={"red": 1})
    assert run(load.request(request(tenant="blue"))) is None
    assert isinstance(run(load.request(request(tenant="red"))), Holding)


def test_who_waited_is_told() -> None:
    load = handler(concurrency=1, queue=Queue(wait=2.5))
    run(load.request(request(tenant="red")))
    with pytest.raises(Reject) as refused:
        # Without a loop nobody can wait, and is told of none.
        run(load.request(request(tenant="red")))
    assert "waited" not in str(refused.value)


def test_what_waits_needs_room() -> None:
    shared = environment()
    shared.room.whole = 10_000_000
    load = Load(concurrency=5, queue=Queue()).open(shared)
    for length in ("6000000", "99999", ""):
        assert isinstance(run(load.request(request(head(content_length=length), tenant="red"))), Holding)
        assert shared.room.held == 0, "it waits no longer"
    assert isinstance(run(load.request(request(head("/v1/files", "GET"), tenant="red"))), Holding)
    shared.room.enter("red", "6000000")
    with pytest.raises(Reject, match="as many large requests as it can") as refused:
        run(load.request(request(head(content_length="6000000"), tenant="red")))
    assert (refused.value.fault.status, refused.value.headers) == (503, (("retry-after", "1"),))
    assert shared.slots.counts()["tenant"].held == 4


def test_settings_are_checked() -> None:
    for wrong in ({"concurrency": 0}, {"tenants": {"a": 0}}, {"queue": {"wait": 16}}, {"queue": {"most": 0}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Load)
