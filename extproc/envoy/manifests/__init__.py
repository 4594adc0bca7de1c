"""Manifests by which Envoys that a platform runs on Kubernetes ask Headgate: `headgate compile attach --for PLATFORM`."""
