"""Callers that are known by other things than a virtual key: tokens of an issuer (JWT), a mesh's certificates, keys of their own."""
