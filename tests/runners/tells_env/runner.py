import os
from pathlib import Path


def load(params):
    return None


def generate(state, request):
    return {"text": " ".join(sorted(os.environ)), "info": {"path": str(Path.cwd())}}
