"""So that a download either gives the right bytes or says what to do, tried against a real server on this machine."""

import gzip
import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minigan.data import mnist
from minigan.data.download import fetch

CONTENT = bytes(range(256)) * 40
FILES = {"digits.gz": hashlib.sha256(CONTENT).hexdigest()}
INSTEAD = "Put it there by hand."


class Handler(BaseHTTPRequestHandler):
    """Serves /good/, /wrong/ (other bytes), /cut/ (fewer bytes than announced); 404 elsewhere; notes each path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.split("/")[1]
        if kind not in ("good", "wrong", "cut"):
            self.send_error(404)
            return
        body = {"good": CONTENT, "wrong": CONTENT[::-1], "cut": CONTENT[: len(CONTENT) // 2]}[kind]
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep the tests' output quiet."""


@pytest.fixture
def server(monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def closed():
    """Give an address on this machine where nobody listens, as every address is without a network."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_good_file_is_fetched_once(server, tmp_path):
    for _ in range(2):
        (path,) = fetch(FILES, mirrors=[server.url + "/good/"], folder=tmp_path / "new", instead=INSTEAD)
        assert path == tmp_path / "new" / "digits.gz"
        assert path.read_bytes() == CONTENT
    assert server.asked == ["/good/digits.gz"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("wrong", "the file has the wrong SHA-256 and was discarded"),
        ("cut", "the connection was cut before the file was complete"),
        ("absent", "the server answered 404 Not Found"),
    ],
)
def test_bad_file_is_refused_and_leaves_nothing(server, tmp_path, kind, reason):
    with pytest.raises(FileNotFoundError, match=rf"(?s)digits\.gz could not .*/{kind}/digits\.gz: {reason}\n{INSTEAD}"):
        fetch(FILES, mirrors=[f"{server.url}/{kind}"], folder=tmp_path, instead=INSTEAD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", ["wrong", "cut", "absent"])
def test_next_mirror_takes_over_from_a_bad_one(server, tmp_path, first):
    mirrors = [f"{server.url}/{first}", f"{server.url}/good"]
    assert fetch(FILES, mirrors=mirrors, folder=tmp_path, instead=INSTEAD)[0].read_bytes() == CONTENT


def test_dead_first_mirror_is_asked_once_for_all_files(server, closed, tmp_path):
    files = FILES | {"more.gz": FILES["digits.gz"]}
    paths = fetch(files, mirrors=[closed, server.url + "/good"], folder=tmp_path, instead=INSTEAD)
    assert [path.name for path in paths] == ["digits.gz", "more.gz"]
    assert server.asked == ["/good/digits.gz", "/good/more.gz"]


def test_without_a_network_the_error_says_what_was_tried_and_what_to_do(closed, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "search_folders", lambda: [tmp_path])
    with pytest.raises(FileNotFoundError) as raised:
        mnist.load("mnist", mirrors=[closed, closed + "/second"], cache=tmp_path)
    message = str(raised.value)
    assert f"{closed}/train-images-idx3-ubyte.gz: no connection" in message
    assert f"{closed}/second/train-images-idx3-ubyte.gz: no connection" in message
    assert message.count("no connection") == 2
    assert f"into {tmp_path / 'mnist'}" in message
    assert "MINIGAN_DATA" in message
    assert "mnist-10k" in message


def test_unwritable_cache_is_not_blamed_on_the_mirrors(server, tmp_path):
    (tmp_path / "file").write_text("in the way of the folder")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        fetch(FILES, mirrors=[server.url + "/good"], folder=tmp_path / "file", instead=INSTEAD)


def test_files_already_here_are_read_without_a_download_or_a_hash(closed, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for name, shape in zip(mnist.FILES["train"], [(2, 28, 28), (2,)], strict=True):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(header + bytes(int(np.prod(shape)))))
    assert len(mnist.load("mnist", mirrors=[closed])) == 2
