"""`headgate explain`: which way a request would take, and why, without sending it. The exit code is 1 if it would be refused."""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from extproc.cli.common import DEFAULT, fault
from extproc.config.load import Loaded, format_problems
from extproc.control.identities import Identities
from extproc.control.source import Source, quickstart
from extproc.control.startup import no_compiler
from extproc.explain.caller import as_key, as_tenant
from extproc.explain.explanation import Explanation
from extproc.explain.question import Question, usual_body
from extproc.identity.record import StoredKey

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CHAT = "/v1/chat/completions"
_WITHOUT = "secrets of providers are not all here, so it is told as if they were: headgate check says which"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("explain", help="say which way a request would take, and why, without sending it")
    parser.add_argument(
        "words", nargs="*", metavar="[METHOD] [PATH] [CONFIG]", help=f"what is asked ({_CHAT} unless given), and the configuration file"
    )
    parser.add_argument("--model", default="", metavar="NAME", help="the model that is asked for, where no --body says it")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a header; several are possible")
    parser.add_argument("--body", metavar="FILE", help="the request's body, or - for standard input; a small one of its kind unless given")
    caller = parser.add_mutually_exclusive_group()
    caller.add_argument("--key", metavar="NAME", help="as whoever has the key of this name or id, which need not be known")
    caller.add_argument("--as", dest="tenant", metavar="TENANT", help="as somebody of this tenant, of whom nothing else is known")
    parser.add_argument("--state", type=Path, help="state folder, where the keys are, instead of the one that the configuration names")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Explains it."""
    if (missing := no_compiler()) is not None:
        print(f"headgate: {missing}", file=sys.stderr)
        return 2
    try:
        method, path, config = _words(given.words)
        question = _question(given, method, path)
        which = Source((config or _default()).absolute(), given.state)
        explanation = _explained(which, question, given)
    except (OSError, ValueError) as error:
        print(f"headgate: {fault(error)}", file=sys.stderr)
        return 2
    if explanation is None:
        return 2
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(explanation), indent=2).decode())
    else:
        from extproc.explain.told import told  # noqa: PLC0415 - as below

        print(told(explanation), end="")
    return int(explanation.outcome == "refused")


def _default() -> Path:
    return Path(DEFAULT) if Path(DEFAULT).exists() else quickstart()


def _words(words: list[str]) -> tuple[str, str, Path | None]:
    """The method, empty where none is said, the path and the configuration. Raises `ValueError`."""
    left = list(words)
    method = left.pop(0) if left and left[0] in _METHODS else ""
    path = left.pop(0) if left and left[0].startswith("/") and not Path(left[0]).is_file() else _CHAT
    if len(left) > 1:
        raise ValueError(f"{left[0]!r} is no method, such as {_METHODS[0]}, and no path of a request, which begins with `/`")
    return method, path, Path(left[0]) if left else None


def _question(given: argparse.Namespace, method: str, path: str) -> Question:
    headers: dict[str, str] = {}
    for one in given.header:
        name, colon, value = one.partition(":")
        if not colon or not name.strip():
            raise ValueError("--header: what stands there is not like 'x-headgate-tags: red'")
        headers[name.strip().lower()] = value.strip()
    if given.body is not None:
        body = sys.stdin.buffer.read() if given.body == "-" else Path(given.body).read_bytes()
    else:
        body = usual_body(method or "POST", path, headers, given.model)
    return Question(method=method or ("POST" if body else "GET"), path=path, headers=headers, body=body)


def _explained(which: Source, question: Question, given: argparse.Namespace) -> Explanation | None:
    from extproc.explain.explain import explain  # noqa: PLC0415 - the engine, which other commands do without

    loaded, notes = which.load(), []
    if loaded.config is None:
        loaded = which.outline_here()
        notes.append(_WITHOUT)
    if loaded.config is None:
        print(format_problems(loaded.problems, which.path), file=sys.stderr)
        return None
    data = which.message(loaded, up=False)
    if given.tenant is not None or given.key is not None:
        stood = as_tenant(data, given.tenant) if given.tenant is not None else as_key(data, given.key, _keys(which, loaded))
        data, question = stood.data, replace(question, headers={**question.headers, "authorization": f"Bearer {stood.secret}"})
    explanation = explain(loaded, data, question)
    explanation.notes += [*notes, *(f"{one.kind} {one.name} is left out: {one.reason}" for one in loaded.absent)]
    return explanation


def _keys(which: Source, loaded: Loaded) -> Iterable[StoredKey]:
    """All that a name may mean: those of the store, and those that the configuration lists."""
    config = loaded.config
    assert config is not None
    listed = next((one for named, one in zip(config.filters, loaded.filters, strict=True) if "auth" in named), None)
    own = (StoredKey(key.name, b"", key.tenant) for key in getattr(listed, "keys", ()))
    return itertools.chain(own, Identities(which.state_folder(config), config.store.url if config.store is not None else "").each())
