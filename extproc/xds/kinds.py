"""The kinds of resources that Envoys are told, in the order in which they are told them.

A resource is told after those that it needs: clusters before the routes to them, and what is no longer needed goes last ("make before
break", https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol).
"""

_GOOGLE = "type.googleapis.com/"
CLUSTERS = f"{_GOOGLE}envoy.config.cluster.v3.Cluster"
ENDPOINTS = f"{_GOOGLE}envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRETS = f"{_GOOGLE}envoy.extensions.transport_sockets.tls.v3.Secret"
LISTENERS = f"{_GOOGLE}envoy.config.listener.v3.Listener"
ROUTES = f"{_GOOGLE}envoy.config.route.v3.RouteConfiguration"

ORDER = (CLUSTERS, ENDPOINTS, SECRETS, LISTENERS, ROUTES)
NAMES = {CLUSTERS: "CDS", ENDPOINTS: "EDS", SECRETS: "SDS", LISTENERS: "LDS", ROUTES: "RDS"}
"""What people call them."""

WHOLE = (CLUSTERS, LISTENERS)
"""Of these, who names nothing wants all."""
LINGERING = (CLUSTERS, ENDPOINTS, SECRETS)
"""What stays for a while when it is gone: requests under way may still name it. A listener goes at once, and drains."""
FOLLOWERS = {CLUSTERS: ENDPOINTS}
"""What is told again right behind something that refers to it and has changed."""
