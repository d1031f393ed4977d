"""A dataset with known right answers for the checkpoint `colours`: squares of four colours."""

import csv
import random
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = Path(__file__).parent / "colours"
QUESTION = "Which colour is the square? A red, B green, C blue, D yellow."
SHADES = {"A": (220, 30, 30), "B": (30, 170, 50), "C": (40, 60, 220), "D": (240, 200, 20)}
SIZES = ((56, 56), (84, 56), (56, 112))  # what it was trained on


def write_squares(folder, count, seed=1):
    """Make a dataset of `count` squares in `folder`, and return the folder."""
    draw = random.Random(seed)
    (folder / "images").mkdir(parents=True)
    with (folder / "annotation.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image_path", "question", "answer"))
        for number in range(count):
            answer = draw.choice("ABCD")
            draw_square(draw, SHADES[answer]).save(folder / "images" / f"{number}.png")
            table.writerow((f"images/{number}.png", QUESTION, answer))
    return folder


def draw_square(draw, shade):
    width, height = draw.choice(SIZES)
    page = Image.new("RGB", (width, height), (draw.randint(200, 255),) * 3)
    colour = tuple(max(0, min(255, value + draw.randint(-25, 25))) for value in shade)
    corners = [draw.randint(2, 8), draw.randint(2, 8), width - draw.randint(4, 10), height - draw.randint(4, 10)]
    ImageDraw.Draw(page).rectangle(corners, fill=colour)
    return page
