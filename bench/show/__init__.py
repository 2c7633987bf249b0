"""Rows as a page, as tables, as a comparison of two releases."""
