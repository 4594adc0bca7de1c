"""What `headgate check` tells beside what is wrong: settings that work, and hardly do what somebody wants."""

from collections.abc import Mapping, Sequence
from typing import Any

from extproc.config.checks import Report
from extproc.config.filters import Setting
from extproc.config.lints.clear import check_clear
from extproc.config.lints.cuts import check_cuts
from extproc.config.lints.overtaken import check_overtaken
from extproc.config.lints.reached import check_reached
from extproc.config.model import Config, Provider


def lint(config: Config, providers: Mapping[str, Any], filters: Sequence[Setting], report: Report) -> None:
    """Of a configuration that has no errors. `providers`: all of them, absent ones included."""
    there = {name: one for name, one in providers.items() if isinstance(one, Provider)}
    check_cuts(config, there, filters, report.warning)
    check_reached(config, there, filters, report.warning)
    check_overtaken(config, report.warning)
    check_clear(config, there, filters, report)
