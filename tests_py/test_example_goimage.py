"""examples/goimage: pictures pass between Go and NumPy whole, in place, and come back."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import examples_build
import numpy as np
import pytest
from PIL import Image

import pybuf

pytestmark = pytest.mark.build
FOLDER = examples_build.ROOT / "examples" / "goimage"
Fresh = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def built() -> Path:
    return examples_build.build("goimage")


@pytest.fixture(params=["goimage", "goimage_cffi"], ids=["ctypes", "cffi"])
def goimage(request: Any, built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(built))
    module = importlib.import_module(request.param)
    yield module
    gc.collect()
    assert module.live() == 0  # the other side is counted for every test


@pytest.fixture
def photo() -> Path:
    """A photograph; matplotlib itself is not imported."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


def picture(mode: str, size: tuple[int, int] = (37, 23)) -> Image.Image:
    """Something smooth in every channel, with no two rows alike."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = [x * 6, y * 11, (x + y) * 4, 255 - x * 2]
    rgba = np.stack(planes, -1).clip(0, 255).astype("u1")
    if mode == "P":
        return Image.fromarray(rgba[..., :3]).quantize(64)
    return Image.fromarray(rgba).convert(mode)


def pillow(path: Path, mode: str = "RGBA") -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def saved(folder: Path, name: str, mode: str = "RGB", **options: Any) -> Path:
    path = folder / name
    picture(mode).save(path, **options)
    return path


# ---- from Go to NumPy ----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_pixels_are_those_of_pillow(goimage, tmp_path, mode):
    path = saved(tmp_path, "a.png", mode)
    pixels = goimage.decode(path)
    assert pixels.shape == (23, 37, 4)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, pillow(path))


def test_gif_pixels_are_those_of_pillow(goimage, tmp_path):
    path = saved(tmp_path, "a.gif", "P")
    assert np.array_equal(goimage.decode(path), pillow(path))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("RGB", {"subsampling": "4:4:4"}),
        ("RGB", {"subsampling": "4:2:0"}),
        ("RGB", {"subsampling": "4:2:2", "progressive": True}),
    ],
)
def test_jpeg_pixels_are_near_those_of_pillow(goimage, tmp_path, mode, options):
    """Near: decoders may round as they like, and smooth small planes or not."""
    path = saved(tmp_path, "a.jpg", mode, quality=95, **options)
    pixels = goimage.decode(path)
    assert (pixels[..., 3] == 255).all()
    assert np.abs(pixels.astype(int) - pillow(path)).mean() < 2


def test_the_photograph_is_what_pillow_sees(goimage, photo):
    pixels = goimage.decode(photo)
    assert pixels.shape == (600, 512, 4)
    assert np.abs(pixels.astype(int) - pillow(photo)).mean() < 1


def test_planes_of_a_jpeg_are_those_of_the_file(goimage, photo):
    y, cb, cr = goimage.parts(photo)
    assert (y.shape, cb.shape, cr.shape) == ((600, 512), (300, 256), (300, 256))
    with Image.open(photo) as image:
        image.draft("YCbCr", image.size)  # as the file has it, but for the size of the planes
        of_pillow = np.asarray(image).astype(int)
    assert np.abs(of_pillow[..., 0] - y).max() <= 1
    assert np.abs(of_pillow[::2, ::2, 1] - cb).mean() < 1
    assert np.abs(of_pillow[::2, ::2, 2] - cr).mean() < 1


def test_indices_and_palette_of_a_gif_are_those_of_the_file(goimage, tmp_path):
    path = saved(tmp_path, "a.gif", "P")
    indices, palette = goimage.parts(path)
    assert (indices.shape, palette.shape[1]) == ((23, 37), 4)
    assert np.array_equal(palette[indices], goimage.decode(path))


def test_parts_of_other_files_are_their_pixels(goimage, tmp_path):
    (gray,) = goimage.parts(saved(tmp_path, "gray.png", "L"))
    assert np.array_equal(gray, np.asarray(picture("L")))
    wide = np.arange(6, dtype="u2").reshape(2, 3) * 9999
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (pixels,) = goimage.parts(tmp_path / "wide.png")
    assert pixels.dtype == np.dtype(">u2")
    assert np.array_equal(pixels, wide)


def test_halves_lie_in_the_whole(goimage, tmp_path):
    path = saved(tmp_path, "a.png", "RGBA")
    whole, left, right = goimage.pair(path)
    assert whole.shape == (23, 74, 4)
    assert left.shape == right.shape == (23, 37, 4)
    assert left.strides == right.strides == whole.strides
    assert right.ctypes.data - whole.ctypes.data == 37 * 4
    right[:] = 7
    assert (whole[:, 37:] == 7).all()
    assert np.array_equal(whole[:, :37], left)


def test_a_half_keeps_the_picture(goimage, photo):
    right = goimage.pair(photo)[2]
    expected = goimage.decode(photo)
    gc.collect()
    goimage.decode_all([photo] * 8)  # lets Go's collector come
    assert np.array_equal(right, expected)


def test_go_and_numpy_see_one_address(goimage, photo):
    pixels = goimage.decode(photo)
    assert goimage.address(pixels) == pixels.ctypes.data
    assert goimage.address(pixels[100:]) == pixels[100:].ctypes.data
    assert pixels.flags.writeable
    assert not pixels.flags.owndata


@pytest.mark.parametrize("count", [0, 1, 40])
def test_many_at_once_are_as_one_after_the_other(goimage, tmp_path, count):
    paths = []
    for i in range(count):
        path = tmp_path / f"{i}{('.png', '.jpg', '.gif')[i % 3]}"
        picture("RGB", (20 + i, 60 - i)).save(path)
        paths.append(path)
    together = goimage.decode_all(paths)
    assert len(together) == count
    for path, pixels in zip(paths, together, strict=True):
        assert np.array_equal(pixels, goimage.decode(path))


def test_many_threads_may_decode_and_encode(goimage, tmp_path, parallel):
    path = saved(tmp_path, "a.png", "RGBA")
    expected = pillow(path)

    def work(i: int) -> None:
        for _ in range(10):
            pixels = goimage.decode(path)
            assert np.array_equal(pixels, expected)
            goimage.encode(tmp_path / f"{i}.png", pixels)
        assert np.array_equal(pillow(tmp_path / f"{i}.png"), expected)

    parallel(work)


def test_python_runs_while_go_reads(goimage, tmp_path):
    """Go waits for the end of the pipe, which this thread writes."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    content = saved(tmp_path, "a.png").read_bytes()
    found = []
    reader = threading.Thread(target=lambda: found.append(goimage.decode(pipe)))
    reader.start()
    pipe.write_bytes(content)
    reader.join()
    assert found.pop().shape == (23, 37, 4)


