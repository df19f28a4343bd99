//! A line of the log: as people read it, or as the journal of the system does.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::SystemTime;

use log::Level;

/// Whether standard error is the journal of the system.
static IS_JOURNAL: OnceLock<bool> = OnceLock::new();

/// One physical line an event.
pub(super) fn line(level: Level, event: impl std::fmt::Display) -> String {
    let event = event.to_string().replace(char::is_control, " ");
    if *IS_JOURNAL.get_or_init(is_journal) {
        journal_line(level, &event)
    } else {
        stamped_line(level, &event)
    }
}

/// The time, the level, the event.
fn stamped_line(level: Level, event: &str) -> String {
    let time = humantime::format_rfc3339_millis(wall_clock());
    format!("{time} {level} {event}\n")
}

/// The same for the journal, which has its own times, and reads the level as `sd-daemon(3)` says.
fn journal_line(level: Level, event: &str) -> String {
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    format!("<{priority}>{level} {event}\n")
}

/// Whether `JOURNAL_STREAM` names the file that standard error is, by its device and inode (`systemd.exec(5)`).
fn is_journal() -> bool {
    let Ok(named) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let descriptor = io::stderr().as_fd().try_clone_to_owned();
    let metadata = descriptor.and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| named == format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the log has stamps, which only people read"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_told_the_level_and_no_time() {
        for (level, line) in [
            (Level::Error, "<3>ERROR x\n"),
            (Level::Warn, "<4>WARN x\n"),
            (Level::Info, "<6>INFO x\n"),
            (Level::Debug, "<7>DEBUG x\n"),
            (Level::Trace, "<7>TRACE x\n"),
        ] {
            assert_eq!(journal_line(level, "x"), line);
        }
    }
}
