"""What the injector and whoever deploys pods must agree on: labels, annotations, and what of a pod is ours."""

PREFIX = "headgate.io/"
INJECT = PREFIX + "inject"
"""Label of a namespace (`enabled`), or of a pod: `"true"` or `"false"`. A label, since selectors of webhooks see no annotations."""
STATUS = PREFIX + "status"
"""Annotation that the injector writes."""

CONTAINER = "headgate"
CONFIG_VOLUME = "headgate-config"
STATE_VOLUME = "headgate-state"
SCRATCH_VOLUME = "headgate-tmp"

CONFIG_FOLDER = "/etc/headgate"
STATE_FOLDER = "/var/lib/headgate"

HOST = "127.0.0.1"
