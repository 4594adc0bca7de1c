"""What `gateway.yaml` may say: one frozen struct a section, whose fields are the keys and whose docstrings are their documentation.

The JSON schema is generated from these types; `load.py` checks a document against them and finds every mistake at once.
Durations are seconds, sizes are bytes. A string value may be `env:NAME`, `file:PATH` (the whole file, stripped) or hold `${NAME}`
or `${NAME:-default}`; references are resolved while loading.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from extproc.config.access_log import AccessLog
from extproc.config.breaker import Breaker, Breakers
from extproc.config.callers import Callers
from extproc.config.concurrency import Concurrency, Many, Queue
from extproc.config.egress import Egress
from extproc.config.fleet import Fleet
from extproc.config.forms import Auth, DialectName, Folder, HeaderName, HeaderValue, Name, Operation, Path, SettingValue
from extproc.config.fragments import Fragments
from extproc.config.health import Health
from extproc.config.identities import Identities
from extproc.config.ledger import Ledger
from extproc.config.listeners import Admin, Api, ExtProc, Listener
from extproc.config.mirror import Mirror
from extproc.config.notifications import Notifications
from extproc.config.pool import Choice, ProviderKey
from extproc.config.pricing import Pricing
from extproc.config.retries import Retries
from extproc.config.section import Bytes, Seconds, Section
from extproc.config.shedding import Shedding
from extproc.config.store import Store
from extproc.config.timeouts import Patience, Timeouts, Waiting
from extproc.config.when import Need, When
from extproc.dialects.quirks import Quirks

Transport = Literal["native", "grpcio"]


class HeaderEdits(Section, frozen=True):
    """What to change in a message's headers. Removed first, then set."""

    set: dict[HeaderName, HeaderValue] = field(default_factory=dict)
    """Headers to set, by name; what was there is replaced."""
    remove: tuple[HeaderName, ...] = ()
    """Headers to take off."""


class HeaderRules(Section, frozen=True):
    """Header edits on the way to a provider and back."""

    request: HeaderEdits = HeaderEdits()
    """What the provider gets."""
    response: HeaderEdits = HeaderEdits()
    """What the caller gets."""


class Paths(Section, frozen=True):
    """Where operations are at a provider, if not where its dialect has them: after the path of `base_url`, as that is written."""

    chat: Path | None = None
    """A conversation."""
    stream: Path | None = None
    """A conversation whose answer is streamed; `chat` unless given."""
    count: Path | None = None
    """Counting the tokens of a conversation."""
    completions: Path | None = None
    """Completions of a text."""
    responses: Path | None = None
    """OpenAI's responses."""
    embeddings: Path | None = None
    """Embeddings."""
    rerank: Path | None = None
    """Reranking."""
    moderations: Path | None = None
    """Moderations."""
    images: Path | None = None
    """Making images."""
    image_edits: Path | None = None
    """Changing images."""
    speech: Path | None = None
    """Text to speech."""
    transcriptions: Path | None = None
    """Speech to text."""
    models: Path | None = None
    """The list of models."""


class Aws(Section, frozen=True):
    """Credentials of AWS, with which Envoy signs each request (SigV4). They then stand in what Envoy is told.

    Without `access_key` Envoy looks for credentials itself: in its environment, in `~/.aws`, at the container's or the machine's own
    metadata service (EKS, ECS, EC2).
    """

    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$", description="a region of AWS, such as `us-east-1`")]
    """Region that the signature is for, such as `us-east-1`; mostly the one in `base_url`."""
    access_key: str | None = None
    """Access key id, best as `env:AWS_ACCESS_KEY_ID`."""
    secret_key: str | None = None
    """Its secret, best as `env:AWS_SECRET_ACCESS_KEY`."""
    session_token: str | None = None
    """Token of temporary credentials. They end after hours, and nobody renews these: leave all three out where Envoy can find them."""
    service: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$", description="a service of AWS, such as `bedrock`")] = "bedrock"
    """Service that the signature is for."""


