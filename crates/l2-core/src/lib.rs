//! What an L2 adapter is: object keys, the L2Adapter contract, tasks, usage, listeners, errors.
