"""Parts of agents, as pure functions: scores of points, features of points, selections of batches."""
