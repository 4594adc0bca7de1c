"""The demo provider as a web application: which path is answered by what. Served by the control process, on a Unix socket."""

import asyncio
import functools
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import ClientConnectionResetError, web

from extproc.demo import anthropic, openai, others
from extproc.demo.deliver import ClientGone, before, cut, send_error, send_json, send_stream
from extproc.demo.prompt import DemoError, Prompt
from extproc.demo.reply import Reply, answer
from extproc.demo.script import Script, read_script
from extproc.demo.speech import Speech
from extproc.demo.witness import Witness

LARGEST = 64 << 20
"""Bytes of the largest body that is taken."""
_LARGE = 128 << 10
"""Bytes from which on a body is read in a thread: the control process has better things to do than to wait for it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(*, inspect: bool = False) -> web.Application:
    """The demo provider. `inspect` adds `/__demo/requests` and `/__demo/open`, and keeps the last 200 requests in memory."""
    app = web.Application(client_max_size=LARGEST, middlewares=[_quiet])
    if inspect:
        witness = Witness()
        app.middlewares.append(_witnessed(witness))
        app.router.add_get("/__demo/requests", witness.requests)
        app.router.add_delete("/__demo/requests", witness.reset)
        app.router.add_get("/__demo/open", witness.open)
    add_post = app.router.add_post
    add_post("/v1/chat/completions", functools.partial(_converse, openai))
    add_post("/v1/messages", functools.partial(_converse, anthropic))
    add_post("/v1/messages/count_tokens", _count_tokens)
    add_post("/v1/embeddings", _embeddings)
    for path in ("/v1/files", "/v1/audio/transcriptions"):
        add_post(path, _upload)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/v1/models/{name}", _models)
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


def _witnessed(witness: Witness) -> Any:
    """Middleware: keeps what came in, and whether the client waited for what went out."""

    @web.middleware
    async def see(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/__demo/"):
            return await handler(request)
        record = witness.begin(request, await request.read())
        gone = True
        try:
            response = await handler(request)
            gone = False
            return response
        finally:
            witness.end(record, client_gone=gone)

    return see


@web.middleware
async def _quiet(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that hung up is neither answered nor logged; a body too large is answered in the dialect's form."""
    try:
        return await handler(request)
    except (ClientGone, ClientConnectionResetError):
        cut(request)
        return web.Response()
    except web.HTTPRequestEntityTooLarge:
        fault = DemoError(413, f"The body is larger than {LARGEST} bytes.")
        return await send_error(request, Script(), _speech(request), fault, _request_id())


def _speech(request: web.Request) -> Speech:
    """The dialect of a path that does not say which: Anthropic's clients always send their version."""
    spoken = "anthropic-version" in request.headers or request.path.startswith("/v1/messages")
    return anthropic if spoken else openai


def _request_id() -> str:
    return f"req_demo{secrets.token_hex(12)}"


async def _converse(speech: Speech, request: web.Request) -> web.StreamResponse:
    """A conversation, streamed or not."""
    request_id = _request_id()
    raw = await request.read()
    script = Script()

    def think() -> tuple[Prompt, Script, Reply | None]:
        prompt = speech.read(_decode(raw), request.headers)
        script = _script(request, prompt.last, speech)
        return prompt, script, answer(prompt, script) if script.status < 300 else None

    try:
        prompt, script, reply = await asyncio.to_thread(think) if len(raw) > _LARGE else think()
    except DemoError as fault:
        return await send_error(request, script, speech, fault, request_id)
    early = await before(request, script)
    if early is not None:
        return early
    if reply is None:
        return await send_error(request, script, speech, _asked(script), request_id)
    if prompt.stream:
        return await send_stream(request, script, speech, speech.events(prompt, reply), request_id)
    return await send_json(request, script, script.status, speech.whole(reply), request_id)


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DemoError(400, f"We could not parse the JSON body of your request: {error}") from None


def _script(request: web.Request, text: str, speech: Speech) -> Script:
    try:
        return read_script(request.headers.items(), text, speech.NAME)
    except ValueError as error:
        raise DemoError(400, str(error)) from None


def _asked(script: Script) -> DemoError:
    return DemoError(script.status, f"The demo provider was asked to fail with status {script.status}.")


async def _simple(request: web.Request, speech: Speech, text: str, make: Callable[[], dict[str, Any]]) -> web.StreamResponse:
    """An endpoint that is never streamed; `text` may hold directives."""
    request_id = _request_id()
    script = Script()
    try:
        script = _script(request, text, speech)
        early = await before(request, script)
        if early is not None:
            return early
        if script.status >= 300:
            raise _asked(script)
        return await send_json(request, script, script.status, make(), request_id)
    except DemoError as fault:
        return await send_error(request, script, speech, fault, request_id)


async def _embeddings(request: web.Request) -> web.StreamResponse:
    raw = await request.read()
    try:
        body = _decode(raw)
        text = others.embedding_text(body)
    except DemoError as fault:
        return await send_error(request, Script(), openai, fault, _request_id())
    return await _simple(request, openai, text, lambda: others.embeddings(body))


async def _count_tokens(request: web.Request) -> web.StreamResponse:
    raw = await request.read()
    try:
        prompt = anthropic.read_countable(_decode(raw), request.headers)
    except DemoError as fault:
        return await send_error(request, Script(), anthropic, fault, _request_id())
    return await _simple(request, anthropic, prompt.last, lambda: {"input_tokens": prompt.input})


async def _upload(request: web.Request) -> web.StreamResponse:
    raw = await request.read()
    content_type = request.headers.get("content-type", "")
    return await _simple(request, openai, "", lambda: others.upload(request.path, content_type, raw))


async def _models(request: web.Request) -> web.StreamResponse:
    speech = _speech(request)
    name = request.match_info.get("name")

    def make() -> dict[str, Any]:
        if name is None:
            return others.anthropic_models() if speech is anthropic else others.openai_models()
        if name not in others.MODELS:
            raise DemoError(404, f"The model '{name}' does not exist.", param="model")
        found = others.anthropic_models()["data"][others.MODELS.index(name)]
        return found if speech is anthropic else others.openai_model(name)

    return await _simple(request, speech, "", make)


async def _unknown(request: web.Request) -> web.StreamResponse:
    fault = DemoError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    return await send_error(request, Script(), _speech(request), fault, _request_id())
