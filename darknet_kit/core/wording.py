"""Numbers of things, in words."""


def counted(number: int, noun: str, *, width: int = 0) -> str:
    """Return `1 box` or `1,200 boxes`; with a width, so that such texts stand below each other."""
    ending = "es" if noun.endswith(("s", "x")) else "s"
    if width:
        return f"{number:>{width},} {noun + ending if number != 1 else noun:<{len(noun + ending)}}"
    return f"{number:,} {noun}{ending * (number != 1)}"
