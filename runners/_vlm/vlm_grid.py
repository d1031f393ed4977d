"""What a processor that cuts images of any size into a grid of patches did to them."""

from params import require

PARAM_TYPES = {"min_pixels": int, "max_pixels": int}


def image_options(values, processor):
    """Return the bounds on an image's pixels after resizing; 0 stands for the checkpoint's own."""
    own = processor.image_processor.size
    least = values["min_pixels"] or own["shortest_edge"]
    most = values["max_pixels"] or own["longest_edge"]
    require(
        values["min_pixels"] >= 0, f"min_pixels = {values['min_pixels']}: expected pixels, or 0 for the checkpoint's"
    )
    require(
        values["max_pixels"] >= 0, f"max_pixels = {values['max_pixels']}: expected pixels, or 0 for the checkpoint's"
    )
    lower, upper = (" (the checkpoint's own)" if not values[name] else "" for name in ("min_pixels", "max_pixels"))
    require(least <= most, f"min_pixels = {least}{lower} is more than max_pixels = {most}{upper}")
    return {"size": {"shortest_edge": least, "longest_edge": most}}


def describe_images(inputs, processor):
    """Return width and height in pixels after resizing, and the number of visual tokens, for each image."""
    patch, merged = processor.image_processor.patch_size, processor.image_processor.merge_size**2
    return [
        {"width": width * patch, "height": height * patch, "tokens": frames * height * width // merged}
        for frames, height, width in inputs["image_grid_thw"].tolist()
    ]
