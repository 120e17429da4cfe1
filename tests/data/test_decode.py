"""Every kind of image file decodes to the documented RGB pixels, or fails with a reason."""

import csv
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from geodet.data.decode import exif_orientation, read_image
from geodet.errors import ImageDecodeError

ORIENTATION = 0x0112
# torchvision's decoders are the oracle for as long as they exist.
OLD_ORACLE = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")


def noise(*shape, seed=0):
    """Random uint8 pixels."""
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def saved(tmp_path, array_or_image, name="x.png", mode=None, **options):
    """Path of the image after it was written to a file."""
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
        image = image if mode is None else image.convert(mode)
    path = tmp_path / name
    image.save(path, **options)
    return path


def test_rgb_png_is_read_as_stored(tmp_path):
    """A lossless RGB file gives exactly the pixels that were written, channels first."""
    pixels = noise(5, 7, 3)

    image = read_image(saved(tmp_path, pixels))

    assert image.dtype == torch.uint8
    assert image.shape == (3, 5, 7)
    assert image.is_contiguous()
    assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels)


@OLD_ORACLE
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_png_colours_agree_with_torchvision(tmp_path, mode):
    """Gray, palette and alpha files give the colours that torchvision's decoder gives."""
    io = pytest.importorskip("torchvision.io")
    channels = {"RGBA": 4, "LA": 2}.get(mode)
    pixels = noise(9, 6, channels) if channels else noise(9, 6, 3)
    path = saved(tmp_path, pixels, mode=mode if mode in ("1", "L", "P") else None)
    colours = io.read_file(str(path))
    expected = io.decode_png(colours, mode=io.ImageReadMode.RGB)

    with Image.open(path) as image:
        assert image.mode == mode
    assert torch.equal(read_image(path), expected)


def test_transparent_palette_entry_keeps_its_colour(tmp_path):
    """Transparency in a palette file is dropped; the colour of the entry stays."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for transparency in (1, b"\x80\x00"):
        path = saved(tmp_path, image, transparency=transparency)
        assert read_image(path)[:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60]]


@OLD_ORACLE
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_agrees_with_torchvision(tmp_path, orientation):
    """All eight orientations are turned upright as torchvision turns them."""
    io = pytest.importorskip("torchvision.io")
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path, noise(8, 24, 3), "x.png", exif=exif)
    expected = io.decode_image(str(path), mode=io.ImageReadMode.RGB, apply_exif_orientation=True)

    assert exif_orientation(path) == orientation
    assert torch.equal(read_image(path), expected)
    assert read_image(path, apply_exif=False).shape == (3, 8, 24)


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_illegal_orientation_is_ignored(tmp_path, orientation):
    """An orientation outside 1..8 means nothing, so the pixels stay as stored."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = noise(4, 6, 3)
    path = saved(tmp_path, pixels, "x.png", exif=exif)

    assert exif_orientation(path) == 1
    assert np.array_equal(read_image(path).permute(1, 2, 0).numpy(), pixels)


def test_cmyk_extremes(tmp_path):
    """No ink is white, all ink is black."""
    image = Image.new("CMYK", (16, 8), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (8, 0, 16, 8))
    rgb = read_image(saved(tmp_path, image, "x.tif"))

    assert rgb[:, :, :8].eq(255).all()
    assert rgb[:, :, 8:].eq(0).all()


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_sixteen_bits_are_read_by_their_high_byte(tmp_path, name):
    """A full-range 16-bit file of 257 times an 8-bit image gives back the 8-bit image."""
    gray = noise(6, 5)
    path = saved(tmp_path, gray.astype(np.uint16) * 257, name)

    with Image.open(path) as image:
        assert image.mode.startswith("I;16")
    assert np.array_equal(read_image(path).numpy(), np.stack([gray] * 3))


def test_sixteen_bits_that_would_turn_black_are_refused(tmp_path):
    """8-bit values kept in a 16-bit file would all become 0: an error says what to do."""
    path = saved(tmp_path, np.full((2, 2), 200, dtype=np.uint16))

    with pytest.raises(ImageDecodeError, match=r"x\.png: .*at most 200.*8 bits"):
        read_image(path)


def test_sixteen_bit_black_is_black(tmp_path):
    """A 16-bit image of zeros loses nothing by its high byte."""
    assert read_image(saved(tmp_path, np.zeros((2, 3), dtype=np.uint16))).eq(0).all()


@pytest.mark.parametrize("value", [-1, 65536])
def test_wide_integers_out_of_sixteen_bits_are_refused(tmp_path, value):
    """32-bit integers beyond 16 bits have no fixed meaning as brightness."""
    path = saved(tmp_path, np.full((2, 2), value, dtype=np.int32), "x.tif")

    with pytest.raises(ImageDecodeError, match="0 to 65535"):
        read_image(path)


