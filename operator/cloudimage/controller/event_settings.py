"""How kopf watches for us: its events only, none of its own records."""

from typing import Any

import kopf

from cloudimage.kube import CHUNK


class _NothingRemembered(kopf.DiffBaseStorage):
    """No record of how objects were handled last: only ``on.event`` is used, which needs none.

    Kopf's own copies each object at each event to make one, which took a tenth of a restart.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:  # noqa: ANN401 - kopf's own arguments
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:  # noqa: ANN401 - as above
        return None

    def store(self, **_: Any) -> None:  # noqa: ANN401 - as above
        return None


def kopf_settings() -> kopf.OperatorSettings:
    """Return the settings of kopf."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NothingRemembered()
    # Events are ours to post, from transitions of conditions; kopf would post its log.
    settings.posting.enabled = False
    # The CRD is there before the operator; scanning would need rights on the whole cluster.
    settings.scanning.disabled = True
    settings.networking.request_timeout = 60
    # Of ten thousand objects, a page at a time is in memory.
    settings.watching.chunk_size = CHUNK
    settings.watching.connect_timeout = 30
    # Connections that die silently are noticed, and the watch is started again (kopf issue 585).
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    return settings
