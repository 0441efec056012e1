"""``python -m gohan_jobs``, the same as ``gohan-jobs``."""

from gohan_jobs.cli.main import main

if __name__ == "__main__":
    main()
