"""Downloads from a server on this machine that does what bad servers do."""

import hashlib
import http.server
import threading

import pytest

from geodet.errors import CheckpointError
from geodet.weights import download

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; a test sets how."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True  # knows the Range header
        self.cuts = []  # bytes after which each of the next answers is cut off
        self.status = 200
        self.tells_length = True
        self.requests = []

    @property
    def url(self):
        """Of the one file."""
        return f"http://127.0.0.1:{self.server_port}/zoo/model_final.pkl"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET as its server says."""

    def do_GET(self):
        """Send the file, what follows the wished start, a part of it, or an error."""
        server = self.server
        wish = self.headers.get("Range")
        server.requests.append(wish)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(wish.removeprefix("bytes=").rstrip("-")) if wish and server.ranges else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.content)}")
        if server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    """A running server; retries do not wait."""
    monkeypatch.setattr("geodet.weights.downloads._PAUSE_SECONDS", 0.0)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_comes_once(server, tmp_path):
    """The second call finds it and asks nobody, as its checksum is right."""
    seen = []
    path = download(
        server.url,
        tmp_path / "new" / "folder",
        md5_start=MD5[:6],
        progress=lambda *n: seen.append(n),
    )
    assert path == tmp_path / "new" / "folder" / "model_final.pkl"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["model_final.pkl"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen
    download(server.url, path.parent, md5_start=MD5[:6])
    assert server.requests == [None]


def test_a_damaged_file_is_fetched_anew(server, tmp_path):
    """The checksum of a file that is there is checked too."""
    (tmp_path / "model_final.pkl").write_bytes(b"damaged")
    assert download(server.url, tmp_path, md5_start=MD5[:6]).read_bytes() == CONTENT


def test_cut_connections_are_continued(server, tmp_path):
    """Each attempt asks for the rest only."""
    server.cuts = [300_000, 1, 200_000]
    assert download(server.url, tmp_path, md5_start=MD5).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=300001-", "bytes=500001-"]


def test_a_later_call_goes_on(server, tmp_path):
    """After too many cuts the part stays for the next call."""
    server.cuts = [1000] * 5
    with pytest.raises(CheckpointError, match="call again to go on") as caught:
        download(server.url, tmp_path, md5_start=MD5)
    assert str(tmp_path / "model_final.pkl") in str(caught.value)
    assert (tmp_path / "model_final.pkl.part").stat().st_size == 5000
    assert not (tmp_path / "model_final.pkl").exists()
    assert download(server.url, tmp_path, md5_start=MD5).read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=5000-"


def test_a_server_without_ranges_starts_again(server, tmp_path):
    """It sends everything; nothing is appended to what was there."""
    server.ranges = False
    server.cuts = [300_000]
    assert download(server.url, tmp_path, md5_start=MD5).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-"]


def test_a_server_that_tells_no_length(server, tmp_path):
    """The end of the answer is the end of the file; the checksum decides."""
    server.tells_length = False
    seen = []
    path = download(server.url, tmp_path, md5_start=MD5, progress=lambda *n: seen.append(n))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None)


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 10])
def test_a_part_that_needs_no_more(server, tmp_path, length):
    """Whole already: it is taken. Longer than the file: it is another one, and goes."""
    (tmp_path / "model_final.pkl.part").write_bytes(CONTENT + b"x" * (length - len(CONTENT)))
    assert download(server.url, tmp_path, md5_start=MD5).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    """Neither the file nor a part that the next call would go on with."""
    with pytest.raises(CheckpointError, match=f"starts with abcdef, got {MD5[:6]}"):
        download(server.url, tmp_path, md5_start="abcdef")
    assert not list(tmp_path.iterdir())
    (tmp_path / "model_final.pkl.part").write_bytes(b"of another file")
    with pytest.raises(CheckpointError, match="MD5"):
        download(server.url, tmp_path, md5_start=MD5)
    assert download(server.url, tmp_path, md5_start=MD5).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 5)])
def test_refusals_are_told(server, tmp_path, status, requests):
    """What the server says; only its own trouble is worth another try."""
    server.status = status
    with pytest.raises(CheckpointError, match=f"the server says {status}"):
        download(server.url, tmp_path)
    assert len(server.requests) == requests


def test_without_a_network_the_message_says_what_to_do(monkeypatch, tmp_path):
    """Where to put the file by hand."""
    monkeypatch.setattr("geodet.weights.downloads._PAUSE_SECONDS", 0.0)
    with Server() as closed:
        url = closed.url
    with pytest.raises(CheckpointError, match="on a machine with a network and put it at"):
        download(url, tmp_path)


def test_what_is_no_web_address_is_refused(tmp_path):
    """Nothing on this machine is read by a download."""
    with pytest.raises(CheckpointError, match="expected an address of http"):
        download((tmp_path / "x.pkl").as_uri(), tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        download("http://127.0.0.1:9/x.pkl", blocked)