class Google(Section, frozen=True):
    """Credentials of Google, of which access tokens are made, and renewed before they end. Needs `headgate[google]`. They stay with the
    control process; workers and Envoy see tokens alone.
    """

    credentials: str | None = None
    """The key file of a service account, or another file of Google's credentials, best as `file:PATH`, which is read again when it changes.
    Without it they are looked for where Google's own clients do (Application Default Credentials): `GOOGLE_APPLICATION_CREDENTIALS`, what
    `gcloud auth application-default login` has left, the metadata service of GCE, GKE or Cloud Run."""
    scope: Annotated[str, Meta(pattern=r"^https://[!-~]{1,256}$", description="an OAuth scope")] = (
        "https://www.googleapis.com/auth/cloud-platform"
    )
    """What the tokens are for."""


class Provider(Section, frozen=True):
    """Somebody who answers: a base URL, a dialect, a credential; or no more than the name of an entry of the catalogue."""

    dialect: DialectName
    """What it speaks: `openai` (chat completions), `responses` (OpenAI's Responses API), `anthropic` (messages), `gemini`
    (generateContent), `cohere` (its second version), `ollama` or `bedrock` (Amazon's Converse). Needed where the catalogue does not say
    it."""
    base_url: str
    """Scheme, host, port and path prefix, for example `https://api.openai.com/v1`. `demo:` is the built-in demo provider. Needed where the
    catalogue does not say it."""
    catalogue: str | None = None
    """The entry of the catalogue that completes this section: `headgate providers` lists them. A section that gives neither `dialect` nor
    `base_url` is completed by its own name, too: `groq:` alone says all about Groq. What stands in the section goes before what the
    catalogue says, key by key."""
    settings: dict[Name, SettingValue] = field(default_factory=dict)
    """What the catalogue's entry leaves open, such as `region` or `resource`: `headgate providers NAME` tells."""
    key: str | None = None
    """Its credential, best as `env:NAME` or `file:PATH`. The catalogue's is the environment variable that the entry names."""
    keys: Annotated[tuple[str | ProviderKey, ...], Meta(max_length=64)] = ()
    """Several credentials, in place of `key`: each attempt takes one, and a request that is refused with one is tried with another. Each
    is as `key`, or a section with that and a name, a weight and limits of its own. Of an optional provider some may be absent."""
    pool: Choice = "round_robin"
    """Which of several keys is taken, as long as it is not refused, at its limits or told to wait: each in its turn, or the one with the
    fewest requests under way and lately."""
    envoy_key_file: str | None = None
    """In place of `key`: the path of a file that holds it and that Envoy alone reads, anew whenever it is replaced, so that the key never
    passes through Headgate's own processes. Relative to the configuration file."""
    auth: Auth | None = None
    """How the key is sent: as `Authorization: Bearer` (`bearer`, and `google`, whose key is an OAuth access token), in the header of that
    name, or not at all (`none`). As the dialect has it unless given."""
    also: tuple[DialectName, ...] = ()
    """Other dialects that it speaks under the same `base_url`, with the same key. Clients that speak one of them get their requests
    passed on untouched; for those that speak none, `dialect` is used. With OpenAI itself: `dialect: openai`, `also: [responses]`."""
    aws: Aws | None = None
    """Signs its requests with credentials of AWS, in place of `key`."""
    google: Google | None = None
    """Sends access tokens of Google with its requests, in place of `key`: `google: {}` takes the machine's own credentials."""
    optional: bool = False
    """True: without its key (the environment variable is not set) the provider is left out instead of being an error."""
    timeouts: Timeouts = Timeouts()
    """How long to wait for it."""
    health: Health | None = None
    """A check that is made again and again; without it, a provider's health shows in the answers that it gives."""
    tls_server_name: str | None = None
    """Name to ask for and to check in its certificate; the host of `base_url` unless given."""
    ca_file: str | None = None
    """Who vouches for its certificate: a PEM file, relative to the configuration file; whom the system trusts unless given. One that is
    replaced by renaming counts for the connections that come then, as with the two below."""
    client_certificate: str | None = None
    """The PEM file of a certificate that we show it (mTLS), relative to the configuration file. Needs `client_key`."""
    client_key: str | None = None
    """The PEM file of its private key."""
    proxy: str | None = None
    """The URL of a proxy by which it is reached, in place of what `egress` says; `off`: without any."""
    http2: bool = True
    """Whether it is asked by HTTP/2 where it offers that over TLS. False: by HTTP/1.1 alone, of which no request is lost when the provider
    changes connections (docs/envoy.md)."""
    headers: HeaderRules = HeaderRules()
    """Headers to change for this provider alone."""
    paths: Paths = Paths()
    """Where its operations are, if not where the dialect has them. `{model}` in a path is the model's name, and a query may end it."""
    endpoints: tuple[Operation, ...] = ()
    """What it offers, as far as is known. Empty: not known. It is not asked for embeddings, reranking, images, audio, moderations or
    conversations that are not among them."""
    quirks: Quirks = Quirks()
    """Where it departs from its dialect. Looked at when a request is translated for it."""
    prices: str | None = None
    """Whose prices of the built-in list are its: an id of `genai-prices`. Found by `base_url` and by name unless given."""
    breaker: Breaker | Literal["off"] | None = None
    """When its targets are left alone, in place of what the section `breaker` says as a whole; or `off`: never."""
    concurrency: Many | Concurrency | None = None
    """Requests that it may have under way at once, over all its models; no bound unless given."""


