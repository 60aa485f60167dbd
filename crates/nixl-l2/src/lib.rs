//! The facade: open(config, l1), and the nixl-l2 command line.
