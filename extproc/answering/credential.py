"""Whether a provider refuses our credential, which is our trouble and not the client's."""

from extproc.answering.terms import Terms
from extproc.dialects.failing import speaks_of_what_is_asked_for
from extproc.errors import Fault

# A provider that refuses our key is our trouble. To the client it is a bad gateway, or it would think its own key were wrong.
UNKNOWN, FORBIDDEN = 401, 403
OURS = (UNKNOWN, FORBIDDEN)
REFUSING = (400, FORBIDDEN, 498)
"""Beside 401, what a key that is none is refused with: by Google, Amazon and Cohere."""
# What some have status 403 for, though it is the request's or the account's trouble.
_THEIRS = ("content_filter", "insufficient_quota", "context_length_exceeded", "model_not_found", "unsupported_country_region_territory")


def is_ours(status: int, fault: Fault) -> bool:
    """Whether a provider refuses our credential, whatever status it has for that. What is forbidden and says not why is forbidden to us."""
    if fault.code == "invalid_api_key":
        return True
    if status not in OURS or fault.code in _THEIRS:
        return False
    return status == UNKNOWN or not speaks_of_what_is_asked_for(fault.message)


_NONE = "missing authentication token"
"""What Amazon says of a request that is not signed."""


def refused(terms: Terms, status: int, said: str) -> Fault:
    """What the client is told of that. `said`: the provider's own words."""
    return Fault(
        502, "provider_authentication", f"The provider {terms.provider_name} {complaint(status, said)}. Its operator has to mend that."
    )


def complaint(status: int, said: str) -> str:
    """What the provider did, without its words, which may hold the credential."""
    if _NONE in said.lower():
        return f"got no credential from the gateway, which has none for it ({status})"
    return f"refused the gateway's credential ({status})"