def split_target(target: str) -> tuple[str, str]:
    """Provider and model of `provider/model`; the model is empty if the target keeps the name that was asked for."""
    provider, _, model = target.partition("/")
    return provider, model


TargetName = Annotated[str, Meta(min_length=1, max_length=512)]


class Aim(Section, frozen=True):
    """A target with all that can be said of it."""

    to: str
    """`provider/model`, or `provider` alone to keep the name that was asked for."""
    tier: Annotated[int, Meta(ge=1, le=8)] = 1
    """Those of a higher tier are asked when all of the lower ones have failed."""
    weight: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    """Its share of the requests beside the others of its tier, where the strategy goes by weights. With 0 it only steps in for them,
    unless the strategy is `ordered`."""
    when: When = When()
    """The requests that it is for: all, unless given."""
    lacks: tuple[Need, ...] = ()
    """What it cannot do: it is not for requests that need one of these, such as `images` for a model that reads texts alone."""
    concurrency: Many | Concurrency | None = None
    """Requests that it may have under way at once, whichever model they name; no bound unless given. One that is full is passed over while
    there are others."""
    timeouts: Patience = Patience()
    """How long to wait for it, in place of what its model and its provider say."""

    @property
    def provider(self) -> str:
        """Whom it names."""
        return split_target(self.to)[0]

    @property
    def model(self) -> str:
        """The name that the provider knows; empty if the target keeps the one that was asked for."""
        return split_target(self.to)[1]


class Model(Section, frozen=True):
    """What callers may ask for, and who answers it."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    """Exact name, or a pattern with `*` such as `claude-*`. Exact names win over patterns, longer patterns over shorter ones."""
    targets: Annotated[tuple[str | Aim, ...], Meta(min_length=1, max_length=8)]
    """Each is `provider/model`, or `provider` alone to keep the name that was asked for; or a section with that as `to`, and its tier,
    weight and conditions. The strategy says which of a tier is asked first, and who steps in when that fails."""
    strategy: str | dict[str, Any] = "ordered"
    """In which order the targets of a tier are tried: `ordered` (as they are written), `weighted`, `round_robin`, `sticky`,
    `least_busy`, `least_latency`, `cheapest`; or one of these with its settings, as `{sticky: {by: caller}}`; or `package.module:Class`
    for somebody else's."""
    aliases: tuple[str, ...] = ()
    """Other exact names for the same model."""
    timeouts: Patience = Patience()
    """How long to wait for its targets, in place of what their providers say."""
    otherwise: Annotated[tuple[str | Aim, ...], Meta(max_length=8)] = ()
    """Targets used when none of `targets` is present (their optional providers have no key)."""
    retries: Retries | None = None
    """What is worth another attempt, and how many there are; as `retries` of all unless given."""
    on_context_length: Annotated[tuple[TargetName, ...], Meta(max_length=4)] = ()
    """Targets (`provider/model`) that are asked when a target refuses a request because it is too long for it."""
    on_content_policy: Annotated[tuple[TargetName, ...], Meta(max_length=4)] = ()
    """Targets that are asked when a target refuses a request for what it says (its content policy)."""
    queue: Queue | None = None
    """Where requests wait while all targets are full (`concurrency`); unless given they are refused at once."""
    mirror: Mirror | None = None
    """Another target that is asked as well, for all of its conversations or a share; its answer is thrown away."""

    @property
    def ordering(self) -> tuple[str, dict[str, Any]]:
        """Name and settings of the strategy."""
        if isinstance(self.strategy, str):
            return self.strategy, {}
        ((name, settings),) = self.strategy.items()
        return name, settings or {}


