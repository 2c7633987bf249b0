"""Trainers: one readable file for each kind of model, on shared parts."""
