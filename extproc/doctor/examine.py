"""All that is looked at, in the order in which it is told."""

from collections.abc import Callable, Iterator

from extproc.doctor.chain import check_chain
from extproc.doctor.clusters import check_clusters
from extproc.doctor.dump import Dump
from extproc.doctor.finding import Finding
from extproc.doctor.manager import check_managers
from extproc.doctor.process import check_process
from extproc.doctor.processors import check_processors
from extproc.doctor.routes import check_routes
from extproc.doctor.trouble import check_trouble

CHECKS: tuple[Callable[[Dump], Iterator[Finding]], ...] = (
    check_process,
    check_chain,
    check_processors,
    check_managers,
    check_routes,
    check_clusters,
    check_trouble,
)


def examine(dump: Dump) -> list[Finding]:
    """What breaks comes first."""
    found = [finding for check in CHECKS for finding in check(dump)]
    return sorted(found, key=lambda finding: finding.level != "breaks")
