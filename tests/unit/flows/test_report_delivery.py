"""Sending a report: what arrives, what is tried again, and that no failure loses the report."""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from anc_core.jobs.report_records import ReportResult
from anc_core.reports.daily_figures import EventCounts
from anc_core.reports.daily_markdown import report_markdown, report_title
from anc_core.settings import Settings
from flows.report_delivery import deliver, delivery_key, payload
from tests.receiver import receiver
from tests.reports import NOW, event, figures, report


def result(tmp_path: Path) -> ReportResult:
    made = report(
        figures(
            events=EventCounts(total=1, violations=1),
            event_lines=(event(violation=True, max_attenuation_db=3.0, source_path="/in/a.wav"),),
        )
    )
    page, twin = tmp_path / "daily.html", tmp_path / "daily.json"
    page.write_text("<p>page é</p>", encoding="utf-8")
    twin.write_text("{}", encoding="utf-8")
    return ReportResult(
        verdict=made.verdict,
        reasons=made.reasons,
        anomalies=made.flags,
        figures=made.figures,
        revision=1,
        late=None,
        created_at=NOW,
        html_path=str(page),
        json_path=str(twin),
        title=report_title(made),
        markdown=report_markdown(made),
    )


def settings(**values: Any) -> Settings:
    return Settings.load(**{"retries": 2, "retry_delay_s": 0.0, **values})


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mailbox(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve SMTP without encryption; ``answers`` to the end of the data in turn, else 250."""
    mails: list[bytes] = []
    given = list(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper().strip()
                if word == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    mails.append(b"".join(lines))
                    self.wfile.write((given.pop(0) if given else b"250 taken") + b"\r\n")
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 fine\r\n")

    with served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"127.0.0.1:{port}", mails


def test_nothing_is_sent_where_nobody_wants_it(tmp_path: Path) -> None:
    assert deliver(result(tmp_path), settings()) == ()


def test_a_webhook_gets_verdict_numbers_and_flags_but_no_file_names(tmp_path: Path) -> None:
    with receiver() as got:
        lines = deliver(result(tmp_path), settings(report_webhook_url=got.url))
    assert [(line.channel, line.delivered) for line in lines] == [("webhook", True)]
    body = json.loads(got.requests[0][1])
    assert body["text"].startswith("RED: ANC daily report, Tuesday, 3 November 2026")
    assert body["figures"]["sessions"]["ok"] == 97
    assert body["anomalies"][0]["rule"] == "safety_violation"
    assert "/in/a.wav" not in json.dumps(body)
    assert body == payload(result(tmp_path))


def test_a_receiver_can_check_who_sent_the_report_and_knows_a_repetition(tmp_path: Path) -> None:
    wanted = {"report_webhook_secret": "top-secret", "alert_webhook_secret": "another"}
    with receiver(503, 429) as got:
        lines = deliver(result(tmp_path), settings(report_webhook_url=got.url, **wanted))
    assert (lines[0].delivered, len(got.requests)) == (True, 3)
    for headers, body in got.requests:
        message = headers["X-ANC-Timestamp"].encode() + b"." + body
        digest = hmac.new(b"top-secret", message, hashlib.sha256).hexdigest()
        assert headers["X-ANC-Signature"] == f"v1={digest}"
        assert headers["Content-Type"] == "application/json"
    keys = {headers["Idempotency-Key"] for headers, _ in got.requests}
    assert keys == {str(delivery_key(result(tmp_path)))}
    revised = result(tmp_path).model_copy(update={"revision": 2})
    assert str(delivery_key(revised)) not in keys


@pytest.mark.parametrize("values", [{}, {"report_webhook_secret": ""}])
def test_without_a_key_of_its_own_a_report_goes_unsigned(
    tmp_path: Path, values: dict[str, str]
) -> None:
    with receiver() as got:
        url = got.url
        deliver(
            result(tmp_path),
            settings(report_webhook_url=url, alert_webhook_secret="alerts-only", **values),
        )
    ((headers, _),) = got.requests
    assert not {name for name in headers if name.startswith("X-ANC-")}


@pytest.mark.parametrize(("code", "tries"), [(500, 3), (301, 1), (404, 1)])
def test_a_refusal_is_told_without_the_address(tmp_path: Path, code: int, tries: int) -> None:
    with receiver(*[code] * 3) as got:
        lines = deliver(result(tmp_path), settings(report_webhook_url=got.url))
    assert (lines[0].delivered, len(got.requests)) == (False, tries)
    assert str(code) in lines[0].detail
    assert "not-for-logs" not in lines[0].detail


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"report_webhook_url": "http://127.0.0.1:9/x?token=secret"}, "could not be reached"),
        ({"report_webhook_url": "no address"}, "REPORT_WEBHOOK_URL"),
        ({"report_smtp_url": "smtp://127.0.0.1:9"}, "MAIL_FROM"),
        ({"report_smtp_url": "http://x", "report_mail_from": "a@b", "report_mail_to": "c@d"},
         "REPORT_SMTP_URL"),
        ({"report_smtp_url": "smtp://127.0.0.1:9", "report_mail_from": "a@b",
          "report_mail_to": "c@d"}, "could not be reached"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_becomes_a_line(
    tmp_path: Path, values: dict[str, str], words: str
) -> None:
    lines = deliver(result(tmp_path), settings(retries=0, **values))
    assert [line.delivered for line in lines] == [False]
    assert words in lines[0].detail
    assert "secret" not in lines[0].detail


def test_a_mail_has_the_summary_as_text_and_the_page_attached(tmp_path: Path) -> None:
    with mailbox() as (place, mails):
        lines = deliver(
            result(tmp_path),
            settings(
                report_smtp_url=f"smtp://{place}",
                report_mail_from="anc@example.org",
                report_mail_to="a@example.org, b@example.org",
            ),
        )
    assert lines[0].delivered
    mail = message_from_bytes(mails[0], policy=policy.default)
    assert mail["Subject"].startswith("RED: ANC daily report")
    assert mail["To"] == "a@example.org, b@example.org"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "| failed | 1 (1.0 %) |" in text.get_content()
    files = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert files["daily.html"].strip() == "<p>page é</p>"
    assert files["daily.json"] == b"{}"


def test_a_busy_mail_server_is_tried_again(tmp_path: Path) -> None:
    with mailbox(b"451 later") as (place, mails):
        lines = deliver(
            result(tmp_path),
            settings(
                report_smtp_url=f"smtp://{place}", report_mail_from="a@b", report_mail_to="c@d"
            ),
        )
    assert (lines[0].delivered, len(mails)) == (True, 2)


def test_a_password_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    with mailbox() as (place, mails):
        lines = deliver(
            result(tmp_path),
            settings(
                report_smtp_url=f"smtp://user:secret@{place}",
                report_mail_from="a@b",
                report_mail_to="c@d",
            ),
        )
    assert (lines[0].delivered, mails) == (False, [])
    assert "in the clear" in lines[0].detail
