"""Legal holds, and orders to forget, on disk: `orders.json`.

A hold keeps the records that it matches from retention and from being forgotten. An order
to forget stays here until no line that it is about can still arrive: lines in segments that
are being written become tombstones when they are added to the store.

Rule 1: replaced as a whole, durably, by whoever holds the store's lock.
Rule 2: where the file cannot be read, nothing is deleted: a hold may be in it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.log.files import replace_durably, why
from gateway.store.database import StoreError
from gateway.store.filters import Filter

FILE_NAME = "orders.json"


class Hold(Struct, frozen=True, kw_only=True):
    """What must be kept."""

    id: str
    at_us: int  # since when it is in force
    reason: str
    user: str = ""  # "" any
    route: str = ""
    since_us: int | None = None
    until_us: int | None = None

    @property
    def filter(self) -> Filter:
        return Filter(
            user=(self.user,) if self.user else (),
            route=(self.route,) if self.route else (),
            since_us=self.since_us,
            until_us=self.until_us,
        )


class ForgetOrder(Struct, frozen=True, kw_only=True):
    """Whose lines are to be forgotten."""

    id: str
    at_us: int  # lines up to then
    user: str
    keys: tuple[int, ...] = ()  # hashes of the ids of the user's records, for feedback to come
    is_done: bool = False  # with what was there when it was given


class Orders(Struct, frozen=True, kw_only=True):
    """All of them."""

    holds: tuple[Hold, ...] = ()
    forgets: tuple[ForgetOrder, ...] = ()

    def with_hold(self, hold: Hold) -> Orders:
        return replace(self, holds=(*self.holds, hold))

    def without_hold(self, hold_id: str) -> Orders:
        kept = tuple(each for each in self.holds if each.id != hold_id)
        if len(kept) == len(self.holds):
            raise StoreError(f"there is no hold {hold_id}")
        return replace(self, holds=kept)

    def with_forget(self, order: ForgetOrder) -> Orders:
        others = (each for each in self.forgets if each.id != order.id)
        return replace(self, forgets=(*others, order))

    def keeping(self, forgets: Iterable[ForgetOrder]) -> Orders:
        return replace(self, forgets=tuple(forgets))

    @property
    def held(self) -> list[Filter]:
        return [each.filter for each in self.holds]


def new_id() -> str:
    return secrets.token_hex(4)


def read_orders(directory: Path) -> Orders:
    """StoreError where the file is there but cannot be read."""
    path = directory / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Orders)
    except FileNotFoundError:
        return Orders()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {why(error)}") from None
    except msgspec.DecodeError:
        raise StoreError(f"{path} is damaged; nothing is deleted until it is repaired") from None


def write_orders(directory: Path, orders: Orders) -> None:
    try:
        replace_durably(directory / FILE_NAME, msgspec.json.encode(orders))
    except OSError as error:
        raise StoreError(f"{directory / FILE_NAME} cannot be written: {why(error)}") from None
