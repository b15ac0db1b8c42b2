"""Numbers of things, and times, in words."""


def counted(number: int, noun: str, *, width: int = 0) -> str:
    """Return `1 box` or `1,200 boxes`; with a width, so that such texts stand below each other."""
    ending = "es" if noun.endswith(("s", "x")) else "s"
    if width:
        return f"{number:>{width},} {noun + ending if number != 1 else noun:<{len(noun + ending)}}"
    return f"{number:,} {noun}{ending * (number != 1)}"


def format_duration(seconds: float) -> str:
    """Return a time for people: `40 s`, `12 min`, `5.1 h`, `3.2 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
