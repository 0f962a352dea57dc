"""Binding the state of a deployment to one chain."""
