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
