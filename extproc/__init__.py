"""Headgate's engine. What a filter may use is what this module exports, and nothing else."""

from extproc.admission import (
    allowed_provider,
    allowed_retrying,
    allowed_targets,
    check_address,
    check_model,
    check_operation,
    client_address,
    shows,
)
from extproc.aside import Aside, Job, Undone, is_bulky
from extproc.cachestore.entry import Entry, Lead, Store
from extproc.callers.joined import Joined
from extproc.callers.known import Known
from extproc.canonical import Fingerprint, fingerprint
from extproc.config.concurrency import Queue
from extproc.config.limits import LimitPlan, LimitRule
from extproc.config.model import HeaderEdits
from extproc.crossing import CREDENTIALS, KEY_PARAMETER, KEY_PROTOCOL, to_provider, without_credential
from extproc.dialects.responses import kept
from extproc.environment import Environment
from extproc.errors import ConfigError, Fault, Reject, come_again
from extproc.felt import Felt
from extproc.filter import Filter, Handler, Tap, together
from extproc.globs import regex as glob_pattern
from extproc.hosts import is_loopback_name
from extproc.identity.levels import EVERYTHING
from extproc.inference import plain as plain_path
from extproc.keys import KeyTable, StoredKey
from extproc.limits.asking import Asking
from extproc.limits.estimate import Measure, is_capped
from extproc.limits.estimate import amounts as reserved_amounts
from extproc.limits.estimate import dollars as most_dollars
from extproc.limits.limit import Granted, Refused
from extproc.limits.limit import Limits as SharedCounters
from extproc.limits.news import exhausted
from extproc.limits.reserved import Reserved, counted, leased
from extproc.limits.rule import Unit as LimitUnit
from extproc.limits.ruling import InForce, Wish
from extproc.limits.telling import headers as limit_headers
from extproc.limits.telling import refusal as limit_refusal
from extproc.limits.telling import shorter as shorter_answer
from extproc.listing import models_document
from extproc.needs import look_aside
from extproc.pool import key_names
from extproc.price import Price
from extproc.pulse import Pulse
from extproc.room import Room
from extproc.routes import Route as ModelRoute
from extproc.size import input_tokens, output_limit
from extproc.slots.holding import Holding
from extproc.slots.slot import Choice, Full, Line, Slots, Taken, Want
from extproc.standing.refusal import unavailable
from extproc.standing.status import providers_status
from extproc.standing.told import Lease as ProbeLease
from extproc.standing.view import View
from extproc.strategy import Candidate, Order, Strategy
from extproc.turns.turn import Chain, Keep, Turn, Turns, TurnsDown
from extproc.usage import Usage
from extproc.values import Endpoint, Identity, Request, Response, Target

__all__ = [
    "CREDENTIALS",
    "EVERYTHING",
    "KEY_PARAMETER",
    "KEY_PROTOCOL",
    "Aside",
    "Asking",
    "Candidate",
    "Chain",
    "Choice",
    "ConfigError",
    "Endpoint",
    "Entry",
    "Environment",
    "Fault",
    "Felt",
    "Filter",
    "Fingerprint",
    "Full",
    "Granted",
    "Handler",
    "HeaderEdits",
    "Holding",
    "Identity",
    "InForce",
    "Job",
    "Joined",
    "Keep",
    "KeyTable",
    "Known",
    "Lead",
    "LimitPlan",
    "LimitRule",
    "LimitUnit",
    "Line",
    "Measure",
    "ModelRoute",
    "Order",
    "Price",
    "ProbeLease",
    "Pulse",
    "Queue",
    "Refused",
    "Reject",
    "Request",
    "Reserved",
    "Response",
    "Room",
    "SharedCounters",
    "Slots",
    "Store",
    "StoredKey",
    "Strategy",
    "Taken",
    "Tap",
    "Target",
    "Turn",
    "Turns",
    "TurnsDown",
    "Undone",
    "Usage",
    "View",
    "Want",
    "Wish",
    "allowed_provider",
    "allowed_retrying",
    "allowed_targets",
    "check_address",
    "check_model",
    "check_operation",
    "client_address",
    "come_again",
    "counted",
    "exhausted",
    "fingerprint",
    "glob_pattern",
    "input_tokens",
    "is_bulky",
    "is_capped",
    "is_loopback_name",
    "kept",
    "key_names",
    "leased",
    "limit_headers",
    "limit_refusal",
    "look_aside",
    "models_document",
    "most_dollars",
    "output_limit",
    "plain_path",
    "providers_status",
    "reserved_amounts",
    "shorter_answer",
    "shows",
    "to_provider",
    "together",
    "unavailable",
    "without_credential",
]
