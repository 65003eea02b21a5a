"""So that data are what they claim to be, and bad data are refused by name."""

import gzip
import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from minigan.data import Dataset, Pixels, celeba, download, folder, load, mnist, names, toy2d, toyfaces, validate
from minigan.training.checkpoint import fingerprint

IMAGES = np.zeros((2, 4, 5, 3), np.float32)


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path_factory):
    """Keep the tests out of the user's cache and the machine's data, on every system."""
    place = str(tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(download, "SYSTEM_FOLDER", tmp_path_factory.mktemp("system"))
    for variable in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, place)
    monkeypatch.delenv("MINIGAN_DATA", raising=False)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def picture(path, size=(20, 10), colour=(255, 0, 0), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


def idx(values):
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


def write_mnist(place, pixels, labels, split="train", pack=gzip.compress, suffix=".gz"):
    place.mkdir(parents=True, exist_ok=True)
    for stem, values in zip(mnist.FILES[split], (pixels, labels), strict=True):
        (place / (stem + suffix)).write_bytes(pack(idx(values)))


# --- one check for all ----------------------------------------------------------------------------


def test_validate_returns_good_images_and_points_themselves():
    assert validate(IMAGES, channels=3) is IMAGES
    points = np.full((5, 2), 40, np.float32)
    assert validate(points) is points


@pytest.mark.parametrize(
    ("images", "channels", "error", "message"),
    [
        (IMAGES, 1, ValueError, r"expected 1 channel\(s\), got 3 in shape \(2, 4, 5, 3\)"),
        (
            np.zeros((2, 3, 8, 8), np.float32),
            3,
            ValueError,
            r"expected 3 channel\(s\), got 8 .*transpose\(0, 2, 3, 1\)",
        ),
        (IMAGES[0], None, ValueError, r"expected shape \(N, H, W, C\), channels last, got \(4, 5, 3\)"),
        (np.zeros((5, 2), np.float32), 1, ValueError, r"expected shape \(N, H, W, C\)"),
        (IMAGES[:0], None, ValueError, r"at least one image and pixel, got shape \(0, 4, 5, 3\)"),
        (IMAGES.astype(np.uint8), None, TypeError, r"expected float32 .* got uint8 .* / np.float32\(127.5\) - 1"),
        (IMAGES.astype(np.float64), None, TypeError, "got float64"),
        ([[1.0]], None, TypeError, "expected a NumPy array, got list"),
        (IMAGES + np.float32(1.5), None, ValueError, r"expected values in \[-1, 1\], got 1.5 to 1.5"),
    ],
)
def test_validate_says_what_is_wrong(images, channels, error, message):
    with pytest.raises(error, match=message):
        validate(images, channels=channels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_validate_counts_and_locates_values_that_are_not_finite(value):
    images = IMAGES.copy()
    images[1, 2, 3, 0] = images[1, 3, 0, 2] = value
    with pytest.raises(ValueError, match=rf"2 of 120 values are not finite; the first is {value} at \(1, 2, 3, 0\)"):
        validate(images)


def test_dataset_describes_itself_and_keeps_a_head():
    data = Dataset(IMAGES, np.arange(2), "mine", "nowhere", {"hat": np.arange(2)})
    assert repr(data) == "Dataset('mine', (2, 4, 5, 3) float32, from nowhere)"
    one = data.head(1)
    assert len(one) == len(one.labels) == len(one.factors["hat"]) == 1
    with pytest.raises(ValueError, match="n: expected 1 to 2, the number of items in 'mine', got 3"):
        data.head(3)


# --- names ----------------------------------------------------------------------------------------


def test_unknown_name_suggests_a_near_one_and_lists_all():
    with pytest.raises(
        ValueError, match=r"data: expected a known name or a path, got 'fashion-mnits'; did you mean fashion-mnist"
    ):
        load("fashion-mnits")
    with pytest.raises(ValueError, match=r"there are mnist-10k, .*toyfaces, ring, grid, line, moons"):
        load("xyzzy")


def test_names_say_what_is_here_and_where_the_rest_is(tmp_path, monkeypatch):
    where = {entry.name: entry.where for entry in names()}
    assert where["mnist-10k"] == where["ring"] == "here"
    assert "downloaded" in where["mnist"]
    assert "mmlab" in where["celeba"]
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    write_mnist(tmp_path / "mnist", np.zeros((1, 28, 28)), np.zeros(1))
    assert {entry.name: entry.where for entry in names()}["mnist"] == "here"


@pytest.mark.parametrize("n", [0, -1])
def test_load_refuses_to_keep_nothing(n):
    with pytest.raises(ValueError, match=f"n: expected at least 1, got {n}"):
        load("mnist-10k", n=n)


# --- MNIST and its format -------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "per_class"), [("train", 1000), ("test", 200)])
def test_mnist_10k_is_balanced_shuffled_and_in_range(split, per_class):
    data = load("mnist-10k", split=split)
    assert data.images.shape == (10 * per_class, 28, 28, 1)
    assert (data.images.dtype, data.labels.dtype) == (np.float32, np.int64)
    assert (data.images.min(), data.images.max()) == (-1, 1)
    assert np.bincount(data.labels).tolist() == [per_class] * 10
    assert len(np.unique(data.labels[:100])) == 10
    # A digit is light on dark, and a one has less ink than a zero.
    ink = [data.images[data.labels == digit].mean() for digit in (0, 1)]
    assert ink[1] < ink[0] < -0.5


def test_mnist_10k_splits_share_no_image():
    train, test = (load("mnist-10k", split=split).images for split in ("train", "test"))
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}


def test_size_and_channels_of_the_mnist_family():
    grey = load("mnist-10k", split="test", n=3)
    assert load("mnist-10k", split="test", n=3, channels=3).images[..., 2].tolist() == grey.images[..., 0].tolist()
    assert load("mnist-10k", split="test", size=32).images.shape == (2000, 32, 32, 1)
    with pytest.raises(ValueError, match=r"channels: expected 1 \(grey\) or 3 \(RGB\), got 2"):
        load("mnist-10k", channels=2)
    with pytest.raises(ValueError, match="size: expected at least 1 pixel, got 0"):
        load("mnist-10k", size=0)


@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz")])
def test_idx_folder_raw_and_gz(tmp_path, rng, pack, suffix):
    pixels, labels = rng.integers(256, size=(6, 28, 28)), np.arange(6)
    write_mnist(tmp_path / "own", pixels, labels, pack=pack, suffix=suffix)
    data = load(tmp_path / "own")
    np.testing.assert_array_equal(np.rint((data.images[..., 0] + 1) * 127.5), pixels)
    assert data.labels.tolist() == labels.tolist()
    assert (data.name, data.source) == ("own", str(tmp_path / "own"))
    (tmp_path / "own").rename(tmp_path / "mnist-10k")
    assert load(tmp_path / "mnist-10k").source == str(tmp_path / "mnist-10k")
    (tmp_path / "mnist-10k").rename(tmp_path / "own")
    with pytest.raises(FileNotFoundError, match="expected t10k-images-idx3-ubyte and t10k-labels"):
        load(tmp_path / "own", split="test")


def test_environment_folder_comes_before_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    write_mnist(download.cache_folder() / "fashion-mnist", np.zeros((2, 28, 28)), np.zeros(2))
    assert len(load("fashion-mnist")) == 2
    write_mnist(tmp_path / "FashionMNIST" / "raw", np.zeros((3, 28, 28)), np.zeros(3))
    assert len(load("fashion-mnist")) == 3


IDX = idx(np.zeros((5, 28, 28)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut", IDX[:-1], r"cut: truncated: shape \(5, 28, 28\) takes 3936 bytes, the file has 3935"),
        ("header", IDX[:10], "header: truncated: the header takes 16 bytes, the file has 10"),
        ("long", IDX + b"\0", "long: too long: .* takes 3936 bytes, the file has 3937"),
        ("html", b"<html>", "html: expected an IDX file that begins with 00000803, got 3c68746d"),
        ("labels", idx(np.zeros(5)), "begins with 00000803, got 00000801"),
        ("nothing", b"", "got nothing"),
        ("cut.gz", gzip.compress(IDX)[:-12], r"cut.gz: the compressed file \(\d+ bytes\) is truncated or broken"),
        ("not.gz", IDX, r"not.gz: the compressed file \(3936 bytes\) is truncated or broken"),
        ("not.xz", IDX, "not.xz: the compressed file"),
    ],
)
def test_broken_idx_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist.read_idx(tmp_path / name, ndim=3)


def test_mnist_refuses_other_splits_and_unequal_counts(tmp_path):
    with pytest.raises(ValueError, match="split: expected one of 'train', 'test', got 'valid'"):
        load("mnist-10k", split="valid")
    write_mnist(tmp_path, np.zeros((3, 28, 28)), np.zeros(2))
    with pytest.raises(ValueError, match=r"holds 3 images, but .* holds 2 labels"):
        load(tmp_path)


# --- own pictures ---------------------------------------------------------------------------------


def test_pixels_become_floats_as_they_are_taken(tmp_path, rng):
    levels = rng.integers(0, 256, (5, 4, 3, 3), np.uint8)
    np.save(tmp_path / "levels.npy", levels)
    pixels = Pixels(np.load(tmp_path / "levels.npy", mmap_mode="r"))
    images = levels.astype(np.float32) / np.float32(127.5) - np.float32(1)
    for index in (slice(None), 2, [4, 0, 0], (slice(1, 3), 0), np.array([True, False, True, False, False])):
        taken = pixels[index]
        assert (type(taken), taken.dtype) == (np.ndarray, np.float32)
        np.testing.assert_array_equal(taken, images[index])
    np.testing.assert_array_equal(np.asarray(pixels), images)
    assert (pixels.shape, pixels.dtype, pixels.ndim, pixels.size, pixels.nbytes, len(pixels)) == (
        *(images.shape, images.dtype, images.ndim, images.size, images.nbytes, len(images)),
    )
    assert validate(pixels, channels=3) is pixels
    assert fingerprint(pixels) == fingerprint(images)
    assert repr(Dataset(pixels, None, "mine", "here")) == "Dataset('mine', (5, 4, 3, 3) float32, from here)"
    with pytest.raises(ValueError, match=r"expected 1 channel\(s\), got 3 in shape \(5, 4, 3, 3\)"):
        validate(pixels, channels=1)
    with pytest.raises(
        TypeError, match=r"levels: expected uint8 of shape \(N, H, W, C\), got float32 of \(5, 4, 3, 3\)"
    ):
        Pixels(images)
    with pytest.raises(ValueError, match=r"copy: .* always makes a copy, got False"):
        np.array(pixels, copy=False)


@pytest.mark.parametrize("packed", [False, True])
def test_folder_and_zip_in_sorted_order_with_subfolders(tmp_path, packed):
    source = tmp_path / "pictures"
    picture(source / "b.png", colour=(0, 255, 0))
    picture(source / "a" / "z.JPG", colour=(255, 255, 255))
    picture(source / "c.bmp", colour=(0, 0, 0))
    (source / "notes.txt").write_text("no picture")
    (source / "._b.png").write_text("a hidden twin")
    if packed:
        with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
            for file in source.rglob("*"):
                archive.write(file, file.relative_to(source))
        source = tmp_path / "pictures.zip"
    data = load(source, size=8)
    assert data.images.shape == (3, 8, 8, 3)
    assert data.images[:, 4, 4].tolist() == [[1, 1, 1], [-1, 1, -1], [-1, -1, -1]]
    assert data.source == str(source)
    assert load(source, size=8, channels=1, n=2).images.shape == (2, 8, 8, 1)
    with pytest.raises(ValueError, match="n: expected 1 to 3, the number of items in 'pictures', got 4"):
        load(source, n=4)
    assert load(source).images.shape == (3, 64, 64, 3)
    with pytest.raises(ValueError, match=r"split: expected 'train', as .* has no splits, got 'test'"):
        load(source, split="test")


@pytest.mark.parametrize("top", ["", "pictures/"])
@pytest.mark.parametrize("packed", [False, True])
def test_pictures_in_folders_train_and_test_are_split(tmp_path, packed, top):
    names = ["Train/a.png", "Train/deep/test/b.png", "test/c.png", "trainX/d.png", "e.png"]
    for name in names:
        picture(tmp_path / "own" / top / name, colour=(0, 255, 0))
    source = tmp_path / "own"
    if packed:
        source = tmp_path / "own.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in (tmp_path / "own").rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path / "own"))
    train = load(source, size=8)
    assert len(train) == 2
    assert train.source == f"{source}, folder train; 2 pictures outside train and test are not read"
    assert len(load(source, size=8, split="test")) == 1
    with pytest.raises(ValueError, match="split: expected one of 'train', 'test', got 'valid'"):
        load(source, split="valid")


@pytest.mark.parametrize("names", ["train/a b", "cat/train/a dog/train/b dog/test/c", "training/a testing/b", "test/a"])
def test_folders_without_both_splits_are_none(tmp_path, names):
    for name in names.split():
        picture(tmp_path / f"{name}.png", colour=(0, 255, 0))
    assert len(load(tmp_path, size=8)) == len(names.split())
    with pytest.raises(
        ValueError, match="has no splits, got 'test'; to split it, put some pictures in a folder test and the rest in"
    ):
        load(tmp_path, split="test")


def encoded(image, **options):
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    return content.getvalue()


def test_picture_is_cropped_to_its_centre():
    stripes = np.repeat(np.uint8([0, 255, 255, 0]), 8)[None].repeat(16, axis=0)
    pixels = folder.decode(encoded(Image.fromarray(stripes)), "stripes", size=16, channels=1)
    assert pixels.shape == (16, 16, 1)
    assert (pixels == 255).all()


def test_picture_turns_upright_and_transparency_becomes_white():
    exif = Image.Exif()
    exif[0x0112] = 3
    halves = np.zeros((8, 8), np.uint8)
    halves[:4] = 255
    upright = folder.decode(encoded(Image.fromarray(halves), exif=exif), "turned", size=8, channels=1)
    assert (upright[:4].max(), upright[4:].min()) == (0, 255)
    clear = folder.decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0))), "clear", size=4, channels=3)
    assert (clear == 255).all()