# ---- from NumPy to Go ----------------------------------------------------------------


def test_changed_pixels_are_in_the_file(goimage, photo, tmp_path):
    pixels = goimage.decode(photo)
    where = pixels.ctypes.data
    np.subtract(255, pixels[..., :3], out=pixels[..., :3])
    assert goimage.address(pixels) == where
    goimage.encode(tmp_path / "negative.png", pixels)
    assert np.array_equal(pillow(tmp_path / "negative.png"), pixels)
    assert np.array_equal(255 - pixels[..., :3], goimage.decode(photo)[..., :3])


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_pixels_of_others_are_encoded(goimage, tmp_path, mode):
    pixels = np.asarray(picture(mode))  # read-only
    goimage.encode(tmp_path / "a.png", pixels)
    assert np.array_equal(pillow(tmp_path / "a.png", mode), pixels)


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG"])
def test_quality_is_that_of_the_jpeg(goimage, photo, tmp_path, name):
    pixels = goimage.decode(photo)
    goimage.encode(tmp_path / name, pixels, 95)
    fine = (tmp_path / name).stat().st_size
    assert np.abs(pillow(tmp_path / name).astype(int) - pixels).mean() < 2
    goimage.encode(tmp_path / name, pixels, 10)
    assert (tmp_path / name).stat().st_size < fine / 4


