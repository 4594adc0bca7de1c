"""A configuration with every kind of provider, for the reference output in `envoy/`."""

from extproc.config.listeners import Listener
from extproc.config.model import Config, Model, Provider
from extproc.config.timeouts import Timeouts

SEVERAL = Config(
    listener=Listener(address="0.0.0.0"),
    providers={
        "openai": Provider(dialect="openai", base_url="https://api.openai.com/v1", key="secret-of-openai"),
        "anthropic": Provider(
            dialect="anthropic",
            base_url="https://api.anthropic.com/v1",
            key="secret-of-anthropic",
            timeouts=Timeouts(first_byte=60, idle=90),
        ),
        "vllm": Provider(dialect="openai", base_url="http://vllm.models.svc:8000/v1", timeouts=Timeouts(connect=1)),
        "lab": Provider(dialect="openai", base_url="https://10.0.0.7:8443/v1", tls_server_name="lab.example"),
        "demo": Provider(dialect="openai", base_url="demo:"),
    },
    models=(
        Model(name="smart", targets=("anthropic/claude-sonnet-4-5", "openai/gpt-5")),
        Model(name="gpt-*", targets=("openai",)),
        Model(name="demo", targets=("demo/demo",)),
    ),
    workers=2,
)
