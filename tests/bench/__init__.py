"""`make bench`: what the agent costs, side by side with others, as ratios of one run."""
