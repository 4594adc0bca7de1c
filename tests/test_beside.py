"""Work on bulky bodies: what counts as one, jobs as values that give the same in another process, and that process's life and death."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.dialogue import MODELS, answer, request
from extproc.answering import Retell, Retold, WholeTranslated
from extproc.aside import Failed, Here, Refused, Undone, is_bulky
from extproc.attempt import Attempt, Rewrite, Rewritten
from extproc.beside import Beside
from extproc.call import Call
from extproc.canonical import Digest, Fingerprint, fingerprint
from extproc.chores import Jobs, Outcomes, do
from extproc.config.model import Provider
from extproc.dialects import DIALECTS
from extproc.dialects.quirks import Quirks
from extproc.dialects.responses.kept import Refer, Referred, Resolve, Resolved
from extproc.drive import Waiting, begin
from extproc.errors import Reject
from extproc.estimate import Estimate, Estimated
from extproc.upstream import compile_upstream, portrait
from extproc.values import Target
from tests.cases import cases

FINGERPRINT = Fingerprint(b"1", ["team", [["o", "gpt"]]])
PAIRS = list(permutations(DIALECTS, 2))


@pytest.mark.parametrize(
    ("body", "bulky"),
    [
        (b"", False),
        (b"{" * 60_000, False),
        (b" " * 1_000_000, False),
        (b" " * 1_100_000, True),
        (b"{}" * 40_000, True),
        (b"[]," * 40_000, True),
        (b"{" * 2000 + b" " * 900_000, False),
    ],
)
def test_what_is_bulky(body: bytes, bulky: bool) -> None:
    assert is_bulky(body) is bulky


def through(job: Jobs, body: bytes) -> Outcomes:
    """What the other process makes of it, all but the process."""
    made: Outcomes = msgspec.msgpack.decode(do(msgspec.msgpack.encode(job), body), type=Outcomes)
    return made


def test_items_named_by_their_ids_are_found_and_put_there_elsewhere() -> None:
    name = f"msg_hg{1:036x}_0"
    body = msgspec.json.encode({"model": "m", "input": [{"type": "item_reference", "id": name}, {"role": "user", "content": "hi"}]})
    assert through(Refer(), body) == Refer().work(body) == Referred({name: 1})
    made = through(Resolve({name: b'{"said":1}'}), body)
    assert isinstance(made, Resolved)
    assert msgspec.json.decode(made.body) == {"model": "m", "input": [{"said": 1}, {"role": "user", "content": "hi"}]}


def test_tokens_are_estimated_elsewhere() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
    assert through(Estimate("anthropic", "m"), body) == Estimated(b'{"input_tokens":6}')


def attempt(client: str, provider: str, **more: Any) -> Attempt:
    call = Call(id="r-1", generation="1", dialect=client, kind="chat", path=DIALECTS[client].places[0].path, headers={}, targets=(), **more)
    upstream = compile_upstream("p", Provider(dialect=provider, base_url="https://p.example.com/v1", key="sk-secret", auth="bearer"))  # type: ignore[arg-type]
    return Attempt(call, Target("p", MODELS[provider]), upstream, 1 << 20)


@cases(("client", "provider"), PAIRS)
def test_a_request_is_the_same_elsewhere(client: str, provider: str) -> None:
    there, here = (attempt(client, provider, rules={"x-key": "sk-secret-too"}) for _ in range(2))
    body = request(client)
    job = there.job(body)
    assert job is not None
    assert b"sk-secret" not in msgspec.msgpack.encode(job)
    made = through(job, body)
    assert isinstance(made, Rewritten)
    there.take(made)
    assert there.outgoing({}, body) == here.outgoing({}, body)
    assert (there.dropped, there.asked, there.wanted) == (here.dropped, here.asked, here.wanted)


@cases(("client", "provider"), PAIRS)
def test_an_answer_is_the_same_elsewhere(client: str, provider: str) -> None:
    body = answer(provider) + b" " * (1 << 21)
    terms = msgspec.structs.replace(attempt(client, provider)._terms(), most=1 << 22)
    there, here = WholeTranslated(200, terms, {}), WholeTranslated(200, terms, {})
    assert there.feed(body[:99], False) == []
    job = there.job(body[99:])
    assert job is not None
    assert job[1] == body
    made = through(*job)
    assert isinstance(made, Retold)
    there.take(made)
    # OpenAI's answers tell when they were made.
    first, second = (msgspec.json.decode(one.feed(body, True)[0]) for one in (there, here))
    assert {**first, "created": 0, "created_at": 0} == {**second, "created": 0, "created_at": 0}
    assert (there.usage, there.answered, there.status, there.finished) == (here.usage, here.answered, 200, True)


def test_a_small_answer_is_no_job() -> None:
    terms = attempt("openai", "anthropic")._terms()
    assert WholeTranslated(200, terms, {}).job(answer("anthropic")) is None


def test_no_job_where_the_body_stays_as_it_is() -> None:
    body = request("openai")
    assert attempt("openai", "openai", model=MODELS["openai"]).job(body) is None
    assert attempt("openai", "openai", model="renamed").job(body) is not None


def test_a_renamed_model_elsewhere() -> None:
    job = attempt("openai", "openai", model="renamed").job(b'{"model":"renamed"}')
    assert job is not None
    assert through(job, b'{"model":"renamed"}') == Rewritten(b'{"model":"gpt-4o"}', [], {}, {})


def test_quirks_travel() -> None:
    upstream = compile_upstream("p", Provider(dialect="openai", base_url="https://p", quirks=Quirks(refuses=("seed",))))
    job = Rewrite(attempt("openai", "openai", model="gpt-4o").call, Target("p", "gpt-4o"), portrait(upstream))
    assert through(job, b'{"model":"gpt-4o","seed":1}') == Rewritten(b'{"model":"gpt-4o"}', ["seed"], {}, {})


def test_what_is_wrong_with_a_body() -> None:
    made = through(FINGERPRINT, b"[1]")
    assert isinstance(made, Refused)
    assert made.status == 400


def test_a_bug_elsewhere() -> None:
    made = through(Retell("nobody", "openai", "chat", "chat", "p", "r-1", {}, "m", 200), b"{}")
    assert isinstance(made, Failed)
    assert "KeyError: 'nobody'" in made.trace


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Beside]:
    made = Beside(**more)
    try:
        yield made
    finally:
        await made.close()


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.01)


async def test_jobs_are_done_one_after_another() -> None:
    async with running() as beside:
        assert beside.pid is None
        bodies = [msgspec.json.encode({"n": at, "text": "x" * 300_000}) for at in range(5)]
        made = await asyncio.gather(*(beside.work(FINGERPRINT, body) for body in bodies))
        assert made == [Digest(fingerprint(FINGERPRINT.version, FINGERPRINT.shape, msgspec.json.decode(body))) for body in bodies]
        assert made == [await Here().work(FINGERPRINT, body) for body in bodies]
        pid = beside.pid
        assert pid
        with pytest.raises(Reject) as refused:
            await beside.work(FINGERPRINT, b"nothing")
        assert refused.value.fault.code == "invalid_json"
        assert beside.pid == pid
    await until_gone(pid)


async def test_without_a_task() -> None:
    """As sessions begin what may wait."""
    async with running() as beside:
        waiting = begin(beside.work(FINGERPRINT, b"{}"))
        assert isinstance(waiting, Waiting)
        assert await waiting == FINGERPRINT.work(b"{}")


async def test_it_is_killed_and_the_next_job_finds_another() -> None:
    async with running() as beside:
        await beside.work(FINGERPRINT, b"{}")
        first = beside.pid
        assert first
        os.kill(first, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="has ended"):
            await beside.work(FINGERPRINT, b"{}")
        assert await beside.work(FINGERPRINT, b"{}") == FINGERPRINT.work(b"{}")
        assert beside.pid not in (None, first)


async def test_a_bug_in_a_job_is_told() -> None:
    async with running() as beside:
        with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
            await beside.work(Retell("nobody", "openai", "chat", "chat", "p", "r-1", {}, "m", 200), b"{}")


async def test_what_takes_too_long_ends() -> None:
    async with running() as beside:
        await beside.work(FINGERPRINT, b"{}")
        assert beside.pid
        os.kill(beside.pid, signal.SIGSTOP)
        beside._patience = 0.1
        with pytest.raises(Undone) as undone:
            await beside.work(FINGERPRINT, b"{}")
        assert undone.value.fault.status == 503
        assert beside.pid is None


async def test_who_gives_up_ends_it() -> None:
    async with running() as beside:
        await beside.work(FINGERPRINT, b"{}")
        pid = beside.pid
        assert pid
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(beside.work(FINGERPRINT, b"{}"))
        behind = asyncio.ensure_future(beside.work(FINGERPRINT, b'{"a":1}'))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await behind == FINGERPRINT.work(b'{"a":1}')
        await until_gone(pid)


async def test_how_much_waits_is_bounded() -> None:
    async with running(most=1000) as beside:
        large = b'{"a":"%s"}' % (b"x" * 2000)
        first = asyncio.ensure_future(beside.work(FINGERPRINT, large))
        await asyncio.sleep(0)
        with pytest.raises(Undone) as undone:
            await beside.work(FINGERPRINT, large)
        assert undone.value.fault.code == "overloaded"
        assert await first == FINGERPRINT.work(large)
        assert await beside.work(FINGERPRINT, large) == FINGERPRINT.work(large)


async def test_who_comes_with_little_does_not_wait_for_all_that_others_brought() -> None:
    async with running() as beside:
        await beside.work(FINGERPRINT, b"{}")
        assert beside.pid
        os.kill(beside.pid, signal.SIGSTOP)
        done: list[str] = []

        async def ask(lane: str, body: bytes) -> None:
            await beside.work(FINGERPRINT, body, lane)
            done.append(lane)

        large = msgspec.json.encode({"text": "x" * 300_000})
        asked = [asyncio.ensure_future(ask("much", large)) for _ in range(5)]
        await asyncio.sleep(0)
        asked.append(asyncio.ensure_future(ask("little", b'{"a":1}')))
        await asyncio.sleep(0.05)
        os.kill(beside.pid, signal.SIGCONT)
        await asyncio.gather(*asked)
        assert done == ["much", "little", "much", "much", "much", "much"]


async def test_who_brings_most_gives_way() -> None:
    async with running(most=1000) as beside:
        body = b'{"a":"%s"}' % (b"x" * 390)
        much = [asyncio.ensure_future(beside.work(FINGERPRINT, body, "much")) for _ in range(3)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(beside.work(FINGERPRINT, body, "other"))
        outcomes = await asyncio.gather(*much, other, return_exceptions=True)
        digest = FINGERPRINT.work(body)
        assert [one if isinstance(one, Digest) else type(one) for one in outcomes] == [digest, digest, Undone, digest]


async def test_an_idle_one_ends() -> None:
    async with running(idle=0.05) as beside:
        await beside.work(FINGERPRINT, b"{}")
        async with asyncio.timeout(20):
            while beside.pid is not None:
                await asyncio.sleep(0.01)
        assert await beside.work(FINGERPRINT, b"{}") == FINGERPRINT.work(b"{}")