@pytest.mark.parametrize(
    ("pixels", "error", "says"),
    [
        (np.zeros(5, "u1"), ValueError, r"pixels are bytes \(height, width\) .* these are \[5\]"),
        (np.zeros((2, 2, 3), "u1"), ValueError, r"these are \[2 2 3\]"),
        (np.zeros((2, 2, 4), "f4"), TypeError, 'of format "f", and .*uint8 was asked for'),
        (np.zeros((2, 9, 4), "u1")[:, :3], BufferError, "do not lie packed in C order"),
        (np.zeros((0, 5, 4), "u1"), RuntimeError, "png: invalid format: invalid image size"),
    ],
)
def test_what_is_no_picture_is_refused(goimage, tmp_path, pixels, error, says):
    with pytest.raises(error, match=says):
        goimage.encode(tmp_path / "a.png", pixels)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_go_says_why(goimage, tmp_path):
    pixels = np.zeros((2, 2, 4), "u1")
    with pytest.raises(FileNotFoundError, match="no such file or directory"):
        goimage.encode(tmp_path / "nowhere" / "a.png", pixels)
    with pytest.raises(ValueError, match=r"has to end in \.png, \.jpg or \.jpeg"):
        goimage.encode(tmp_path / "a.bmp", pixels)


def test_an_address_that_ctypes_cut_is_an_error_of_go(built, tmp_path):
    encode = ctypes.CDLL(str(built / "libgoimage.so")).Encode
    encode.restype = ctypes.c_size_t
    with pybuf.lend(np.zeros((2, 2, 4), "u1")) as lent:
        wrong = [ctypes.c_size_t(-8), ctypes.c_size_t(1 << 62)]
        # A heap that begins low, as that of Debian's Python: there such an address may be whole.
        heap = re.search(r"^(\w+)-.*\[heap\]", Path("/proc/self/maps").read_text(), re.MULTILINE)
        if int(lent) >> 32 and not (heap and int(heap[1], 16) >> 32 == 0):
            wrong += [int(lent), ctypes.c_size_t(int(lent) & 0x7FFFFFF8)]
        for address in wrong:
            with pytest.raises(ValueError, match="ctypes cuts a plain int to 32 bits"):
                pybuf.adopt(encode(os.fsencode(tmp_path / "a.png"), address, 90))
        assert encode(os.fsencode(tmp_path / "a.png"), lent, 90) == 0


# ---- files that are broken ---------------------------------------------------------------


def functions(goimage: Any) -> list[Callable[[Any], Any]]:
    def of_all(path: Any) -> None:
        (result,) = goimage.decode_all([path])
        raise result

    return [goimage.decode, goimage.parts, goimage.pair, of_all]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.png", "png: invalid format: not enough pixel data|unexpected EOF"),
        ("a.jpg", "unexpected EOF"),
        ("a.gif", "gif: not enough image data|unexpected EOF"),
    ],
)
def test_a_truncated_file_is_an_error_with_the_text_of_go(goimage, tmp_path, name, says):
    path = saved(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for function in functions(goimage):
        with pytest.raises(RuntimeError, match=f"{re.escape(str(path))}: .*({says})"):
            function(path)


def test_a_changed_byte_of_a_png_is_an_error(goimage, tmp_path):
    path = saved(tmp_path, "a.png")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"flate: corrupt input|invalid"):
        goimage.decode(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif"])
def test_no_changed_byte_ends_the_process(goimage, tmp_path, name):
    content = saved(tmp_path, name).read_bytes()
    paths = []
    for i in range(60):
        changed = bytearray(content)
        place = 13 + i * (len(content) - 13) // 60  # behind the size of a GIF
        if name == "a.png" and place < 33:  # its header, which may ask for any memory
            continue
        changed[place] ^= 0xFF
        paths.append(tmp_path / f"{i}{name}")
        paths[-1].write_bytes(changed)
    for result in goimage.decode_all(paths):
        assert isinstance(result, RuntimeError | np.ndarray)


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "image: unknown format"), (b"no picture", "unknown format")]
)
def test_what_is_no_picture_is_an_error(goimage, tmp_path, content, says):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for function in functions(goimage):
        with pytest.raises(RuntimeError, match=says):
            function(path)


def test_a_missing_file_and_a_folder_are_the_errors_of_python(goimage, tmp_path):
    for function in functions(goimage):
        with pytest.raises(FileNotFoundError, match=r"open .*none\.png: no such file"):
            function(tmp_path / "none.png")
        with pytest.raises(IsADirectoryError, match="is a directory"):
            function(tmp_path)
        with pytest.raises(ValueError, match="null byte"):
            function(f"{saved(tmp_path, 'a.png')}\0b")


def test_one_broken_file_does_not_spoil_the_others(goimage, tmp_path):
    good = saved(tmp_path, "a.png")
    first, error, last = goimage.decode_all([good, tmp_path / "none.png", str(good)])
    assert isinstance(error, FileNotFoundError)
    assert np.array_equal(first, last)


