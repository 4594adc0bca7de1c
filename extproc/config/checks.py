"""What the types alone cannot say: addresses, credentials, prices, and who may come in."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from extproc.config.filters import Setting
from extproc.config.ledger import Ledger
from extproc.config.listeners import Api, Listener
from extproc.config.model import Aws, Config, Google, Paths, Provider, Redis
from extproc.config.nearest import quoted
from extproc.config.problem import Mark, Problems
from extproc.config.store import Store
from extproc.config.urls import (
    ProviderUrl,
    address_fault,
    endpoint_of,
    is_host_name,
    is_loopback,
    parse_provider_url,
    redis_url_fault,
    stem_of,
)
from extproc.config.walk import INVALID, Place, sound

# RFC 9110, section 5.5, without the space: no credential has one.
_CREDENTIAL = re.compile(r"[\x21-\x7e]+")


class Report:
    """Puts problems at the places where a walker found values."""

    def __init__(self, problems: Problems, places: Mapping[str, Place]) -> None:
        self._problems = problems
        self._places = places

    def error(self, path: str, message: str) -> None:
        """Something that keeps the configuration from being used."""
        self._problems.error(path, self._mark(path), message)

    def warning(self, path: str, message: str) -> None:
        """Something that works, but that the operator should know."""
        self._problems.warning(path, self._mark(path), message)

    def referred(self, path: str) -> bool:
        """Whether the value at `path` came from a reference."""
        place = self._places.get(path)
        return place is not None and place.referred

    def refers_within(self, path: str) -> bool:
        """Whether any value there, or below, came from a reference."""
        return any(place.referred and one.startswith((f"{path}.", f"{path}[")) for one, place in self._places.items())

    def _mark(self, path: str) -> Mark:
        # A value that was left to its default stands nowhere: then the section that it belongs to.
        while path:
            if path in self._places:
                return self._places[path].mark
            path = path[: max(path.rfind("."), path.rfind("["))] if path != "$" else ""
        return Mark()


def check_provider(path: str, provider: Provider, report: Report) -> None:
    """A provider's URL and credential."""
    url = None
    try:
        url = parse_provider_url(provider.base_url) if sound(provider.base_url) else None
    except ValueError as error:
        report.error(f"{path}.base_url", str(error))
    if url is not None and sound(provider.dialect):
        _check_end(f"{path}.base_url", provider, url, report)
    if provider.key is not None:
        check_credential(f"{path}.key", provider.key, report)
        if provider.auth == "none":
            report.warning(f"{path}.key", "this has no effect: `auth: none` sends no key")
    _check_paths(path, provider, report)
    if isinstance(provider.aws, Aws):
        _check_aws(f"{path}.aws", provider.aws, report)
        if provider.key is not None:
            report.error(f"{path}.key", "a request is signed (`aws`) or sent with a key; take one of them out")
    if isinstance(provider.google, Google):
        _check_google(f"{path}.google", provider, provider.google, report)
    if provider.health is not None and provider.aws is not None:
        report.error(
            f"{path}.health", "requests to this provider are signed by Envoy (`aws`), and a check would not be; take one of them out"
        )
    if provider.health is not None and provider.envoy_key_file is not None:
        report.error(
            f"{path}.health", "Envoy alone has this provider's key (`envoy_key_file`), and a check would have none; take one of them out"
        )
    name = provider.tls_server_name
    if name is not None:
        if not is_host_name(name):
            report.error(f"{path}.tls_server_name", f"{quoted(name)} is not the name of a host")
        if url is not None and url.scheme != "https":
            report.warning(f"{path}.tls_server_name", "this has no effect: `base_url` is not https")


def check_credential(path: str, key: str, report: Report) -> None:
    """That a key may be one, and stands elsewhere."""
    if not _CREDENTIAL.fullmatch(key):
        what = "is empty" if not key.strip() else "holds spaces, line breaks or other characters that no key has"
        report.error(path, f"the key {what}")
    if not report.referred(path):
        report.warning(path, "the key is written here plainly; keep it out of the file with `env:NAME` or `file:PATH`")


