"""What cuts answers off, refuses bodies, or makes requests wait for a provider that is down."""

from collections.abc import Mapping, Sequence

from extproc.config.filters import Setting
from extproc.config.model import Config, Provider, aim
from extproc.config.targets import Error
from extproc.config.timeouts import Patience, Timeouts
from extproc.config.walk import child

_STREAM = 60.0
"""Seconds that a stream may well take."""
_USUAL = Timeouts().first_byte
"""What a provider has where nothing is said."""
_THOUGHT = 10.0
"""Seconds for which a model may well say nothing."""
_MIB = 1024 * 1024
_CUT = (
    "a stream that still goes on after {:g} s is cut: `total` counts to the last byte; bound silence instead, with `first_byte` and "
    "`idle`, and leave `total` to clients (`x-headgate-timeout`)"
)
_GIVEN_UP = (
    "an answer that is no stream begins when it is complete, and one that takes {:g} s is given up; allow as long as the longest of them "
    "takes"
)
_DOWN = (
    "a provider that is down is asked first by every request of {} all the same, which then waits for it; take this out, or say `off` of "
    "one provider"
)
_TURN = "requests may have {} bytes (`limits.request_body`), and nobody can go on from those of more than {}; raise this, or lower that"


def check_cuts(config: Config, providers: Mapping[str, Provider], filters: Sequence[Setting], warning: Error) -> None:
    """Tells of time-outs, bounds of bodies, `drain`, and breakers that are off."""
    for name, provider in providers.items():
        _check_times(provider.timeouts, f"{child('$.providers', name)}.timeouts", warning)
    for at, model in enumerate(config.models):
        path = f"$.models[{at}]"
        _check_times(model.timeouts, f"{path}.timeouts", warning)
        for which, one in enumerate(map(aim, model.targets)):
            _check_times(one.timeouts, f"{path}.targets[{which}].timeouts", warning)
    _check_bodies(config, filters, warning)
    _check_breaker(config, providers, warning)
    if config.drain == 0:
        warning("$.drain", "each stop and each upgrade cuts all that is under way; give it the seconds of a long answer")


def _check_times(times: Timeouts | Patience, path: str, warning: Error) -> None:
    total, first_byte, idle = times.total, times.first_byte, times.idle
    if total is not None and total < _STREAM:
        warning(f"{path}.total", _CUT.format(total))
    elif total is not None and first_byte is not None and total < first_byte and first_byte != _USUAL:
        warning(
            f"{path}.first_byte", f"this never counts: the whole has {total:g} s (`total`), which is less; lower one or raise the other"
        )
    if first_byte is not None and first_byte < _THOUGHT:
        warning(f"{path}.first_byte", _GIVEN_UP.format(first_byte))
    if idle is not None and idle < _THOUGHT:
        warning(f"{path}.idle", f"a stream is cut while its model thinks for {idle:g} s; allow {_THOUGHT:g} s at least")


def _check_bodies(config: Config, filters: Sequence[Setting], warning: Error) -> None:
    limits = config.limits
    for name, what in (("request_body", "conversations with pictures or files"), ("response_body", "vectors and pictures")):
        if (size := getattr(limits, name)) < _MIB:
            warning(f"$.limits.{name}", f"{size} bytes are soon used up: {what} are larger, and are refused; give it some MiB")
    for setting in filters:
        entry = getattr(setting.settings, "max_entry", None)
        if isinstance(entry, int) and entry > limits.response_body:
            warning(f"{setting.path}.max_entry", f"no answer is so large: `limits.response_body` is {limits.response_body}")
        turn = getattr(setting.settings, "max_turn", None)
        if isinstance(turn, int) and turn < limits.request_body and _given(setting, "max_turn"):
            warning(f"{setting.path}.max_turn", _TURN.format(limits.request_body, turn))


def _given(setting: Setting, name: str) -> bool:
    """Whether the file says it, rather than that it is left to its default."""
    fields = dict(zip(setting.settings.__struct_fields__, setting.settings.__struct_defaults__, strict=False))
    return bool(getattr(setting.settings, name) != fields.get(name, ...))


def _check_breaker(config: Config, providers: Mapping[str, Provider], warning: Error) -> None:
    several = [model for model in config.models if len({aim(target).provider for target in model.targets}) > 1]
    if config.breaker == "off" and several:
        warning("$.breaker", _DOWN.format(several[0].name))
