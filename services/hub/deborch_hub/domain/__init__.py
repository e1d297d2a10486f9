"""The hub's rules as data and pure functions: transitions, matching, placement. No I/O of any kind."""
