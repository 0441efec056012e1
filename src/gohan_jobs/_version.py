"""The distribution's version, read by the build and by ``gohan-jobs --version``."""

__version__ = "0.1.0"
