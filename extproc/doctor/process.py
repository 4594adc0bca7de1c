"""The process: its version, its runtime, its command line."""

from collections.abc import Iterator

from extproc.doctor.dump import Dump
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import dig, seconds

_OLDEST, _FULL = (1, 36), (1, 40)
_FLAG = "envoy.reloadable_features.grpc_side_stream_flow_control"
_DRAIN = 600


def check_process(dump: Dump) -> Iterator[Finding]:
    """What is not of any listener."""
    yield from _version(dump)
    yield from _runtime(dump)
    yield from _overload(dump)
    options = dump.server.get("command_line_options") or {}
    drain = seconds(options.get("drain_time"), _DRAIN)
    if drain < _DRAIN and any(manager.dynamic for manager in dump.attached):
        why = "answers that are still under way so long after a change of the listener are cut"
        yield weakens("command line", f"--drain-time-s is {drain:g}", why)
    if (flush := seconds(options.get("file_flush_interval"), 0)) > 1 and any("access_log" in one.settings for one in dump.attached):
        why = "what is in the access log's memory when Envoy is killed is lost, and the ledger learns late; --file-flush-interval-msec 250"
        yield weakens("command line", f"files are written every {flush:g} s", why)


def _version(dump: Dump) -> Iterator[Finding]:
    version, told = dump.version[:2], ".".join(map(str, dump.version))
    if version == (0, 0):
        yield weakens("Envoy", "it does not say its version", "whether it is new enough is not known")
    elif version < _OLDEST:
        yield breaks("Envoy", f"its version is {told}", "1.36 is the oldest that Headgate works with")
    elif version < _FULL:
        why = (
            "orders of several targets are fixed (docs/envoy.md#older-envoys), for which the configuration has to say so; "
            "and it has holes that 1.40 has mended"
        )
        yield weakens("Envoy", f"its version is {told}", why, envoy_version=".".join(map(str, version)))


def _runtime(dump: Dump) -> Iterator[Finding]:
    if dump.adapters and dump.runtime(_FLAG) != "false":
        why = "Envoy crashes on long answers of models that have several targets"
        mend = {"layers": [{"name": "headgate", "static_layer": {_FLAG: False}}]}
        yield breaks("runtime", f"{_FLAG} is on", why, layered_runtime=mend)


def _overload(dump: Dump) -> Iterator[Finding]:
    if dump.attached and not dig(dump.bootstrap, "overload_manager", "resource_monitors"):
        why = "nothing bounds its connections and its memory"
        monitor = {
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": dump.limits.concurrent_requests,
            },
        }
        yield weakens("bootstrap", "overload_manager is missing", why, overload_manager={"resource_monitors": [monitor]})
