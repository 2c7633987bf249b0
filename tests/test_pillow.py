"""What is built on Pillow opens and writes .vaec: by Pillow's own manners, and from programs that know nothing of us."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

import vaecodec.pillow
from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.container import Container, Front, Header, Tile, read_container, read_front, write_container
from vaecodec.errors import TruncatedFileError
from vaecodec.picture import Picture

GOLDEN = Path(__file__).parent / "golden"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.fixture
def photo(photograph: np.ndarray) -> Image.Image:
    return Image.fromarray(photograph[:64, 150:246])


def saved(image: Image.Image, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "VAEC", **options)
    file.seek(0)
    return file


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    return exif


def test_size_mode_and_metadata_are_read_without_torch_and_without_the_tiles(tmp_path: Path) -> None:
    front = read_container((GOLDEN / "photograph.vaec").read_bytes())
    path = tmp_path / "cut.vaec"
    whole = write_container(Container(front.header, front.tiles, icc=b"profile", exif=b"II*\0exif", xmp=XMP))
    path.write_bytes(whole[: -len(front.tiles[0].payload)])
    script = (
        "import sys, vaecodec.pillow; from PIL import Image, UnidentifiedImageError\n"
        "i = Image.open(sys.argv[1]); print(i.format, i.size, i.mode, sorted(i.info), i.get_format_mimetype())\n"
        "try: Image.open(sys.argv[2])\n"
        "except UnidentifiedImageError: print('not ours')\n"
        "print({'torch', 'numpy', 'constriction'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, path, __file__], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "VAEC (110, 96) RGB ['exif', 'icc_profile', 'xmp'] image/x-vaec",
        "not ours",
        "set()",
    ]


def test_a_loaded_picture_has_the_samples_of_the_library() -> None:
    codec = Codec("psnr")
    path = GOLDEN / "photograph.vaec"
    with Image.open(path) as image:
        samples = np.array(image)
    assert (samples == codec.decompress(path.read_bytes()).samples).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_come_back_as_they_went(photo: Image.Image, mode: str, tmp_path: Path) -> None:
    image = photo.convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(photo.size))
    # By its name, and larger than its samples: Pillow would map such a file, and take it for them.
    image = image.resize((5, 4))
    image.save(tmp_path / "x.vaec", quality=95)
    with Image.open(tmp_path / "x.vaec") as back:
        assert (back.mode, back.size) == (mode, (5, 4))
        error = np.abs(np.array(back, int) - np.array(image, int))
    assert error.mean() < 8
    if mode.endswith("A"):
        assert (error[..., -1] == 0).all()


def test_16_bits_are_kept_in_grey_and_opened_as_8_in_colour(codec: Codec, photograph: np.ndarray) -> None:
    wide = photograph[:40, 160:200].astype(np.uint16) * 257
    back = Image.open(saved(Image.fromarray(wide[:, :, 1]), quality=95))
    assert back.mode == "I;16"
    assert np.abs(np.array(back, int) - wide[:, :, 1]).mean() < 3 * 257
    colour = Image.open(io.BytesIO(codec.compress(wide, quality=95)))
    assert colour.mode == "RGB"
    assert np.abs(np.array(colour, int) - photograph[:40, 160:200]).mean() < 3


@pytest.mark.parametrize(("mode", "becomes"), [("1", "L"), ("P", "RGB"), ("La", "LA"), ("RGBa", "RGBA")])
def test_modes_of_the_same_meaning_are_converted(mode: str, becomes: str) -> None:
    gradient = Image.linear_gradient("L").resize((30, 20))
    image = Image.merge("RGBA", [gradient, gradient, gradient, gradient.rotate(180)])
    if mode in ("1", "P"):
        image = image.convert("RGB")
    image = image.convert("LA").convert("La") if mode == "La" else image.convert(mode)
    back = Image.open(saved(image, quality=100))
    assert back.mode == becomes
    expected = np.array(image.convert(becomes), int)
    # What is hidden is not kept.
    seen = expected[..., -1:] > 0 if becomes.endswith("A") else True
    assert (np.abs(np.array(back, int) - expected) * seen).mean() < 4


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_any_range_are_saved_as_16_bits_and_that_is_said(mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode).point(lambda value: value * 10 - 100)
    with pytest.warns(UserWarning, match="its samples, -100 to 2450, became 0 to 65535"):
        file = saved(image, quality=90)
    assert Image.open(file).mode == "I;16"


@pytest.mark.parametrize("mode", ["CMYK", "HSV", "LAB", "YCbCr"])
def test_other_modes_are_an_oserror_and_leave_no_file(tmp_path: Path, mode: str) -> None:
    with pytest.raises(OSError, match=f"cannot write mode {mode} as VAEC"):
        Image.new(mode, (8, 8)).save(tmp_path / "x.vaec")
    assert list(tmp_path.iterdir()) == []


def test_metadata_are_written_where_they_are_given(photo: Image.Image) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    back = Image.open(saved(photo, exif=exif_with(6), icc_profile=profile, xmp=XMP))
    assert back.info["icc_profile"] == profile
    assert back.info["xmp"] == XMP
    assert dict(back.getexif()) == dict(exif_with(6))
    assert "exif" not in Image.open(saved(back)).info
    assert Image.open(saved(back)).info["icc_profile"] == profile
    assert "icc_profile" not in Image.open(saved(back, icc_profile=None)).info


def test_orientation_is_applied_once(photo: Image.Image) -> None:
    back = Image.open(saved(photo, exif=exif_with(6).tobytes(), quality=95))
    assert back.size == photo.size
    upright = ImageOps.exif_transpose(back)
    assert upright.size == photo.size[::-1]
    again = Image.open(saved(upright, exif=upright.getexif(), quality=95))
    assert ImageOps.exif_transpose(again).size == upright.size
    assert again.getexif()[0x010F] == "maker"


def test_a_crop_before_loading_decodes_a_part_and_gives_the_same_samples(
    codec: Codec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = codec.compress(Picture(photograph[:256, :256]), quality=50, tiling=Tiling(10_000, 7))
    asked = []
    region = Codec.decompress_region
    monkeypatch.setattr(Codec, "decompress_region", lambda self, *a, **k: asked.append(a[1]) or region(self, *a, **k))
    image, whole = Image.open(io.BytesIO(data)), np.array(Image.open(io.BytesIO(data)))
    assert (np.array(image.crop((30, 140, 90, 200))) == whole[140:200, 30:90]).all()
    assert asked == [(30, 140, 60, 60)]
    # Boxes beyond the picture, and parts that add up to it, take the usual way.
    assert image.crop((-5, 0, 10, 10)).getpixel((0, 0)) == (0, 0, 0)
    assert (np.array(image.crop((0, 0, 250, 256))) == whole[:, :250]).all()
    assert len(asked) == 1


def test_what_is_not_ours_is_unidentified_and_what_is_damaged_says_so(photo: Image.Image, tmp_path: Path) -> None:
    data = saved(photo).getvalue()
    for broken in (b"", b"\x89VAEX" + data[5:], b"GIF8"):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(broken))
    for broken in (data[:4], data[:9], data[:20], data[:12] + b"\xff" + data[13:]):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(broken))
    with pytest.warns(UserWarning, match="update vaecodec"), pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"\x89VAEC\x03" + data[6:]))
    with pytest.raises(OSError, match="get the whole file"):
        Image.open(io.BytesIO(data[:-8])).load()
    other_model = bytearray(write_container(Container(Header(0, b"unknown!", 4, 4, 3, 8, 0, 0), (Tile(0, b""),))))
    with pytest.raises(OSError, match="no weights here have the model id"):
        Image.open(io.BytesIO(other_model)).load()


def test_truncated_images_are_loaded_where_pillow_is_told_to(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(io.BytesIO(saved(photo).getvalue()[:-8])) as image:
        assert image.getpixel((0, 0)) == (128, 128, 128)


def test_pillow_has_the_say_over_how_many_pixels_are_too_many(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(photo)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(file)


def test_effort_is_passed_on_where_it_is_given(photo: Image.Image) -> None:
    least = photo.crop((0, 0, 64, 64))
    assert saved(least, effort=2).getvalue() != saved(least).getvalue()
    with pytest.raises(ValueError, match="effort"):
        saved(least, effort=10)


@pytest.mark.parametrize("quality", [-1, 101, "keep"])
def test_a_quality_that_is_none_is_a_valueerror(photo: Image.Image, quality: object) -> None:
    with pytest.raises(ValueError, match="quality"):
        saved(photo, quality=quality)


def test_save_all_writes_the_one_frame_and_refuses_more(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "a.vaec", save_all=True)
    with Image.open(tmp_path / "a.vaec") as back:
        assert back.size == photo.size
    with pytest.raises(OSError, match="2 frames"):
        photo.save(tmp_path / "b.vaec", save_all=True, append_images=[photo])
    assert not (tmp_path / "b.vaec").exists()


def test_density_targets_and_no_loss_are_options(photo: Image.Image) -> None:
    assert Image.open(saved(photo, dpi=(300, 150))).info["dpi"] == (300, 150)
    assert "dpi" not in Image.open(saved(photo)).info
    assert len(saved(photo, size=2000).getvalue()) <= 2000
    assert (np.array(Image.open(saved(photo, lossless=True))) == np.array(photo)).all()
    for wrong in ({"dpi": 300}, {"dpi": (0, 1)}, {"dpi": ("x", 1)}, {"lossless": True, "quality": 5}):
        with pytest.raises(ValueError, match=r"dpi|lossless"):
            saved(photo, **wrong)


def test_an_unknown_model_is_an_oserror(photo: Image.Image) -> None:
    with pytest.raises(OSError, match="no model is called 'nonesuch'"):
        saved(photo, model="nonesuch")


def test_one_codec_serves_many_threads() -> None:
    data = (GOLDEN / "photograph.vaec").read_bytes()
    with ThreadPoolExecutor(4) as threads:
        pictures = list(threads.map(lambda _: np.array(Image.open(io.BytesIO(data))), range(8)))
    assert all((picture == pictures[0]).all() for picture in pictures)


def test_the_front_of_a_file_is_read_from_small_pieces_and_no_further() -> None:
    container = read_container((GOLDEN / "photograph.vaec").read_bytes())
    data = write_container(Container(container.header, container.tiles, xmp=XMP, alpha=(3, b"\x40")))

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 3) if (size or 0) > 6 else size)

    file = Slow(data)
    assert read_front(file) == Front(container.header, None, None, XMP, True)
    assert file.tell() == len(data) - len(container.tiles[0].payload)
    for end in range(1, file.tell() - 1):
        with pytest.raises(TruncatedFileError):
            read_front(io.BytesIO(data[:end]))


def test_a_declared_length_is_not_allocated() -> None:
    """A section of 32 GiB in a file of some bytes."""
    data = (GOLDEN / "pixel.vaec").read_bytes()
    start = 8 + data[7] + 4  # behind HEADER: magic and version, tag, length, payload, crc
    with pytest.raises(TruncatedFileError):
        read_front(io.BytesIO(data[:start] + b"\x70\xff\xff\xff\xff\x7f" + bytes(100)))


def test_imageio_and_scikit_image_open_and_write_it(photo: Image.Image, tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3", reason="imageio is not installed")
    skimage = pytest.importorskip("skimage.io", reason="scikit-image is not installed")
    path = tmp_path / "x.vaec"
    imageio.imwrite(path, np.array(photo), quality=90)
    assert path.read_bytes().startswith(b"\x89VAEC")
    assert imageio.improps(path).shape == (64, 96, 3)
    back = imageio.imread(path)
    assert np.abs(back.astype(int) - np.array(photo)).mean() < 4
    assert (skimage.imread(path) == back).all()


def test_a_gallery_program_makes_its_pages_of_vaec_files(photo: Image.Image, tmp_path: Path) -> None:
    pytest.importorskip("sigal", reason="sigal is not installed")
    (tmp_path / "pictures" / "album").mkdir(parents=True)
    photo.resize((480, 320)).save(tmp_path / "pictures" / "album" / "one.vaec")
    (tmp_path / "sigal.conf.py").write_text(
        "import vaecodec.pillow\nimg_extensions = ['.vaec']\nimg_size = (300, 300)\nthumb_size = (64, 48)\n"
    )
    command = [sys.executable, "-m", "sigal", "build", "-n", "1", "pictures", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, size in (("one.vaec", (300, 200)), ("thumbnails/one.vaec", (64, 48))):
        with Image.open(tmp_path / "out" / "album" / name) as image:
            assert (image.format, image.size, np.array(image).shape) == ("VAEC", size, (*size[::-1], 3))


def test_registering_again_does_no_harm() -> None:
    before = list(Image.ID)
    vaecodec.pillow.register()
    assert before == Image.ID


@pytest.mark.parametrize(
    "metadata", [{"icc_profile": "sRGB"}, {"exif": "x"}, {"exif": 3}, {"xmp": 3}, {"xmp": ["<x/>"]}]
)
def test_metadata_of_another_type_are_a_wrong_argument(photo: Image.Image, metadata: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give its bytes"):
        saved(photo, **metadata)
    assert Image.open(saved(photo, xmp="<x/>", exif=bytearray(b"II*\0"))).info["xmp"] == b"<x/>"