def aim(target: str | Aim) -> Aim:
    """A target with all that can be said of it, whichever way it is written."""
    return Aim(to=target) if isinstance(target, str) else target


def priced_as(one: Aim, name: str) -> str:
    """What the price of a target of the model `name` is looked up by: `provider/model`. One that keeps the name has that of the model."""
    return f"{one.provider}/{one.model or name}"


class LongPrompt(Section, frozen=True):
    """Prices of a request with a long prompt: of all its tokens."""

    tokens: Annotated[int, Meta(ge=1)]
    """It is for more input tokens than that."""
    input: str | None = None
    """As of the price."""
    output: str | None = None
    """As of the price."""
    cache_read: str | None = None
    """As of the price."""
    cache_write: str | None = None
    """As of the price."""
    cache_write_1h: str | None = None
    """As of the price."""


class Price(Section, frozen=True):
    """A price that overrides, or adds to, the built-in price list. US dollars per million tokens, exact decimals in quotes."""

    model: str
    """`provider/model`; the model may be a pattern."""
    input: str | None = None
    """Input tokens that no cache had."""
    output: str | None = None
    """Output tokens, reasoning included."""
    cache_read: str | None = None
    """Input tokens read from the provider's cache; `input` unless given."""
    cache_write: str | None = None
    """Input tokens written to the provider's cache; `input` unless given."""
    cache_write_1h: str | None = None
    """Those that the cache keeps for an hour; `cache_write` unless given."""
    reasoning: str | None = None
    """Output tokens of reasoning; `output` unless given."""
    input_audio: str | None = None
    """Input tokens of audio; `input` unless given."""
    output_audio: str | None = None
    """Output tokens of audio; `output` unless given."""
    input_image: str | None = None
    """Input tokens of pictures; `input` unless given."""
    output_image: str | None = None
    """Output tokens of pictures; `output` unless given."""
    request: str | None = None
    """US dollars for each request, beside what is counted."""
    image: str | None = None
    """US dollars for each image that is made."""
    second: str | None = None
    """US dollars for each second of audio that is heard."""
    character: str | None = None
    """US dollars for each character that is spoken."""
    search: str | None = None
    """US dollars for each search that documents are ranked by."""
    above: tuple[LongPrompt, ...] = ()
    """What longer prompts cost instead, in rising order."""
    since: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="a day, such as `2026-11-01`")] | None = None
    """The day, in UTC, from which on it holds: of several prices for a model the latest counts. From ever, unless given."""
    tier: Literal["flex", "priority", "batch", "fast"] | None = None
    """It is for answers that were given this service; kinds without a price here cost what they usually do. For all unless given."""


class Limits(Section, frozen=True):
    """Bounds on what a caller may send and a provider may answer."""

    request_body: Bytes = 32 * 1024 * 1024
    """Largest JSON request, or form that names a model (audio, images); more is 413."""
    response_body: Bytes = 64 * 1024 * 1024
    """Largest response that is not streamed, and largest event of one that is; of a stream that is translated, all that has to
    be kept of it until it ends, too: past that the client gets an error, and the end."""
    request_headers: Annotated[int, Meta(ge=8, le=8192)] = 60
    """All request headers together, in KiB; more is 431."""
    concurrent_requests: Annotated[int, Meta(ge=1)] = 100_000
    """Requests under way at once, long streams included."""


class Redis(Section, frozen=True):
    """Where one machine is not enough."""

    url: str
    """For example `redis://localhost:6379/0`, `rediss://...`."""
    timeout: Seconds = 0.25
    """Longest wait for it within a request; after it, the request goes on as if there were no cache."""
    machines: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """How many gateways share it. While it is away, each counts its part of what limits have left (`on_outage: share`)."""


