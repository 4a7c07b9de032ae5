"""Every kind of image file becomes upright 8-bit RGB, or one line that says what is wrong."""

import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from regard.core.errors import InputError
from regard.data import image_to_tensor, read_image
from regard.data.image_file import MAX_PIXELS


def photo(width=20, height=12):
    rows, cols = np.mgrid[:height, :width]
    pixels = np.stack([rows * 20, cols * 12, 255 - rows * 5 - cols * 5], -1) % 256
    return Image.fromarray(pixels.astype(np.uint8))


def png_claiming(width, height):
    """Return a PNG's bytes whose header claims this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        chunks += struct.pack(">I", len(data)) + kind + data + checksum
    return b"\x89PNG\r\n\x1a\n" + chunks


def pixel(image, row, col):
    assert image.mode == "RGB"
    return image.getpixel((col, row))


# --- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "jp2", "gif"])
def test_lossless_formats(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    original = photo().quantize(64).convert("RGB") if suffix == "gif" else photo()
    original.save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(np.array(read_image(path)), np.array(original))


def test_grey_and_one_bit(tmp_path):
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.png")
    Image.new("1", (3, 2), 1).save(tmp_path / "bit.png")
    assert pixel(read_image(tmp_path / "grey.png"), 1, 2) == (77, 77, 77)
    assert pixel(read_image(tmp_path / "bit.png"), 1, 2) == (255, 255, 255)


def test_transparency_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 51))  # a fifth of black over white
    image.save(tmp_path / "rgba.png")
    read = read_image(tmp_path / "rgba.png")
    assert pixel(read, 0, 0) == (200, 0, 0)
    assert pixel(read, 0, 1) == (204, 204, 204)


def test_grey_with_alpha(tmp_path):
    Image.new("LA", (1, 1), (0, 0)).save(tmp_path / "la.png")
    assert pixel(read_image(tmp_path / "la.png"), 0, 0) == (255, 255, 255)


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "hole.png", transparency=1)
    assert pixel(read_image(tmp_path / "plain.png"), 0, 1) == (40, 50, 60)
    assert pixel(read_image(tmp_path / "hole.png"), 0, 0) == (10, 20, 30)
    assert pixel(read_image(tmp_path / "hole.png"), 0, 1) == (255, 255, 255)


def test_cmyk(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red, green, blue = pixel(read_image(tmp_path / "red.jpg"), 4, 4)
    assert red > 245
    assert max(green, blue) < 10


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    read = np.array(read_image(tmp_path / f"deep.{suffix}"))
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]
    assert (read[..., 0] == read[..., 2]).all()


def test_sixteen_bits_with_a_transparent_value(tmp_path):
    values = np.array([[0, 32896]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "hole.png", transparency=32896)
    assert np.array(read_image(tmp_path / "hole.png"))[0, :, 0].tolist() == [0, 255]


def test_floats_from_0_to_1_and_no_others(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)).save(tmp_path / "unit.tiff")
    Image.fromarray(np.array([[0.0, 300.0]], dtype=np.float32)).save(tmp_path / "depth.tiff")
    Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32)).save(tmp_path / "nan.tiff")
    assert np.array(read_image(tmp_path / "unit.tiff"))[0, :, 1].tolist() == [0, 128, 255]
    with pytest.raises(InputError, match=r"depth\.tiff has values from 0\.0 to 300\.0"):
        read_image(tmp_path / "depth.tiff")
    with pytest.raises(InputError, match="nan"):
        read_image(tmp_path / "nan.tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """The stored picture is the upright one, undone by the inverse of the orientation."""
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = photo()
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(np.array(read_image(tmp_path / "turned.png")), np.array(photo()))


def test_damaged_exif_does_not_matter(tmp_path):
    photo().save(tmp_path / "odd.jpg", exif=b"Exif\0\0nonsense that is no TIFF header")
    assert read_image(tmp_path / "odd.jpg").size == (20, 12)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_first_frame_of_an_animation_and_it_is_said(tmp_path, caplog, suffix):
    path = tmp_path / f"moving.{suffix}"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    with caplog.at_level(logging.WARNING, "regard"):
        assert pixel(read_image(path), 2, 2) == (255, 0, 0)
    assert f"{path} has 3 frames; the first is used" in caplog.text


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 5000)])
def test_extreme_sizes(tmp_path, size):
    Image.new("RGB", size, (1, 2, 3)).save(tmp_path / "odd.png")
    tensor = image_to_tensor(read_image(tmp_path / "odd.png"))
    assert tuple(tensor.shape) == (3, size[1], size[0])
    assert tensor[:, -1, -1].tolist() == [1, 2, 3]


# --- what is refused ---------------------------------------------------------------------------


def refused(path):
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert ";" in message, "the message ends with how to fix it"
    return message


def test_no_file_folder_empty_text(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.jpg")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "empty.jpg").touch()
    assert "empty" in refused(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("I am no image")
    assert "not an image" in refused(tmp_path / "text.jpg")


def test_a_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refused(tmp_path / "pipe.png")


def test_no_permission(tmp_path, monkeypatch):
    photo().save(tmp_path / "locked.png")

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)  # chmod does not stop the superuser
    assert "Permission denied" in refused(tmp_path / "locked.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "gif", "bmp"])
def test_cut_short_anywhere(tmp_path, suffix):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    noise.save(tmp_path / f"whole.{suffix}")
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    for share in (0.01, 0.1, 0.5, 0.9):
        path = tmp_path / f"cut.{suffix}"
        path.write_bytes(data[: int(len(data) * share)])
        refused(path)


def test_damaged_png(tmp_path):
    photo().save(tmp_path / "photo.png")
    data = bytearray((tmp_path / "photo.png").read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "photo.png").write_bytes(data)
    assert "damaged" in refused(tmp_path / "photo.png")


def test_no_pixels(tmp_path):
    (tmp_path / "zero.png").write_bytes(png_claiming(0, 5))
    refused(tmp_path / "zero.png")


@pytest.mark.parametrize("size", [(60_000, 60_000), (MAX_PIXELS // 1000 + 1, 1000)])
def test_decompression_bomb(tmp_path, size, recwarn):
    (tmp_path / "bomb.png").write_bytes(png_claiming(*size))
    assert "too many pixels" in refused(tmp_path / "bomb.png")
    assert not recwarn.list


def test_decompression_bomb_where_pillows_limit_is_off(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(png_claiming(60_000, 60_000))
    assert "too many pixels" in refused(tmp_path / "bomb.png")
    assert Image.MAX_IMAGE_PIXELS is None


def test_postscript_is_not_run(tmp_path):
    photo().save(tmp_path / "drawing.eps")
    assert "not an image that can be read" in refused(tmp_path / "drawing.eps")


def test_pillows_globals_stay(tmp_path):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    photo().save(tmp_path / "photo.png")
    read_image(tmp_path / "photo.png")
    (tmp_path / "bomb.png").write_bytes(png_claiming(60_000, 60_000))
    refused(tmp_path / "bomb.png")
    after = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert after == before
