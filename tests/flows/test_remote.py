"""The flows take URLs as they take paths, on a server of S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anc_core.errors import ErrorCode, InputError
from tests.recordings import noisy_voice
from tests.remote_stores import BUCKET, s3_server

pytestmark = [pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with s3_server() as store:
        yield store


def test_both_flows_go_from_bucket_to_bucket(s3: Any, tmp_path: Path, store_url: str) -> None:
    from flows import batch_process_files, process_audio_file

    voice = noisy_voice(tmp_path / "in.wav", duration_s=1.5)
    s3.put_file(str(voice), f"{BUCKET}/in/x.wav")
    one = process_audio_file(
        file_path=f"s3://{BUCKET}/in/x.wav", output_path=f"s3://{BUCKET}/one/x.wav"
    )
    assert (one.status, one.output_path) == ("ok", f"s3://{BUCKET}/one/x.wav")
    many = batch_process_files(
        file_paths=[f"s3://{BUCKET}/in", f"s3://{BUCKET}/none.wav"],
        output_dir=f"s3://{BUCKET}/many",
    )
    assert (many.skipped, many.failed) == (1, 1)
    assert many.failures[0].error_code is ErrorCode.NOT_FOUND
    assert s3.cat(f"{BUCKET}/many/x.wav") == s3.cat(f"{BUCKET}/one/x.wav")


def test_a_url_with_a_password_begins_nothing(store_url: str) -> None:
    from flows import process_audio_file

    with pytest.raises(InputError, match="password"):
        process_audio_file.fn(file_path="s3://key:hidden@b/x.wav")
