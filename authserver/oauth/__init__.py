"""The protocol: pure decisions, no I/O and no clock.

Everything here takes values and returns values or raises :class:`~authserver.oauth.errors.OAuthError`. Only the
standard library and Authlib's RFC modules are imported.
"""
