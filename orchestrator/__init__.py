"""Hold a bake-off between vision-language models."""

__version__ = "0.1.0"
