"""Training on several processes that MPI connects."""
