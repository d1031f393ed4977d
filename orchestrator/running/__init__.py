"""Ask models: what is missing, with which workers, and what becomes of every request."""
