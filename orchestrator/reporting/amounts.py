"""Money and time as text."""


def money_text(dollars: float) -> str:
    """Return US dollars, with four digits where they are few."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


def time_text(seconds: float) -> str:
    """Return seconds as a person says them, such as `12.3 s`, `4 min 05 s` or `2 h 30 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"
