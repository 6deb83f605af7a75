"""Making an installation: the sealing key, the schema, the first signing keys. Shared by ``init`` and ``dev``."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from authserver.cli.desk import make_operator, open_box, open_engine
from authserver.cli.failure import CommandFailedError
from authserver.operations import keys
from authserver.operations.keys import KeyListing
from authserver.sealing import keyring_file
from authserver.sealing.epoch import EpochFile
from authserver.sealing.keyring_file import SealingKeyError
from authserver.settings import Settings
from authserver.store import state
from authserver.store.migrations import SchemaError, check_schema, upgrade
from authserver.store.sqlite import file_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made; nothing where everything was there."""

    sealing_key: bool
    signing_keys: Sequence[KeyListing]


async def prepare(settings: Settings) -> Made:
    """Make what is missing, and overwrite nothing.

    Every step can be repeated, so a run that was interrupted is taken up by the next one. The sealing key comes after
    the schema: only then is it known whether the database holds what only another key can open.
    """
    path = file_of(settings.database_url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    if not await _has_schema(settings):
        try:
            await asyncio.to_thread(upgrade, settings.database_url)
        except SchemaError as error:
            raise CommandFailedError(str(error)) from error
    async with open_engine(settings) as engine:
        operator = make_operator(settings, engine)
        has_rows = await keys.has_sealed_rows(operator)
        makes_key = settings.sealing_key is None and not settings.sealing_key_file.exists()
        if makes_key:
            _make_sealing_key(settings, sealed_rows_exist=has_rows)
        box = open_box(settings)
        made = () if has_rows else await keys.create_first(operator, box)
        async with engine.read() as tx:
            known = await state.load(tx)
    EpochFile.of(settings).check(known.epoch)
    return Made(sealing_key=makes_key, signing_keys=made)


async def _has_schema(settings: Settings) -> bool:
    path = file_of(settings.database_url)
    if path is not None and not path.exists():
        return False
    async with open_engine(settings) as engine:
        try:
            await check_schema(engine)
        except SchemaError:
            return False
    return True


def _make_sealing_key(settings: Settings, *, sealed_rows_exist: bool) -> None:
    try:
        keyring_file.create(
            settings.sealing_key_file, sealed_rows_exist=sealed_rows_exist, plug_in=settings.sealing_key_plugin
        )
    except SealingKeyError as error:
        raise CommandFailedError(str(error)) from error
