//! A client program under a terminal of its own, as a person has it.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Child;

use pty_process::blocking;

use super::eventually;
use super::server::Lines;

/// A running client. Dropped, it is killed.
pub(crate) struct Terminal {
    keyboard: File,
    /// What has come to the screen, the echo of the keys among it.
    pub(crate) screen: Lines,
    client: Child,
}

impl Terminal {
    /// Starts a client in a new terminal of 24 by 80, which handles keys and echo as terminals do.
    #[track_caller]
    pub(crate) fn open(command: &[&str]) -> Self {
        let (pty, pts) = blocking::open().expect("a terminal");
        pty.resize(pty_process::Size::new(24, 80)).expect("a size");
        let client = blocking::Command::new(command[0])
            .args(&command[1..])
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .spawn(pts)
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let keyboard = File::from(OwnedFd::from(pty));
        let screen = Lines::collect(keyboard.try_clone().expect("a descriptor"));
        Self {
            keyboard,
            screen,
            client,
        }
    }

    /// Presses keys; `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D.
    #[track_caller]
    pub(crate) fn press(&mut self, keys: &str) {
        let pressed = self.keyboard.write_all(keys.as_bytes());
        pressed.expect("the terminal is open");
    }

    /// Waits until the client has exited.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self) {
        let client = &mut self.client;
        eventually("the client exits", || {
            client.try_wait().expect("it is our child").is_some()
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
