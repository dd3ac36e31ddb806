"""What agents are made of, as pure functions: scores of points, features of points, selections of batches."""