def test_sixteen_bit_grey_is_scaled_not_clipped():
    ramp = Image.fromarray((np.arange(256, dtype=np.uint16) * 257).reshape(16, 16))
    pixels = folder.decode(encoded(ramp), "ramp", size=16, channels=1)
    assert pixels.ravel().tolist() == list(range(256))


def test_bad_pictures_are_named(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "letter.png").write_text("Dear reader, I am no picture.")
    with pytest.raises(ValueError, match=r"letter\.png: not a picture in a known format \(29 bytes\)"):
        load(tmp_path)
    picture(tmp_path / "letter.png", size=(64, 64))
    content = (tmp_path / "letter.png").read_bytes()
    (tmp_path / "letter.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"letter\.png: not a readable picture"):
        load(tmp_path)
    Image.new("F", (4, 4)).save(tmp_path / "letter.png", format="TIFF")
    with pytest.raises(ValueError, match="32-bit pixels have no defined white level"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("signature", "offset", "byte", "message"),
    [
        (b"PK\x01\x02", 16, 0, r"own\.zip.a\.png: cannot be read from the zip: Bad CRC-32 for file 'a\.png'"),
        (b"PK\x01\x02", 8, 1, r"own\.zip.a\.png: cannot be read from the zip: File 'a\.png' is encrypted"),
        (b"PK\x01\x02", 10, 97, r"own\.zip.a\.png: cannot be read from the zip: That compression method is not supp"),
        (b"PK\x01\x02", 0, 0, r"own\.zip: not a readable zip: Bad magic number for central directory"),
    ],
)
def test_damaged_and_encrypted_zips_are_refused_by_name(tmp_path, signature, offset, byte, message):
    picture(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
    content = bytearray((tmp_path / "own.zip").read_bytes())
    content[content.index(signature) + offset] = byte
    (tmp_path / "own.zip").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "own.zip")


def test_folder_without_pictures_and_file_that_is_no_zip(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=r"no picture found; expected files that end in \.png"):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"notes\.txt: expected a folder or a zip of pictures"):
        load(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match="gone: no such folder or zip"):
        folder.load(tmp_path / "gone")


