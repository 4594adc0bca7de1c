"""A configuration with every kind of provider, for the reference output in `envoy/`."""

from msgspec.structs import replace

from extproc.config.callers import Callers, Issuer
from extproc.config.certificates import ListenerTls
from extproc.config.listeners import Api, Listener
from extproc.config.mirror import Mirror
from extproc.config.model import Aws, Config, Model, Provider
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

EVERYTHING = replace(
    SEVERAL,
    listener=Listener(
        address="::",
        tls=ListenerTls(certificate="/tls/tls.crt", key="/tls/tls.key", client_ca="/tls/clients.pem"),
        http3=True,
        proxy_protocol=("10.0.0.0/8",),
    ),
    providers={
        **SEVERAL.providers,
        "aws": Provider(dialect="bedrock", base_url="https://bedrock.test", aws=Aws(region="eu-west-1")),
        "sealed": Provider(dialect="openai", base_url="https://sealed.test/v1", envoy_key_file="/keys/sealed"),
    },
    models=(replace(SEVERAL.models[0], mirror=Mirror(to="demo/demo")), *SEVERAL.models[1:]),
    callers=Callers(jwt=(Issuer(issuer="https://a.test", audiences=("gw",), jwks_url="https://a.test/keys", verify="envoy"),)),
    api=Api(listener=True),
)
"""The same with whatever else Envoy can be told."""
