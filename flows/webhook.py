"""One signed HTTP request to whoever wants to know: of an emergency, a failed job, a report.

The signature covers time and body, as with other webhooks: a receiver that checks both is safe from
forgery and from a recorded request that is sent again (docs/operations.md shows how).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from anc_core.errors import AncError, SettingsError, TransientError
from anc_core.settings import Settings
from anc_core.version import __version__

if TYPE_CHECKING:
    import httpx

SIGNATURE_HEADER = "X-ANC-Signature"
TIMESTAMP_HEADER = "X-ANC-Timestamp"
KEY_HEADER = "Idempotency-Key"

REPORT_TIMEOUT_S = 20.0
"""How long who wants reports may take to answer."""

# Timeout, Too Early, Too Many Requests: the same request may be taken later.
_LATER = frozenset({408, 425, 429})


class ReceiverAwayError(TransientError):
    """The receiver gave no answer, or said that it can't take it now."""

    def __init__(self, message: str, response_code: int | None = None) -> None:
        super().__init__(message)
        self.response_code = response_code


class RefusedError(AncError):
    """The receiver understood and said no: another try would hear the same."""

    def __init__(self, message: str, response_code: int | None = None) -> None:
        super().__init__(message)
        self.response_code = response_code


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Receiver:
    """Where something goes and the key that signs it; its representation shows neither."""

    url: str
    setting: str
    """Name of the setting that the address comes from."""
    secret: str | None
    """``None``: not signed."""
    timeout_s: float

    @classmethod
    def of_alerts(cls, settings: Settings) -> Self | None:
        """Return the receiver of alerts, or ``None`` where they are not wanted.

        Raises
        ------
        SettingsError
            If there is a receiver but no key.
        """
        url, secret = settings.alert_webhook_url, settings.alert_webhook_secret
        if url is None:
            return None
        if secret is None or not secret.get_secret_value():
            msg = "ANC_ALERT_WEBHOOK_SECRET is not set: alerts are signed or not sent"
            raise SettingsError(msg)
        return cls(
            url=url.get_secret_value(),
            setting="ANC_ALERT_WEBHOOK_URL",
            secret=secret.get_secret_value(),
            timeout_s=settings.alert_timeout_s,
        )

    @classmethod
    def of_reports(cls, settings: Settings) -> Self | None:
        """Return the receiver of reports, or ``None`` where they are not wanted.

        Without a key they go unsigned: a chat service can't check a signature.
        """
        url, secret = settings.report_webhook_url, settings.report_webhook_secret
        if url is None:
            return None
        return cls(
            url=url.get_secret_value(),
            setting="ANC_REPORT_WEBHOOK_URL",
            secret=(secret.get_secret_value() or None) if secret is not None else None,
            timeout_s=REPORT_TIMEOUT_S,
        )


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature: HMAC-SHA256 over ``<timestamp>.<body>``.

    Examples
    --------
    >>> sign("key", 1714564800, b"{}")[:19]
    'v1=9949b048907213d2'
    """
    message = str(timestamp).encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def post(receiver: Receiver, key: UUID, body: bytes, *, now: datetime | None = None) -> int:
    """Send ``body``, JSON, under the idempotency key ``key``; return the HTTP code of success.

    Raises
    ------
    SettingsError
        If the address is none.
    ReceiverAwayError
        If it could not be reached or answered with 408, 425, 429 or 5xx.
    RefusedError
        If it answered with any other code but 2xx; redirections are not followed.
    """
    import httpx

    timestamp = int((now or datetime.now(UTC)).timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"anc-platform/{__version__}",
        KEY_HEADER: str(key),
    }
    if receiver.secret is not None:
        headers[TIMESTAMP_HEADER] = str(timestamp)
        headers[SIGNATURE_HEADER] = sign(receiver.secret, timestamp, body)
    try:
        response: httpx.Response = httpx.post(
            receiver.url, content=body, headers=headers, timeout=receiver.timeout_s
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        msg = f"{receiver.setting} is no address; write https://HOST/PATH"
        raise SettingsError(msg) from None
    except httpx.HTTPError as err:
        # Not its text: it may hold the address, and that a token.
        msg = f"the receiver could not be reached: {type(err).__name__}"
        raise ReceiverAwayError(msg) from None
    code = response.status_code
    if response.is_success:
        return code
    if code >= 500 or code in _LATER:
        msg = f"the receiver is not ready: HTTP {code}"
        raise ReceiverAwayError(msg, code)
    msg = f"the receiver refused it: HTTP {code}"
    raise RefusedError(msg, code)
