"""Access tokens of Google: made of a service account's key, or of whatever credentials the machine has, and renewed before they end.

google-auth does what Google documents of it (https://google-auth.readthedocs.io): service accounts, workload identity federation, users'
own credentials, and the metadata service of GCE, GKE and Cloud Run. It is imported here alone, and only where a provider wants it.
"""

import asyncio
import logging
import os
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from extproc.config.model import Config, Google
from extproc.control.aside import aside
from extproc.control.keepers import Keepers, pause_after
from extproc.control.way_out import DIRECT, WayOut
from extproc.ledger.metrics import Metrics
from extproc.tokens import Token, encode_tokens, purpose, veiled

PATIENCE = 10.0
"""Seconds that a start or a reload waits for the first tokens. To look in vain for a metadata service takes about as long."""

# A metadata service has a fresh token once the old one has less than five minutes left, and google-auth asks for it from 225 s on.
_EARLY = 225.0
_EARLY_PART = 0.25
_SOONEST = 0.5
_OUT = "https://oauth2.googleapis.com"
"""By which way that is reached, so are the others of Google's who make tokens."""

_STRANGERS = r"\s*The load_credentials_from_(file|dict) method is deprecated"

_log = logging.getLogger(__name__)


def origin(google: Google, environ: Mapping[str, str] = os.environ) -> str:
    """Where the credentials come from, in words. Raises `ValueError` that says what is wrong with them."""
    if google.credentials is not None:
        return _described(google.credentials, "`credentials`")
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        return _described(_read(Path(named)), f"{named} (GOOGLE_APPLICATION_CREDENTIALS)")
    folder = environ.get("CLOUDSDK_CONFIG") or Path(environ.get("HOME", "/"), ".config", "gcloud")
    gclouds = Path(folder, "application_default_credentials.json")
    if gclouds.exists():
        return _described(_read(gclouds), str(gclouds))
    return "the metadata service, if this machine has one: no file of credentials was found"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _described(text: str, where: str) -> str:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        document = None
    if type(document) is not dict or type(document.get("type")) is not str:
        raise ValueError(f"{where} is no JSON of Google's credentials, such as the key file of a service account")
    return f"{document['type']} {document.get('client_email', '')}".strip() + f", from {where}"


class Tokens:
    """The tokens that providers of a configuration want."""

    def __init__(
        self, push: Callable[[bytes], Awaitable[object]], metrics: Metrics, patience: float = PATIENCE, way: WayOut = DIRECT
    ) -> None:
        """`push` gives them to the workers that are there."""
        self._push = push
        self._metrics = metrics
        self._way = way
        self._keepers: Keepers[Google, _Keeper] = Keepers(patience)

    async def follow(self, config: Config) -> None:
        """Keeps the tokens of that configuration's providers, and of no others. Returns once those are there that can be had, or soon."""
        wanted: dict[Google, dict[str, str]] = {}
        for name, provider in config.providers.items():
            if provider.google is not None:
                wanted.setdefault(provider.google, {})[name] = purpose(name, veiled(provider.google), provider.base_url)
        await self._keepers.follow({google: partial(_Keeper, google, self._tell, self._metrics, self._way) for google in wanted})
        for google, purposes in wanted.items():
            self._keepers.all[google].purposes = purposes
        if await self._keepers.until_tried():
            await self._tell()

    def bearer(self, google: Google) -> str:
        """The token of those credentials; empty where there is none that counts."""
        keeper = self._keepers.all.get(google)
        token = keeper.token if keeper is not None else None
        return token.text if token is not None and token.until > time.time() else ""

    def message(self) -> bytes:
        """All of them, for a worker that has none yet."""
        keepers = self._keepers.all.values()
        return encode_tokens({each: keeper.token for keeper in keepers if keeper.token for each in keeper.purposes.values()})

    async def close(self) -> None:
        """Keeps none any more."""
        await self._keepers.close()

    async def _tell(self) -> None:
        await self._push(self.message())


class _Keeper:
    """The token of one set of credentials."""

    def __init__(self, google: Google, changed: Callable[[], Awaitable[object]], metrics: Metrics, way: WayOut) -> None:
        self.purposes: dict[str, str] = {}
        """What it is for, see `tokens.purpose`, by the provider's name."""
        self.token: Token | None = None
        self.tried = asyncio.Event()
        """A token has been asked for, whatever came of it."""
        self._google = google
        self._changed = changed
        self._metrics = metrics
        self._way = way
        self._credentials: Any = None
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                self.token = await aside(self._fetch, "google-auth")
            except Exception as error:  # noqa: BLE001 - of whatever kind: google-auth lets those of its transport through as well
                self._failed(error)
                pause = pause_after(failures)
                failures += 1
                self.tried.set()
            else:
                left = self.token.until - time.time()
                pause = max(_SOONEST, left - min(_EARLY, left * _EARLY_PART))
                failures = 0
                for name in self.purposes:
                    self._metrics.providers.token(name, self.token.until)
                self.tried.set()
                await self._changed()
            await asyncio.sleep(pause)

    def _failed(self, error: Exception) -> None:
        # They are looked for anew: a file may have been replaced.
        self._credentials = None
        left = self.token.until - time.time() if self.token else 0.0
        then = f"the one at hand counts for {left:.0f} s more" if left > 0 else "its requests are refused until there is one"
        for name in self.purposes:
            self._metrics.providers.token_failed(name)
        _log.error("no access token for %s: %s; %s", ", ".join(self.purposes), str(error) or type(error).__name__, then)

    def _fetch(self) -> Token:
        """A fresh one. Takes as long as Google does."""
        import google.auth  # noqa: PLC0415 - optional, and slow
        import requests  # noqa: PLC0415 - comes with it
        from google.auth.transport.requests import Request  # noqa: PLC0415

        if self._credentials is None:
            scopes = [self._google.scope]
            if self._google.credentials is None:
                self._credentials, _ = google.auth.default(scopes=scopes)
            else:
                # It warns of credentials that strangers may have written; these are the operator's own.
                warnings.filterwarnings("ignore", message=_STRANGERS, category=DeprecationWarning)
                known = msgspec.json.decode(self._google.credentials)
                self._credentials, _ = google.auth.load_credentials_from_dict(known, scopes=scopes)  # type: ignore[no-untyped-call]
        session = requests.Session()
        if proxy := self._way.text(_OUT):
            # Not for a metadata service, which is asked in clear and is this machine's own.
            session.proxies["https"] = proxy
        self._credentials.refresh(Request(session))
        until = self._credentials.expiry
        # Google's own are for an hour; what says nothing of its end is asked for again soon.
        return Token(self._credentials.token, until.replace(tzinfo=UTC).timestamp() if until else time.time() + 2 * _EARLY)
