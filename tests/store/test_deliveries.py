"""The delivery log: an alert is announced once, has one sender at a time, and ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete
from store_samples import process, result

from anc_core.alerts import EmergencyAlert
from anc_core.records import Status
from anc_core.store import (
    Database,
    Taken,
    announce,
    delete_deliveries,
    enlist,
    expire_alerts,
    find_delivery,
    list_deliveries,
    settle,
    take,
    unsent_alerts,
)
from anc_core.store.tables import AudioSession

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SIREN_LIKE = result("x").events[0].model_copy(update={"noise_type": "fire_alarm"})
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def outstanding(database: Database, **words: Any) -> list[EmergencyAlert]:
    with database.read() as db:
        return unsent_alerts(db, since=words.pop("since", LONG_AGO), **words)


def enlisted(database: Database, fingerprint: str = "f1", **words: Any) -> EmergencyAlert:
    """Return the alert of a session that heard one siren."""
    session_id = process(database, fingerprint, **words)
    (alert,) = [one for one in outstanding(database) if one.session_id == session_id]
    with database.begin() as db:
        enlist(db, [alert], now=NOW)
    return alert


def taken(database: Database, alert: EmergencyAlert, after_s: float = 0.0, **words: Any) -> Taken:
    words = {"lease_s": 60.0, "cooldown_s": 0.0} | words
    with database.begin() as db:
        return take(db, alert, now=NOW + timedelta(seconds=after_s), **words)


def settled(
    database: Database, alert: EmergencyAlert, status: Any, after_s: float = 0.0, **words: Any
) -> None:
    with database.begin() as db:
        settle(db, alert, status, now=NOW + timedelta(seconds=after_s), **words)


def test_an_event_is_announced_once(database: Database) -> None:
    session_id = process(database)

    def announced(run: str) -> list[EmergencyAlert]:
        with database.begin() as db:
            return announce(db, [session_id], flow_run_id=run, now=NOW)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(announced, ["a", "b", "c", "d"]))
    (alert,) = [alert for one in found for alert in one]
    assert alert.event_type == "siren"
    (unsent,) = outstanding(database)
    assert unsent == alert  # the run that announced it is remembered


def test_what_is_sent_before_it_is_announced_is_announced_all_the_same(database: Database) -> None:
    alert = enlisted(database)
    taken(database, alert)
    settled(database, alert, "delivered")
    with database.begin() as db:
        assert announce(db, [alert.session_id], flow_run_id=None, now=NOW) == [alert]
    assert outstanding(database) == []


def test_a_session_that_failed_or_heard_nothing_has_no_alert(database: Database) -> None:
    process(database, "f1", status=Status.FAILED)
    process(database, "f2", events=())
    assert outstanding(database) == []


def test_old_sessions_are_left_alone(database: Database) -> None:
    process(database, finished_at=NOW)
    assert outstanding(database, since=NOW + timedelta(seconds=1)) == []
    assert len(outstanding(database, since=NOW)) == 1


def test_one_sender_at_a_time(database: Database) -> None:
    alert = enlisted(database)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: taken(database, alert), range(4)))
    assert sorted(found) == [Taken.BUSY, Taken.BUSY, Taken.BUSY, Taken.SEND]


def test_a_dead_senders_alert_is_free_after_its_lease(database: Database) -> None:
    alert = enlisted(database)
    assert taken(database, alert) is Taken.SEND
    assert taken(database, alert, 60.0) is Taken.BUSY
    assert taken(database, alert, 60.001) is Taken.SEND
    with database.read() as db:
        assert find_delivery(db, str(alert.alert_id)).attempts == 2


@pytest.mark.parametrize("status", ["delivered", "suppressed", "failed"])
def test_what_is_settled_is_never_sent_again(database: Database, status: str) -> None:
    alert = enlisted(database)
    taken(database, alert)
    settled(database, alert, status)
    assert taken(database, alert, 1e6) is Taken.SETTLED
    assert outstanding(database) == []


def test_a_refused_one_is_sent_again_on_request_only(database: Database) -> None:
    alert = enlisted(database)
    taken(database, alert)
    settled(database, alert, "failed", response_code=404, error="HTTP 404")
    assert outstanding(database, retry_failed=True) == [alert]
    assert taken(database, alert, retry_failed=True) is Taken.SEND


def test_what_could_not_be_sent_may_be_tried_at_once(database: Database) -> None:
    alert = enlisted(database)
    taken(database, alert)
    settled(database, alert, "pending", error="away")
    assert outstanding(database) == [alert]
    assert taken(database, alert) is Taken.SEND


def test_the_same_sound_at_the_same_place_is_quiet_for_the_cooldown(database: Database) -> None:
    first, second, third = (enlisted(database, name, device_id="7") for name in ("a", "b", "c"))
    assert taken(database, first, cooldown_s=10) is Taken.SEND
    # Its end decides: were it never delivered, the second would be the first to be heard.
    assert taken(database, second, cooldown_s=10) is Taken.BUSY
    settled(database, first, "delivered")
    assert taken(database, second, 9.9, cooldown_s=10) is Taken.SUPPRESSED
    assert taken(database, third, 10.0, cooldown_s=10) is Taken.SEND
    with database.read() as db:
        line = find_delivery(db, str(second.alert_id))
    assert (line.status, line.attempts) == ("suppressed", 0)
    assert "siren at device 7 was told less than 10 s ago" in str(line.last_error)


@pytest.mark.parametrize("other", [{"device_id": "8"}, {"events": (SIREN_LIKE,)}])
def test_another_sound_or_place_is_not_quiet(database: Database, other: dict[str, Any]) -> None:
    first = enlisted(database, "a", device_id="7")
    second = enlisted(database, "b", **({"device_id": "7"} | other))
    taken(database, first, cooldown_s=10)
    settled(database, first, "delivered")
    assert taken(database, second, cooldown_s=10) is Taken.SEND


def test_nobody_knows_where_is_never_the_same_place(database: Database) -> None:
    first, second = enlisted(database, "a"), enlisted(database, "b")
    taken(database, first, cooldown_s=10)
    settled(database, first, "delivered")
    assert taken(database, second, cooldown_s=10) is Taken.SEND


def test_what_waited_too_long_is_given_up(database: Database) -> None:
    alert = enlisted(database)
    with database.begin() as db:
        assert expire_alerts(db, before=NOW) == 0
        assert expire_alerts(db, before=NOW + timedelta(seconds=1)) == 1
    assert taken(database, alert) is Taken.SETTLED


def test_a_person_who_is_erased_leaves_the_log(database: Database) -> None:
    theirs, others = enlisted(database, "a"), enlisted(database, "b")
    with database.begin() as db:
        assert delete_deliveries(db, [theirs.session_id]) == 1
        assert [d.session_id for d in list_deliveries(db).deliveries] == [others.session_id]


def test_the_log_outlives_its_session_and_comes_newest_first(database: Database) -> None:
    alert = enlisted(database)
    taken(database, alert)
    settled(database, alert, "delivered", response_code=204)
    with database.begin() as db:
        db.execute(delete(AudioSession))
        enlist(db, [alert.model_copy(update={"alert_id": uuid4()})], now=NOW + timedelta(seconds=1))
    with database.read() as db:
        log = list_deliveries(db).deliveries
        assert [line.status for line in log] == ["pending", "delivered"]
        assert list_deliveries(db, statuses=["delivered"]).deliveries == log[1:]
        assert list_deliveries(db, limit=1).deliveries == log[:1]
    assert (log[1].response_code, log[1].delivered_at, log[1].attempts) == (204, NOW, 1)
