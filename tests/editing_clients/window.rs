//! A client in a tmux of its own, and what its screen shows.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::programs::calling;
use crate::support::server::Server;
use crate::support::{eventually, DEADLINE};

/// How a client is called, with HOST and PORT in their places.
pub(crate) type Call = &'static [&'static str];

/// A terminal with a client in it. Dropped, both are ended.
pub(crate) struct Window {
    /// The name of the socket of a tmux that nobody else uses.
    tmux: String,
    folder: PathBuf,
}

impl Window {
    /// Starts the client in a window of 60 by 20, and waits for its greeting.
    #[track_caller]
    pub(crate) fn open(client: Call, server: &Server) -> Self {
        let window = Self::start(&calling(client, server.telnet()), ["60", "20"]);
        window.wait("a greeting", |pane| {
            pane.lines
                .iter()
                .any(|line| line.starts_with("-- Welcome!"))
        });
        window
    }

    /// Starts a command in a window of so many columns and rows. What it keeps goes to the folder of the window, which is
    /// its home.
    #[track_caller]
    pub(crate) fn start(command: &[String], [columns, rows]: [&str; 2]) -> Self {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let tmux = format!("chatd-test-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&tmux);
        fs::create_dir_all(&folder).expect("the folder of the build is ours");
        let window = Self { tmux, folder };
        // The settings of the terminal are kept from before and from after the client.
        // The shell before it may have left the terminal so that it marks what is pasted.
        let script = "printf '\\033[?2004h'; stty -g >\"$FOLDER/before\"; \"$@\"; stty -g >\"$FOLDER/then\"; \
                      mv \"$FOLDER/then\" \"$FOLDER/after\"; exec cat >/dev/null";
        let status = window
            .command()
            .env("FOLDER", &window.folder)
            .env("HOME", &window.folder)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .args([
                "-u",
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                columns,
                "-y",
                rows,
            ])
            .args(["sh", "-c", script, "sh"])
            .args(command)
            .status();
        assert!(status.expect("tmux is there").success());
        window
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.tmux]).stderr(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = self
            .command()
            .args(arguments)
            .output()
            .expect("tmux is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types text.
    pub(crate) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key, as tmux calls it.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn enters(&self, line: &str) {
        self.types(line);
        self.press("Enter");
    }

    /// Gives the window this many columns, and waits until the client could know: tmux tells a little later.
    pub(crate) fn resize(&self, columns: &str) {
        self.tmux(&["resize-window", "-x", columns, "-y", "20"]);
        let terminal = self.tmux(&["display-message", "-p", "#{pane_tty}"]);
        let size = format!("20 {columns}\n");
        eventually("the terminal has its size", || {
            let stty = Command::new("stty")
                .args(["-F", terminal.trim(), "size"])
                .output();
            stty.is_ok_and(|stty| stty.stdout == size.as_bytes())
        });
    }

    fn pane(&self) -> Pane {
        let cursor = self.tmux(&["display-message", "-p", "#{cursor_x} #{cursor_y}"]);
        let mut cursor = cursor
            .split_whitespace()
            .map(|number| number.parse().unwrap_or(0));
        let shown = self.tmux(&["capture-pane", "-p"]);
        let mut lines: Vec<String> = shown
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Pane {
            lines,
            column: cursor.next().unwrap_or(0),
            row: cursor.next().unwrap_or(0),
        }
    }

    #[track_caller]
    #[allow(
        clippy::disallowed_methods,
        reason = "deadlines of tests are real time"
    )]
    pub(crate) fn wait(&self, what: &str, mut is_so: impl FnMut(&Pane) -> bool) -> Pane {
        let give_up_at = Instant::now() + DEADLINE;
        loop {
            let pane = self.pane();
            if is_so(&pane) {
                return pane;
            }
            let picture = pane.lines.join("\n");
            let cursor = (pane.column, pane.row);
            assert!(
                Instant::now() < give_up_at,
                "never seen: {what}; cursor {cursor:?}\n{picture}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a line of its own.
    #[track_caller]
    pub(crate) fn wait_for(&self, line: &str) -> Pane {
        self.wait(line, |pane| pane.lines.iter().any(|shown| shown == line))
    }

    /// Waits until the last row is this one, with the cursor in this column of it, and above it stands this line.
    #[track_caller]
    pub(crate) fn wait_for_row(&self, above: &str, row: &str, column: usize) -> Pane {
        let what = format!("{above:?} and {row:?} with the cursor at {column}");
        self.wait(&what, |pane| pane.is_row(above, row, column))
    }

    /// Waits until the client has gone, and sees that the terminal is as it was before.
    #[track_caller]
    pub(crate) fn wait_for_exit(&self) {
        let after = self.folder.join("after");
        eventually("the client exits", || after.exists());
        let settings = |path: PathBuf| fs::read_to_string(path).expect("it is written");
        assert_eq!(settings(after), settings(self.folder.join("before")));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let socket = self.tmux(&["display-message", "-p", "#{socket_path}"]);
        self.tmux(&["kill-server"]);
        let _ = fs::remove_file(socket.trim());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a window shows.
pub(crate) struct Pane {
    /// Without the empty ones at the end.
    pub(crate) lines: Vec<String>,
    pub(crate) column: usize,
    row: usize,
}

impl Pane {
    fn is_row(&self, above: &str, row: &str, column: usize) -> bool {
        let [.., line_above, last] = &self.lines[..] else {
            return false;
        };
        let is_last = self.row + 1 == self.lines.len();
        is_last && line_above == above && last == row && self.column == column
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines.iter().filter(|shown| *shown == line).count()
    }
}
