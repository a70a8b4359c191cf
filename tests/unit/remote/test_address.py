"""What a URL means, what it may not be, and that it survives what paths do not."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from anc_core.errors import InputError
from anc_core.remote.address import Place, RemotePath, is_url, local, place


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a.wav", Path("a.wav")),
        ("file:///data/a.wav", Path("/data/a.wav")),
        ("s3://b/day/a.wav", RemotePath("s3", "b/day/a.wav")),
        ("s3a://b/a.wav", RemotePath("s3", "b/a.wav")),
        ("S3://B/x/", RemotePath("s3", "B/x")),
        ("gcs://b", RemotePath("gs", "b")),
        ("sftp://me@host/a b#?.wav", RemotePath("sftp", "me@host/a b#?.wav")),
        ("hdfs:///data/a.wav", RemotePath("hdfs", "/data/a.wav")),
    ],
)
def test_a_word_is_a_path_or_a_url(text: str, meaning: Path | RemotePath) -> None:
    assert place(text) == meaning
    assert place(meaning) == meaning
    assert is_url(str(meaning)) == isinstance(meaning, RemotePath)


@pytest.mark.parametrize(
    "text",
    [
        "s3://",
        "s3://b//a.wav",
        "s3://b/../a.wav",
        "s3://b/./a.wav",
        "s3://b/a\0.wav",
        "s3://b/caf\udce9.wav",
        "s3://b/a.zip::zip://x.wav",
        "zip://a.wav",
        "simplecache://x",
        "file://data/a.wav",
        "https://host/a.wav?X-Amz-Signature=0123",
    ],
)
def test_what_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        place(text)
    assert str(caught.value).encode()
    assert "0123" not in str(caught.value)


@pytest.mark.parametrize("text", ["s3://key:hidden@b/a.wav", "sftp://me:hidden@host:22/a.wav"])
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="password") as caught:
        place(text)
    assert "hidden" not in str(caught.value)


def test_a_url_that_went_through_a_path_is_noticed() -> None:
    with pytest.raises(InputError, match="as text"):
        place(Path("s3://b/a.wav"))
    assert place("s3:/b/a.wav") == Path("s3:/b/a.wav")  # as text it is a path like any other


def test_parts_are_those_of_the_key() -> None:
    where = RemotePath("s3", "b/day/a.tar.wav")
    assert (where.name, where.suffix, where.parts) == (
        "a.tar.wav",
        ".wav",
        ("b", "day", "a.tar.wav"),
    )
    assert [str(one) for one in where.parents] == ["s3://b/day", "s3://b"]
    assert where.with_name("c.wav") == RemotePath("s3", "b/day/c.wav")
    assert where.relative_to(RemotePath("s3", "b")) == "day/a.tar.wav"
    assert RemotePath("s3", "b").parent == RemotePath("s3", "b")


def test_what_begins_alike_is_not_inside() -> None:
    root = RemotePath("s3", "b/in")
    assert RemotePath("s3", "b/in/a.wav").is_relative_to(root)
    assert not RemotePath("s3", "b/in2/a.wav").is_relative_to(root)
    assert not RemotePath("gs", "b/in/a.wav").is_relative_to(root)


@pytest.mark.parametrize("name", ["../x", "/x", "a//x"])
def test_nothing_climbs_out_of_a_folder(name: str) -> None:
    with pytest.raises(InputError):
        RemotePath("s3", "b/out") / name


def test_it_is_never_opened_as_a_file() -> None:
    with pytest.raises(TypeError):
        os.fspath(RemotePath("s3", "b"))  # type: ignore[call-overload]
    with pytest.raises(InputError, match="of this machine"):
        local(RemotePath("s3", "b"))


def test_it_travels_between_processes_and_as_text() -> None:
    where = RemotePath("s3", "b/a.wav")
    assert pickle.loads(pickle.dumps(where)) == where
    kind = TypeAdapter[Path | RemotePath](Place)
    assert kind.validate_json(kind.dump_json(where)) == where
    assert kind.validate_python("a.wav") == Path("a.wav")
    assert kind.json_schema() == {"type": "string", "format": "path"}
