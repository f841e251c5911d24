"""Tests of the agent, and the simulation that they run against."""
