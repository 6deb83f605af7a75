"""Django's settings of the sample API: what a project adds for tokens is the last two dictionaries.

The environment says which issuer and audience it goes by: ISSUER, AUDIENCE and PORT.
"""

import os
from secrets import token_urlsafe

PORT = int(os.environ.get("PORT", "9004"))
ISSUER = os.environ.get("ISSUER", "http://localhost:9000")
AUDIENCE = os.environ.get("AUDIENCE", f"http://localhost:{PORT}")

ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
SECRET_KEY = token_urlsafe(32)  # nothing here outlives the process: no session, no signed cookie
INSTALLED_APPS = ["rest_framework"]
DATABASES: dict[str, object] = {}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["authserver_verifier.drf.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "authserver_verifier.drf.exception_handler",
    "UNAUTHENTICATED_USER": None,  # without django.contrib.auth there is no AnonymousUser
}
AUTHSERVER_VERIFIER = {
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "metadata": {"scopes_supported": ["django:read", "django:write"]},
}
