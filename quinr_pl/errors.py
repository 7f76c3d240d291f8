"""The one error type whose message a user reads."""


class QuinrError(Exception):
    """Bad input: the message is one line naming the file or flag, the value and the remedy.

    The command line prints it and ends with exit status 2.
    """
