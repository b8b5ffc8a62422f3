"""``python -m spf_bench.captions NAME ...`` freezes caption sets again; ``--tokens`` counts the words' CLIP tokens."""

import argparse
from pathlib import Path

from spf_bench.captions.build import SETS
from spf_bench.captions.freeze import freeze
from spf_bench.captions.tokens import table
from spf_bench.captions.vocabulary import vocabulary


def main(argv: list[str] | None = None) -> None:
    """Freeze the named sets, all by default, or print the table of words that are more than one CLIP token."""
    parser = argparse.ArgumentParser(prog="python -m spf_bench.captions", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SETS)}; default all")
    parser.add_argument("--to", type=Path, default=Path("testsets"), help="folder that gets the set's folder")
    parser.add_argument("--tokens", type=Path, metavar="MERGES", help="CLIP's merges.txt; prints the table and stops")
    args = parser.parse_args(argv)
    if args.tokens:
        print(table(vocabulary(), args.tokens), end="")
        return
    for name in args.names or SETS:
        print(f"frozen  {freeze(name, args.to)}")


if __name__ == "__main__":
    main()
