"""The values that the pages of the inbox are tried with."""

from authserver.features.inbox.page import Line
from authserver.web.pages import Link

LIST = {
    "mails": (
        Line(
            id="1",
            subject="482 913 is your code for Notes",
            recipient="ann@example.org",
            time="21 November 2026, 12:03 (UTC)",
        ),
        Line(id="2", subject=None, recipient="a" * 60 + "@example.org", time="yesterday"),
    ),
    "inbox": "/dev/inbox",
}
MESSAGE = {
    "sender": "no-reply@id.example.org",
    "recipient": "ann@example.org",
    "time": "21 November 2026, 12:03 (UTC)",
    "text": "Enter this code to sign in:\n\n    482 913\n\n-- \nid.example.org\n",
    "links": (Link(text="/account", href="/account"),),
    "html": "about:blank",
    "inbox": "/dev/inbox",
}
PAGES = {"inbox/list.html": LIST, "inbox/message.html": MESSAGE}
