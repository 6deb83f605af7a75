"""The composition root: settings in, one ASGI application out. The only reader of the clock."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.routing import Mount

from authserver.feature import Call, Feature, Life, Live, Services
from authserver.features.account import FEATURE as ACCOUNT
from authserver.features.account_activity import FEATURE as ACCOUNT_ACTIVITY
from authserver.features.account_apps import FEATURE as ACCOUNT_APPS
from authserver.features.account_connections import FEATURE as ACCOUNT_CONNECTIONS
from authserver.features.account_data import FEATURE as ACCOUNT_DATA
from authserver.features.account_devices import FEATURE as ACCOUNT_DEVICES
from authserver.features.account_email import FEATURE as ACCOUNT_EMAIL
from authserver.features.account_factors import FEATURE as ACCOUNT_FACTORS
from authserver.features.account_passkeys import FEATURE as ACCOUNT_PASSKEYS
from authserver.features.account_password import FEATURE as ACCOUNT_PASSWORD
from authserver.features.account_profile import FEATURE as ACCOUNT_PROFILE
from authserver.features.api import FEATURE as API
from authserver.features.authorize import FEATURE as AUTHORIZE
from authserver.features.consent import FEATURE as CONSENT
from authserver.features.discovery import FEATURE as DISCOVERY
from authserver.features.end_session import FEATURE as END_SESSION
from authserver.features.home import FEATURE as HOME
from authserver.features.inbox import FEATURE as INBOX
from authserver.features.introspection import FEATURE as INTROSPECTION
from authserver.features.language import FEATURE as LANGUAGE
from authserver.features.login import FEATURE as LOGIN
from authserver.features.login_code import FEATURE as LOGIN_CODE
from authserver.features.recovery import FEATURE as RECOVERY
from authserver.features.registration import FEATURE as REGISTRATION
from authserver.features.revocation import FEATURE as REVOCATION
from authserver.features.second_factor import FEATURE as SECOND_FACTOR
from authserver.features.signup import FEATURE as SIGNUP
from authserver.features.signup import REGISTER
from authserver.features.status_list import FEATURE as STATUS_LIST
from authserver.features.stop_code import FEATURE as STOP_CODE
from authserver.features.token import FEATURE as TOKEN
from authserver.features.upstream import FEATURE as UPSTREAM
from authserver.features.userinfo import FEATURE as USERINFO
from authserver.features.verify import FEATURE as VERIFY
from authserver.hasher import Hasher
from authserver.ids import uuid7_text
from authserver.jobs.status_watch import StatusWatch
from authserver.jobs.upkeep import build_jobs
from authserver.jose.client_keys import ClientKeys
from authserver.jose.compact import read_document
from authserver.jose.keyring import Keyring
from authserver.jose.remote_keys import read_remote_jwks
from authserver.jose.status_lists import StatusLists
from authserver.jose.verified_tokens import VerifiedTokens
from authserver.logs import get_logger
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.metadata import build_metadata
from authserver.operations.key_revocation import bury_again
from authserver.operations.mail import make_outbox
from authserver.operations.operator import Operator
from authserver.outbound import Outbound
from authserver.remote_documents import RemoteDocuments
from authserver.sealing.epoch import EpochFile
from authserver.sealing.keyring_file import open_box
from authserver.sealing.refresh_token import RefreshTokenSealer
from authserver.sealing.subkeys import Subkeys
from authserver.sealing.tombstones import Tombstones
from authserver.store import masters, signing_keys, state
from authserver.store.code_batches import CodeBatches
from authserver.store.directory import Directory
from authserver.store.engine import Engine, ServingLock
from authserver.store.grant_batches import GrantBatches
from authserver.store.migrations import check_schema
from authserver.store.status_lists import StatusIndexes
from authserver.web.client_failures import ClientFailures
from authserver.web.cors import Cors
from authserver.web.edge import Edge, Route
from authserver.web.error_page import error_page
from authserver.web.pages import Link, Pages
from authserver.web.problems import problem_answer
from authserver.web.static import static_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from authserver.feature import Demo, Endpoint, GrantType
    from authserver.jobs.runner import Jobs
    from authserver.oauth.params import Params
    from authserver.sealing.box import Box
    from authserver.settings import Settings
    from authserver.web.answers import Answer
    from authserver.web.facts import Facts

FEATURES: Final = (
    HOME,
    DISCOVERY,
    AUTHORIZE,
    LOGIN,
    CONSENT,
    TOKEN,
    REVOCATION,
    INTROSPECTION,
    STATUS_LIST,
    USERINFO,
    END_SESSION,
    REGISTRATION,
    API,
    LOGIN_CODE,
    UPSTREAM,
    SECOND_FACTOR,
    RECOVERY,
    STOP_CODE,
    SIGNUP,
    REGISTER,
    VERIFY,
    LANGUAGE,
    ACCOUNT,
    ACCOUNT_PROFILE,
    ACCOUNT_EMAIL,
    ACCOUNT_PASSWORD,
    ACCOUNT_PASSKEYS,
    ACCOUNT_FACTORS,
    ACCOUNT_CONNECTIONS,
    ACCOUNT_DEVICES,
    ACCOUNT_APPS,
    ACCOUNT_ACTIVITY,
    ACCOUNT_DATA,
    INBOX,
)

log = get_logger("authserver")


def utc_now() -> datetime:
    """Return the process's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The two clocks of a process: what time it is, and how many seconds have passed."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic


