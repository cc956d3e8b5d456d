"""OpenStack: one small adapter a service over openstacksdk; dataclasses come back.

:func:`cloudimage.cloud.connection.open_cloud` is the door.
"""
