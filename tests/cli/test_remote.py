"""``anc batch`` from bucket to bucket, on a server of S3 and with worker processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anc_core.errors import WorkerDiedError
from anc_core.remote import objects
from anc_core.remote.address import RemotePath
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice
from tests.remote_stores import BUCKET, s3_server

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with s3_server() as store:
        yield store


def test_a_bucket_is_cleaned_into_another_place_and_once_only(
    s3: Any, bench: Bench, run_cli: Anc
) -> None:
    for number in range(2):
        voice = noisy_voice(bench.folder / f"{number}.wav", duration_s=1.5, seed=number)
        s3.put_file(str(voice), f"{BUCKET}/in/day {number}/ä+{number}.wav")
    s3.pipe(f"{BUCKET}/in/", b"")  # what consoles put for an empty folder
    s3.pipe(f"{BUCKET}/in/bad.wav", b"no audio at all")
    words = (
        *("batch", f"s3://{BUCKET}/in", "--output", f"s3://{BUCKET}/out"),
        *("--database-url", bench.database.url, "--json"),
    )
    code, out, err = run_cli(*words)
    first = json.loads(out)
    assert (code, first["ok"], first["failed"], first["planned"]) == (1, 2, 1, 3), err
    delivered = [name for name in s3.find(f"{BUCKET}/out") if not name.endswith(".json")]
    assert delivered == [f"{BUCKET}/out/day 0/ä+0.wav", f"{BUCKET}/out/day 1/ä+1.wav"]
    assert {s.output_path for s in bench.sessions() if s.output_path} == {
        f"s3://{name}" for name in delivered
    }
    sidecar = s3.cat(f"{delivered[0]}.json").decode()
    assert f"s3://{delivered[0]}" in sidecar
    assert "of-the-test" not in sidecar + out + err + str(bench.sessions())
    code, out, _ = run_cli(*words)
    again = json.loads(out)
    assert (again["skipped"], again["failed"], again["shards"]) == (2, 1, 1)


def test_what_is_not_there_is_told_by_s3_itself(s3: Any, bench: Bench, run_cli: Anc) -> None:
    where = ("--database-url", bench.database.url, "--json")
    for url in (f"s3://{BUCKET}/none.wav", "s3://no-such-bucket/x.wav"):
        code, out, _ = run_cli("process", url, "--no-output", *where)
        assert (code, json.loads(out)["error_code"]) == (1, "NOT_FOUND")
    voice = noisy_voice(bench.folder / "v.wav", duration_s=1.0)
    code, out, err = run_cli("batch", voice, "-o", "s3://no-such-bucket/out", *where)
    assert code == 2
    assert "NOT_WRITABLE" in out + err or "does not exist" in out + err


def test_a_password_in_a_url_is_a_mistake_of_the_command(bench: Bench, run_cli: Anc) -> None:
    code, out, err = run_cli("process", "s3://key:hidden@b/x.wav", "--no-output")
    assert code == 2
    assert "password" in err
    assert "hidden" not in out + err


@pytest.mark.long
def test_a_large_object_travels_in_parts(s3: Any, tmp_path: Path) -> None:
    """Above 100 MiB s3fs sends parts, which S3 puts together at the end."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(120 << 20)
    where = RemotePath("s3", f"{BUCKET}/large")
    sent: list[int] = []
    objects.deliver(large, where, on_bytes=lambda: sent.append(1))
    found = objects.look_at(where)
    assert found is not None
    assert len(sent) > 1
    objects.fetch(found, tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == large.stat().st_size

    def stop() -> None:
        raise WorkerDiedError

    with pytest.raises(WorkerDiedError):
        objects.deliver(large, where.with_name("other"), on_bytes=stop)
    assert objects.find(where.with_name("other")) is None