# --- CelebA ---------------------------------------------------------------------------------------


@pytest.fixture
def official(tmp_path):
    """Make CelebA's official layout, with two training images, one validation image and one test image."""
    root = tmp_path / "CelebA"
    for number, grey in [(1, 0), (2, 85), (162_771, 170), (182_638, 255)]:
        picture(root / "Img" / "img_align_celeba" / f"{number:06}.jpg", size=(178, 218), colour=(grey,) * 3)
    (root / "Anno").mkdir()
    rows = ["4", "Bald Smiling", "000001.jpg -1  1", "000002.jpg  1 -1", "162771.jpg 1 1", "182638.jpg -1 -1"]
    (root / "Anno" / "list_attr_celeba.txt").write_text("\n".join(rows) + "\n")
    return root


def test_celeba_folder_splits_attributes_and_cache(official, tmp_path):
    cache = tmp_path / "kept"
    data = celeba.load(official, cache=cache)
    assert data.images.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(data.images[:, 0, 0, 0], [-1, 85 / 127.5 - 1], atol=0.02)
    assert {name: values.tolist() for name, values in data.factors.items()} == {"Bald": [0, 1], "Smiling": [1, 0]}
    kept = list(cache.rglob("*.npy"))
    assert len(kept) == 1
    # What is decoded a second time comes from the cache.
    np.save(kept[0], np.full((2, 64, 64, 3), 255, np.uint8))
    assert (celeba.load(official, cache=cache).images[:] == 1).all()
    assert len(celeba.load(official, cache=cache, split="all", size=8, channels=1)) == 4
    assert len(load(official, split="valid", n=1)) == len(load(official, split="test")) == 1


