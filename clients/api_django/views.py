"""The views of the sample API. `request.user.pk` is the token's subject, `request.auth` the token itself."""

from collections import defaultdict, deque

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authserver_verifier.drf import HasScopes

READ, WRITE = "django:read", "django:write"
NOTES: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=100))  # a project has a model here


class NoteSerializer(serializers.Serializer):
    """What a client sends to be kept."""

    text = serializers.CharField(max_length=4096)


class Healthz(APIView):
    """The process answers; it says nothing about the issuer."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, _: Request) -> Response:
        """Tell so, to anybody."""
        return Response({"status": "ok"})


class Whoami(APIView):
    """What the token says; any token for this API will do, as the settings' permission classes have it."""

    def get(self, request: Request) -> Response:
        """Tell it."""
        token = request.auth
        return Response(
            {
                "subject": request.user.pk,
                "client_id": token.client_id,
                "scope": " ".join(sorted(token.scope)),
                "expires_at": token.expires_at.isoformat(),
            }
        )


class Notes(APIView):
    """The subject's own notes."""

    permission_classes = (HasScopes,)
    required_scopes = {"GET": [READ], "POST": [WRITE]}  # noqa: RUF012  # as Django's views are configured

    def get(self, request: Request) -> Response:
        """List them."""
        return Response({"notes": list(NOTES.get(request.user.pk, ()))})

    def post(self, request: Request) -> Response:
        """Add one; the oldest of more than a hundred goes."""
        note = NoteSerializer(data=request.data)
        note.is_valid(raise_exception=True)
        NOTES[request.user.pk].append(note.validated_data["text"])
        return Response({"notes": list(NOTES[request.user.pk])}, 201)


class Experiment(APIView):
    """One answer before the user's e-mail address is verified, and another after.

    The resource names `django:write` among the scopes that need a verified address, so the issuer leaves it out of
    tokens until then: this API asks nobody and knows no addresses.
    """

    def get(self, request: Request) -> Response:
        """Answer as far as the token goes."""
        missing = " ".join(sorted({READ, WRITE} - request.auth.scope))
        access = "full" if not missing else "limited" if request.auth.scope & {READ, WRITE} else "none"
        return Response({"access": access, "missing_scope": missing})
