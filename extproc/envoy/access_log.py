"""Envoy's logs: a line a request, the ledger's second witness; one for people; and a line a failed attempt. No header that may hold a
credential.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import StderrAccessLog, StdoutAccessLog

from extproc.config.access_log import STREAMS, LogField
from extproc.config.model import Config
from extproc.envoy import names
from extproc.envoy.message import Plain, extension, plain

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

PEOPLE: dict[LogField, str] = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "protocol": "%PROTOCOL%",
    "method": "%REQ(:METHOD)%",
    "path": REQUEST["path"],
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "first_byte_ms": "%RESPONSE_DURATION%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "provider": f"%CLUSTER_METADATA({names.NAMESPACE}:{names.PROVIDER})%",
    "upstream": "%UPSTREAM_HOST%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "tenant": f"%DYNAMIC_METADATA({names.NAMESPACE}:{names.TENANT})%",
    "key": f"%DYNAMIC_METADATA({names.NAMESPACE}:{names.KEY})%",
    "model": f"%DYNAMIC_METADATA({names.NAMESPACE}:{names.MODEL})%",
}
"""What a line for people may say. The path is the client's, without its query, which may hold a key; no name of a host can."""

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
"""A failed attempt's line: good ones are in the ledger. Envoy counts attempts as 0 here: their order is that of `start_time`."""


def people_log(config: Config) -> list[Plain]:
    """The log for people, where there is one."""
    log = config.access_log
    if log is None:
        return []
    fields: dict[str, str] = {name: PEOPLE[name] for name in log.fields}
    fields |= {f"request_header_{name}": f"%REQ({name})%" for name in log.request_headers}
    fields |= {f"response_header_{name}": f"%RESP({name})%" for name in log.response_headers}
    form = {"json_format": fields}
    if log.path in STREAMS:
        kind = StdoutAccessLog() if log.path == "stdout" else StderrAccessLog()
        return [extension(f"envoy.access_loggers.{log.path}", kind, log_format=form)]
    return [extension("envoy.access_loggers.file", FileAccessLog(path=log.path), log_format=form)]


def access_log(path: str, fields: dict[str, str]) -> Plain:
    """Lines of JSON, appended to a file. To rotate it: rename, then POST /reopen_logs to Envoy's admin interface."""
    return extension("envoy.access_loggers.file", FileAccessLog(path=path), log_format={"json_format": fields})


def failed() -> Plain:
    """The filter of a log's lines: those of errors, and of whatever was broken off."""
    least = ComparisonFilter(op=ComparisonFilterOp.GE, value=RuntimeUInt32(default_value=400, runtime_key="headgate.failed"))
    # A flag of any kind: an attempt that got no answer has no status either.
    broken = AccessLogFilter(response_flag_filter=ResponseFlagFilter())
    error = AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=least))
    return plain(AccessLogFilter(or_filter=OrFilter(filters=[error, broken])))
