"""Lets irctest start chatd: `pytest --controller irctest_chatd` with this folder in PYTHONPATH and CHATD set; further
settings of the server may stand in CHATD_SETTINGS."""

import os
from typing import Optional, Set, Type

from irctest.basecontrollers import BaseServerController
from irctest.runner import NotImplementedByController
from irctest.specifications import Capabilities, OptionalBehaviors


class ChatdController(BaseServerController):
    software_name = "chatd"
    supported_sasl_mechanisms: Set[str] = set()
    supports_sts = False
    # What stands here and is not offered fails, instead of being skipped.
    capabilities = frozenset(
        {Capabilities.SERVER_TIME, Capabilities.ECHO_MESSAGE, Capabilities.MULTI_PREFIX}
    )
    optional_behaviors = frozenset({OptionalBehaviors.CAP_REQ_MINUS})

    def run(
        self,
        hostname: str,
        port: int,
        *,
        password: Optional[str],
        ssl: bool,
        run_services: bool,
        faketime: Optional[str],
        websocket_hostname: Optional[str] = None,
        websocket_port: Optional[int] = None,
    ) -> None:
        if password is not None or ssl or websocket_port is not None:
            raise NotImplementedByController("password, ssl or websocket")
        # The host that is given is that of any address.
        self.hostname, self.port = "127.0.0.1", port
        settings = [
            "irc-name=My.Little.Server",
            "lines-per-second=0",
            "sessions-per-address-max=0",
            *os.environ.get("CHATD_SETTINGS", "").split(),
        ]
        arguments = [word for setting in settings for word in ("-o", setting)]
        listen = f"irc://127.0.0.1:{port}"
        self.proc = self.execute([os.environ["CHATD"], "-l", listen, *arguments])


def get_irctest_controller_class() -> Type[ChatdController]:
    return ChatdController
