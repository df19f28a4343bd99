//! Which signals the process takes, whatever its parent has blocked or ignored.
//!
//! Of all signals that end a process by default, those of an operator and those of a fault get through. The others are
//! blocked: a limit on the size of files (SIGXFSZ), a closed pipe (SIGPIPE) and a terminal that may not be written to
//! (SIGTTOU) then fail the call with an error, and a timer or a socket that was set to send signals before the program
//! was started (SIGALRM, SIGIO) is of no interest.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Blocked until they are handled, so that one that comes too early is only late.
const HANDLED: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
];

/// What gets through from the start: who wants to stop a program that is only starting can.
const UNHANDLED: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGTRAP,
];

/// Blocks every signal of this thread, and of those that it starts, that is no reason to end. To be called first of all.
///
/// # Errors
/// If the kernel refuses.
pub fn block_signals() -> io::Result<()> {
    let mut blocked = SigSet::all();
    for signal in UNHANDLED {
        blocked.remove(signal);
    }
    blocked.thread_set_mask().map_err(io::Error::from)
}

/// Lets the signals through that are handled from now on, those that wait among them.
pub(super) fn unblock_handled() -> io::Result<()> {
    let handled: SigSet = HANDLED.into_iter().collect();
    handled.thread_unblock().map_err(io::Error::from)
}
