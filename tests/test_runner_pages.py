"""The pages that runners share: whatever a file holds becomes an upright RGB image, or one sentence."""

import pytest
from PIL import Image

from tests.test_runner_reading_order import load_helper

pages = load_helper("pages")


def save(folder, values):
    image = Image.new("F", (len(values), 1))
    image.putdata(values)
    image.save(folder / "page.tiff")
    return str(folder / "page.tiff")


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_a_page_of_floats_keeps_its_greys(tmp_path, white):
    (page,) = pages.open_pages([save(tmp_path, [0.0, white / 2, float(white)])])
    assert [page.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("values", [[-1.0, 1.0], [0.0, 1e6], [float("nan"), 1.0]])
def test_floats_that_are_no_greys_are_bad_input(tmp_path, values):
    with pytest.raises(pages.BadInputError, match="cannot be read as an image: its values go from"):
        list(pages.open_pages([save(tmp_path, values)]))
