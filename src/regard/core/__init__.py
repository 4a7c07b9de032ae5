"""The words everything else is written in: records, grids, operators, shapes, errors, seeds."""
