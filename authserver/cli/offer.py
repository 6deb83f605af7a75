"""What clients may register at this server; read from its features, which the other commands need not import."""

from authserver.app import collect_metadata, offered_features
from authserver.jose.schedule import ALGORITHMS
from authserver.operations.clients import Offer
from authserver.outbound import Outbound
from authserver.settings import Settings


def read_offer(settings: Settings) -> Offer:
    """Return what discovery announces, and where outbound requests may go by http."""
    return Offer(
        metadata=collect_metadata(offered_features(settings), settings, ALGORITHMS),
        allow_http=Outbound.from_settings(settings).may_use_http,
    )
