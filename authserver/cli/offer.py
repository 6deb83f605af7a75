"""What clients may register at this server; read from its features, which the other commands need not import."""

from authserver.app import collect_metadata, offered_features
from authserver.operations import keys
from authserver.operations.clients import Offer
from authserver.operations.operator import Operator
from authserver.outbound import Outbound


async def read_offer(operator: Operator) -> Offer:
    """Return what discovery announces now, and where outbound requests may go by http."""
    settings = operator.settings
    algorithms = sorted({listing.key.alg for listing in await keys.find_all(operator) if listing.is_signing})
    return Offer(
        metadata=collect_metadata(offered_features(settings), settings, algorithms),
        allow_http=Outbound.from_settings(settings).may_use_http,
    )