def test_celeba_zip_is_found_by_name_and_by_content(official, tmp_path, monkeypatch):
    packed = tmp_path / "faces.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in (official / "Img").rglob("*.jpg"):
            archive.write(file, file.relative_to(official / "Img"))
    assert load(packed, size=8).images.shape == (2, 8, 8, 3)
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "celeba").mkdir(parents=True)
    packed.rename(tmp_path / "data" / "celeba" / "img_align_celeba.zip")
    data = load("celeba", size=8)
    assert (data.name, data.factors, len(data)) == ("celeba", None, 2)


def test_celeba_failures(official):
    with pytest.raises(
        FileNotFoundError, match=r"(?s)celeba is in none of .*not downloaded for you.*mmlab.*give its path"
    ):
        load("celeba")
    with pytest.raises(ValueError, match="n: expected 1 to 2, the number of items in 'celeba', got 3"):
        load(official, n=3)
    with pytest.raises(ValueError, match="split: expected one of 'train', 'valid', 'test', 'all', got 'dev'"):
        load("celeba", split="dev")
    (official / "Img" / "img_align_celeba" / "182638.jpg").unlink()
    with pytest.raises(ValueError, match="no image numbered 182638 to 202599, the split 'test'"):
        load(official, split="test")
    (official / "Anno" / "list_attr_celeba.txt").write_text("1\nBald Smiling\n000001.jpg 1 1\n")
    with pytest.raises(ValueError, match=r"expected 2 values for 000002\.jpg, got 0"):
        load(official)


