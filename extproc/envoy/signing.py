"""Signing requests for AWS (SigV4), which Envoy does itself, after all else has been done to the request.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/aws_request_signing_filter
"""

from envoy_data_plane.envoy.extensions.common.aws.v3 import AwsCredentialProvider, InlineCredentialProvider
from envoy_data_plane.envoy.extensions.filters.http.aws_request_signing.v3 import AwsRequestSigning
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.config.model import Aws
from extproc.envoy.message import Plain, extension

# The host is signed in any case. What else there is may be changed on its way, and would void the signature.
_SIGNED = [StringMatcher(exact="content-type"), StringMatcher(prefix="x-amz-")]


def signer(aws: Aws) -> Plain:
    """The filter. It reads the whole body, whose hash is signed: Bedrock takes no `UNSIGNED-PAYLOAD`."""
    signing = AwsRequestSigning(service_name=aws.service, region=aws.region, match_included_headers=_SIGNED)
    if aws.access_key is not None:
        inline = InlineCredentialProvider(
            access_key_id=aws.access_key, secret_access_key=aws.secret_key or "", session_token=aws.session_token or ""
        )
        signing.credential_provider = AwsCredentialProvider(inline_credential=inline)
    return extension("envoy.filters.http.aws_request_signing", signing)
