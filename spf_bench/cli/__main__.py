"""``python -m spf_bench.cli``: the command line where its script is not on the path."""

from spf_bench.cli.app import main

if __name__ == "__main__":
    main()