# --- stacked digits -------------------------------------------------------------------------------


def test_stacked_digits_are_three_digits_as_colours():
    data, digits = load("stacked-mnist-10k", n=50, seed=3), load("mnist-10k")
    assert data.images.shape == (50, 28, 28, 3)
    known = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    for image, label in zip(data.images, data.labels, strict=True):
        r, g, b = (known[np.ascontiguousarray(image[..., c : c + 1]).tobytes()] for c in range(3))
        assert label == 100 * r + 10 * g + b


def test_stacked_digits_are_decided_by_the_seed_and_keep_the_splits_apart():
    data = load("stacked-mnist-10k", n=30, seed=3)
    np.testing.assert_array_equal(load("stacked-mnist-10k", n=30, seed=3).images, data.images)
    assert (load("stacked-mnist-10k", n=30, seed=4).labels != data.labels).any()
    tests = {image.tobytes() for image in load("mnist-10k", split="test").images}
    stacked = load("stacked-mnist-10k", n=5, split="test").images
    assert all(np.ascontiguousarray(image[..., c : c + 1]).tobytes() in tests for image in stacked for c in range(3))
    assert load("stacked-mnist-10k", n=2, size=32).images.shape == (2, 32, 32, 3)
    assert len(load("stacked-mnist-10k")) == 60_000


def test_stacked_digits_are_drawn_from_the_full_set_too(tmp_path, monkeypatch):
    write_mnist(tmp_path / "mnist", np.zeros((9, 28, 28)), np.full(9, 7))
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    assert set(load("stacked-mnist", n=20).labels) == {777}
    with pytest.raises(ValueError, match="channels: expected 3 for stacked-mnist, which is RGB, got 1"):
        load("stacked-mnist", channels=1)


