"""Downloads, against a server in this process: resumed, checked, kept."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from regard.core.errors import InputError
from regard.data.download import fetch

CONTENT = bytes(range(256)) * 4000
HASH = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.resumes else 0
        if server.busy:
            self.send_error(503)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = server.breaks_at.pop(0) if server.breaks_at else len(CONTENT)
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.breaks_at, server.resumes = [], [], True
    server.busy = False
    server.url = f"http://127.0.0.1:{server.server_port}/data.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def download(server, known_hash=HASH):
    return fetch(server.url, known_hash, otherwise="give a path")


def test_download_is_kept(server):
    assert download(server).read_bytes() == CONTENT
    assert download(server).read_bytes() == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("resumes", [True, False])
def test_broken_download_goes_on_from_its_end(server, resumes):
    server.breaks_at, server.resumes = [300_000], resumes
    with pytest.raises(InputError, match=r"connection broke.*give a path"):
        download(server)
    assert download(server).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_wrong_content_is_thrown_away(server, tmp_path):
    with pytest.raises(InputError, match="did not have the checksum"):
        download(server, "md5:" + "0" * 32)
    assert list((tmp_path / "cache").iterdir()) == []
    assert download(server).read_bytes() == CONTENT


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(CONTENT)
    assert download(server).read_bytes() == CONTENT


def test_a_part_of_something_else_is_thrown_away(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="checksum"):
        download(server)
    assert download(server).read_bytes() == CONTENT


def test_no_server(server):
    server.url = "http://127.0.0.1:9/data.bin"  # the discard port: nobody listens
    with pytest.raises(InputError, match=r"could not be downloaded.*give a path"):
        download(server)


def test_a_busy_server_costs_nothing_of_what_has_arrived(server):
    server.breaks_at = [300_000]
    with pytest.raises(InputError, match="connection broke"):
        download(server)
    server.busy = True
    with pytest.raises(InputError, match="503"):
        download(server)
    server.busy = False
    assert download(server).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=300000-"