def _check_end(path: str, provider: Provider, url: ProviderUrl, report: Report) -> None:
    """A base URL that goes on to an endpoint. Where `paths` say where the endpoints are, it may be right."""
    spoken = [dialect for dialect in (provider.dialect, *provider.also) if sound(dialect)]
    whole = endpoint_of(url, spoken)
    end = whole or stem_of(url, provider.dialect)
    if not end:
        return
    kept = f"`{kept}`" if (kept := url.path.removesuffix(end)) else "the host"
    message = f"`{end}` belongs to an endpoint's own path, which the gateway adds by itself: leave it off, so that {kept} is the end"
    say = report.error if whole and provider.paths == Paths() else report.warning
    say(path, message)


def _check_paths(path: str, provider: Provider, report: Report) -> None:
    for operation, text in msgspec.structs.asdict(provider.paths).items() if sound(provider.paths) else ():
        if isinstance(text, str) and {"{", "}"} & set(text.replace("{model}", "")):
            report.error(f"{path}.paths.{operation}", "nothing but `{model}` stands in braces here")
        elif isinstance(text, str) and {".", ".."} & set(text.partition("?")[0].split("/")):
            report.error(f"{path}.paths.{operation}", "the path holds `.` or `..`; write it without")


def _check_google(path: str, provider: Provider, google: Google, report: Report) -> None:
    if provider.key is not None or provider.aws is not None:
        report.error(path, "a request gets access tokens (`google`), a key or a signature (`aws`); take out all but one")
    if provider.auth not in (None, "google"):
        report.error(f"{path[: path.rindex('.')]}.auth", "access tokens are sent as `auth: google`; take this out")
    if google.credentials is not None and not report.referred(f"{path}.credentials"):
        report.warning(f"{path}.credentials", "this is written here plainly; keep it out of the file with `file:PATH` or `env:NAME`")


