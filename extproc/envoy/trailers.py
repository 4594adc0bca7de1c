"""Trailers of requests: a client's HTTP/2 trailers reach no provider.

No dialect has any, and the gate does not see them (`request_trailer_mode: SKIP`), so whatever may not cross as a header could cross as one
of them. Those of HTTP/1 Envoy drops by itself.
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from extproc.envoy import names
from extproc.envoy.message import Plain, extension, typed


def trailers_filter() -> Plain:
    """The HTTP filter that takes them off."""
    every = HeaderMutationRemoveOnMatch(key_matcher=StringMatcher(safe_regex=RegexMatcher(regex=".*")))
    mutations = Mutations(request_trailers_mutations=[HeaderMutation(remove_on_match=every)])
    return extension(names.TRAILERS_FILTER, HeaderMutationFilter(mutations=mutations))


def untrailed() -> Plain:
    """A route's `typed_per_filter_config` that switches the filter on where it is off."""
    return {names.TRAILERS_FILTER: typed(FilterConfig(), config={})}
