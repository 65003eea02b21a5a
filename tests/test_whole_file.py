"""A file is whole or is not there, and what was there before stays until then."""

import pytest

from minigan.whole_file import whole_file


@pytest.mark.parametrize(("mode", "content"), [("w", "grün\n"), ("wb", b"\x00\xff")])
def test_a_file_takes_its_place_when_it_is_whole(tmp_path, mode, content):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with whole_file(path, mode) as file:
        file.write(content)
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == (content.encode() if mode == "w" else content)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("9 requested and 4 written"), "not written: 9 requested and 4 written"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, error, text):
    def write():
        with whole_file(tmp_path / "file"):
            raise error

    with pytest.raises(OSError, match=text) as told:
        write()
    assert (told.value.filename, told.value.strerror) == (str(tmp_path / "file"), text)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_half_a_file_leaves_nothing_behind(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write():
        with whole_file(path) as file:
            file.write("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