def _check_aws(path: str, aws: Aws, report: Report) -> None:
    given = {name: value for name in ("access_key", "secret_key", "session_token") if (value := getattr(aws, name)) is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            continue  # has been told
        if not _CREDENTIAL.fullmatch(value):
            report.error(f"{path}.{name}", "this is empty, or holds spaces or other characters that no credential has")
        if name != "access_key" and not report.referred(f"{path}.{name}"):
            report.warning(f"{path}.{name}", "this is written here plainly; keep it out of the file with `env:NAME` or `file:PATH`")
    if given and not {"access_key", "secret_key"} <= given.keys():
        report.error(path, "`access_key` and `secret_key` go together; without both, Envoy looks for credentials itself")


def check_redis(config: Config, filters: list[Setting], report: Report) -> None:
    """The URL of Redis, and whether there is one where one is wanted."""
    redis = config.redis
    if isinstance(redis, Redis) and isinstance(redis.url, str):
        fault = redis_url_fault(redis.url)
        if fault is not None:
            report.error("$.redis.url", fault)
        elif "@" in redis.url and not report.referred("$.redis.url"):
            report.warning("$.redis.url", "a password is written here plainly; take it from `${NAME}`, or the whole URL from `env:NAME`")
    if redis is None:
        for setting in filters:
            if getattr(setting.settings, "store", None) == "redis":
                report.error(f"{setting.path}.store", "this needs the section `redis` with its `url`")


def check_databases(config: Config, report: Report) -> None:
    """URLs of the store, and of the ledger that machines share, of which nothing is repeated that may be a password."""
    for name, section in (("store", config.store), ("ledger", config.ledger)):
        if isinstance(section, Store | Ledger) and isinstance(section.url, str):
            _check_database(f"$.{name}.url", section.url, report)


def _check_database(where: str, url: str, report: Report) -> None:
    parts = urlsplit(url) if "://" in url else None
    if parts is None or parts.scheme not in ("postgresql", "postgres"):
        report.error(where, "this is no URL of PostgreSQL, such as postgresql://user:password@host/name")
    elif not report.referred(where) and ":" in url.partition("://")[2].rpartition("@")[0]:
        report.warning(where, "a password is written here plainly; take the URL from `env:NAME` or `file:PATH`")


def check_listeners(config: Config, filters: list[Setting], has_stored_keys: Callable[[], bool], report: Report) -> None:
    """Where Envoy listens, and that strangers do not find an open door."""
    for name, section in (("listener", config.listener), ("admin", config.admin)):
        fault = address_fault(section.address)
        if fault is not None:
            report.error(f"$.{name}.address", fault)
    listener, admin = config.listener, config.admin
    if not sound(listener.also) or not all(map(sound, listener.also)):
        return
    _check_places(listener, report)
    if any(port == admin.port and _overlap(address, admin.address) for address, port in listener.places):
        report.error("$.admin.port", f"the callers' listener has the port {admin.port} already")
    if address_fault(admin.address) is None and not is_loopback(admin.address):
        report.warning("$.admin.address", "others than this machine can reach the operator's port, which asks for no key")
    _check_api(config, report)
    if not sound(listener.proxy_protocol) or not all(map(sound, listener.proxy_protocol)):
        return
    if address_fault(listener.outermost) is None and not listener.private and not listener.open:
        _check_door(config, filters, has_stored_keys, report)


def _check_places(listener: Listener, report: Report) -> None:
    places = listener.places
    for at, (address, port) in enumerate(places[1:]):
        path = f"$.listener.also[{at}]"
        if (fault := address_fault(address) if 0 < port < 65536 else "a port is a number from 1 to 65535") is not None:
            report.error(path, fault)
        elif any(port == other and _overlap(address, where) for where, other in places[: at + 1]):
            report.error(path, f"the port {port} is taken by an address before it")


def _check_api(config: Config, report: Report) -> None:
    api: Api = config.api
    if not sound(api) or not sound(api.address) or api.place is None:
        return
    address, port = api.place
    fault = address_fault(address) if 0 < port < 65536 else "a port is a number from 1 to 65535"
    if fault is not None:
        report.error("$.api.address", fault)
        return
    callers = [(place, "the callers' listener (`listener`)") for place in config.listener.places]
    operator = ((config.admin.address, config.admin.port), "the operator's port (`admin`)")
    for (where, taken), whose in (*callers, operator):
        if port == taken and _overlap(address, where):
            report.error("$.api.address", f"{whose} has the port {port} already; give the admin API another one, or `off`")
    if not is_loopback(address):
        report.warning(
            "$.api.address", "others than this machine can reach the admin API, and keys get there in clear: put TLS in front of it"
        )


def _check_door(config: Config, filters: list[Setting], has_stored_keys: Callable[[], bool], report: Report) -> None:
    auth = next((setting for setting in filters if setting.name == "auth"), None)
    if auth is None or auth.settings is INVALID:
        # Has been told; whether there are keys cannot be said.
        return
    address = config.listener.outermost
    by_balancer = is_loopback(address)
    who = "whoever a balancer speaks for (`listener.proxy_protocol`) can reach this" if by_balancer else f"others can reach {address}"
    instead = "leave `proxy_protocol` out" if by_balancer else "listen on 127.0.0.1"
    where = "$.listener.proxy_protocol" if by_balancer else "$.listener.address"
    required = getattr(auth.settings, "required", None)
    if required is False:
        report.error(
            f"{auth.path}.required",
            f"{who}, so everybody needs a key; take this out, {instead}, or say `listener.open: true`",
        )
    elif (
        not getattr(auth.settings, "keys", ())
        and not _known(config)
        and config.store is None
        and not _declared(config)
        and not has_stored_keys()
    ):
        message = (
            f"{who}, and there are no callers' keys: make one with `headgate keys create`, or list them at "
            f"`filters: - auth: {{keys: ...}}`; or {instead}; or say `listener.open: true` if something else authenticates"
        )
        if required is True:
            report.warning(where, "there are no callers' keys yet, so everybody is refused; `headgate keys create` makes one")
        else:
            report.error(where, message)


def _known(config: Config) -> bool:
    """Whether callers may be known by something else than a key; what is wrong has been told."""
    callers = config.callers
    if not (sound(callers) and all(map(sound, (callers.jwt, callers.mesh, callers.own_keys, config.listener.tls)))):
        return True
    return callers.known or config.certified


def _declared(config: Config) -> bool:
    """Whether there are keys that are declared; what is wrong has been told."""
    return config.identities is not None and (
        not sound(config.identities) or not sound(config.identities.keys) or bool(config.identities.keys)
    )


def _overlap(one: str, other: str) -> bool:
    return one == other or bool({one, other} & {"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
