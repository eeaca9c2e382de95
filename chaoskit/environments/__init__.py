"""Where the system runs: child processes, containers, or somebody else's stack. Each is loaded when it is asked for."""
