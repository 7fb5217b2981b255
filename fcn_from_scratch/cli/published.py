"""`fcn published`: print the paper's tables."""

from fcn_from_scratch.lab import published

HELP = "Print the published numbers: the paper's five tables, and the scores of its released weights."
EXAMPLE = """  fcn published
  fcn published 2 weights"""


def add_arguments(parser):
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(published.TABLES)} (default: all)")


def run(args):
    print("\n\n".join([published.as_text(name) for name in args.tables or published.TABLES]))
    return 0
