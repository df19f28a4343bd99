"""A bot of Python's irc: goes to #lobby and says again what others say there. Called with HOST and PORT."""

import sys

import irc.bot


class Echo(irc.bot.SingleServerIRCBot):
    def on_welcome(self, connection, event):
        connection.join("#lobby")

    def on_pubmsg(self, connection, event):
        connection.privmsg(event.target, event.arguments[0])


Echo([(sys.argv[1], int(sys.argv[2]))], "echo", "echo").start()
