"""Refuses to build a wheel: the dbt project, feeds.yml and the SQL files are read from the checkout."""

import sys

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel


class Refused(bdist_wheel):
    """Ends a wheel build with a one-sentence message; an editable installation does not call run()."""

    def run(self) -> None:
        """Exits with a message that says what to do instead."""
        sys.exit("paid-media works from its checkout only: run `make install`, or `pip install -e .` there")


setup(cmdclass={"bdist_wheel": Refused})