# ---- what is left ----------------------------------------------------------------------


def test_what_lives_is_counted_on_both_sides(goimage, photo, tmp_path):
    def live() -> tuple[int, int]:
        return goimage.live(), pybuf.stats()["sources"]["foreign"]["blocks"] - others

    others = pybuf.stats()["sources"]["foreign"]["blocks"]
    pixels = goimage.decode(photo)
    assert live() == (1, 1)
    row = pixels[5]
    del pixels
    assert live() == (1, 1)
    goimage.encode(tmp_path / "row.png", row)
    del row
    assert live() == (0, 0)


def test_errors_hold_nothing(goimage, photo, tmp_path):
    results = goimage.decode_all([photo, tmp_path / "none.png"])
    del results[0]
    assert goimage.live() == 0  # without a run of the collector


PROGRAM = f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import goimage, pybuf, os\n"


def test_a_forked_child_reads_and_drops_what_it_has(built, fresh: Fresh, photo):
    told = fresh(
        PROGRAM
        + """
import signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
pixels = goimage.decode(sys.argv[1])
total = int(pixels.sum())
for _ in range(5):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        pixels[0, 0, 0] ^= 1
        same = abs(int(pixels.sum()) - total) == 1
        del pixels
        os._exit(0 if same and pybuf.live() == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
assert int(pixels.sum()) == total
del pixels
assert goimage.live() == 0
""",
        str(photo),
    )
    assert told.stdout == ""


def test_a_process_may_end_with_arrays(built, fresh: Fresh, photo):
    fresh(PROGRAM + "a = goimage.decode_all(sys.argv[1:] * 3); print(a[2].sum())", str(photo))


# ---- the programs ------------------------------------------------------------------------


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("variant", [(), ("--cffi",)], ids=["ctypes", "cffi"])
def test_the_demo_shows_that_nothing_is_copied(built, tmp_path, variant):
    done = run(FOLDER / "demo.py", *variant, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    addresses = re.findall(r"the pixels, to \w+ +(0x[0-9a-f]+)", done.stdout)
    assert len(addresses) == 2
    assert len(set(addresses)) == 1
    assert re.search(r"Python has of Go +0 blocks", done.stdout)
    whole = pillow(tmp_path / "grace_hopper-changed.png")
    left, right = whole[:, :512], whole[:, 512:]
    assert np.array_equal(255 - left[..., :3], right[..., :3])


def test_the_demo_takes_files(built, tmp_path):
    paths = [saved(tmp_path, name) for name in ("b.png", "c.jpg", "d.gif")]
    done = run(FOLDER / "demo.py", *paths, "--output", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(tmp_path / f"{n}-changed.png").exists() for n in "bcd"] == [True] * 3


def test_the_demo_says_what_is_wrong_in_a_sentence(built, tmp_path):
    done = run(FOLDER / "demo.py", tmp_path / "none.png", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"\[Errno 2\] open .*none\.png: no such file or directory\n", done.stderr)


def test_a_library_that_is_not_built_is_asked_for_in_a_sentence(tmp_path):
    for name in ("build.py", "demo.py", "goimage.py", "goimage_cffi.py"):
        shutil.copy(FOLDER / name, tmp_path)
    for variant in ((), ("--cffi",)):
        done = run(tmp_path / "demo.py", *variant, cwd=tmp_path)
        assert done.returncode == 1
        says = r"\S+libgoimage\.so is not built yet: run python \S+build\.py\n"
        assert re.search(rf"^{says}$", done.stderr, re.MULTILINE), done.stderr


def lines_of_code(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(("//", "#"))]


def test_the_page_counts_the_lines_as_they_are():
    page = (FOLDER / "README.md").read_text("utf-8")
    for name in ("goimage.go", "goimage.py", "goimage_cffi.py"):
        code = lines_of_code(FOLDER / name)
        told = re.search(rf"^\| `{name}`[^|]*\| (\d+) \| (\d*)", page, re.MULTILINE)
        assert told, name
        assert int(told[1]) == len(code)
        handing = [line for line in code if re.search("pybuf|uintptr|descriptor", line)]
        assert told[2] in {"", str(len(handing))}


def test_a_machine_without_go_is_told_so(tmp_path):
    done = run(FOLDER / "build.py", env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.startswith("There is no go command on PATH")
