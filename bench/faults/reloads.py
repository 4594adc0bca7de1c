"""What becomes of requests while the configuration changes, for better or for worse."""

import os
import signal
from typing import Any

from bench.faults.play import Part, Play

_RELOADS = 8
_TAKEN, _REFUSED = "new configuration in force", "the new configuration is refused, the old one serves on"
_WRONG = ("{nothing that can be read", '{"providers": {}, "models": [{"name": "x", "targets": ["nobody/m"]}]}')


async def _reload(play: Play) -> None:
    before = play.site.config
    for number in range(1, _RELOADS + 1):
        await _taken(play, {**before, "models": [*before["models"], {"name": f"new-{number}", "targets": ["good/m"]}]})
        await play.answered(3)
    await _taken(play, before)


async def _push_wrong_ones(play: Play) -> None:
    good = play.site.config
    for wrong in _WRONG:
        await _refused(play, wrong)
        await play.answered(5)
    (play.site.folder / "gateway.yaml").unlink()
    await _refused(play, None)
    await play.answered(5)
    nobody = {"dialect": "openai", "base_url": "http://nowhere.invalid/v1", "key": "k"}
    await _taken(play, {**good, "providers": {**good["providers"], "nobody": nobody}})
    await play.answered(5)
    await _taken(play, good)


async def _taken(play: Play, config: Any) -> None:
    taken = play.site.said().count(_TAKEN)
    with play.broken():
        play.site.write(config)
        await play.site.until(lambda: play.site.said().count(_TAKEN) > taken, "the configuration is in force")


async def _refused(play: Play, wrong: str | None) -> None:
    """`wrong`: what stands there from now on; None: nothing does."""
    told = len(play.site.said())
    with play.broken():
        if wrong is not None:
            (play.site.folder / "gateway.yaml").write_text(wrong)
        os.kill(play.site.pid, signal.SIGHUP)
        await play.site.until(lambda: _REFUSED in play.site.said(told), "it is refused")


RELOADS = {
    "reload": Part(f"{_RELOADS} new configurations, one after the other", _reload),
    "bad-configuration": Part(
        "configurations that cannot be read, that are wrong, none, and one with a provider that has no address",
        _push_wrong_ones,
        log=_REFUSED,
    ),
}
"""By name."""
