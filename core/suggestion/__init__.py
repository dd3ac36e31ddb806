"""The next measurements: which rows of a pool to label, given the rows that are labelled."""
