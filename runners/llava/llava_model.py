"""Generate from text and images that are one sequence of embeddings before the first step.

transformers 4.44 puts images into the sequence within the model, and then takes, in every step, a position whose first
key sums to exactly zero over the heads for padding. In bfloat16 that befalls one of ten thousand random keys of 8
heads, and a page is up to 2,900 tokens. Here padding is what the attention mask says, as in later releases.
"""

import torch
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches


class EmbeddedModel:
    """A LLaVA model whose `generate` takes prompts with one placeholder for each visual token."""

    def __init__(self, model):
        """Wrap `model`, which is asked for everything but `generate`."""
        self._model = model

    def __getattr__(self, name):
        """Return what the model itself has."""
        return getattr(self._model, name)

    def generate(self, *, input_ids, attention_mask, pixel_values=None, image_sizes=None, **options):
        """Return prompts and answers as rows of tokens; the prompts count for a repetition penalty."""
        language_model = self._model.language_model
        is_visual = input_ids == self._model.config.image_token_index
        # A placeholder may lie beyond the embeddings of a checkpoint: any other token will do in its place.
        embeddings = language_model.get_input_embeddings()(input_ids.masked_fill(is_visual, 0))
        if pixel_values is not None:
            features = _see(self._model, pixel_values, image_sizes).to(embeddings.device, embeddings.dtype)
            if len(features) != is_visual.sum():
                raise RuntimeError(f"{len(features)} visual tokens for {is_visual.sum()} placeholders")
            embeddings = embeddings.masked_scatter(is_visual.unsqueeze(-1).to(embeddings.device), features)
        return language_model.generate(
            input_ids=input_ids,
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            generation_config=self._model.generation_config,
            **options,
        )


def _see(model, pixel_values, image_sizes):
    """Return the visual tokens of all images, in order, as rows; a tiled image comes as a stack of tiles."""
    config, is_tiled = model.config, pixel_values.dim() == 5
    if is_tiled:  # images with fewer tiles are filled up to the largest's number
        tile, shapes = config.vision_config.image_size, config.image_grid_pinpoints
        counts = [image_size_to_num_patches(size, shapes, tile) for size in image_sizes]
        pixel_values = torch.cat([tiles[:count] for tiles, count in zip(pixel_values, counts, strict=True)])
    states = model.vision_tower(pixel_values, output_hidden_states=True).hidden_states
    chosen = states[config.vision_feature_layer]
    if config.vision_feature_select_strategy == "default":
        chosen = chosen[:, 1:]  # without the class token
    features = model.multi_modal_projector(chosen)
    if not is_tiled:
        return features.flatten(0, 1)
    packed, _ = model.pack_image_features(features.split(counts), image_sizes, image_newline=model.image_newline)
    return packed
