"""What the programs of the peers have in common: what they are asked for, and how they tell."""

import json

# As in src/goals.rs.
STEPS = 20
SHORT = 50


def asked(args):
    """The folder, the name of the bench and its size."""
    return args[1], args[2], int(args[3])


def tell(seconds):
    """Prints how long each run, or all runs that were at once, took."""
    print(json.dumps(seconds))
