"""How names, headers and paths are written in the configuration, and the words that it has for what there are few of."""

from typing import Annotated, Literal

from msgspec import Meta

Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", description="a name: letters, digits, `_`, `.` and `-`, at most 63, the first no sign"
    ),
]
# What names a host, frames a message, holds a credential, or speaks to Envoy or to us is not to be edited by a rule.
HeaderName = Annotated[
    str,
    Meta(
        pattern=(
            r"^(?!(host|content-length|content-encoding|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-connection"
            r"|authorization|proxy-authorization|x-api-key|api-key|x-goog-api-key|x-openai-key|x-anthropic-key)$)"
            r"(?!x-envoy-|x-headgate-)[!#$%&'*+.^_`|~0-9a-z-]{1,256}$"
        ),
        description="a header's name in lower case that may be edited: no credential, nothing that frames a message, no `host`, "
        "`x-envoy-*` or `x-headgate-*`",
    ),
]
# `$` would let a last line feed pass.
HeaderValue = Annotated[
    str, Meta(max_length=8192, pattern=r"^[\t\x20-\x7e]*(?![\s\S])", description="a header's value: printable ASCII without line breaks")
]
Path = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^/[A-Za-z0-9._~!&'()*+,;=:@%/?{}-]*$",
        description="a path: it begins with `/`, and may hold `{model}` and a query",
    ),
]
SettingValue = Annotated[
    str,
    Meta(
        max_length=256,
        pattern=r"^[A-Za-z0-9_]([A-Za-z0-9._~-]*[A-Za-z0-9_])?$",
        description="a part of an address: letters, digits and `._~-`, the first and the last no sign",
    ),
]
Folder = Annotated[
    str,
    Meta(
        min_length=1,
        pattern=r"[^0-9]",
        description="a folder's path, such as `.headgate`: for the journal, the ledger and the keys; relative to the configuration file",
    ),
]
Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "x-portkey-api-key", "cf-aig-authorization", "google", "none"]
Operation = Literal[
    "chat",
    "completions",
    "responses",
    "messages",
    "embeddings",
    "rerank",
    "images",
    "audio",
    "moderations",
    "batches",
    "files",
    "models",
    "realtime",
]


DialectName = Literal["openai", "responses", "anthropic", "gemini", "cohere", "ollama", "bedrock"]