# --- toy faces ------------------------------------------------------------------------------------


def test_toyfaces_are_decided_by_the_seed():
    data = load("toyfaces", n=20, seed=3)
    assert data.images.shape == (20, 64, 64, 3)
    assert set(data.factors) == {*toyfaces.CATEGORIES, *toyfaces.RANGES}
    np.testing.assert_array_equal(load("toyfaces", n=20, seed=3).images, data.images)
    assert (load("toyfaces", n=20, seed=4).images != data.images).any(axis=(1, 2, 3)).all()
    assert (load("toyfaces", n=20, seed=3, split="test").images != data.images).any(axis=(1, 2, 3)).all()
    assert load("toyfaces", n=2, size=32).images.shape == (2, 32, 32, 3)


@pytest.fixture
def one_face():
    middle = {name: np.array([sum(ends) / 2], np.float32) for name, ends in toyfaces.RANGES.items()}
    return {name: np.array([1]) for name in toyfaces.CATEGORIES} | middle


@pytest.mark.parametrize("name", [*toyfaces.CATEGORIES, *toyfaces.RANGES])
def test_each_factor_is_visible(one_face, name):
    low, high = toyfaces.RANGES.get(name, (0, toyfaces.CATEGORIES.get(name, 1) - 1))
    ends = [toyfaces.draw(one_face | {name: np.array([value])}) for value in (low, high)]
    assert np.abs(ends[0] - ends[1]).max() > 0.2


def test_a_face_does_not_depend_on_its_neighbours(one_face):
    factors = toyfaces.sample_factors(toyfaces.BLOCK + 1, np.random.default_rng(0))
    for name, values in one_face.items():
        factors[name][-1] = values[0]
    np.testing.assert_array_equal(toyfaces.draw(factors)[-1], toyfaces.draw(one_face)[0])


def test_ctrl_c_does_not_wait_for_the_faces_that_are_left(monkeypatch):
    drawn, submit = [], ThreadPoolExecutor.submit

    def paint(face):
        time.sleep(0.02)
        drawn.append(face)
        return np.zeros((toyfaces.BLOCK, 3, 8, 8), np.float32)

    def interrupted(pool, function, start):
        if start == 199 * toyfaces.BLOCK:
            raise KeyboardInterrupt
        return submit(pool, function, start)

    monkeypatch.setattr(toyfaces.Face, "paint", paint)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("toyfaces", n=200 * toyfaces.BLOCK, size=8)
    assert len(drawn) < 100


def test_turning_the_head_mirrors_the_eyes(one_face):
    eyes = []
    for yaw in (-1, 1):
        open_, shut = (
            toyfaces.draw(one_face | {"yaw": np.array([yaw]), "eye_open": np.array([wide])}) for wide in (1.0, 0.35)
        )
        columns = np.abs(open_ - shut).sum(axis=(0, 1, 3))
        eyes.append((columns * np.arange(64)).sum() / columns.sum())
    assert eyes[0] < 31.5 < eyes[1]
    assert abs(sum(eyes) / 2 - 31.5) < 1.5


def test_toyfaces_refuse_bad_factors(one_face):
    with pytest.raises(ValueError, match=r"factors\['skin'\]: expected 0 to 5, got 9 to 9"):
        toyfaces.draw(one_face | {"skin": np.array([9])})
    with pytest.raises(ValueError, match=r"factors\['yaw'\]: expected -1.0 to 1.0, got nan"):
        toyfaces.draw(one_face | {"yaw": np.array([np.nan])})
    with pytest.raises(ValueError, match=r"factors\['yaw'\]: expected shape \(N,\), as skin's \(1,\), got \(2,\)"):
        toyfaces.draw(one_face | {"yaw": np.zeros(2)})
    with pytest.raises(ValueError, match="expected integers, got float64"):
        toyfaces.draw(one_face | {"skin": np.array([0.5])})
    with pytest.raises(ValueError, match=r"factors: expected skin, .*, got nose"):
        toyfaces.draw({"nose": np.zeros(1)})
    with pytest.raises(ValueError, match="channels: expected 3 for toyfaces, which is RGB, got 1"):
        load("toyfaces", channels=1)
    with pytest.raises(ValueError, match="size: expected at least 8 pixels for a face, got 4"):
        load("toyfaces", size=4, n=1)


