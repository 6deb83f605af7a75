"""``/api/profile`` and ``/api/sessions``: what somebody says of themselves, and where they are signed in."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any
from uuid import UUID  # noqa: TC003 - FastAPI reads the annotations

from fastapi import APIRouter, Request, Response

from authserver.features.api import models
from authserver.features.api.callers import Signed, TheCall, respond
from authserver.features.api.documents import REFUSALS
from authserver.features.api.models import ProfileChanges, Sessions
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.operations.profile_rules import ProfileError, parse_profile
from authserver.steps.profile import change_profile
from authserver.steps.sign_out import end_app, end_browser
from authserver.store import grants, sessions, users
from authserver.web.answers import NO_STORE, Answer, json_answer
from authserver.web.problems import Fault, InvalidFieldsError
from authserver.web.user_agent import describe_browser

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.values import Grant, User
    from authserver.store.sessions import Browser

router = APIRouter(tags=["People"], responses=REFUSALS)


@router.get("/api/profile", operation_id="get_profile", response_model=models.Profile, summary="Show the profile")
async def get_profile(request: Request, person: Signed) -> Response:
    """Answer with the profile of whoever is signed in."""
    return respond(request, json_answer(_describe(person.user)))


@router.patch(
    "/api/profile", operation_id="change_profile", response_model=models.Profile, summary="Change the profile"
)
async def change(request: Request, body: ProfileChanges, call: TheCall, person: Signed) -> Response:
    """Change the members that are sent; null removes one. All that cannot be taken is said at once."""
    sent = body.model_dump(exclude_unset=True)
    try:
        changes = parse_profile({name: value or "" for name, value in sent.items()}, call.now.date())
    except ProfileError as error:
        faults = [
            Fault(pointer=f"/{claim}", code=word, detail=word.replace("_", " "))
            for claim, word in error.problems.items()
        ]
        raise InvalidFieldsError(faults) from error
    async with call.services.engine.begin() as tx:
        user = await users.lock(tx, person.user.id)
        if user is None:
            raise _gone()
        after = await change_profile(call, tx, user, changes)
    return respond(request, json_answer(_describe(after)))


@router.get("/api/sessions", operation_id="list_sessions", response_model=Sessions, summary="Where I am signed in")
async def list_sessions(request: Request, call: TheCall, person: Signed) -> Response:
    """List the browsers, and the apps of the organisation that signed in by themselves; the last used first."""
    async with call.services.engine.read() as tx:
        browsers = await sessions.list_browsers(tx, person.user.id)
        held = await grants.list_all(tx, user_id=person.user.id)
        own = await grants.get(tx, person.grant_id)
    current = {person.grant_id, own.session_id if own is not None else None}
    places = [_describe_browser(browser) for browser in browsers]
    places += [_describe_app(call, grant) for grant in held if grant.session_id is None]
    places.sort(key=lambda place: place["last_used_at"], reverse=True)
    document = {"sessions": [_spell(place, is_current=place["id"] in current) for place in places]}
    return respond(request, json_answer(document))


@router.delete(
    "/api/sessions/{session_id}",
    operation_id="end_session",
    status_code=204,
    response_class=Response,
    summary="Sign out somewhere else",
)
async def end_session(request: Request, session_id: UUID, call: TheCall, person: Signed) -> Response:
    """End a browser's session with the access it gave, or what an app holds; what is gone already is no error."""
    async with call.services.engine.begin() as tx:
        if not await end_browser(call, tx, person.user.id, session_id):
            await end_app(call, tx, person.user.id, session_id)
    return respond(request, Answer(status=204, headers=NO_STORE))


def _describe(user: User) -> dict[str, object]:
    """Return a profile's members as JSON has them."""
    document: dict[str, object] = {"sub": user.sub}
    known = {field.name for field in fields(user)}
    for name in models.Profile.model_fields:
        if name in known:
            value = getattr(user, name)
            document[name] = value.isoformat() if name == "birthdate" and value is not None else value
    return document


def _describe_browser(browser: Browser) -> dict[str, Any]:
    return {
        "id": browser.session.id,
        "kind": "browser",
        "name": describe_browser(browser.user_agent),
        "created_at": browser.session.created_at,
        "last_used_at": browser.session.last_seen_at,
    }


def _describe_app(call: Call, grant: Grant) -> dict[str, Any]:
    client = call.services.directory.find_client(grant.client_id)
    return {
        "id": grant.id,
        "kind": "app",
        "name": client.client_name if client is not None else grant.client_id,
        "created_at": grant.created_at,
        "last_used_at": grant.rotated_at,
    }


def _spell(place: dict[str, Any], *, is_current: bool) -> dict[str, object]:
    """Return a place as JSON has it: ids and times as text (RFC 3339)."""
    times = {name: place[name].isoformat().replace("+00:00", "Z") for name in ("created_at", "last_used_at")}
    return {**place, **times, "id": str(place["id"]), "is_current": is_current}


def _gone() -> OAuthError:
    return OAuthError(ErrorCode.INVALID_TOKEN, "the account no longer exists", Refusal.USER_GONE)
