"""Models of the hub where it answers, refuses, is ill or out of reach, with and without a cache."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import huggingface_hub.constants
import pytest

from lit_entropy.policy import Policy
from lit_entropy.policy.hub import hub_location
from lit_entropy.policy.loading import ASSETS

FIELD = "model.policy.model"
COMMIT = "0" * 40


class _Hub(BaseHTTPRequestHandler):
    """Answers by the name of the repository, and counts what it is asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        status = 404  # of what the hub's library asks for itself
        if self.path.startswith("/api/models/a/"):
            self.asked.append(self.path)
            codes = {"there": 200, "nowhere": 404, "ill": 503, "page": 200}
            status = codes[self.path.split("/")[4]]
        self.send_response(status)
        self.end_headers()
        if status == 200:
            page = self.path.endswith("/page")
            self.wfile.write(b"<html>" if page else json.dumps({"id": "a/there"}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine; what it was asked."""
    _Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    yield _Hub.asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds a/cached, and no network: nothing listens at port 9."""
    repository = tmp_path / "models--a--cached"
    shutil.copytree(ASSETS / "chain-xs", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    return repository / "snapshots" / COMMIT


def test_what_the_hub_has_is_asked_for_once(hub: list[str]) -> None:
    assert hub_location("a/there", None, FIELD) == "a/there"
    assert hub_location("a/there", "v1", FIELD) == "a/there"
    assert hub == ["/api/models/a/there", "/api/models/a/there/revision/v1"]


def test_what_the_hub_does_not_have(hub: list[str]) -> None:
    said = (
        r"^model\.policy\.model='a/nowhere': the hub has no such model, or not for you; .*folder$"
    )
    with pytest.raises(ValueError, match=said):
        Policy("a/nowhere")
    assert len(hub) == 1


def test_a_hub_that_is_ill_is_asked_once(cache: Path, hub: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^model\.policy\.model='a/ill': .*\(Server error '503 S"):
        Policy("a/ill")
    assert hub == ["/api/models/a/ill"]


def test_a_login_page_in_the_hubs_place_is_no_hub(cache: Path, hub: list[str]) -> None:
    with pytest.raises(
        ValueError, match=r"^model\.policy\.model='a/page': the hub cannot be reach"
    ):
        Policy("a/page")
    assert hub == ["/api/models/a/page"]


@pytest.mark.parametrize("name", ["a/b--c", "a/", "a/b c"])
def test_what_cannot_be_a_hub_id_is_named_with_its_key(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"^model\\.policy\\.model='{name}': not a .*correct the name$"
    ):
        Policy(name)


def test_without_a_network_the_cache_is_used_and_it_is_said(cache: Path) -> None:
    said = (
        r"^model\.policy\.model='a/cached': the hub cannot be reached; it is taken from the cache$"
    )
    with pytest.warns(UserWarning, match=said):
        policy = Policy("a/cached")
    assert policy.vocab_size == Policy("chain-xs").vocab_size


def test_without_a_network_and_a_cache_it_is_one_line(cache: Path) -> None:
    with pytest.raises(ValueError, match=r"^model\.policy\.model='a/b': the hub cannot") as caught:
        Policy("a/b")
    assert str(caught.value) == (
        "model.policy.model='a/b': the hub cannot be reached ([Errno 111] Connection refused) and "
        "the cache does not hold it; name a folder or a shipped base, or run hf download a/b where "
        "there is a network"
    )
    with pytest.raises(ValueError, match=r"^model\.policy\.tokenizer='c/d': the hub cannot"):
        Policy("chain-xs", tokenizer="c/d")


def test_a_revision_that_the_cache_lacks(cache: Path) -> None:
    with pytest.raises(ValueError, match=r"^model\.policy\.model='a/cached' at revision 'v2': the"):
        Policy("a/cached", revision="v2")