# --- distributions of the plane -------------------------------------------------------------------


@pytest.mark.parametrize(
    "distribution", [toy2d.ring(std=0.1), toy2d.grid(std=0.2), toy2d.line(std=0.1), toy2d.moons(std=0.1)]
)
def test_density_integrates_to_one_and_fits_the_samples(distribution, rng):
    ticks = np.linspace(-6, 6, 601)
    density = np.exp(distribution.log_density(np.stack(np.meshgrid(ticks, ticks), axis=-1)))
    assert density.sum() * 0.02**2 == pytest.approx(1, abs=1e-6)
    points = distribution.sample(rng, 40_000)
    assert (points.shape, points.dtype) == ((40_000, 2), np.float32)
    # E[p(x)] over samples is the integral of p squared.
    at_points = np.exp(distribution.log_density(points))
    assert at_points.mean() == pytest.approx((density**2).sum() * 0.02**2, rel=0.02)


@pytest.mark.parametrize("modes", [1, 2, 8, 25])
def test_ring_modes_are_distinct_and_even(modes):
    centres = toy2d.ring(modes, radius=2).centres
    np.testing.assert_allclose(np.hypot(*centres.T), 2)
    gaps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 4 * np.sin(np.pi / modes), atol=1e-12)


def test_grid_is_the_customary_one():
    centres = toy2d.grid().centres
    assert sorted(map(tuple, centres)) == [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]


def test_ridge_of_a_line_is_flat():
    middle = np.linspace(-0.5, 0.5, 101)
    ridge = np.exp(toy2d.line().log_density(np.stack([middle, middle], axis=1)))
    assert np.ptp(ridge) < 2e-4 * ridge.mean()


def test_named_points_are_decided_by_seed_and_split():
    ring = load("ring", n=50, seed=1)
    assert ring.images.shape == (50, 2)
    np.testing.assert_array_equal(load("ring", n=50, seed=1).images, ring.images)
    assert (load("ring", n=50, seed=1, split="test").images != ring.images).all()


def test_own_points(tmp_path, rng):
    points = rng.normal(size=(30, 2)).astype(np.float32)
    np.save(tmp_path / "own.npy", points)
    np.savetxt(tmp_path / "own.csv", points, delimiter=",", header="x,y", comments="")
    np.savetxt(tmp_path / "bare.csv", points, delimiter=",")
    for name in ("own.npy", "own.csv", "bare.csv"):
        np.testing.assert_array_equal(load(tmp_path / name).images, points)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", r"own\.csv: expected points of shape \(N, 2\) with N >= 1, got \(1, 3\)"),
        ("1,2\nnan,3\n", r"own\.csv: 1 of 2 points are not finite; the first is row 1"),
        ("x,y\n1,two\n", r"own\.csv: expected rows of two numbers"),
    ],
)
def test_bad_points_are_refused(tmp_path, text, message):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "own.csv")


def test_npy_files_without_points_are_refused_by_name(tmp_path):
    path = tmp_path / "own.npy"
    path.touch()
    with pytest.raises(ValueError, match=r"own\.npy: expected rows of two numbers: EOF"):
        load(path)
    np.save(path, [["a", "b"]])
    with pytest.raises(ValueError, match=r"own\.npy: expected rows of two numbers: could not convert string"):
        load(path)
    np.savez(tmp_path / "archive.npz", a=np.zeros((3, 2)))
    (tmp_path / "archive.npz").rename(path)
    with pytest.raises(ValueError, match=r"own\.npy: expected rows of two numbers: the magic string is not correct"):
        load(path)


def test_impossible_distributions_are_refused():
    with pytest.raises(ValueError, match="modes: expected at least 1, got 0"):
        toy2d.ring(0)
    with pytest.raises(ValueError, match="side: expected at least 1, got 0"):
        toy2d.grid(0)
    for make in (toy2d.ring, toy2d.line):
        with pytest.raises(ValueError, match="std: expected a finite number above 0, got 0"):
            make(std=0)
    with pytest.raises(ValueError, match=r"points: expected shape \(\.\.\., 2\), got \(3,\)"):
        toy2d.ring().log_density(np.zeros(3))
    with pytest.raises(ValueError, match="size, channels: expected neither for the points of ring, got size=64"):
        load("ring", size=64)
