"""Who computes the integers of the image model: the native core in C, or torch; both give the same.

To add one, write a class with what ``backend.Backend`` asks for and name it in ``backend.open_backend``; ``models.coding`` drives it.
"""
