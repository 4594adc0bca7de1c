"""`headgate providers`: whom the catalogue knows, and what to write to have one of them."""

import argparse
import sys
from collections.abc import Iterator, Mapping

import msgspec

from extproc.config.catalogue import Known, catalogue, unlisted
from extproc.config.nearest import quoted

_SENT = {
    None: "as its dialect has it",
    "aws": "as a signature (Signature Version 4)",
    "bearer": "as `Authorization: Bearer`",
}

_ELSEWHERE: Mapping[str | None, str] = {"aws": "AWS's credentials", "google": "Google's credentials"}
"""What stands in for a key."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("providers", help="list the providers that the catalogue knows, or tell about one of them")
    parser.description = "Without a name: all providers that gateway.yaml can name with one word. With one: what is known of it."
    parser.add_argument("name", nargs="?", help="a provider of the catalogue")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints it."""
    known = catalogue()
    if given.name is None:
        _list(known)
        return 0
    if given.name not in known:
        print(f"{quoted(given.name)} is not in the catalogue{unlisted(given.name)}", file=sys.stderr)
        return 2
    print("\n".join(_about(given.name, known[given.name])))
    return 0


def _list(known: Mapping[str, Known]) -> None:
    rows = [("NAME", "TITLE", "DIALECT", "KEY", "ENDPOINTS")]
    rows += [
        (name, one.title, _dialect(one), one.env or _ELSEWHERE.get(one.auth, "-"), " ".join(one.endpoints)) for name, one in known.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _dialect(known: Known) -> str:
    return known.dialect if known.spoken else f"{known.dialect} (not yet)"


def _about(name: str, known: Known) -> Iterator[str]:
    yield f"{name}: {known.title}"
    yield ""
    for key, text in _facts(known):
        yield f"  {key:<10} {text}"
    yield ""
    if not known.spoken:
        yield "It is not supported yet: its dialect, or its way of authentication, is none of ours."
        return
    yield f"In gateway.yaml{f', with {known.env} in the environment' if known.env else ''}:"
    yield ""
    yield "providers:"
    yield f"  {name}:"
    needed = [setting for setting, about in known.settings.items() if about.default is None]
    if needed:
        yield f"    settings: {{{', '.join(f'{setting}: ...' for setting in needed)}}}"


def _facts(known: Known) -> Iterator[tuple[str, str]]:
    yield "docs", known.docs
    yield "dialect", _dialect(known)
    yield "base_url", known.base_url
    for name, setting in known.settings.items():
        yield "setting", f"{name}: {setting.about}" + ("" if setting.default is None else f"; {setting.default} unless given")
    if known.auth == "google":
        yield "key", "access tokens, made of Google's credentials and renewed (`google`); or one of your own as `key`"
    elif known.auth == "aws":
        yield "key", "none: requests are signed with credentials of AWS (`aws`), which Envoy finds in AWS_ACCESS_KEY_ID and"
        yield "", "AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), in a profile (AWS_PROFILE), or where a role gives them (EKS, ECS, EC2);"
        yield "", "or one of your own as `key`, such as `key: env:AWS_BEARER_TOKEN_BEDROCK`"
    elif known.env is None:
        yield "key", "none is needed"
    else:
        yield "key", f"{known.env}, sent {_SENT.get(known.auth, f'in the header `{known.auth}`')}"
    for header, value in known.headers.items():
        yield "header", f"{header}: {value}"
    for operation, path in msgspec.structs.asdict(known.paths).items():
        if path is not None:
            yield "path", f"{operation}: {path}"
    yield "endpoints", ", ".join(known.endpoints)
    for quirk, value in msgspec.to_builtins(known.quirks).items():
        yield "quirk", f"{quirk}: {_plain(value)}"


def _plain(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} is {other}" for key, other in value.items())
        case list() | tuple():
            return ", ".join(map(str, value)) or "none"
        case bool():
            return "yes" if value else "no"
    return str(value)
