"""Refuses to build a wheel: the dbt project, feeds.yml and the SQL files are read from the checkout."""

import sys

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel


class Refused(bdist_wheel):
    """Ends a build of a wheel with one sentence; an editable installation is not built by run()."""

    def run(self) -> None:
        """Says what to do instead."""
        sys.exit("paid-media works from its checkout only: run `make install`, or `pip install -e .` there")


setup(cmdclass={"bdist_wheel": Refused})
