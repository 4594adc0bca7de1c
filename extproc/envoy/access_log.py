"""Envoy's logs: a line a request, which is the ledger's second witness, and a line an attempt. No header that may hold a credential."""

from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog

from extproc.envoy import names
from extproc.envoy.message import Plain, extension

REQUEST = {
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "method": "%REQ(:METHOD)%",
    "path": f"%FILTER_STATE({names.PATH_STATE}:PLAIN)%",
    "record": f"%DYNAMIC_METADATA({names.NAMESPACE}:{names.RECORD})%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "start_time": "%START_TIME%",
    "status": "%RESPONSE_CODE%",
    "use": f"%DYNAMIC_METADATA({names.USE_NAMESPACE})%",
}
"""A request's line; `extproc.ledger.access_log` reads it."""

ATTEMPT = {
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "host": "%UPSTREAM_HOST%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "response_ms": "%RESPONSE_DURATION%",
    "retry_after": "%RESP(RETRY-AFTER)%",
    "start_time": "%START_TIME%",
    "status": "%RESPONSE_CODE%",
    "transport_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
"""An attempt's line. Envoy counts attempts as 0 here: their order is that of `start_time`."""


def access_log(path: str, fields: dict[str, str]) -> Plain:
    """Lines of JSON, appended to a file. To rotate it: rename, then POST /reopen_logs to Envoy's admin interface."""
    return extension("envoy.access_loggers.file", FileAccessLog(path=path), log_format={"json_format": fields})
