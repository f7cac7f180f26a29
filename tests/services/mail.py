"""A real mail server on loopback: it keeps what it takes, and refuses whom it is told to refuse."""

from __future__ import annotations

from asyncio import WriteTransport
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.services.process import SECONDS, free_port

HOST = "127.0.0.1"


@dataclass
class MailServer:
    """What it took, and how it answers: by recipient, and at the end of a mail."""

    port: int = field(default_factory=free_port)
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)  # recipient, mail
    refused: dict[str, str] = field(default_factory=dict)  # recipient: answer
    last_word: str = "250 taken"  # empty: it takes the mail, and the connection breaks before it can say so

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """One recipient."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """A mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail: Any = message_from_bytes(content, policy=policy.default)
        self.taken += [(recipient, mail) for recipient in envelope.rcpt_tos]
        if not self.last_word:
            assert isinstance(server.transport, WriteTransport)
            server.transport.abort()
        return self.last_word or "250 nobody hears this"

    @property
    def settings(self) -> dict[str, Any]:
        """Django's settings with which a site sends through it."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": HOST, "EMAIL_PORT": self.port, "EMAIL_TIMEOUT": 60,
            "EMAIL_HOST_USER": "", "EMAIL_HOST_PASSWORD": "", "EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False,
        }  # fmt: skip


@contextmanager
def mail_server(server: MailServer | None = None) -> Iterator[MailServer]:
    """A running one; it ends with the block, and the same can run again."""
    found = server or MailServer()
    controller = Controller(found, hostname=HOST, port=found.port, ready_timeout=SECONDS)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
