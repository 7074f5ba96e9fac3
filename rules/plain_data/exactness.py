"""What a name says must stay exact: identifiers, timestamps, money, long counts."""

from __future__ import annotations

import re

ID, TIME, MONEY, COUNT = "identifier", "timestamp", "amount of money", "count"

_WORDS = {
    ID: frozenset(
        "id ids uid uids guid guids isbn ean upc imei accountno userid userids customerid itemid movieid productid "
        "orderid accountid sessionid transactionid deviceid merchantid memberid".split()
    ),
    TIME: frozenset("ts timestamp timestamps unixtime epochtime".split()),
    MONEY: frozenset(
        "amount amounts balance balances revenue payment payments payout payouts fee fees invoice salary price prices "
        "cost costs usd eur gbp refund refunds".split()
    ),
    COUNT: frozenset("seen tokens_seen samples_seen impressions clicks".split()),
}
# Two words: account_number, event_time, created_at, epoch_seconds.
_NUMBERED = frozenset(
    "account invoice card order customer serial phone ticket policy contract passport member parcel claim".split()
)
_TIMED = frozenset("event unix epoch txn transaction purchase click server created log posix utc".split())
_HAPPENED = frozenset("created updated occurred opened closed seen clicked paid ordered visited logged sent".split())
_TICKS = frozenset("s sec secs seconds ms millis milliseconds us ns".split())
# Ids of small vocabularies: a few thousand tokens, positions or classes are exact in any float.
_SMALL = frozenset(
    "input position pos token type class label segment batch vocab expert cluster group attention decoder encoder "
    "source image target rank gpu device head bucket lang category cat frame box track grid word char sentence "
    "seq mask".split()
)
_TOKEN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def kind_of(name: str) -> str | None:
    """What a name says must stay exact; None when nothing."""
    words = [word.lower() for word in _TOKEN.findall(name)]
    if not words:
        return None
    for kind, tokens in _WORDS.items():
        if words[-1] in tokens:
            return None if kind == ID and not _SMALL.isdisjoint(words) else kind
    return _of_two(*words[-2:]) if len(words) > 1 else None


def _of_two(first: str, last: str) -> str | None:
    if last in ("number", "no", "nr") and first in _NUMBERED:
        return ID
    if (last == "time" and first in _TIMED) or (last == "at" and first in _HAPPENED):
        return TIME
    return TIME if last in _TICKS and first in ("epoch", "unix") else None
