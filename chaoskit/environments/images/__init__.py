"""The images of the bank, its database and Toxiproxy: built once from Dockerfiles beside this file, or pulled from a registry."""

from chaoskit.environments.images.build import Image, Images, provide

__all__ = ["Image", "Images", "provide"]
