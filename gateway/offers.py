"""Offers: a configuration on its way to the processes that serve on it.

An offer is made once, where a configuration is accepted, and kept in a file, where a
worker that starts finds it; `plan_of` turns it into a plan, the same one in every
process, since the places on the board travel with it.

Knows nothing of sockets and of who accepts what.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.compiler import compile_plan, places_of
from gateway.config import Document, parse
from gateway.config.file import write_private
from gateway.errors import GatewayError
from gateway.messages import Delivery, Offer
from gateway.plan import Plan

FILE_NAME = "plan"


class OfferError(GatewayError):
    """The file that a worker starts from is not there, or not ours."""

    reason = "offer"


def offer_of(document: Document, plan: Plan, generation: int, delivery: Delivery) -> Offer:
    """What is sent and kept of a configuration: the text as written, never the environment."""
    return Offer(
        hash=plan.hash,
        text=document.text,
        places=places_of(plan),
        generation=generation,
        delivery=delivery,
    )


def plan_of(offer: Offer, environ: Mapping[str, str]) -> tuple[Document, Plan]:
    """The plan of an offer, everything where the offer says it is."""
    document = parse(offer.text, environ)
    return document, compile_plan(document, places=offer.places, delivery=offer.delivery)


def keep_offer(path: Path, offer: Offer) -> None:
    """Put it where a worker that starts will look; atomically, for its owner's eyes."""
    try:
        write_private(path, msgspec.msgpack.encode(offer))
    except OSError as error:
        raise OfferError(f"cannot write {path}: {error.strerror}") from None


def kept_offer(path: Path) -> Offer:
    """The offer in force."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Offer)
    except OSError as error:
        raise OfferError(f"cannot read {path}: {error.strerror}") from None
    except msgspec.DecodeError:
        raise OfferError(f"{path} is damaged; start the gateway again") from None
