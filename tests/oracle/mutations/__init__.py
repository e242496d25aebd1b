"""All mutations, by their kinds."""

from tests.oracle.mutations import containers, conversions, environments, extra_files, mlmodel_keys, names, programs
from tests.oracle.mutations.mutation import HOLES, Mutation, listed

__all__ = ["HOLES", "MUTATIONS", "Mutation"]

_KINDS = (containers, mlmodel_keys, environments, extra_files, names, programs, conversions)
MUTATIONS: dict[str, Mutation] = listed()
"""By name; the order of the files and of the functions in them, on which the choice for an index rests."""
