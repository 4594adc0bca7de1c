"""Values that stand elsewhere: `env:NAME`, `file:PATH`, and `${NAME}` or `${NAME:-default}` inside a text or path (`$$` is a dollar).

What a reference gives is not looked at again, so a secret may hold a `$`. It also never gets into a message: secrets come this way.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from extproc.config.nearest import nearest, quoted

MAX_VALUE_BYTES = 64 * 1024

PLACEHOLDER = "not-there"
"""Fits wherever a secret does, but in a URL."""
NO_URL = f"http://{PLACEHOLDER}.invalid"
"""Fits where a URL does that may hold one."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSIDE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<body>[^}]*)(?P<close>\}?))")
PATTERN = r"^(env|file):|\$\{"
"""What a string with a reference looks like, as a regular expression for the JSON schema."""


class Resolved(Struct, frozen=True):
    """What a text stands for."""

    text: str
    referred: bool
    """True if any of it came from a reference."""
    warning: str | None = None


class Unresolved(Struct, frozen=True):
    """Why a text stands for nothing."""

    message: str
    missing: bool
    """True if the variable or file is not there, or empty; False if the reference itself is wrong."""


class References:
    """Resolves references against one environment and one folder."""

    def __init__(self, environ: Mapping[str, str], folder: Path, *, secrets: bool = True) -> None:
        """`secrets`: False for whoever needs none: see `resolve`."""
        self._environ = environ
        self._folder = folder
        self.secrets = secrets
        self.files: set[Path] = set()
        """Files that values came from, or would have."""

    def resolve(self, text: str, *, secret: bool = False, instead: str = PLACEHOLDER) -> Resolved | Unresolved:
        """What `text` stands for; itself, if it refers to nothing. `secret`: it stands where secrets do. For whoever needs none, an `env:`
        or `file:` that gives nothing there is a placeholder (`instead`).
        """
        if text.startswith("env:"):
            found = self._env(text[4:])
        elif text.startswith("file:"):
            found = self._file(text[5:])
        else:
            return self._inside(text) if "$" in text else Resolved(text, False)
        return Resolved(instead, True) if secret and not self.secrets and type(found) is Unresolved else found

    def _env(self, name: str) -> Resolved | Unresolved:
        if not _NAME.fullmatch(name):
            # Not repeated: people paste the key itself here.
            return Unresolved("`env:` takes the name of an environment variable, such as `env:OPENAI_API_KEY`", False)
        value = self._environ.get(name)
        if value is None:
            return self._unset(name)
        if not value.strip():
            return Unresolved(f"the environment variable {name} is set, but empty", True)
        return _checked(value.strip(), f"the environment variable {name}")

    def _unset(self, name: str) -> Unresolved:
        near = nearest(name, self._environ)
        also = f" ({near} is)" if near is not None and near != name else ""
        return Unresolved(f"the environment variable {name} is not set{also}", True)

    def _inside(self, text: str) -> Resolved | Unresolved:
        parts: list[str] = []
        referred = False
        at = 0
        for found in _INSIDE.finditer(text):
            parts.append(text[at : found.start()])
            at = found.end()
            if found["dollar"]:
                parts.append("$")
                continue
            value = self._braces(found["body"], bool(found["close"]))
            if isinstance(value, Unresolved):
                return value
            referred = True
            parts.append(value)
        parts.append(text[at:])
        return _checked("".join(parts), "this value, with its references replaced,", referred=referred)

    def _braces(self, body: str, closed: bool) -> str | Unresolved:
        name, dash, default = body.partition(":-")
        if not closed or not _NAME.fullmatch(name):
            return Unresolved("a reference is `${NAME}` or `${NAME:-default}`; a dollar that is meant as one is written `$$`", False)
        value = self._environ.get(name)
        # As in a shell: the default also stands in for a variable that is set, but empty.
        if value is None or (dash and not value):
            return default if dash else self._unset(name)
        return value

    def _file(self, name: str) -> Resolved | Unresolved:
        inside = self._inside(name)
        if isinstance(inside, Unresolved):
            return inside
        if not inside.text or "\0" in inside.text:
            return Unresolved("`file:` takes the path of a file, such as `file:/run/secrets/openai`", False)
        path = self._folder / inside.text
        self.files.add(path)
        try:
            status = path.stat()
            # A FIFO or a device would make us wait.
            if not stat.S_ISREG(status.st_mode):
                return Unresolved(f"{quoted(name)} is not a regular file", False)
            with path.open("rb") as file:
                content = file.read(MAX_VALUE_BYTES + 1)
        except FileNotFoundError:
            return Unresolved(f"the file {quoted(name)} is not there", True)
        except (OSError, ValueError) as error:
            return Unresolved(f"the file {quoted(name)} cannot be read: {getattr(error, 'strerror', None) or error}", False)
        try:
            value = content.decode().strip()
        except UnicodeDecodeError:
            return Unresolved(f"the file {quoted(name)} is not text in UTF-8", False)
        if not value:
            return Unresolved(f"the file {quoted(name)} is empty", True)
        warning = None
        if status.st_mode & 0o077:
            warning = f"the file {quoted(name)} is open to others on this machine (mode {stat.S_IMODE(status.st_mode):04o}); `chmod 600` it"
        checked = _checked(value, f"the file {quoted(name)}")
        return checked if isinstance(checked, Unresolved) else Resolved(checked.text, True, warning)


def _checked(value: str, what: str, *, referred: bool = True) -> Resolved | Unresolved:
    if len(value) > MAX_VALUE_BYTES:
        return Unresolved(f"{what} is longer than {MAX_VALUE_BYTES // 1024} KiB", False)
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        return Unresolved(f"{what} is not text in UTF-8", False)
    return Resolved(value, referred)
