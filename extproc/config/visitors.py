"""What the types alone cannot say of `callers`."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from extproc.callers.keyset import read
from extproc.callers.xfcc import pattern_fault
from extproc.config.callers import Callers, Issuer, Mesh
from extproc.config.checks import Report
from extproc.config.model import Config, Provider
from extproc.config.nearest import hint, quoted
from extproc.config.urls import is_loopback, parse_provider_url
from extproc.hosts import is_loopback_name
from extproc.upstream import credential_header


def check_callers(config: Config, providers: Mapping[str, Provider], report: Report) -> None:
    """Issuers, workloads and keys of callers' own. `providers`: with those that are absent."""
    callers = config.callers
    for at, issuer in enumerate(callers.jwt):
        _check_issuer(f"$.callers.jwt[{at}]", issuer, report)
    for at, name in _repeated(one.issuer for one in callers.jwt):
        report.error(f"$.callers.jwt[{at}].issuer", f"{quoted(name)} stands here twice")
    for at, name in _repeated(one.payload if one.verify != "gateway" else f" {n}" for n, one in enumerate(callers.jwt)):
        report.error(f"$.callers.jwt[{at}].metadata", f"two issuers are told by the same name, {quoted(name)}")
    if callers.mesh is not None:
        _check_mesh(callers.mesh, config, report)
    _check_own(callers, providers, report)


def _repeated(names: Iterable[str]) -> list[tuple[int, str]]:
    seen: set[str] = set()
    found = []
    for at, name in enumerate(names):
        if name in seen:
            found.append((at, name))
        seen.add(name)
    return found


def _check_issuer(path: str, issuer: Issuer, report: Report) -> None:
    if issuer.verify == "front":
        if issuer.jwks_url is not None or issuer.jwks is not None:
            report.warning(path, "its keys have no effect: who checks its tokens is in front (`verify: front`)")
        return
    if (issuer.jwks_url is None) == (issuer.jwks is None):
        report.error(path, "its public keys are at `jwks_url` or stand in `jwks`: give one of them")
    if issuer.jwks_url is not None and (fault := _url_fault(issuer.jwks_url)) is not None:
        report.error(f"{path}.jwks_url", fault)
    if issuer.jwks is not None:
        try:
            read(issuer.jwks)
        except ValueError as error:
            report.error(f"{path}.jwks", f"{error}")
    if issuer.refresh.least > issuer.refresh.most:
        report.error(f"{path}.refresh.least", "this is more than `most`")


def _url_fault(url: str) -> str | None:
    """What is wrong with where keys are fetched; None if nothing is."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return "the URL has to begin with `https://`"
        if parts.username is not None or parts.password is not None or parts.fragment:
            return "the URL holds a user name, a password or a `#`"
        parse_provider_url(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        return str(error)
    if parts.scheme == "http" and not is_loopback_name(parts.hostname or ""):
        return "keys that come without TLS may be anybody's: `https://`, or a server on this machine"
    return None


def _check_mesh(mesh: Mesh, config: Config, report: Report) -> None:
    for at, workload in enumerate(mesh.workloads):
        path = f"$.callers.mesh.workloads[{at}]"
        if (workload.uri is None) == (workload.dns is None):
            report.error(path, "give `uri` or `dns`, and not both")
        for field in ("uri", "dns"):
            text = getattr(workload, field)
            if text is not None and (fault := pattern_fault(text)) is not None:
                report.error(f"{path}.{field}", fault)
        joined = (workload.organization, workload.team, workload.service_account)
        if any("{tenant}" in text for text in joined) and "{tenant}" not in (workload.uri or workload.dns or "") and not workload.tenant:
            report.error(path, "`{tenant}` stands for nothing here: neither the pattern nor `tenant` says it")
    if not config.certified:
        report.warning(
            "$.callers.mesh", "this has no effect without `trusted: true`, or a listener that asks for certificates (`tls.client_ca`)"
        )
    elif mesh.trusted and not is_loopback(config.listener.outermost):
        report.warning(
            "$.callers.mesh.trusted",
            f"others than this machine can reach {config.listener.outermost}: see to it that only the mesh's proxy can, "
            "for whoever else does is whom he says he is",
        )


def _check_own(callers: Callers, providers: Mapping[str, Provider], report: Report) -> None:
    if callers.own_keys and callers.hash_key is None:
        report.error("$.callers.own_keys", "this needs `hash_key`, a secret by which such callers are told apart in the ledger")
    if callers.hash_key is not None and not report.referred("$.callers.hash_key"):
        report.warning("$.callers.hash_key", "the secret is written here plainly; keep it out of the file with `env:NAME` or `file:PATH`")
    for at, own in enumerate(callers.own_keys):
        path = f"$.callers.own_keys[{at}]"
        if not own.with_key and len(own.pattern.replace("*", "")) < 3:
            report.error(f"{path}.pattern", "this fits nearly anything: say how such keys begin, such as `sk-ant-*`")
        for which, name in enumerate(own.providers):
            if (fault := _own_fault(name, providers)) is not None:
                report.error(f"{path}.providers[{which}]", fault)


def _own_fault(name: str, providers: Mapping[str, Provider]) -> str | None:
    provider = providers.get(name)
    if provider is None:
        return f"there is no provider {quoted(name)}" + hint(name, providers, "there are")
    if provider.keys or provider.aws is not None or provider.google is not None or provider.envoy_key_file is not None:
        return "this provider has several keys, or credentials that are no key: callers' keys need a section with one key, or none"
    if credential_header(provider) is None:
        return "this provider gets no key (`auth: none`)"
    return None
