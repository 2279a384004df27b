"""Which networks there are, and how a checkpoint becomes one."""