class Application:
    """The ASGI application. It opens everything at ``lifespan.startup`` and lets go of it at ``lifespan.shutdown``."""

    def __init__(self, settings: Settings, *, clock: Clock, demo: tuple[Demo, ...]) -> None:
        """Keep what :meth:`start` needs; nothing is opened yet."""
        self._settings = settings
        self._clock = clock
        self._demo = demo
        self._edge: Edge | None = None
        self._jobs: Jobs | None = None
        self._held = ExitStack()
        self.life = Life()
        self.services: Services | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._edge is None:
            message = "the application has not been started"
            raise RuntimeError(message)
        else:
            await self._edge(scope, receive, send)

    async def start(self) -> None:
        """Open the database and the keys, check that they belong together, and begin the background jobs."""
        settings = self._settings
        box = open_box(settings)
        engine = Engine.open(settings.database_url)
        try:
            self._held.enter_context(ServingLock(settings.database_url))
            await check_schema(engine)
            epoch_file = EpochFile.of(settings)
            await check_epoch(engine, epoch_file)
            self.services = await self._build_services(engine, box)
            await StatusWatch(self.services, self._clock.now).follow()
        except BaseException:
            await engine.close()
            self._held.close()
            raise
        self._edge = self._build_edge(self.services)
        self._jobs = build_jobs(self.services, box, epoch_file, self._clock.now)
        self._jobs.start()

    def begin_to_drain(self) -> None:
        """Say no at /readyz from now on; requests that come all the same are still answered."""
        self.life.draining = True

    async def stop(self) -> None:
        """Stop the jobs, then close what they used."""
        if self._jobs is not None:
            await self._jobs.stop()
        if self.services is not None:
            await self.services.outbound.close()
            self.services.hasher.close()
            await self.services.grant_batches.close()
            await self.services.code_batches.close()
            await self.services.engine.close()
        self._held.close()
        self._edge = self._jobs = self.services = None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:  # the server must hear why, in one line; then it ends
                    log.exception("start_failed")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _build_services(self, engine: Engine, box: Box) -> Services:
        settings = self._settings
        directory = Directory(engine, monotonic=self._clock.monotonic)
        await directory.refresh()
        hasher = Hasher()
        operator = Operator(engine=engine, hasher=hasher, settings=settings, actor="server")
        for again in await bury_again(operator, box, Tombstones.beside(EpochFile.of(settings)).read()):
            log.warning("signing_key_risen", kid=again.key.kid, cause="the database had forgotten that it was revoked")
        async with engine.read() as tx:
            key_rows = await signing_keys.list_all(tx)
            subkeys = Subkeys(await masters.list_all(tx), box)
        keyring = Keyring.load(
            key_rows,
            box,
            issuer=settings.issuer,
            jwks_max_age=settings.jwks_max_age,
            now=self._clock.now(),
        )
        outbound = Outbound.from_settings(settings)
        outbox = make_outbox(subkeys, issuer=settings.issuer)
        features = offered_features(settings)
        return Services(
            settings=settings,
            engine=engine,
            grant_batches=GrantBatches(engine, outbox),
            code_batches=CodeBatches(engine),
            directory=directory,
            status_lists=StatusLists(settings.issuer),
            status_indexes=StatusIndexes(engine),
            live=Live(keyring, lambda algorithms: collect_metadata(features, settings, algorithms)),
            subkeys=subkeys,
            refresh_tokens=RefreshTokenSealer(subkeys),
            hasher=hasher,
            outbox=outbox,
            outbound=outbound,
            verified_tokens=VerifiedTokens(),
            client_keys=ClientKeys(outbound.fetch_json, self._clock.monotonic),
            upstream_documents=RemoteDocuments(outbound.fetch_json, read_document, self._clock.monotonic),
            upstream_keys=RemoteDocuments(outbound.fetch_json, read_remote_jwks, self._clock.monotonic),
            client_failures=ClientFailures(self._clock.monotonic, settings.address_limit_scale),
            pages=Pages(issuer=settings.issuer, dev=bool(self._demo)),
            features=features,
            grant_types=collect_grant_types(features),
            life=self.life,
            demo=self._demo,
        )

    def _build_edge(self, services: Services) -> Edge:
        endpoints = [endpoint for feature in services.features for endpoint in feature.endpoints]
        return Edge(
            [self._route(services, endpoint) for endpoint in endpoints],
            behind=Starlette(routes=[Mount("/static", app=static_files())]),
            mounted=("/static/",),
            cors=Cors(services.directory.is_allowed_origin, services.directory.is_first_party_origin),
            error_page=lambda facts, error: render_error(services, facts, error),
            problem=lambda facts, error: problem_answer(
                error, issuer=services.settings.issuer, request_id=facts.request_id
            ),
            new_request_id=lambda: uuid7_text(self._clock.now()),
            trusted_proxies=services.settings.trusted_proxies,
        )

    def _route(self, services: Services, endpoint: Endpoint) -> Route:
        async def handle(facts: Facts, form: Params) -> Answer:
            return await endpoint.handler(Call(now=self._clock.now(), services=services, facts=facts), form)

        return Route(
            path=endpoint.path,
            methods=endpoint.methods,
            handler=handle,
            body=endpoint.body,
            errors=endpoint.errors,
            cors=endpoint.cors,
        )


