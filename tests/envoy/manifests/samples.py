"""What the manifests in k8s/attach are made of."""

from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config, Model, Provider
from extproc.envoy.manifests.manifest import Spot

CONFIG = Config(
    envoy_version="1.39",
    ext_proc=ExtProc(
        address="0.0.0.0",
        host="headgate.ai.svc.cluster.local",
        tls=ExtProcTls(certificate="tls/tls.crt", key="tls/tls.key", client_ca="tls/ca.crt"),
    ),
    providers={
        "openai": Provider(dialect="openai", base_url="https://api.openai.com/v1", key="secret-of-openai"),
        "anthropic": Provider(dialect="anthropic", base_url="https://api.anthropic.com/v1", key="secret-of-anthropic"),
        "vllm": Provider(dialect="openai", base_url="http://vllm.models.svc:8000/v1"),
    },
    models=(
        Model(name="gpt-*", targets=("openai",)),
        Model(name="claude-*", targets=("anthropic",)),
        Model(name="smart", targets=("anthropic/claude-sonnet-4-5", "openai/gpt-5")),
        Model(name="llama", targets=("vllm",)),
    ),
    workers=2,
)
SPOT = Spot(namespace="ai", gateway="gateway", listener="http", port=8080, host="ai.example.com")
