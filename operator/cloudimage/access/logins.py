"""The login of a session: what another one may go on with, and for how long."""

from datetime import UTC, datetime, timedelta

from keystoneauth1.identity import BaseIdentityPlugin
from keystoneauth1.session import Session


def state_of(session: Session) -> str | None:
    """Return the state of a session's login, if there is one, for another; it is a secret."""
    login = session.auth
    return login.get_auth_state() if isinstance(login, BaseIdentityPlugin) else None


def ends_within(session: Session, seconds: float) -> bool:
    """Return whether a session's token ends in so many seconds, or is yet to be fetched.

    Raises:
        ValueError: Keystone gave a time that cannot be read.
    """
    login = session.auth
    known = login.auth_ref if isinstance(login, BaseIdentityPlugin) else None
    end = known.expires if known else None
    return end is None or end - datetime.now(UTC) < timedelta(seconds=seconds)
