import subprocess
import sys

from extproc.config.timeouts import Timeouts
from extproc.envoy import names


def test_targets_are_one_group_each_in_order() -> None:
    assert names.targets(["provider_a", "provider_b"]) == {
        "priority_groups": [
            {"name": "0", "clusters": [{"cluster_name": "provider_a", "weight": 1}]},
            {"name": "1", "clusters": [{"cluster_name": "provider_b", "weight": 1}]},
        ]
    }


def test_silence_is_never_shorter_than_the_wait_for_the_first_byte() -> None:
    assert names.silence(Timeouts(first_byte=120, idle=10)) == 120
    assert names.silence(Timeouts(first_byte=10, idle=120)) == 120


def test_several_targets_may_be_as_silent_as_the_slowest() -> None:
    assert names.idle_key([Timeouts(first_byte=1, idle=2.5)]) == "2.5"
    assert names.idle_key([Timeouts(first_byte=1, idle=2), Timeouts(first_byte=3, idle=1)]) == "3"


def test_workers_can_import_the_names_cheaply() -> None:
    code = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('names', sys.argv[1]);"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "assert not {'betterproto2', 'envoy_data_plane', 'pydantic', 'yaml'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, names.__file__], check=True)