class Config(Section, frozen=True):
    """The whole of `gateway.yaml`."""

    providers: dict[Name, Provider]
    """Who answers, by name."""
    models: Annotated[tuple[Model, ...], Meta(min_length=1)]
    """What may be asked for."""
    filters: tuple[dict[str, Any], ...] = field(default_factory=lambda: tuple({name: {}} for name in DEFAULT_FILTERS))
    """What a request passes through, in order: each entry is one filter's name and its settings."""
    listener: Listener = Listener()
    """Where callers come in."""
    callers: Callers = Callers()
    """Who may call beside those who have a virtual key."""
    egress: Egress | None = None
    """The proxy by which providers are reached, where there is one."""
    access_log: AccessLog | None = None
    """A line for each request, for people."""
    admin: Admin = Admin()
    """Where the operator looks in."""
    api: Api = Api()
    """Where organizations, teams, users and keys are administered."""
    limits: Limits = Limits()
    """Sizes and counts that are refused."""
    shedding: Shedding = Shedding()
    """When workers refuse requests because they cannot keep up."""
    timeouts: Waiting = Waiting()
    """How long clients may want to wait."""
    prices: tuple[Price, ...] = ()
    """Own prices."""
    pricing: Pricing = Pricing()
    """Other lists of prices, and what tenants are charged."""
    retries: Retries = Retries()
    """What is worth another attempt, and how many there are, unless a model says otherwise."""
    breaker: Breakers | Literal["off"] = Breakers()
    """When targets that fail are left alone; `off`: never, unless their provider says otherwise."""
    redis: Redis | None = None
    """State shared by several machines."""
    notifications: Notifications = Notifications()
    """Who is told of what has happened."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Python worker processes; Envoy spreads requests over them."""
    transport: Transport = "native"
    """Who speaks gRPC with Envoy: our own, or grpcio, which has to be installed (`headgate[grpcio]`) and costs some ten times as much."""
    ext_proc: ExtProc | None = None
    """For an Envoy on another host; without it workers are reached by Unix sockets alone."""
    drain: Annotated[float, Meta(ge=0, le=86_400)] = 25.0
    """Seconds that requests under way are given when the gateway, or one worker, is asked to end (SIGTERM); a second signal ends them.
    Whoever runs the gateway must wait a little longer than that: Kubernetes does for 30 s unless told otherwise, `docker stop` for 10 s."""
    drain_delay: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """Seconds before that in which a gateway that is asked to end still takes new requests, while it says that it is not ready: for whoever
    sends callers here and needs time to learn that. In Kubernetes addresses go within a few seconds, and only after the signal."""
    envoy_version: Annotated[
        str, Meta(pattern=r"^1\.(3[6-9]|[4-9][0-9])$", description="a version of Envoy, such as `1.38`; 1.36 is the oldest")
    ] = "1.40"
    """The Envoy that is told. Before 1.40, the orders in which a model's targets are tried are compiled in (docs/envoy.md, "Older Envoys"),
    and `headgate check` says what that costs. `headgate up` starts none that is older than this."""
    envoy: Fragments | None = None
    """What the operator adds to Envoy's configuration."""
    envoy_threads: Annotated[int, Meta(ge=1, le=256)] = 2
    """Envoy's worker threads (`--concurrency`)."""
    state: Folder = ".headgate"
    """Where the journal, the ledger and the keys are."""
    store: Store | None = None
    """Where organizations, teams, users and keys are, if not in the state folder."""
    identities: Identities | None = None
    """Organizations, teams, users and keys that are declared here, and changed nowhere else."""

    ledger: Ledger | None = None
    """Where the ledgers of several machines come together."""
    fleet: Fleet | None = None
    """Several Envoys that are told their configuration over the network, by `headgate fleet serve`."""

    @property
    def certified(self) -> bool:
        """Whether callers are known by certificates, which this listener has checked, or somebody in front who is believed."""
        tls = self.listener.tls
        return self.callers.mesh is not None and (self.callers.mesh.trusted or (tls is not None and tls.checks))

    @property
    def mirrors(self) -> bool:
        """Whether any model has a mirror: then Envoy has a listener for copies of requests."""
        return any(model.mirror is not None for model in self.models)

    @property
    def breaks(self) -> bool:
        """Whether any provider's targets are left alone at times."""
        return any(self.breaker_of(name) is not None for name in self.providers)

    def breaker_of(self, provider: str) -> Breaker | None:
        """When the targets of a provider are left alone; None: never."""
        own = self.providers[provider].breaker if provider in self.providers else None
        told = self.breaker if own is None else own
        return None if told == "off" else told


DEFAULT_FILTERS: tuple[str, ...] = ("meter", "auth", "route", "conversations", "headers", "cache", "limits")