def test_float_images_are_refused_with_the_fix(tmp_path):
    """Floating-point files name their range and a line that converts them."""
    path = saved(tmp_path, np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3), "x.tif")

    with pytest.raises(ImageDecodeError, match=r"x\.tif.*\(0 to 1\).*uint8"):
        read_image(path)


def test_first_frame_is_read(tmp_path):
    """Of several frames the first counts."""
    frames = [Image.fromarray(noise(4, 4, 3, seed=seed)) for seed in range(3)]
    path = saved(tmp_path, frames[0], "x.tif", save_all=True, append_images=frames[1:])

    assert np.array_equal(read_image(path).permute(1, 2, 0).numpy(), np.asarray(frames[0]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"  <!DOCTYPE html><html></html>", "HTML"),
        (b"\x00\x01garbage", "no image format"),
    ],
)
def test_files_that_are_no_images_say_so(tmp_path, content, reason):
    """Empty files, failed downloads and junk are told apart, by file name."""
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)

    with pytest.raises(ImageDecodeError, match=rf"odd\.jpg: .*{reason}"):
        read_image(path)
    with pytest.raises(ImageDecodeError, match=rf"odd\.jpg: .*{reason}"):
        exif_orientation(path)


def test_absent_files_and_directories_say_so(tmp_path):
    """A wrong path is named as such."""
    with pytest.raises(ImageDecodeError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageDecodeError, match="found a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_cut_files_are_refused_and_pillow_stays_as_it_was(tmp_path, name):
    """A file cut in half is an error, and no global switch of Pillow is touched."""
    path = saved(tmp_path, noise(64, 64, 3), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ImageDecodeError, match=rf"{name}: cannot be decoded.*truncated"):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_decompression_bombs_are_refused(tmp_path, monkeypatch):
    """An image far above Pillow's limit is an error; up to twice the limit it is read quietly."""
    path = saved(tmp_path, noise(10, 10, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert read_image(path).shape == (3, 10, 10)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(ImageDecodeError, match="MAX_IMAGE_PIXELS"):
        read_image(path)


UNREADABLE = {
    "pillow/10ct_32bit_128.tiff": "floating-point",
    "pillow/12in16bit.tif": "at most 30",
    "pillow/i_trns.png": "at most 255",
}


def test_collected_images_have_their_displayed_size(shared_dir):
    """Files in many encodings decode to the size a viewer shows, or are refused by design."""
    folder = shared_dir / "data" / "test_images"
    with (folder / "INDEX.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 49
    for row in rows:
        path = folder / row["file"]
        if row["file"] in UNREADABLE:
            with pytest.raises(ImageDecodeError, match=UNREADABLE[row["file"]]):
                read_image(path)
            continue
        width, height = map(int, row["displayed_size"].split("x"))
        assert read_image(path).shape == (3, height, width), row["file"]


def test_collected_orientations_show_one_scene(shared_dir):
    """Photographs stored in all orientations agree once they are upright."""
    folder = shared_dir / "data" / "test_images" / "exif"
    upright = read_image(folder / "Landscape_1.jpg").float()
    for orientation in range(9):
        other = read_image(folder / f"Landscape_{orientation}.jpg").float()
        # Each file was compressed on its own and carries its own number: the rest is alike.
        assert (other - upright).abs().mean() < 6, orientation


BROKEN_IMAGES = {
    "bomb_header.png": "MAX_IMAGE_PIXELS",
    "directory.jpg": "directory",
    "empty.jpg": "empty",
    "float32.tif": "floating-point",
    "html.jpg": "HTML",
    "odd_names.zip": "no image format",
    "truncated.png": "truncated",
    "truncated_eoi.jpg": "truncated",
    "truncated_half.jpg": "truncated",
    "truncated_header.jpg": "no image format",
}
UPRIGHT_SIZES = {
    "exif_orientation_6.jpg": (160, 120),
    "exif_orientation_8.jpg": (160, 120),
    "one_pixel.png": (1, 1),
    "tall_1x3000.jpg": (3000, 1),
    "wide_4000x1.png": (1, 4000),
}


def test_broken_and_odd_images_end_as_documented(shared_dir):
    """Each file of the collection of defects decodes, or fails naming itself and the cause."""
    files = sorted((shared_dir / "data" / "corrupt" / "images_bad").iterdir())
    assert len(files) == 42
    for path in files:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if path.name in BROKEN_IMAGES:
                with pytest.raises(ImageDecodeError, match=BROKEN_IMAGES[path.name]) as caught:
                    read_image(path)
                assert path.name in str(caught.value)
            else:
                height, width = UPRIGHT_SIZES.get(path.name, (120, 160))
                assert read_image(path).shape == (3, height, width), path.name
