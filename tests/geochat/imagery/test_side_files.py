"""Files beside an image: overviews and masks that are TIFFs, GDAL's metadata and world files are used; nothing else is.

Whatever they are, GDAL neither reads another file nor asks the network.
"""

import os
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from shutil import which

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.imagery import Scene, open_image

SECRET = 77
ROWS = np.arange(400)[:, None] // 2 * np.ones((1, 600))  # 600 x 400


def codes(image):
    return [remark.code for remark in image.remarks]


@pytest.fixture
def scene(write_tiff):
    return write_tiff(ROWS.astype(np.uint8)[None].repeat(3, 0), "scene.tif")


@pytest.fixture
def requests():
    """The paths that a local server was asked for, after its address."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815 - so the standard library names it

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def vrt(source, width=300, height=200, bands=3):
    band = (
        '<VRTRasterBand dataType="Byte" band="{0}"><SimpleSource>'
        '<SourceFilename relativeToVRT="0">{1}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/></SimpleSource></VRTRasterBand>'
    )
    inside = "".join(band.format(number, source) for number in range(1, bands + 1))
    return f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{inside}</VRTDataset>'


def wms(address):
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>'
        "<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>0</UpperLeftY><LowerRightX>300</LowerRightX>"
        "<LowerRightY>200</LowerRightY><SizeX>300</SizeX><SizeY>200</SizeY></DataWindow>"
        "<BandsCount>3</BandsCount></GDAL_WMS>"
    )


def tiff_with_an_overview_elsewhere(folder, named):
    """A TIFF, good as an overview or mask, that names another file in its own metadata."""
    path = folder / "inner.tif"
    size = {"driver": "GTiff", "width": 300, "height": 200, "count": 3, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **size) as file:
        file.write(np.zeros((3, 200, 300), np.uint8))
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=named)
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.mark.parametrize("name", ["scene.tif", "scene.jpg", "scene.jp2", "été.tif"])
@pytest.mark.parametrize("ending", [".ovr", ".msk", ".aux.xml"])
@pytest.mark.parametrize("kind", ["vrt", "remote vrt", "wms", "pam", "tiff", "empty"])
def test_nothing_beside_an_image_is_followed(tmp_path, requests, name, ending, kind):
    address, seen = requests
    secret = tmp_path / "elsewhere" / "secret.tif"
    secret.parent.mkdir()
    size = {"driver": "GTiff", "width": 300, "height": 200, "count": 1, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(secret, "w", **size) as file:
        file.write(np.full((1, 200, 300), SECRET, np.uint8))
    picture = Image.fromarray(np.full((400, 600, 3), 200, np.uint8))
    path = tmp_path / name
    picture.save(path)
    content = {
        "vrt": vrt(secret),
        "remote vrt": vrt(f"/vsicurl/{address}/x.tif"),
        "wms": wms(address),
        "pam": '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
        f"{secret if ending == '.ovr' else f'/vsicurl/{address}/x.tif'}</MDI></Metadata></PAMDataset>",
        "tiff": tiff_with_an_overview_elsewhere(tmp_path, f"/vsicurl/{address}/x.tif"),
        "text": "no image",
        "empty": "",
    }[kind]
    beside = tmp_path / f"{name}{ending}"
    beside.write_bytes(content if isinstance(content, bytes) else content.encode())
    image = open_image(path, max_side=150)
    assert abs(int(image.pixels.min()) - 200) <= 3
    if kind == "tiff" and ending == ".ovr" and not name.endswith(".tif"):
        assert image.remarks == ()  # not opened: a picture is decoded whole, and JPEG 2000 shrinks by itself
    else:
        assert codes(image) == ["side-file-ignored"]
        assert beside.name in image.remarks[0].text
    assert open_image(path, window=(0, 0, 50, 50)).pixels.max() > 190
    assert not seen


@pytest.mark.skipif(which("strace") is None, reason="needs strace")
def test_gdal_opens_the_image_alone(tmp_path, scene):
    """Each of a file's neighbours is read by Python, or not at all."""
    inside = tmp_path / "inside"
    inside.mkdir()
    for ending in (".ovr", ".msk", ".aux.xml", ".aux", ".rrd"):
        (tmp_path / f"scene.tif{ending}").write_text(vrt("/etc/hostname"))
    for ending in (".aux", ".tab", ".imd", ".rpb", ".prj", ".vrt", ".xml", "_metadata.xml", "_rpc.txt"):
        (tmp_path / f"scene{ending}").write_text(vrt("/etc/hostname"))
    script = (
        "import os\nfrom geochat.imagery import open_image\n"
        f"open_image({str(scene)!r}, max_side=50)\n"
        f"before = os.listdir({str(inside)!r})\n"
        f"open_image({str(scene)!r}, max_side=50)\n"
    )
    log = tmp_path / "calls.txt"
    command = ["strace", "-f", "-e", "trace=open,openat,connect", "-o", str(log), sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    after = calls[next(number for number, call in enumerate(calls) if f'"{inside}"' in call) + 1 :]
    opened = {call.split('"')[1] for call in after if "O_" in call and '"' in call}
    assert str(scene) in opened
    mine = {os.path.basename(each) for each in opened if each.startswith(str(tmp_path))}  # noqa: PTH119 - text
    assert mine <= {"scene.tif", "scene.tif.ovr", "scene.tif.msk", "scene.tif.aux.xml", "scene.aux", "scene.tab"}
    assert not [each for each in opened if not each.startswith((str(tmp_path), sys.prefix, "/proc", "/sys", "/usr"))]
    assert not any("connect(" in call and "AF_INET" in call for call in after)


def overviews_beside(path, factor=2, bands=3, value=None, dtype="uint8"):
    """Write a TIFF of smaller copies."""
    small = ROWS[::factor, ::factor]
    small = np.full(small.shape, value) if value is not None else small
    size = {"driver": "GTiff", "count": bands, "height": small.shape[0], "width": small.shape[1], "dtype": dtype}
    with warnings.catch_warnings(action="ignore"), rasterio.open(f"{path}.ovr", "w", **size) as file:
        file.write(small.astype(dtype)[None].repeat(bands, 0))


def test_an_overview_beside_the_image_is_used(scene):
    overviews_beside(scene, value=9)
    assert open_image(scene, max_side=300).pixels.max() == 9
    assert open_image(scene, max_side=150).pixels.max() == 9
    assert open_image(scene, window=(300, 200, 200, 100), max_side=100).pixels.max() == 9
    whole = open_image(scene)
    np.testing.assert_array_equal(whole.pixels[..., 0], ROWS)
    assert whole.remarks == ()
    with Scene.open(scene) as opened:
        assert opened.overviews == (2,)


def test_gdal_and_we_read_the_same_from_overviews_beside(tmp_path, scene):
    """Those that gdaladdo writes, at several factors and places."""
    with warnings.catch_warnings(action="ignore"):
        with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(scene, "r+") as file:
            file.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
        assert (tmp_path / "scene.tif.ovr").exists()
        for window, side in (((0, 0, 600, 400), 300), ((0, 0, 600, 400), 140), ((40, 80, 500, 300), 100)):
            with Scene.open(scene) as opened:
                assert opened.overviews == (2, 4, 8)
                view = opened.read(window, max_side=side)
            size = view.frame.view_size
            with rasterio.open(scene) as file:
                expected = file.read(
                    window=rasterio.windows.Window(*window),
                    out_shape=(3, size[1], size[0]),
                    resampling=rasterio.enums.Resampling.average,
                )
            assert np.abs(view.pixels.astype(int) - expected.transpose(1, 2, 0)).max() <= 1


@pytest.mark.parametrize("options", [{"bands": 1}, {"dtype": "uint16"}])
def test_an_overview_of_another_image_is_not(scene, options):
    overviews_beside(scene, value=9, **options)
    image = open_image(scene, max_side=150)
    assert image.pixels.max() > 100
    assert codes(image) == ["side-file-ignored"]


def test_nodata_holds_in_an_overview_that_does_not_say_it(write_tiff):
    values = ROWS.astype(np.uint8)
    values[:200] = 3
    path = write_tiff(values, "scene.tif", nodata=3)
    size = {"driver": "GTiff", "count": 1, "height": 200, "width": 300, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(f"{path}.ovr", "w", **size) as file:
        file.write(values[::2, ::2], 1)
    pixels = open_image(path, max_side=150).pixels
    assert not pixels[:50].any()
    assert (pixels[50:] > 90).all()


@pytest.mark.parametrize("name", ["scene.tif", "scene.jpg", "scene.png"])
def test_a_mask_beside_the_image(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(np.full((400, 600, 3), 200, np.uint8)).save(path)
    size = {"driver": "GTiff", "count": 1, "height": 400, "width": 600, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(f"{path}.msk", "w", **size) as file:
        file.write(np.where(np.arange(600) < 300, 0, 255).astype(np.uint8)[None].repeat(400, 0), 1)
    for side in (600, 100):
        image = open_image(path, max_side=side)
        assert not image.pixels[:, : side // 2].any()
        assert (image.pixels[:, side // 2 :] > 195).all()
        assert image.remarks == ()
    with warnings.catch_warnings(action="ignore"), rasterio.open(f"{path}.msk", "w", **size | {"width": 5}) as file:
        file.write(np.zeros((400, 5), np.uint8), 1)
    image = open_image(path)
    assert image.pixels.min() > 190
    assert "not those of a mask of this image of 600 x 400" in image.remarks[0].text


def test_what_gdals_metadata_say_of_the_bands(write_tiff):
    values = np.stack([ROWS, ROWS + 1, ROWS + 2]).astype(np.uint16)
    path = write_tiff(values, "scene.tif")
    about = "".join(
        f'<PAMRasterBand band="{band}"><Description>{name}</Description><NoDataValue>0</NoDataValue></PAMRasterBand>'
        for band, name in enumerate(("Blue", "Green", "Red"), 1)
    )
    (path.parent / "scene.tif.aux.xml").write_text(f"<PAMDataset>{about}</PAMDataset>")
    for side in (600, 150):
        image = open_image(path, max_side=side)
        assert image.bands == (3, 2, 1)
        assert image.stretch.limits[2][0] >= 3  # without the band's 0


@pytest.mark.parametrize(
    "text",
    [
        "<PAMDataset>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><PAMDataset><SRS>&a;</SRS></PAMDataset>",
        "<PAMDataset><GeoTransform>1, 2</GeoTransform></PAMDataset>",
        "<PAMDataset><PAMRasterBand><NoDataValue>x</NoDataValue></PAMRasterBand></PAMDataset>",
        "<VRTDataset/>",
    ],
)
def test_metadata_that_cannot_be_read(scene, text):
    (scene.parent / "scene.tif.aux.xml").write_text(text)
    image = open_image(scene)
    assert codes(image) == ["side-file-ignored"]


@pytest.mark.parametrize(("name", "content"), [("scene.tab", "!table\n"), ("scene.aux", "EHFA_HEADER_TAG\0\0")])
def test_other_formats_are_said_to_be_passed_over(scene, name, content):
    (scene.parent / name).write_text(content)
    assert codes(open_image(scene)) == ["side-file-ignored"]


def test_neighbours_that_have_nothing_to_do_with_it_go_without_saying(scene):
    for name in ("scene.aux", "scene.txt", "scene.xml", "scene.tif.xml", "other.tfw", "other.tif.ovr"):
        (scene.parent / name).write_text("\\relax\n")
    assert open_image(scene).remarks == ()
