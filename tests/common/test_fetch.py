"""Files from the web: fetched once, gone on with, checked, and replaced by copies offline."""

from __future__ import annotations

import hashlib

import pytest
from werkzeug import Response

from instruct_scaling.common import fetch
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.fetch import fetch_file, kept_snapshot, location

CONTENT = b"".join(b"line %d\n" % number for number in range(1000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder; attempts follow each other without a pause."""
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.OFFLINE, raising=False)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return tmp_path / "cache"


def test_a_file_is_fetched_once_and_laid_out_by_its_url(httpserver, cache):
    httpserver.expect_request("/data/a.jsonl").respond_with_data(CONTENT)
    url = httpserver.url_for("/data/a.jsonl")
    path = fetch_file(url, SHA256)
    assert path == cache / f"{httpserver.host}:{httpserver.port}" / "data" / "a.jsonl"
    assert path.read_bytes() == CONTENT
    assert fetch_file(url, SHA256) == path
    assert len(httpserver.log) == 1
    path.write_bytes(b"damaged")
    assert fetch_file(url, SHA256).read_bytes() == CONTENT


def test_other_content_is_refused_with_both_hashes(httpserver, cache):
    httpserver.expect_request("/a").respond_with_data(CONTENT)
    with pytest.raises(InputError, match="its content has changed") as error:
        fetch_file(httpserver.url_for("/a"), "0" * 64)
    assert SHA256 in str(error.value)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_what_is_not_there_names_the_way_without_a_network(httpserver, cache):
    with pytest.raises(InputError, match="cannot be fetched") as error:
        fetch_file(httpserver.url_for("/none"), SHA256)
    assert "prefetch" in error.value.fix


def test_an_answer_of_an_overloaded_server_is_tried_again(httpserver, cache):
    httpserver.expect_ordered_request("/a").respond_with_data("overloaded", status=503)
    httpserver.expect_ordered_request("/a").respond_with_data(CONTENT)
    assert fetch_file(httpserver.url_for("/a"), SHA256).read_bytes() == CONTENT


def serve_ranges(sent):
    """A handler that honors `Range` and notes how much it sent."""

    def answer(request):
        first = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        sent.append(len(CONTENT) - first)
        return Response(CONTENT[first:], status=206 if first else 200)

    return answer


def broken_off(cache, url, content):
    """What an earlier attempt has left."""
    partial = cache / f"{location(url)}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)
    return partial


def test_a_download_that_broke_off_goes_on_after_its_last_byte(httpserver, cache):
    sent = []
    httpserver.expect_request("/a").respond_with_handler(serve_ranges(sent))
    url = httpserver.url_for("/a")
    partial = broken_off(cache, url, CONTENT[:4000])
    assert fetch_file(url, SHA256).read_bytes() == CONTENT
    assert sent == [len(CONTENT) - 4000]
    assert not partial.exists()


def test_a_partial_file_that_does_not_fit_is_replaced(httpserver, cache):
    sent = []
    httpserver.expect_request("/a").respond_with_handler(serve_ranges(sent))
    url = httpserver.url_for("/a")
    broken_off(cache, url, b"x" * 4000)
    assert fetch_file(url, SHA256).read_bytes() == CONTENT
    assert sent == [len(CONTENT) - 4000, len(CONTENT)]


def test_a_server_without_ranges_sends_the_whole(httpserver, cache):
    httpserver.expect_request("/a").respond_with_data(CONTENT)
    url = httpserver.url_for("/a")
    broken_off(cache, url, CONTENT[:10])
    assert fetch_file(url, SHA256).read_bytes() == CONTENT


def test_with_an_offline_folder_nothing_is_fetched(httpserver, cache, tmp_path, monkeypatch):
    httpserver.expect_request("/a").respond_with_data(CONTENT)
    httpserver.expect_request("/b").respond_with_data(CONTENT)
    copies, url = tmp_path / "copies", httpserver.url_for("/a")
    cached = fetch_file(httpserver.url_for("/b"), SHA256)
    copies.mkdir()
    monkeypatch.setenv(fetch.OFFLINE, str(copies))
    with pytest.raises(InputError, match="no copy of") as error:
        fetch_file(url, SHA256)
    copy = copies / location(url)
    assert error.value.where == str(copy)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"another")
    with pytest.raises(InputError, match="another content"):
        fetch_file(url, SHA256)
    copy.write_bytes(CONTENT)
    assert fetch_file(url, SHA256) == copy
    assert fetch_file(httpserver.url_for("/b"), SHA256) == cached
    assert len(httpserver.log) == 1
    monkeypatch.setenv(fetch.OFFLINE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="names no folder"):
        fetch_file(url, SHA256)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://example.org/a/b.json", "example.org/a/b.json"),
        ("http://example.org:8080/a", "example.org:8080/a"),
        ("https://example.org/a?raw=1&of=x/y", "example.org/a?raw=1&of=x%2Fy"),
    ],
)
def test_a_copy_lies_where_its_url_says(url, found):
    assert location(url) == found


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org/a/../../b"])
def test_an_address_without_a_file_or_above_the_folder_is_refused(url):
    with pytest.raises(InputError, match="names no file"):
        location(url)


def test_snapshots_of_the_hub_are_found_by_their_commit(cache, tmp_path, monkeypatch):
    commit = "a" * 40
    assert kept_snapshot("owner/name", commit, "dataset") is None
    folder = cache / "huggingface.co" / "datasets" / "owner" / "name" / "resolve" / commit
    folder.mkdir(parents=True)
    assert kept_snapshot("owner/name", commit, "dataset") == folder
    assert kept_snapshot("owner/name", commit, "model") is None
    assert kept_snapshot("owner/name", None, "dataset") is None
    monkeypatch.setenv(fetch.OFFLINE, str(tmp_path))
    assert kept_snapshot("owner/name", commit, "dataset") == folder
    with pytest.raises(InputError, match=r"no copy of .*/owner/name/resolve") as error:
        kept_snapshot("owner/name", commit, "model")
    assert error.value.where.endswith(f"owner/name/resolve/{commit}")
