"""Send a report to whoever wants it in the morning: a webhook, a mail.

A report that could not be sent is still a report: every failure becomes a line of the result and
none is raised. Nothing that is told holds an address of the settings, which may contain a password.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from anc_core.errors import AncError, SettingsError
from anc_core.jobs.report_records import Delivery, ReportResult
from anc_core.settings import Settings
from flows.webhook import REPORT_TIMEOUT_S, Receiver, ReceiverAwayError, RefusedError, post

_PORTS = {"smtp": 587, "smtps": 465}
_NAMESPACE = UUID("652e6a30-c871-4683-84a5-e94fb0390885")
_NUMBERS = {
    "sessions",
    "failed_share",
    "recent",
    "audio_s",
    "speed_x",
    "backlog",
    "events",
    "cancellation_db",
    "disk",
    "model_id",
}


def deliver(report: ReportResult, settings: Settings) -> tuple[Delivery, ...]:
    """Send ``report`` wherever the settings say; return what became of each way."""
    ways: dict[str, tuple[object, Callable[[ReportResult, Settings], None]]] = {
        "webhook": (settings.report_webhook_url, _post),
        "mail": (settings.report_smtp_url, _mail),
    }
    return tuple(
        _delivered(name, send, report, settings) for name, (wanted, send) in ways.items() if wanted
    )


def _delivered(
    name: str,
    send: Callable[[ReportResult, Settings], None],
    report: ReportResult,
    settings: Settings,
) -> Delivery:
    tries = Retrying(
        stop=stop_after_attempt(settings.retries + 1),
        wait=wait_random_exponential(multiplier=settings.retry_delay_s, max=60.0),
        retry=retry_if_exception_type(ReceiverAwayError),
        reraise=True,
    )
    try:
        tries(send, report, settings)
    except AncError as err:
        return Delivery(channel=name, delivered=False, detail=str(err))
    return Delivery(channel=name, delivered=True, detail="delivered")


# --------------------------------------------------------------------------- webhook


def _post(report: ReportResult, settings: Settings) -> None:
    receiver = Receiver.of_reports(settings)
    if receiver is not None:
        body = json.dumps(
            payload(report), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        post(receiver, delivery_key(report), body.encode())


def delivery_key(report: ReportResult) -> UUID:
    """Return the idempotency key: the same for each try, another for each revision."""
    made = report.created_at.isoformat()
    return uuid5(_NAMESPACE, f"{report.figures.period.key}/{report.revision}/{made}")


def payload(report: ReportResult) -> dict[str, Any]:
    """Return what a webhook gets: the verdict in words, the ten numbers, the flags; no file names.

    ``text`` is the field that chat services (Slack, Mattermost and their like) show.
    """
    figures = report.figures
    lines = [report.title, *(f"- {reason}" for reason in report.reasons)]
    return {
        "text": "\n".join(lines),
        "verdict": report.verdict.value,
        "reasons": list(report.reasons),
        "period": figures.period.model_dump(mode="json"),
        "revision": report.revision,
        "anomalies": [flag.model_dump(mode="json") for flag in report.anomalies],
        "figures": figures.model_dump(mode="json", include=_NUMBERS)
        | {"api": figures.api.model_dump(mode="json", exclude={"endpoints"})},
    }


# --------------------------------------------------------------------------- mail


def _mail(report: ReportResult, settings: Settings) -> None:
    if not settings.report_mail_to or settings.report_mail_from is None:
        msg = "ANC_REPORT_SMTP_URL needs ANC_REPORT_MAIL_FROM and ANC_REPORT_MAIL_TO"
        raise SettingsError(msg)
    message = mail_of(report, settings.report_mail_from, settings.report_mail_to)
    try:
        with _connected(settings) as server:
            server.send_message(message)
    except smtplib.SMTPResponseException as err:
        msg = f"the mail server said {err.smtp_code}"
        later = 400 <= err.smtp_code < 500
        raise (ReceiverAwayError(msg) if later else RefusedError(msg)) from None
    except smtplib.SMTPRecipientsRefused as err:
        msg = f"the mail server refused {len(err.recipients)} receivers"
        raise RefusedError(msg) from None
    except (smtplib.SMTPServerDisconnected, OSError) as err:
        msg = f"the mail server could not be reached: {type(err).__name__}"
        raise ReceiverAwayError(msg) from None
    except smtplib.SMTPException as err:
        msg = f"the mail was not sent: {type(err).__name__}"
        raise RefusedError(msg) from None


def mail_of(report: ReportResult, sender: str, receivers: tuple[str, ...]) -> EmailMessage:
    """Return the mail: the summary as text, the page and its JSON twin attached."""
    message = EmailMessage()
    message["Subject"], message["From"] = report.title, sender
    message["To"] = ", ".join(receivers)
    message.set_content(report.markdown)
    if report.html_path is not None:
        page = Path(report.html_path)
        text = page.read_text(encoding="utf-8")
        message.add_attachment(text, subtype="html", filename=page.name)
    if report.json_path is not None:
        twin = Path(report.json_path)
        message.add_attachment(
            twin.read_bytes(), maintype="application", subtype="json", filename=twin.name
        )
    return message


def _connected(settings: Settings) -> smtplib.SMTP:
    url = urlsplit("" if settings.report_smtp_url is None else _secret(settings))
    if url.scheme not in _PORTS or not url.hostname:
        msg = "ANC_REPORT_SMTP_URL is no mail server; write smtp://USER:PASSWORD@HOST:587"
        raise SettingsError(msg)
    port, secure = url.port or _PORTS[url.scheme], ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            url.hostname, port, timeout=REPORT_TIMEOUT_S, context=secure
        )
    else:
        server = smtplib.SMTP(url.hostname, port, timeout=REPORT_TIMEOUT_S)
    try:
        server.ehlo()
        encrypted = url.scheme == "smtps"
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=secure)
            server.ehlo()
            encrypted = True
        if url.username:
            if not encrypted:
                msg = "the mail server offers no encryption: the password is not sent in the clear"
                raise RefusedError(msg)
            server.login(unquote(url.username), unquote(url.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _secret(settings: Settings) -> str:
    url = settings.report_smtp_url
    return "" if url is None else url.get_secret_value()