def create_app(settings: Settings, *, clock: Clock | None = None, demo: tuple[Demo, ...] = ()) -> Application:
    """Return the server as an ASGI application. ``demo`` is what ``authserver dev`` shows; it turns dev mode on."""
    return Application(settings, clock=clock or Clock(), demo=demo)


def offered_features(settings: Settings) -> tuple[Feature, ...]:
    """Return the features that these settings turn on; the others are as if they did not exist."""
    return tuple(feature for feature in FEATURES if feature.is_offered(settings))


async def check_epoch(engine: Engine, epoch_file: EpochFile) -> None:
    """Refuse, with EpochError, a database that came out of a backup (DESIGN §5, Restore)."""
    async with engine.read() as tx:
        current = await state.load(tx)
    warning = epoch_file.check(current.epoch)
    if warning is not None:
        log.warning("epoch_file", cause=warning)


def collect_grant_types(features: tuple[Feature, ...]) -> Mapping[str, GrantType]:
    """Return every grant type that features bring, by its name on the wire."""
    return {grant_type.name: grant_type for feature in features for grant_type in feature.grant_types}


def collect_metadata(
    features: tuple[Feature, ...], settings: Settings, algorithms: Iterable[str]
) -> Mapping[str, object]:
    """Return the discovery document (RFC 8414 §2): what the features declare, and what the keys can sign."""
    ground = {
        "grant_types_supported": list(collect_grant_types(features)),
        "id_token_signing_alg_values_supported": list(algorithms),
        "introspection_signing_alg_values_supported": list(algorithms),
    }
    return build_metadata(settings.issuer, [ground, *(feature.metadata(settings) for feature in features)])


def render_error(services: Services, facts: Facts, error: OAuthError) -> Answer:
    """Return the page for a refusal; it names a client only where one was found."""
    refusal = Refusal.BUG if error.error is ErrorCode.SERVER_ERROR else error.refusal
    again = error.start_again
    asked = _asked(urlsplit(again).query if again is not None else facts.query)
    client = services.directory.find_client(asked.get("client_id", ""))
    page = error_page(
        services.pages,
        refusal,
        status=error.status,
        request_id=facts.request_id,
        client_name=client.client_name if client is not None else None,
        client_id=asked.get("client_id"),
        received=asked.get("redirect_uri"),
        back=Link(text=services.pages.words("Start again"), href=again) if again is not None else None,
    )
    return page.with_headers(*error.headers)


def _asked(query: str) -> Mapping[str, str]:
    """Return what the requester wrote of itself in the URL, the first of each name, as far as it can be read."""
    pairs = parse_qsl(query[:8192], errors="replace")
    return {name: value[:500] for name, value in reversed(pairs)}
