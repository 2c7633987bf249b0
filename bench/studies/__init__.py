"""One question each: what a choice costs, whether a promise holds."""
