"""The sidecar injector: a pod, as somebody asks Kubernetes for it, becomes one that has a gateway beside its application.

pod + labels and annotations (overrides) + settings -> container and volumes (sidecar), environment (clients) -> the pod (inject)
-> a patch of what has changed (patch) -> an answer to the API server (review), over TLS (server, certificate)
"""
