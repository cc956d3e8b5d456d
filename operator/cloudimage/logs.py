"""Logs as JSON, one object a line, of our own loggers and of the libraries' alike."""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from cloudimage.plaintext import plain, plain_lines, plain_tree

_QUIET = (
    # At DEBUG these write requests with their headers, and with them tokens.
    "keystoneauth",
    "openstack",
    "urllib3",
    "kubernetes",
    "stevedore",
    "requests",
    # One line for each event that is seen.
    "kopf.objects",
    # One line for each of the kubelet's probes.
    "aiohttp.access",
    # At INFO it writes each step of a login.
    "asyncssh",
)


def configure(level: str) -> None:
    """Send everything that is logged to standard error.

    Args:
        level: The least level to show, for instance INFO.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _plain,
                structlog.processors.JSONRenderer(default=lambda value: plain(str(value))),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _plain(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Make words from outside plain, also those that a library logs."""
    trace = event.pop("exception", None)
    cleaned: EventDict = plain_tree(event)
    return cleaned if trace is None else {**cleaned, "exception": plain_lines(str(trace))}
