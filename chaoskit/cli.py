"""The command line (being written)."""


def main() -> int:
    return 2
