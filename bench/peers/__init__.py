"""The limits: the least that could do the same job on this machine, measured beside ours in the same run."""
