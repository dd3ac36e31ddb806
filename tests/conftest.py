"""What all tests need of the process they run in."""

import signal

# A shell starts what it puts into the background with Ctrl-C ignored, and child processes inherit that: the
# tests that send SIGINT would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
