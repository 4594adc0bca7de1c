"""Keys that Envoy alone reads (`envoy_key_file`): it sets them after the attempt has made all else of the request.

Envoy takes a secret from a file that names the file with the key (SDS). Both are watched: a key file that is replaced by renaming another
one to it counts at once, also where Kubernetes does that to the folder (`..data`). White space around the key is left out. While the key is
not there the request goes out without one, so that the provider's refusal has the next target asked; Envoy's own would be final.

What Envoy sets for one attempt, it still holds in the next one, and would show it to the adapter. So, where there are such keys, it takes
all credentials off before each adapter.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/credential_injector_filter
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.filters.http.credential_injector.v3 import CredentialInjector
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.http.injected_credentials.generic.v3 import Generic
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import GenericSecret, SdsSecretConfig, Secret

from extproc.config.model import Config, Provider
from extproc.envoy import names
from extproc.envoy.message import Plain, extension, plain, typed
from extproc.envoy.places import Places
from extproc.upstream import CARRIERS, credential_header

_NAME = "key"


def is_sealed(provider: Provider) -> bool:
    """Whether Envoy alone reads its key, and sends it."""
    return provider.envoy_key_file is not None and credential_header(provider) is not None


def any_sealed(config: Config) -> bool:
    """Whether there are such keys."""
    return any(is_sealed(provider) for provider in config.providers.values())


def injector(name: str, provider: Provider, places: Places) -> Plain:
    """The filter that sets the key of the provider that Envoy calls `name`."""
    carrier = credential_header(provider)
    assert carrier is not None
    header, before = carrier
    source = {"resource_api_version": "V3", "path_config_source": {"path": names.secret_file(places.run_dir, name)}}
    secret = plain(SdsSecretConfig(name=_NAME), sds_config=source)
    generic = extension("envoy.http.injected_credentials.generic", Generic(header=header, header_value_prefix=before), credential=secret)
    return extension(
        "envoy.filters.http.credential_injector",
        CredentialInjector(overwrite=True, allow_request_without_credential=True),
        credential=generic,
    )


def cleaner() -> Plain:
    """The filter that takes credentials off before an adapter sees them. Off, but where the adapter is on."""
    mutations = Mutations(request_mutations=[HeaderMutation(remove=name) for name in CARRIERS])
    return {**extension(names.CLEANER_FILTER, HeaderMutationFilter(mutations=mutations)), "disabled": True}


def cleaned(route: Plain) -> Plain:
    """A route with the `cleaner` on where it has the adapter on."""
    filters = route.get("typed_per_filter_config", {})
    if names.ADAPTER_FILTER not in filters:
        return route
    return {**route, "typed_per_filter_config": {names.CLEANER_FILTER: filters[names.ADAPTER_FILTER], **filters}}


def secret_files(config: Config, places: Places) -> dict[str, Plain]:
    """By path, what Envoy is told of each key: where it is, and nothing of what it is."""
    return {
        names.secret_file(places.run_dir, name): {"resources": [_secret(provider.envoy_key_file or "")]}
        for name, provider in sorted(config.providers.items())
        if is_sealed(provider)
    }


def _secret(path: str) -> Plain:
    return typed(Secret(name=_NAME, generic_secret=GenericSecret(secret=DataSource(filename=path))))
