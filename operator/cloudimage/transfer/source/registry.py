"""Opens the kinds of sources that a transfer can read: one line each."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from cloudimage.transfer.contract import Source
from cloudimage.transfer.source.base import Context, Opener, Reader
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.file.reader import open_file
from cloudimage.transfer.source.glance.model import GlanceSource
from cloudimage.transfer.source.glance.reader import open_glance
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.reader import open_http
from cloudimage.transfer.source.oci.model import OciSource
from cloudimage.transfer.source.oci.reader import open_oci
from cloudimage.transfer.source.s3.model import S3Source
from cloudimage.transfer.source.s3.reader import open_s3
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.server.reader import open_server
from cloudimage.transfer.source.swift.model import SwiftSource
from cloudimage.transfer.source.swift.reader import open_swift
from cloudimage.transfer.source.volume.model import VolumeSource
from cloudimage.transfer.source.volume.reader import open_volume

_OPENERS: Final[Mapping[type[Source], Opener]] = {
    HttpSource: open_http,
    GlanceSource: open_glance,
    S3Source: open_s3,
    SwiftSource: open_swift,
    OciSource: open_oci,
    FileSource: open_file,
    ServerSource: open_server,
    VolumeSource: open_volume,
}


def open_source(source: Source, context: Context) -> AbstractContextManager[Reader]:
    """Open a source of any kind for a transfer."""
    return _OPENERS[type(source)](source, context)
